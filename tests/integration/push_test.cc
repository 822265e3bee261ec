// Pushes over real processes: two of messaging on one database, and a web server as the gateway.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/rpc/client.h"
#include "handrail/messaging/v1/conversation_sync.grpc.pb.h"
#include "handrail/messaging/v1/push.grpc.pb.h"
#include "services/messaging/testing/http_gateway.h"
#include "tests/support/cluster.h"
#include "tests/support/people.h"
#include "tools/handrail/up/layout.h"
#include "tools/handrail/up/process.h"

namespace handrail::tests {
namespace {

using messaging::HttpGateway;
using messaging::IsSignedWebhook;
using messaging::kGatewaySecret;
using messaging::v1::ConversationSyncService;
using messaging::v1::MessagingService;
using messaging::v1::PushService;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using tools::Person;

// Replica leases, sweeps and looks together are within this.
constexpr absl::Duration kLongEnough = absl::Seconds(90);
// Longer than what a push takes, when nothing has died.
constexpr absl::Duration kQuiet = absl::Seconds(12);

class PushFlowTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    gateway_ = new HttpGateway();
    folder_ = new handrail::testing::TemporaryDirectory();
    const std::string secrets = folder_->File("secrets");
    std::ofstream(secrets) << "whsec_" << std::string(44, 'A') << "\n" << kGatewaySecret << "\n";
    ASSERT_EQ(chmod(secrets.c_str(), 0600), 0);
    // Flags of messaging alone.
    setenv("HANDRAIL_PUSH_GATEWAY_URL", gateway_->url().c_str(), 1);
    setenv("HANDRAIL_PUSH_SECRETS_FILE", secrets.c_str(), 1);
    // Which nobody should use; gRPC would.
    setenv("no_grpc_proxy", "127.0.0.1,localhost", 1);
    for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
      setenv(name, "http://127.0.0.1:1", 1);
    }
    Cluster::Options options;
    options.backend = Backend::kPostgres;
    options.service_flags = {"--rate_limit_scale", "0"};
    auto cluster = Cluster::Start(options);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = std::move(*cluster).release();
  }
  static void TearDownTestSuite() {
    delete cluster_;
    delete folder_;
    delete gateway_;
  }
  void SetUp() override {
    ASSERT_NE(cluster_, nullptr);
    gateway_->AnswerAlways(204);
    ann_ = Unwrap(Person::Register(cluster_->services(), clock_, random_));
    bob_ = Unwrap(Person::Register(cluster_->services(), clock_, random_));
    ASSERT_TRUE(ann_ != nullptr && bob_ != nullptr);
    first_ =
        grpc::CreateChannel(cluster_->endpoints().messaging, grpc::InsecureChannelCredentials());
    conversation_ = OpenConversation();
  }

  template <typename T>
  T Unwrap(absl::StatusOr<T> result) {
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : T();
  }
  // As matching does it.
  std::string OpenConversation() {
    const tools::Layout layout{cluster_->data_folder()};
    const auto stub = ConversationSyncService::NewStub(grpc::CreateChannel(
        "unix:" + layout.InternalSocket("messaging"), grpc::InsecureChannelCredentials()));
    messaging::v1::OpenConversationRequest request;
    request.set_pairing(PairingId::Random(random_).Name());
    request.add_members(ann_->member());
    request.add_members(bob_->member());
    request.set_request_id(ann_->NewRequestId());
    messaging::v1::OpenConversationResponse response;
    const auto context = rpc::MakeServiceContext(absl::Seconds(20), "matching");
    const grpc::Status status = stub->OpenConversation(context.get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.conversation();
  }
  // A token that only this test has.
  std::string Token(const std::string& name) const { return absl::StrCat(name, " ", tag_); }
  bool Register(const std::string& name) {
    const auto stub = PushService::NewStub(first_);
    messaging::v1::RegisterPushRequest request;
    request.set_token(Token(name));
    return Unwrap(bob_->Call(*stub, &PushService::Stub::RegisterPush, request)).gateway();
  }
  // From Ann, by the first process.
  int64_t Say(const std::string& text) {
    messaging::v1::SendMessageRequest request;
    request.set_conversation(conversation_);
    request.set_message_id(ann_->NewRequestId());
    request.set_payload(text);
    return Unwrap(ann_->Call(cluster_->services().messaging(), &MessagingService::Stub::SendMessage,
                             request))
        .sequence();
  }
  void Acknowledge(int64_t sequence) {
    messaging::v1::AckMessagesRequest request;
    request.add_cursors()->set_conversation(conversation_);
    request.mutable_cursors(0)->set_after_sequence(sequence);
    Unwrap(bob_->Call(cluster_->services().messaging(), &MessagingService::Stub::AckMessages,
                      request));
  }
  // Requests of this test.
  std::vector<httplib::Request> Requests() const {
    std::vector<httplib::Request> all = gateway_->Requests();
    std::erase_if(all, [&](const httplib::Request& request) {
      return !absl::StrContains(request.body, tag_);
    });
    return all;
  }
  bool Within(absl::Duration time, const std::function<bool()>& done) {
    const absl::Time give_up = clock_.Now() + time;
    StopSignal pause;
    while (!done()) {
      if (clock_.Now() > give_up) return false;
      pause.Pause(absl::Milliseconds(50));
    }
    return true;
  }
  bool RequestsReach(size_t count, absl::Duration time = kLongEnough) {
    return Within(time, [&] { return Requests().size() >= count; });
  }
  // Another process of messaging on the same database and Redis.
  std::unique_ptr<tools::Process> StartSecond() {
    const auto& up = cluster_->up_options();
    const tools::Layout layout{cluster_->data_folder()};
    tools::Process::Options options;
    options.name = "messaging-2";
    options.log_path = folder_->File("messaging-2.log");
    options.command = {absl::StrCat(getenv("HANDRAIL_BIN_DIR"), "/handrail_messaging"),
                       "--public_address",
                       SecondAddress(),
                       "--internal_address",
                       absl::StrCat("unix:", folder_->File("second.internal")),
                       "--admin_address",
                       "127.0.0.1:0",
                       "--database_url",
                       absl::StrReplaceAll(up.database_url, {{"{service}", "messaging"}}),
                       "--redis_url",
                       cluster_->endpoints().redis_url,
                       "--profiles_address",
                       cluster_->endpoints().profiles,
                       "--profiles_internal_address",
                       absl::StrCat("unix:", layout.InternalSocket("profiles")),
                       "--key_ring_file",
                       absl::StrCat(cluster_->data_folder(), "/keys/messaging.keyring"),
                       "--rate_limit_scale",
                       "0"};
    auto process = std::make_unique<tools::Process>(options);
    const absl::Status started = process->Start();
    EXPECT_TRUE(started.ok()) << started;
    second_ = grpc::CreateChannel(SecondAddress(), grpc::InsecureChannelCredentials());
    EXPECT_TRUE(second_->WaitForConnected(absl::ToChronoTime(clock_.Now() + absl::Seconds(20))));
    return process;
  }
  static std::string SecondAddress() {
    return absl::StrCat("unix:", folder_->File("second.public"));
  }

  // A stream of Bob's at the second process, caught up.
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<messaging::v1::SubscribeResponse>> reader;
    ~Stream() {
      context.TryCancel();
      reader->Finish();
    }
  };
  std::unique_ptr<Stream> SubscribeAtSecond() {
    auto stream = std::make_unique<Stream>();
    EXPECT_TRUE(bob_->Authorize(stream->context).ok());
    const auto stub = MessagingService::NewStub(second_);
    stream->reader = stub->Subscribe(&stream->context, {});
    messaging::v1::SubscribeResponse event;
    bool caught_up = false;
    while (!caught_up && stream->reader->Read(&event)) caught_up = event.has_caught_up();
    EXPECT_TRUE(caught_up);
    return stream;
  }

  static Cluster* cluster_;
  static HttpGateway* gateway_;
  static handrail::testing::TemporaryDirectory* folder_;
  SystemClock clock_;
  SystemRandom random_;
  const std::string tag_ = MessageId::Random(random_).ToString();
  std::unique_ptr<Person> ann_;
  std::unique_ptr<Person> bob_;
  std::shared_ptr<grpc::Channel> first_;
  std::shared_ptr<grpc::Channel> second_;
  std::string conversation_;
};

