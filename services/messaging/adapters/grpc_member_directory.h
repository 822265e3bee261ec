#ifndef HANDRAIL_SERVICES_MESSAGING_ADAPTERS_GRPC_MEMBER_DIRECTORY_H_
#define HANDRAIL_SERVICES_MESSAGING_ADAPTERS_GRPC_MEMBER_DIRECTORY_H_

#include <memory>

#include "common/base/clock.h"
#include "handrail/profiles/v1/directory.grpc.pb.h"
#include "services/messaging/domain/member_directory.h"

namespace handrail::messaging {

// Asks profiles' DirectoryService. Without a channel (profiles is not configured) every answer is
// UNAVAILABLE / PEER_UNAVAILABLE. Thread-safe.
class GrpcMemberDirectory final : public MemberDirectory {
 public:
  // `channel` may be null. `clock` must outlive it.
  GrpcMemberDirectory(std::shared_ptr<grpc::Channel> channel, const Clock& clock);
  absl::StatusOr<Answer> Get(absl::Time deadline, const MemberId& member) override;

 private:
  const std::unique_ptr<handrail::profiles::v1::DirectoryService::Stub> stub_;
  const Clock& clock_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_ADAPTERS_GRPC_MEMBER_DIRECTORY_H_
