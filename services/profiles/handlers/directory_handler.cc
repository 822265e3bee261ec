#include "absl/strings/str_cat.h"
#include "common/base/macros.h"
#include "services/profiles/adapters/snapshot_proto.h"
#include "services/profiles/handlers/handlers.h"

namespace handrail::profiles {
namespace {

constexpr PageSizes kRevocationPages = {.standard = 1000, .largest = 1000};

absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

}  // namespace

DirectoryHandler::DirectoryHandler(rpc::Edge& edge, Directory& directory, const PageTokens& pages)
    : edge_(edge), directory_(directory), pages_(pages) {}

grpc::ServerUnaryReactor* DirectoryHandler::GetMemberSnapshot(
    grpc::CallbackServerContext* context, const v1::GetMemberSnapshotRequest* request,
    v1::GetMemberSnapshotResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::GetMemberSnapshotRequest& request,
             v1::GetMemberSnapshotResponse* response) -> absl::Status {
        ASSIGN_OR_RETURN(const MemberId member, MemberId::FromName(request.member()));
        ASSIGN_OR_RETURN(const MemberFacts facts, directory_.GetMember(call, member));
        // Each service learns here no more than its outbox tells it.
        if (call.who.service == "matching") {
          RETURN_IF_ERROR(ToSnapshotForMatching(facts.snapshot, response->mutable_snapshot()));
        } else {
          ToSnapshotForMessaging(facts.snapshot, response->mutable_snapshot());
          AddDeviceKeys(facts.snapshot, response->mutable_device_keys());
        }
        for (const Block& block : facts.blocks) ToProto(block, response->add_blocks());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* DirectoryHandler::ListRevocations(
    grpc::CallbackServerContext* context, const v1::ListRevocationsRequest* request,
    v1::ListRevocationsResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::ListRevocationsRequest& request,
                            v1::ListRevocationsResponse* response) -> absl::Status {
                       const absl::Time since = FromTimestamp(request.since());
                       const std::string filter = absl::StrCat(absl::ToUnixMicros(since));
                       ASSIGN_OR_RETURN(const PageRequest page,
                                        pages_.Read(call, filter, request.page_size(),
                                                    request.page_token(), kRevocationPages));
                       ASSIGN_OR_RETURN(const Page<Revocation> revocations,
                                        directory_.ListRevocations(call, since, page));
                       for (const Revocation& revocation : revocations.items) {
                         auto* added = response->add_revocations();
                         added->set_device(revocation.device.Name());
                         *added->mutable_revoke_time() = ToTimestamp(revocation.revoke_time);
                       }
                       response->set_next_page_token(pages_.Write(call, filter, revocations.next));
                       return absl::OkStatus();
                     });
}

}  // namespace handrail::profiles
