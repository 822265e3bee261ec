#include "services/messaging/handlers/conversation_sync_handler.h"

#include <vector>

#include "common/base/status.h"
#include "services/messaging/adapters/proto_conversion.h"

namespace handrail::messaging {

grpc::ServerUnaryReactor* ConversationSyncHandler::OpenConversation(
    grpc::CallbackServerContext* context, const v1::OpenConversationRequest* request,
    v1::OpenConversationResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::OpenConversationRequest& open,
                            v1::OpenConversationResponse* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto pairing, PairingId::FromName(open.pairing()));
                       std::vector<MemberId> members;
                       for (const std::string& name : open.members()) {
                         ASSIGN_OR_RETURN(const auto member, MemberId::FromName(name));
                         members.push_back(member);
                       }
                       ASSIGN_OR_RETURN(const ConversationId id,
                                        messaging_.OpenConversation(call, pairing, members));
                       answer->set_conversation(id.Name());
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* ConversationSyncHandler::CloseConversation(
    grpc::CallbackServerContext* context, const v1::CloseConversationRequest* request,
    v1::CloseConversationResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::CloseConversationRequest& close,
                            v1::CloseConversationResponse*) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto pairing, PairingId::FromName(close.pairing()));
                       return messaging_.CloseConversation(call, pairing);
                     });
}

grpc::ServerUnaryReactor* ConversationSyncHandler::ApplyMembers(
    grpc::CallbackServerContext* context, const v1::ApplyMembersRequest* request,
    v1::ApplyMembersResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::ApplyMembersRequest& apply,
                            v1::ApplyMembersResponse*) -> absl::Status {
                       std::vector<MemberSnapshot> members;
                       for (const auto& proto : apply.members()) {
                         ASSIGN_OR_RETURN(auto snapshot, FromProto(proto));
                         RETURN_IF_ERROR(TakeDeviceKeys(apply.device_keys(), snapshot));
                         members.push_back(std::move(snapshot));
                       }
                       return messaging_.ApplyMembers(call, members);
                     });
}

grpc::ServerUnaryReactor* ConversationSyncHandler::ApplyBlock(grpc::CallbackServerContext* context,
                                                              const v1::ApplyBlockRequest* request,
                                                              v1::ApplyBlockResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::ApplyBlockRequest& apply,
                            v1::ApplyBlockResponse*) -> absl::Status {
                       ASSIGN_OR_RETURN(const Block block, FromProto(apply.block()));
                       return messaging_.ApplyBlock(call, block);
                     });
}

}  // namespace handrail::messaging
