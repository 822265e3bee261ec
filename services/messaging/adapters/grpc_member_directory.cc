#include "services/messaging/adapters/grpc_member_directory.h"

#include <utility>

#include "common/base/status.h"
#include "common/rpc/client.h"
#include "services/messaging/adapters/proto_conversion.h"

namespace handrail::messaging {

using handrail::profiles::v1::DirectoryService;

GrpcMemberDirectory::GrpcMemberDirectory(std::shared_ptr<grpc::Channel> channel, const Clock& clock)
    : stub_(channel == nullptr ? nullptr : DirectoryService::NewStub(std::move(channel))),
      clock_(clock) {}

absl::StatusOr<MemberDirectory::Answer> GrpcMemberDirectory::Get(absl::Time deadline,
                                                                 const MemberId& member) {
  if (stub_ == nullptr) {
    return UnavailableError(reason::kPeerUnavailable, "profiles is not configured");
  }
  const auto context = rpc::MakeServiceContext(deadline - clock_.Now(), "messaging");
  handrail::profiles::v1::GetMemberSnapshotRequest request;
  request.set_member(member.Name());
  handrail::profiles::v1::GetMemberSnapshotResponse response;
  const grpc::Status status = stub_->GetMemberSnapshot(context.get(), request, &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
    return Error(absl::StatusCode::kNotFound, reason::kNotFound).Message("no such member");
  }
  if (!status.ok()) {
    return UnavailableError(reason::kPeerUnavailable, "profiles could not be asked");
  }
  Answer answer;
  ASSIGN_OR_RETURN(answer.snapshot, FromProto(response.snapshot()));
  RETURN_IF_ERROR(TakeDeviceKeys(response.device_keys(), answer.snapshot));
  for (const auto& proto : response.blocks()) {
    ASSIGN_OR_RETURN(const Block block, FromProto(proto));
    answer.blocks.push_back(block);
  }
  return answer;
}

}  // namespace handrail::messaging
