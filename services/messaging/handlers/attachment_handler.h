#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_ATTACHMENT_HANDLER_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_ATTACHMENT_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/messaging/v1/attachment.grpc.pb.h"
#include "services/messaging/domain/attachments.h"

namespace handrail::messaging {

// AttachmentService on the public listener.
class AttachmentHandler final : public v1::AttachmentService::CallbackService {
 public:
  // Both must outlive the handler.
  AttachmentHandler(Attachments& attachments, rpc::Edge& edge)
      : attachments_(attachments), edge_(edge) {}

  grpc::ServerUnaryReactor* BeginAttachment(grpc::CallbackServerContext* context,
                                            const v1::BeginAttachmentRequest* request,
                                            v1::Attachment* response) override;
  grpc::ServerUnaryReactor* PutAttachmentChunk(grpc::CallbackServerContext* context,
                                               const v1::PutAttachmentChunkRequest* request,
                                               v1::PutAttachmentChunkResponse* response) override;
  grpc::ServerUnaryReactor* GetAttachment(grpc::CallbackServerContext* context,
                                          const v1::GetAttachmentRequest* request,
                                          v1::Attachment* response) override;
  grpc::ServerUnaryReactor* FinishAttachment(grpc::CallbackServerContext* context,
                                             const v1::FinishAttachmentRequest* request,
                                             v1::Attachment* response) override;
  grpc::ServerUnaryReactor* FetchAttachmentChunk(
      grpc::CallbackServerContext* context, const v1::FetchAttachmentChunkRequest* request,
      v1::FetchAttachmentChunkResponse* response) override;
  grpc::ServerUnaryReactor* DeleteAttachment(grpc::CallbackServerContext* context,
                                             const v1::DeleteAttachmentRequest* request,
                                             v1::DeleteAttachmentResponse* response) override;

 private:
  Attachments& attachments_;
  rpc::Edge& edge_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_ATTACHMENT_HANDLER_H_
