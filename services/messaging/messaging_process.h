#ifndef HANDRAIL_SERVICES_MESSAGING_MESSAGING_PROCESS_H_
#define HANDRAIL_SERVICES_MESSAGING_MESSAGING_PROCESS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/rpc/main_support.h"

namespace handrail::messaging {

// The whole service, from the database to the handlers. Opens and migrates the database: its codes,
// and INVALID_ARGUMENT / CONFIGURATION_INVALID for a bad URL or address. A Redis or a profiles that
// is down does not keep it from starting.
absl::StatusOr<std::unique_ptr<rpc::ServiceProcess>> BuildMessaging(
    const rpc::MainContext& context);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_MESSAGING_PROCESS_H_
