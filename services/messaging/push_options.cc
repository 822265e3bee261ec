#include "services/messaging/push_options.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/macros.h"
#include "services/messaging/adapters/curl_push_gateway.h"
#include "services/messaging/adapters/webhook_signer.h"

namespace handrail::messaging {

std::vector<std::string> PushOptions::Faults() const {
  std::vector<std::string> faults;
  if (!enabled()) {
    if (!secrets_file.empty() || !ca_file.empty()) {
      faults.emplace_back(
          "--push_secrets_file and --push_ca_file are of no use without --push_gateway_url");
    }
    return faults;
  }
  if (const std::string fault = PushGatewayUrlFault(gateway_url); !fault.empty()) {
    faults.push_back(absl::StrCat("--push_gateway_url ", fault));
  }
  if (secrets_file.empty()) {
    faults.emplace_back("--push_secrets_file must be set with --push_gateway_url");
  } else if (const auto signer = WebhookSigner::Load(secrets_file); !signer.ok()) {
    faults.push_back(absl::StrCat("--push_secrets_file: ", secrets_file, " ",
                                  absl::string_view(signer.status().message())));
  }
  if (!ca_file.empty() && access(ca_file.c_str(), R_OK) != 0) {
    faults.push_back(absl::StrCat("--push_ca_file: ", ca_file, " cannot be read"));
  }
  return faults;
}

absl::StatusOr<std::unique_ptr<PushGateway>> MakePushGateway(const PushOptions& options,
                                                             const Clock& clock) {
  ASSIGN_OR_RETURN(WebhookSigner signer, WebhookSigner::Load(options.secrets_file));
  CurlPushGateway::Options gateway;
  gateway.url = options.gateway_url;
  gateway.ca_file = options.ca_file;
  ASSIGN_OR_RETURN(auto made, CurlPushGateway::Create(gateway, std::move(signer), clock));
  return std::unique_ptr<PushGateway>(std::move(made));
}

}  // namespace handrail::messaging
