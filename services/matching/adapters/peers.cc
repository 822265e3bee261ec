#include "services/matching/adapters/peers.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/rpc/client.h"
#include "common/rpc/status_conversion.h"
#include "handrail/messaging/v1/conversation_sync.grpc.pb.h"
#include "handrail/profiles/v1/directory.grpc.pb.h"
#include "services/matching/handlers/traits_proto.h"

namespace handrail::matching {
namespace {

constexpr char kOurName[] = "matching";

std::unique_ptr<grpc::ClientContext> Context(const Clock& clock, absl::Time deadline) {
  const absl::Duration left = std::min(deadline - clock.Now(), absl::Seconds(10));
  return rpc::MakeServiceContext(std::max(left, absl::Milliseconds(1)), kOurName);
}

class GrpcConversations final : public Conversations {
 public:
  GrpcConversations(std::shared_ptr<grpc::Channel> channel, const Clock& clock)
      : stub_(messaging::v1::ConversationSyncService::NewStub(std::move(channel))), clock_(clock) {}

  absl::StatusOr<ConversationId> Open(absl::Time deadline, const OutboxEntry& entry) override {
    messaging::v1::OpenConversationRequest request;
    request.set_pairing(entry.pairing.Name());
    request.add_members(entry.newcomer.Name());
    request.add_members(entry.sponsor.Name());
    request.set_request_id(entry.id.ToString());
    messaging::v1::OpenConversationResponse response;
    const auto context = Context(clock_, deadline);
    RETURN_IF_ERROR(
        rpc::FromGrpcStatus(stub_->OpenConversation(context.get(), request, &response)));
    return ConversationId::FromName(response.conversation());
  }

  absl::Status Close(absl::Time deadline, const OutboxEntry& entry) override {
    messaging::v1::CloseConversationRequest request;
    request.set_pairing(entry.pairing.Name());
    request.set_request_id(entry.id.ToString());
    messaging::v1::CloseConversationResponse response;
    const auto context = Context(clock_, deadline);
    return rpc::FromGrpcStatus(stub_->CloseConversation(context.get(), request, &response));
  }

 private:
  const std::unique_ptr<messaging::v1::ConversationSyncService::Stub> stub_;
  const Clock& clock_;
};

class GrpcMemberDirectory final : public MemberDirectory {
 public:
  GrpcMemberDirectory(std::shared_ptr<grpc::Channel> channel, const Clock& clock)
      : stub_(profiles::v1::DirectoryService::NewStub(std::move(channel))), clock_(clock) {}

  absl::StatusOr<Entry> Fetch(absl::Time deadline, const MemberId& member) override {
    profiles::v1::GetMemberSnapshotRequest request;
    request.set_member(member.Name());
    profiles::v1::GetMemberSnapshotResponse response;
    const auto context = Context(clock_, deadline);
    const absl::Status status =
        rpc::FromGrpcStatus(stub_->GetMemberSnapshot(context.get(), request, &response));
    if (status.code() == absl::StatusCode::kNotFound) return status;
    if (!status.ok()) {
      return UnavailableError(reason::kPeerUnavailable, "the profile cannot be read right now");
    }
    Entry entry;
    ASSIGN_OR_RETURN(entry.member, MemberTraitsFromProto(response.snapshot()));
    for (const common::v1::Block& row : response.blocks()) {
      Block block;
      ASSIGN_OR_RETURN(block.id, BlockId::FromName(row.name()));
      ASSIGN_OR_RETURN(block.blocker, MemberId::FromName(row.blocker()));
      ASSIGN_OR_RETURN(block.blocked, MemberId::FromName(row.blocked()));
      entry.blocks.push_back(block);
    }
    return entry;
  }

 private:
  const std::unique_ptr<profiles::v1::DirectoryService::Stub> stub_;
  const Clock& clock_;
};

}  // namespace

std::unique_ptr<Conversations> MakeConversations(std::shared_ptr<grpc::Channel> channel,
                                                 const Clock& clock) {
  return std::make_unique<GrpcConversations>(std::move(channel), clock);
}

std::unique_ptr<MemberDirectory> MakeMemberDirectory(std::shared_ptr<grpc::Channel> channel,
                                                     const Clock& clock) {
  return std::make_unique<GrpcMemberDirectory>(std::move(channel), clock);
}

}  // namespace handrail::matching
