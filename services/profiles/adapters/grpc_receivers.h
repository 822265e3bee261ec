#ifndef HANDRAIL_SERVICES_PROFILES_ADAPTERS_GRPC_RECEIVERS_H_
#define HANDRAIL_SERVICES_PROFILES_ADAPTERS_GRPC_RECEIVERS_H_

#include <grpcpp/channel.h>

#include <memory>

#include "common/base/clock.h"
#include "services/profiles/domain/peers.h"

namespace handrail::profiles {

// Matching (MemberSyncService) and messaging (ConversationSyncService) over their internal
// listeners. Errors are those of the receiver; UNAVAILABLE / PEER_UNAVAILABLE when it cannot be
// reached. `clock` outlives them. Answers of ApplyBlock come on threads of gRPC.
std::unique_ptr<MemberReceiver> MakeMatchingReceiver(std::shared_ptr<grpc::Channel> channel,
                                                     const Clock& clock);
std::unique_ptr<MemberReceiver> MakeMessagingReceiver(std::shared_ptr<grpc::Channel> channel,
                                                      const Clock& clock);

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_ADAPTERS_GRPC_RECEIVERS_H_
