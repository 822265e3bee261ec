#include "services/profiles/adapters/grpc_receivers.h"

#include <algorithm>
#include <utility>

#include "common/base/macros.h"
#include "common/rpc/client.h"
#include "common/rpc/status_conversion.h"
#include "handrail/matching/v1/member_sync.grpc.pb.h"
#include "handrail/messaging/v1/conversation_sync.grpc.pb.h"
#include "services/profiles/adapters/snapshot_proto.h"

namespace handrail::profiles {
namespace {

constexpr char kOurName[] = "profiles";

// The two services have calls of the same names and meanings; `Api` says which messages they take.
template <typename Api>
class GrpcReceiver final : public MemberReceiver {
 public:
  GrpcReceiver(std::shared_ptr<grpc::Channel> channel, const Clock& clock)
      : stub_(Api::Service::NewStub(std::move(channel))), clock_(clock) {}

  absl::Status ApplyMembers(absl::Span<const MemberSnapshot> members,
                            absl::Time deadline) override {
    typename Api::ApplyMembersRequest request;
    for (const MemberSnapshot& member : members) {
      RETURN_IF_ERROR(Api::Add(member, request));
    }
    typename Api::ApplyMembersResponse response;
    const auto context = Context(deadline);
    return rpc::FromGrpcStatus(stub_->ApplyMembers(context.get(), request, &response));
  }

  void ApplyBlock(const Block& block, absl::Time deadline, Done done) override {
    struct Exchange {
      std::unique_ptr<grpc::ClientContext> context;
      typename Api::ApplyBlockRequest request;
      typename Api::ApplyBlockResponse response;
      Done done;
    };
    auto exchange = std::make_shared<Exchange>();
    exchange->context = Context(deadline);
    exchange->done = std::move(done);
    ToProto(block, exchange->request.mutable_block());
    stub_->async()->ApplyBlock(
        exchange->context.get(), &exchange->request, &exchange->response,
        [exchange](const grpc::Status& status) { exchange->done(rpc::FromGrpcStatus(status)); });
  }

 private:
  std::unique_ptr<grpc::ClientContext> Context(absl::Time deadline) const {
    // A call without time left fails by itself, in the one way that every failure goes.
    return rpc::MakeServiceContext(std::max(deadline - clock_.Now(), absl::Milliseconds(1)),
                                   kOurName);
  }

  const std::unique_ptr<typename Api::Service::Stub> stub_;
  const Clock& clock_;
};

struct MatchingApi {
  using Service = matching::v1::MemberSyncService;
  using ApplyMembersRequest = matching::v1::ApplyMembersRequest;
  using ApplyMembersResponse = matching::v1::ApplyMembersResponse;
  using ApplyBlockRequest = matching::v1::ApplyBlockRequest;
  using ApplyBlockResponse = matching::v1::ApplyBlockResponse;
  static absl::Status Add(const MemberSnapshot& member, ApplyMembersRequest& request) {
    return ToSnapshotForMatching(member, request.add_members());
  }
};

struct MessagingApi {
  using Service = messaging::v1::ConversationSyncService;
  using ApplyMembersRequest = messaging::v1::ApplyMembersRequest;
  using ApplyMembersResponse = messaging::v1::ApplyMembersResponse;
  using ApplyBlockRequest = messaging::v1::ApplyBlockRequest;
  using ApplyBlockResponse = messaging::v1::ApplyBlockResponse;
  static absl::Status Add(const MemberSnapshot& member, ApplyMembersRequest& request) {
    ToSnapshotForMessaging(member, request.add_members());
    AddDeviceKeys(member, request.mutable_device_keys());
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<MemberReceiver> MakeMatchingReceiver(std::shared_ptr<grpc::Channel> channel,
                                                     const Clock& clock) {
  return std::make_unique<GrpcReceiver<MatchingApi>>(std::move(channel), clock);
}

std::unique_ptr<MemberReceiver> MakeMessagingReceiver(std::shared_ptr<grpc::Channel> channel,
                                                      const Clock& clock) {
  return std::make_unique<GrpcReceiver<MessagingApi>>(std::move(channel), clock);
}

}  // namespace handrail::profiles
