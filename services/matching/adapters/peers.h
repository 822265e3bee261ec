#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_PEERS_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_PEERS_H_

#include <grpcpp/channel.h>

#include <memory>

#include "common/base/clock.h"
#include "services/matching/domain/outbox.h"

namespace handrail::matching {

// Messaging behind gRPC. Thread-safe.
std::unique_ptr<Conversations> MakeConversations(std::shared_ptr<grpc::Channel> channel,
                                                 const Clock& clock);
// Profiles behind gRPC. Thread-safe.
std::unique_ptr<MemberDirectory> MakeMemberDirectory(std::shared_ptr<grpc::Channel> channel,
                                                     const Clock& clock);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_PEERS_H_
