#ifndef HANDRAIL_COMMON_RPC_PROFILES_SOURCE_H_
#define HANDRAIL_COMMON_RPC_PROFILES_SOURCE_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "common/rpc/key_source.h"

namespace handrail::rpc {

// Keys from IdentityService.ListSigningKeys over `public_channel`, revocations from
// DirectoryService.ListRevocations over `internal_channel`, asked in the name of `service`. Two
// seconds a call; a page after the other, at most 1,000 pages.
KeyRefresher::Sources ProfilesSources(std::shared_ptr<grpc::Channel> public_channel,
                                      std::shared_ptr<grpc::Channel> internal_channel,
                                      std::string service);

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_PROFILES_SOURCE_H_
