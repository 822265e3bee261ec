#ifndef HANDRAIL_SERVICES_MESSAGING_PUSH_OPTIONS_H_
#define HANDRAIL_SERVICES_MESSAGING_PUSH_OPTIONS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "services/messaging/domain/push.h"

namespace handrail::messaging {

// Where devices without a stream are told of. Without a URL nobody is told.
struct PushOptions {
  std::string gateway_url;   // --push_gateway_url
  std::string secrets_file;  // --push_secrets_file
  std::string ca_file;       // --push_ca_file

  bool enabled() const { return !gateway_url.empty(); }
  // Every fault, each a sentence that names its flag.
  std::vector<std::string> Faults() const;
};

// INVALID_ARGUMENT / CONFIGURATION_INVALID. The options must be enabled. `clock` must outlive it.
absl::StatusOr<std::unique_ptr<PushGateway>> MakePushGateway(const PushOptions& options,
                                                             const Clock& clock);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_PUSH_OPTIONS_H_
