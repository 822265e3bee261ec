#ifndef HANDRAIL_SERVICES_MESSAGING_TESTING_HTTP_GATEWAY_H_
#define HANDRAIL_SERVICES_MESSAGING_TESTING_HTTP_GATEWAY_H_

#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

// A push gateway for tests, as an operator would write one: a web server that checks signatures by
// OpenSSL, which the services do not sign with.
namespace handrail::messaging {

inline constexpr char kGatewaySecret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

// What the Standard Webhooks specification asks of a receiver: one of the signatures fits, and the
// time is within five minutes of ours.
inline bool IsSignedWebhook(const httplib::Request& request, const std::string& secret,
                            absl::Time now) {
  std::string key;
  if (!absl::Base64Unescape(secret.substr(6), &key)) return false;
  const std::string timestamp = request.get_header_value("webhook-timestamp");
  const std::string content =
      absl::StrCat(request.get_header_value("webhook-id"), ".", timestamp, ".", request.body);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(content.data()), content.size(), digest, &size);
  const std::string expected = absl::StrCat(
      "v1,", absl::Base64Escape(absl::string_view(reinterpret_cast<char*>(digest), size)));
  const absl::Duration age = now - absl::FromUnixSeconds(std::atoll(timestamp.c_str()));
  if (absl::AbsDuration(age) > absl::Minutes(5)) return false;
  for (const std::string& signature : std::vector<std::string>(
           absl::StrSplit(request.get_header_value("webhook-signature"), ' '))) {
    if (signature == expected) return true;
  }
  return false;
}

class HttpGateway {
 public:
  using Answer = std::function<void(const httplib::Request&, httplib::Response&)>;

  explicit HttpGateway(
      std::unique_ptr<httplib::Server> server = std::make_unique<httplib::Server>())
      : server_(std::move(server)) {
    server_->set_keep_alive_timeout(1);
    server_->Post(".*", [this](const httplib::Request& request, httplib::Response& response) {
      Answer answer;
      {
        MutexLock lock(mutex_);
        requests_.push_back(request);
        answer = answer_;
      }
      if (answer) answer(request, response);
    });
    port_ = server_->bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    // To stop it before would be lost.
    while (!server_->is_running()) std::this_thread::yield();
  }
  ~HttpGateway() {
    server_->stop();
    thread_.join();
  }
  int port() const { return port_; }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/push"); }
  void SetAnswer(Answer answer) {
    MutexLock lock(mutex_);
    answer_ = std::move(answer);
  }
  void AnswerAlways(int status) {
    SetAnswer([status](const auto&, httplib::Response& response) { response.status = status; });
  }
  std::vector<httplib::Request> Requests() const {
    MutexLock lock(mutex_);
    return requests_;
  }

 private:
  const std::unique_ptr<httplib::Server> server_;
  mutable Mutex mutex_;
  std::vector<httplib::Request> requests_ ABSL_GUARDED_BY(mutex_);
  Answer answer_ ABSL_GUARDED_BY(mutex_);
  int port_ = 0;
  std::thread thread_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_TESTING_HTTP_GATEWAY_H_
