#ifndef HANDRAIL_SERVICES_MESSAGING_ADAPTERS_CURL_PUSH_GATEWAY_H_
#define HANDRAIL_SERVICES_MESSAGING_ADAPTERS_CURL_PUSH_GATEWAY_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "services/messaging/adapters/webhook_signer.h"
#include "services/messaging/domain/push.h"

namespace handrail::messaging {

// What is wrong with the gateway's URL, as a sentence; empty when nothing is. https, or http to
// this machine; with a host, and without a user, a password or a fragment.
std::string PushGatewayUrlFault(const std::string& url);

// The gateway as a webhook of the Standard Webhooks specification: a POST of
//   {"data":{"token":"…"},"timestamp":"…","type":"device.wake"}
// with the headers webhook-id, webhook-timestamp and webhook-signature. The time is that of the
// attempt. 2xx is success, 410 says that the token is of no use, 400, 413, 414 and 422 are about
// this request, everything else is about the gateway. Follows no redirect, uses no proxy, reads a
// bounded part of the answer and nothing of it but its status and Retry-After.
class CurlPushGateway final : public PushGateway {
 public:
  struct Options {
    std::string url;
    std::string ca_file;  // PEM; empty: the system's
    absl::Duration connect_timeout = absl::Seconds(3);
    absl::Duration timeout = absl::Seconds(10);  // of one request, whole
    size_t connections = 8;                      // at once
  };
  // INVALID_ARGUMENT / CONFIGURATION_INVALID. `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<CurlPushGateway>> Create(Options options,
                                                                 WebhookSigner signer,
                                                                 const Clock& clock);
  ~CurlPushGateway() override;

  std::vector<PushResult> Push(absl::Span<const PushRequest> requests) override;
  void Cancel() override;

 private:
  struct Transfer;
  struct Multi;
  CurlPushGateway(Options options, WebhookSigner signer, const Clock& clock,
                  std::unique_ptr<Multi> multi);
  std::unique_ptr<Transfer> Begin(const PushRequest& request);

  const Options options_;
  const WebhookSigner signer_;
  const Clock& clock_;
  const std::unique_ptr<Multi> multi_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_ADAPTERS_CURL_PUSH_GATEWAY_H_
