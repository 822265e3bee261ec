// The gateway as it is over the wire: a real web server on this machine.
#include "services/messaging/adapters/curl_push_gateway.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/base/status.h"
#include "common/testing/seeded_random.h"
#include "common/testing/temporary_certificates.h"
#include "services/messaging/push_options.h"
#include "services/messaging/testing/http_gateway.h"

namespace handrail::messaging {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CurlPushGatewayTest : public ::testing::Test {
 protected:
  std::unique_ptr<CurlPushGateway> GatewayTo(CurlPushGateway::Options options) {
    auto gateway =
        CurlPushGateway::Create(std::move(options), *WebhookSigner::Parse(kGatewaySecret), clock_);
    EXPECT_TRUE(gateway.ok()) << gateway.status();
    return gateway.ok() ? *std::move(gateway) : nullptr;
  }
  static CurlPushGateway::Options To(const std::string& url) {
    CurlPushGateway::Options options;
    options.url = url;
    return options;
  }
  PushResult PushOne(CurlPushGateway& gateway, const std::string& token = "token") {
    const PushRequest request{PushId::Random(random_), token};
    const auto results = gateway.Push({&request, 1});
    EXPECT_THAT(results, SizeIs(1));
    return results.front();
  }
  PushOutcome OutcomeAt(const std::string& url) { return PushOne(*GatewayTo(To(url))).outcome; }

  SystemClock clock_;
  testing::SeededRandom random_{3};
  HttpGateway server_;
};

TEST_F(CurlPushGatewayTest, SaysTheTokenAndNothingElseSigned) {
  const std::string token = "a \"token\" of \\ printable ~ characters";
  const auto gateway = GatewayTo(To(server_.url()));
  EXPECT_EQ(PushOne(*gateway, token).outcome, PushOutcome::kSent);
  const auto requests = server_.Requests();
  ASSERT_THAT(requests, SizeIs(1));
  const httplib::Request& request = requests.front();
  EXPECT_EQ(request.path, "/push");
  EXPECT_EQ(request.get_header_value("content-type"), "application/json");
  EXPECT_THAT(request.get_header_value("webhook-id"), HasSubstr("push_"));
  EXPECT_TRUE(IsSignedWebhook(request, kGatewaySecret, clock_.Now()));
  httplib::Request changed = request;
  changed.body += " ";
  EXPECT_FALSE(IsSignedWebhook(changed, kGatewaySecret, clock_.Now()));
  auto body = nlohmann::json::parse(request.body);
  EXPECT_EQ(body["data"]["token"], token);
  absl::Time time;
  EXPECT_TRUE(
      absl::ParseTime(absl::RFC3339_full, body["timestamp"].get<std::string>(), &time, nullptr));
  body.erase("timestamp");
  EXPECT_EQ(body, nlohmann::json({{"type", "device.wake"}, {"data", {{"token", token}}}}));
}

TEST_F(CurlPushGatewayTest, EveryStatusHasItsMeaning) {
  const auto gateway = GatewayTo(To(server_.url()));
  const std::vector<std::pair<int, PushOutcome>> meanings = {
      {200, PushOutcome::kSent},    {204, PushOutcome::kSent},    {410, PushOutcome::kGone},
      {400, PushOutcome::kRefused}, {413, PushOutcome::kRefused}, {422, PushOutcome::kRefused},
      {401, PushOutcome::kFailed},  {404, PushOutcome::kFailed},  {408, PushOutcome::kFailed},
      {429, PushOutcome::kFailed},  {500, PushOutcome::kFailed},  {503, PushOutcome::kFailed}};
  for (const auto& [status, outcome] : meanings) {
    server_.AnswerAlways(status);
    EXPECT_EQ(PushOne(*gateway).outcome, outcome) << status;
  }
}

TEST_F(CurlPushGatewayTest, FollowsNoRedirect) {
  server_.SetAnswer([this](const httplib::Request& request, httplib::Response& response) {
    if (request.path == "/push") response.set_redirect(server_.url() + "/elsewhere", 307);
  });
  EXPECT_EQ(OutcomeAt(server_.url()), PushOutcome::kFailed);
  EXPECT_THAT(server_.Requests(), SizeIs(1));
}

TEST_F(CurlPushGatewayTest, TellsHowLongToWait) {
  server_.SetAnswer([](const auto&, httplib::Response& response) {
    response.status = 503;
    response.set_header("Retry-After", "7");
  });
  EXPECT_EQ(PushOne(*GatewayTo(To(server_.url()))).retry_after, absl::Seconds(7));
}

TEST_F(CurlPushGatewayTest, AnEndlessAnswerCountsByItsStatus) {
  for (const auto& [status, outcome] :
       {std::pair(200, PushOutcome::kSent), {410, PushOutcome::kGone}}) {
    server_.SetAnswer([status = status](const auto&, httplib::Response& response) {
      response.status = status;
      response.set_content(std::string(8 << 20, 'x'), "text/plain");
    });
    EXPECT_EQ(OutcomeAt(server_.url()), outcome);
  }
}

TEST_F(CurlPushGatewayTest, MoreThanAHandfulGoOut) {
  std::vector<PushRequest> requests;
  for (int i = 0; i < 100; ++i) {
    requests.push_back({PushId::Random(random_), absl::StrCat("token ", i)});
  }
  server_.SetAnswer([](const httplib::Request& request, httplib::Response& response) {
    const std::string token = nlohmann::json::parse(request.body)["data"]["token"];
    response.status = token == "token 42" ? 410 : 200;
  });
  const auto results = GatewayTo(To(server_.url()))->Push(requests);
  ASSERT_THAT(results, SizeIs(100));
  for (size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(results[i].outcome, i == 42 ? PushOutcome::kGone : PushOutcome::kSent) << i;
  }
  EXPECT_THAT(server_.Requests(), SizeIs(100));
}

TEST_F(CurlPushGatewayTest, WhoIsNotThereFails) {
  std::string url;
  {
    const HttpGateway gone;
    url = gone.url();
  }
  EXPECT_EQ(OutcomeAt(url), PushOutcome::kFailed);
}

// A listener whose backlog takes the connection, and that never says a word.
class SilentListener {
 public:
  SilentListener() {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address_);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address_), size), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size), 0);
  }
  ~SilentListener() { close(fd_); }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", ntohs(address_.sin_port)); }

 private:
  const int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address_{};
};

