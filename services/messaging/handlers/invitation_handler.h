#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_INVITATION_HANDLER_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_INVITATION_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/messaging/v1/invitation.grpc.pb.h"
#include "services/messaging/domain/invitations.h"

namespace handrail::messaging {

// InvitationService on the public listener.
class InvitationHandler final : public v1::InvitationService::CallbackService {
 public:
  // Both must outlive the handler.
  InvitationHandler(Invitations& invitations, rpc::Edge& edge)
      : invitations_(invitations), edge_(edge) {}

  grpc::ServerUnaryReactor* CreateGroupConversation(
      grpc::CallbackServerContext* context, const v1::CreateGroupConversationRequest* request,
      v1::CreateGroupConversationResponse* response) override;
  grpc::ServerUnaryReactor* CreateInvitation(grpc::CallbackServerContext* context,
                                             const v1::CreateInvitationRequest* request,
                                             v1::Invitation* response) override;
  grpc::ServerUnaryReactor* ListInvitations(grpc::CallbackServerContext* context,
                                            const v1::ListInvitationsRequest* request,
                                            v1::ListInvitationsResponse* response) override;
  grpc::ServerUnaryReactor* RevokeInvitation(grpc::CallbackServerContext* context,
                                             const v1::RevokeInvitationRequest* request,
                                             v1::RevokeInvitationResponse* response) override;
  grpc::ServerUnaryReactor* AcceptInvitation(grpc::CallbackServerContext* context,
                                             const v1::AcceptInvitationRequest* request,
                                             v1::AcceptInvitationResponse* response) override;

 private:
  Invitations& invitations_;
  rpc::Edge& edge_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_INVITATION_HANDLER_H_