Cluster* PushFlowTest::cluster_ = nullptr;
HttpGateway* PushFlowTest::gateway_ = nullptr;
handrail::testing::TemporaryDirectory* PushFlowTest::folder_ = nullptr;

TEST_F(PushFlowTest, ADeviceThatIsAwayIsToldOnceAndNothingIsSaidOfWhat) {
  ASSERT_TRUE(Register("handle-1"));
  Say("the quick brown fox");
  ASSERT_TRUE(RequestsReach(1));
  const httplib::Request request = Requests().front();
  EXPECT_TRUE(IsSignedWebhook(request, kGatewaySecret, clock_.Now()));
  auto body = nlohmann::json::parse(request.body);
  EXPECT_EQ(body["data"], nlohmann::json({{"token", Token("handle-1")}}));
  EXPECT_EQ(body["type"], "device.wake");
  EXPECT_THAT(body, SizeIs(3));
  std::string all = request.body;
  for (const auto& [name, value] : request.headers) absl::StrAppend(&all, name, value);
  for (const std::string& secret : {std::string("fox"), ann_->member(), ann_->device(),
                                    bob_->member(), bob_->device(), conversation_}) {
    EXPECT_THAT(all, Not(HasSubstr(secret.substr(secret.find('/') + 1))));
  }
  Say("jumps over");
  EXPECT_FALSE(RequestsReach(2, kQuiet)) << "it knows";
}

