#include "services/messaging/handlers/invitation_handler.h"

#include "common/base/status.h"
#include "services/messaging/adapters/proto_conversion.h"

namespace handrail::messaging {
namespace {

void ToProto(const Invitation& invitation, v1::Invitation* proto) {
  proto->set_name(invitation.id.Name());
  proto->set_conversation(invitation.conversation.Name());
  proto->set_inviter(invitation.inviter.Name());
  messaging::ToProto(invitation.create_time, proto->mutable_create_time());
  messaging::ToProto(invitation.expire_time, proto->mutable_expire_time());
}

}  // namespace

grpc::ServerUnaryReactor* InvitationHandler::CreateGroupConversation(
    grpc::CallbackServerContext* context, const v1::CreateGroupConversationRequest* request,
    v1::CreateGroupConversationResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::CreateGroupConversationRequest&,
                            v1::CreateGroupConversationResponse* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id, invitations_.CreateGroup(call));
                       answer->set_conversation(id.Name());
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* InvitationHandler::CreateInvitation(
    grpc::CallbackServerContext* context, const v1::CreateInvitationRequest* request,
    v1::Invitation* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::CreateInvitationRequest& create,
                            v1::Invitation* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id,
                                        ConversationId::FromName(create.conversation()));
                       ASSIGN_OR_RETURN(const Invitation made,
                                        invitations_.Invite(call, {id, create.secret_digest()}));
                       ToProto(made, answer);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* InvitationHandler::ListInvitations(
    grpc::CallbackServerContext* context, const v1::ListInvitationsRequest* request,
    v1::ListInvitationsResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::ListInvitationsRequest& list,
                            v1::ListInvitationsResponse* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id,
                                        ConversationId::FromName(list.conversation()));
                       ASSIGN_OR_RETURN(const auto open, invitations_.List(call, id));
                       for (const Invitation& invitation : open) {
                         ToProto(invitation, answer->add_invitations());
                       }
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* InvitationHandler::RevokeInvitation(
    grpc::CallbackServerContext* context, const v1::RevokeInvitationRequest* request,
    v1::RevokeInvitationResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::RevokeInvitationRequest& revoke,
                            v1::RevokeInvitationResponse*) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id, InvitationId::FromName(revoke.name()));
                       return invitations_.Revoke(call, id);
                     });
}

grpc::ServerUnaryReactor* InvitationHandler::AcceptInvitation(
    grpc::CallbackServerContext* context, const v1::AcceptInvitationRequest* request,
    v1::AcceptInvitationResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::AcceptInvitationRequest& accept,
             v1::AcceptInvitationResponse* answer) -> absl::Status {
        ASSIGN_OR_RETURN(const auto id, InvitationId::FromName(accept.name()));
        ASSIGN_OR_RETURN(const auto joined, invitations_.Accept(call, {id, accept.secret()}));
        answer->set_conversation(joined.Name());
        return absl::OkStatus();
      });
}

}  // namespace handrail::messaging
