#include "services/messaging/handlers/attachment_handler.h"

#include <string>
#include <utility>

#include "common/base/status.h"
#include "services/messaging/adapters/proto_conversion.h"

namespace handrail::messaging {
namespace {

absl::StatusOr<NewAttachment> FromProto(const v1::BeginAttachmentRequest& proto) {
  NewAttachment attachment;
  ASSIGN_OR_RETURN(attachment.conversation, ConversationId::FromName(proto.conversation()));
  const auto id = AttachmentId::Parse(proto.attachment_id());
  if (!id.ok()) return FieldError("attachment_id", "must be 32 lower-case hexadecimal digits");
  attachment.id = *id;
  attachment.size = proto.size_bytes();
  attachment.digest = proto.digest();
  return attachment;
}

void ToProto(const Attachment& attachment, const AttachmentLimits& limits, v1::Attachment* proto) {
  proto->set_name(attachment.id.Name());
  proto->set_conversation(attachment.conversation.Name());
  proto->set_size_bytes(attachment.size);
  proto->set_digest(attachment.digest);
  proto->set_state(attachment.state == AttachmentState::kReady ? v1::ATTACHMENT_STATE_READY
                                                               : v1::ATTACHMENT_STATE_UPLOADING);
  proto->set_chunk_bytes(static_cast<int32_t>(limits.chunk_bytes));
  proto->set_chunk_count(static_cast<int32_t>(limits.ChunkCount(attachment.size)));
  for (const int64_t index : attachment.stored) {
    proto->add_stored_chunks(static_cast<int32_t>(index));
  }
  messaging::ToProto(attachment.expire_time, proto->mutable_expire_time());
}

}  // namespace

grpc::ServerUnaryReactor* AttachmentHandler::BeginAttachment(
    grpc::CallbackServerContext* context, const v1::BeginAttachmentRequest* request,
    v1::Attachment* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::BeginAttachmentRequest& begin,
                            v1::Attachment* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const NewAttachment wanted, FromProto(begin));
                       ASSIGN_OR_RETURN(const Attachment begun, attachments_.Begin(call, wanted));
                       ToProto(begun, attachments_.limits(), answer);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* AttachmentHandler::PutAttachmentChunk(
    grpc::CallbackServerContext* context, const v1::PutAttachmentChunkRequest* request,
    v1::PutAttachmentChunkResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::PutAttachmentChunkRequest& put,
                            v1::PutAttachmentChunkResponse*) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id, AttachmentId::FromName(put.attachment()));
                       return attachments_.PutChunk(call, id, put.index(), put.data());
                     });
}

grpc::ServerUnaryReactor* AttachmentHandler::GetAttachment(grpc::CallbackServerContext* context,
                                                           const v1::GetAttachmentRequest* request,
                                                           v1::Attachment* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::GetAttachmentRequest& get,
                            v1::Attachment* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id, AttachmentId::FromName(get.name()));
                       ASSIGN_OR_RETURN(const Attachment attachment, attachments_.Get(call, id));
                       ToProto(attachment, attachments_.limits(), answer);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* AttachmentHandler::FinishAttachment(
    grpc::CallbackServerContext* context, const v1::FinishAttachmentRequest* request,
    v1::Attachment* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::FinishAttachmentRequest& finish,
                            v1::Attachment* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id, AttachmentId::FromName(finish.name()));
                       ASSIGN_OR_RETURN(const Attachment finished, attachments_.Finish(call, id));
                       ToProto(finished, attachments_.limits(), answer);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* AttachmentHandler::FetchAttachmentChunk(
    grpc::CallbackServerContext* context, const v1::FetchAttachmentChunkRequest* request,
    v1::FetchAttachmentChunkResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::FetchAttachmentChunkRequest& fetch,
                            v1::FetchAttachmentChunkResponse* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id, AttachmentId::FromName(fetch.attachment()));
                       ASSIGN_OR_RETURN(std::string bytes,
                                        attachments_.FetchChunk(call, id, fetch.index()));
                       answer->set_data(std::move(bytes));
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* AttachmentHandler::DeleteAttachment(
    grpc::CallbackServerContext* context, const v1::DeleteAttachmentRequest* request,
    v1::DeleteAttachmentResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::DeleteAttachmentRequest& remove,
                            v1::DeleteAttachmentResponse*) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id, AttachmentId::FromName(remove.name()));
                       return attachments_.Delete(call, id);
                     });
}

}  // namespace handrail::messaging
