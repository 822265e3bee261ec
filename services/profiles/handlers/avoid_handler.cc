#include "services/profiles/handlers/avoid_handler.h"

#include "common/base/macros.h"
#include "services/profiles/adapters/snapshot_proto.h"

namespace handrail::profiles {
namespace {

void FillAvoided(const AvoidedMember& avoided, v1::AvoidedMember* out) {
  out->set_member(avoided.other.Name());
  out->set_relation(static_cast<v1::Relation>(avoided.relation));  // the numbers are the same
  *out->mutable_create_time() = ToTimestamp(avoided.create_time);
}

}  // namespace

grpc::ServerUnaryReactor* AvoidHandler::AvoidMember(grpc::CallbackServerContext* context,
                                                    const v1::AvoidMemberRequest* request,
                                                    v1::AvoidedMember* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::AvoidMemberRequest& request,
                            v1::AvoidedMember* response) -> absl::Status {
                       ASSIGN_OR_RETURN(const MemberId other, MemberId::FromName(request.member()));
                       ASSIGN_OR_RETURN(
                           const handrail::profiles::AvoidedMember avoided,
                           list_.Avoid(call, other, static_cast<Relation>(request.relation())));
                       FillAvoided(avoided, response);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* AvoidHandler::StopAvoidingMember(
    grpc::CallbackServerContext* context, const v1::StopAvoidingMemberRequest* request,
    v1::StopAvoidingMemberResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::StopAvoidingMemberRequest& request,
                            v1::StopAvoidingMemberResponse*) -> absl::Status {
                       ASSIGN_OR_RETURN(const MemberId other, MemberId::FromName(request.member()));
                       return list_.StopAvoiding(call, other);
                     });
}

grpc::ServerUnaryReactor* AvoidHandler::ListAvoidedMembers(
    grpc::CallbackServerContext* context, const v1::ListAvoidedMembersRequest* request,
    v1::ListAvoidedMembersResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::ListAvoidedMembersRequest& request,
                            v1::ListAvoidedMembersResponse* response) -> absl::Status {
                       ASSIGN_OR_RETURN(
                           const PageRequest page,
                           pages_.Read(call, "", request.page_size(), request.page_token()));
                       ASSIGN_OR_RETURN(const Page<handrail::profiles::AvoidedMember> list,
                                        list_.List(call, page));
                       for (const handrail::profiles::AvoidedMember& avoided : list.items) {
                         FillAvoided(avoided, response->add_members());
                       }
                       response->set_next_page_token(pages_.Write(call, "", list.next));
                       return absl::OkStatus();
                     });
}

}  // namespace handrail::profiles
