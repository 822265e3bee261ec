#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_CONVERSATION_SYNC_HANDLER_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_CONVERSATION_SYNC_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/messaging/v1/conversation_sync.grpc.pb.h"
#include "services/messaging/domain/messaging.h"

namespace handrail::messaging {

// ConversationSyncService on the internal listener. What makes its calls idempotent is the pairing,
// the snapshot's version and the pair of members themselves, so that no log of request ids is
// needed and none can run out.
class ConversationSyncHandler final : public v1::ConversationSyncService::CallbackService {
 public:
  ConversationSyncHandler(Messaging& messaging, rpc::Edge& edge)
      : messaging_(messaging), edge_(edge) {}

  grpc::ServerUnaryReactor* OpenConversation(grpc::CallbackServerContext* context,
                                             const v1::OpenConversationRequest* request,
                                             v1::OpenConversationResponse* response) override;
  grpc::ServerUnaryReactor* CloseConversation(grpc::CallbackServerContext* context,
                                              const v1::CloseConversationRequest* request,
                                              v1::CloseConversationResponse* response) override;
  grpc::ServerUnaryReactor* ApplyMembers(grpc::CallbackServerContext* context,
                                         const v1::ApplyMembersRequest* request,
                                         v1::ApplyMembersResponse* response) override;
  grpc::ServerUnaryReactor* ApplyBlock(grpc::CallbackServerContext* context,
                                       const v1::ApplyBlockRequest* request,
                                       v1::ApplyBlockResponse* response) override;

 private:
  Messaging& messaging_;
  rpc::Edge& edge_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_CONVERSATION_SYNC_HANDLER_H_