TEST_F(PushFlowTest, AStreamAtAnotherProcessCountsUntilThatIsKilled) {
  const auto second = StartSecond();
  const auto stream = SubscribeAtSecond();
  ASSERT_TRUE(Register("handle-2"));
  // Until its lease is written a process is not known.
  StopSignal().Pause(absl::Seconds(2));
  Say("hello");
  EXPECT_FALSE(RequestsReach(1, kQuiet)) << "its stream is at the other process";
  second->Signal(SIGKILL);
  ASSERT_TRUE(RequestsReach(1));
  EXPECT_TRUE(IsSignedWebhook(Requests().front(), kGatewaySecret, clock_.Now()));
  EXPECT_FALSE(RequestsReach(2, kQuiet));
}

TEST_F(PushFlowTest, AStreamThatEndsLeavesItsDeviceAway) {
  const auto second = StartSecond();
  auto stream = SubscribeAtSecond();
  ASSERT_TRUE(Register("handle-3"));
  StopSignal().Pause(absl::Seconds(2));
  Say("hello");
  stream = nullptr;
  ASSERT_TRUE(RequestsReach(1, absl::Seconds(20)));
}

TEST_F(PushFlowTest, AGatewayThatIsDownIsToldWhenItIsBack) {
  gateway_->AnswerAlways(503);
  ASSERT_TRUE(Register("handle-4"));
  for (int i = 0; i < 20; ++i) Say("hello");
  ASSERT_TRUE(RequestsReach(3));
  const size_t tried = Requests().size();
  EXPECT_LE(tried, 6u) << "less and less often";
  gateway_->AnswerAlways(204);
  ASSERT_TRUE(RequestsReach(tried + 1));
  const auto requests = Requests();
  for (const httplib::Request& request : requests) {
    EXPECT_TRUE(IsSignedWebhook(request, kGatewaySecret, clock_.Now()));
    EXPECT_EQ(request.get_header_value("webhook-id"),
              requests.front().get_header_value("webhook-id"));
  }
  EXPECT_FALSE(RequestsReach(tried + 2, kQuiet));
}

TEST_F(PushFlowTest, ATokenOfNoUseIsForgottenAndOneThatIsTakenBackToo) {
  gateway_->AnswerAlways(410);
  ASSERT_TRUE(Register("handle-5"));
  int64_t sequence = Say("hello");
  ASSERT_TRUE(RequestsReach(1));
  gateway_->AnswerAlways(204);
  Acknowledge(sequence);
  sequence = Say("hello again");
  EXPECT_FALSE(RequestsReach(2, kQuiet));
  ASSERT_TRUE(Register("handle-6"));
  ASSERT_TRUE(RequestsReach(2));
  EXPECT_THAT(Requests().back().body, HasSubstr("handle-6"));
  const auto stub = PushService::NewStub(first_);
  Unwrap(bob_->Call(*stub, &PushService::Stub::UnregisterPush, {}));
  Acknowledge(sequence);
  Say("and again");
  EXPECT_FALSE(RequestsReach(3, kQuiet));
}

}  // namespace
}  // namespace handrail::tests