TEST_F(CurlPushGatewayTest, WhoSaysNothingFailsInTime) {
  const SilentListener silent;
  auto options = To(silent.url());
  options.timeout = absl::Milliseconds(200);
  const absl::Time began = clock_.Now();
  EXPECT_EQ(PushOne(*GatewayTo(options)).outcome, PushOutcome::kFailed);
  EXPECT_LT(clock_.Now() - began, absl::Seconds(5));
}

TEST_F(CurlPushGatewayTest, WhatIsUnderWayCanBeCancelled) {
  const SilentListener silent;
  auto options = To(silent.url());
  options.timeout = absl::Minutes(5);
  const auto gateway = GatewayTo(options);
  const absl::Time began = clock_.Now();
  std::thread stopper([&] { gateway->Cancel(); });
  EXPECT_EQ(PushOne(*gateway).outcome, PushOutcome::kFailed);
  stopper.join();
  EXPECT_EQ(PushOne(*gateway).outcome, PushOutcome::kFailed);
  EXPECT_LT(clock_.Now() - began, absl::Minutes(1));
}

TEST_F(CurlPushGatewayTest, OverTlsOnlyWhomTheAuthoritySays) {
  const testing::TemporaryCertificates certificates;
  HttpGateway secure(std::make_unique<httplib::SSLServer>(certificates.server_certificate().c_str(),
                                                          certificates.server_key().c_str()));
  auto options = To(absl::StrCat("https://localhost:", secure.port(), "/"));
  EXPECT_EQ(PushOne(*GatewayTo(options)).outcome, PushOutcome::kFailed) << "not in the system's";
  options.ca_file = certificates.authority();
  EXPECT_EQ(PushOne(*GatewayTo(options)).outcome, PushOutcome::kSent);
  const testing::TemporaryCertificates others({.server_names = "DNS:elsewhere.example"});
  HttpGateway elsewhere(std::make_unique<httplib::SSLServer>(others.server_certificate().c_str(),
                                                             others.server_key().c_str()));
  options = To(absl::StrCat("https://localhost:", elsewhere.port(), "/"));
  options.ca_file = others.authority();
  EXPECT_EQ(PushOne(*GatewayTo(options)).outcome, PushOutcome::kFailed) << "another's name";
  EXPECT_THAT(elsewhere.Requests(), IsEmpty());
}

TEST(PushGatewayUrl, IsHttpsOrThisMachine) {
  for (const char* good :
       {"https://push.example.org/hook", "https://push.example.org:8443", "http://127.0.0.1:80/x",
        "http://localhost/", "http://[::1]:8080/a?b=c"}) {
    EXPECT_EQ(PushGatewayUrlFault(good), "") << good;
  }
  for (const char* bad :
       {"", "push.example.org", "http://push.example.org/", "http://10.0.0.1/", "ftp://localhost/",
        "file:///etc/passwd", "https://user@push.example.org/", "https://u:p@push.example.org/",
        "https://push.example.org/#there", "http://localhost.example.org/",
        "http://127.example.org/", "https://"}) {
    EXPECT_NE(PushGatewayUrlFault(bad), "") << bad;
  }
}

TEST(PushOptions, AllFaultsAreToldAtOnce) {
  EXPECT_THAT(PushOptions().Faults(), IsEmpty());
  PushOptions options;
  options.secrets_file = "/nowhere";
  EXPECT_THAT(options.Faults(), SizeIs(1));
  options.gateway_url = "http://push.example.org";
  options.ca_file = "/nowhere/else";
  EXPECT_THAT(options.Faults(), SizeIs(3));
  EXPECT_THAT(options.Faults(), Each(HasSubstr("--push_")));
}

}  // namespace
}  // namespace handrail::messaging
