#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_MESSAGING_HANDLER_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_MESSAGING_HANDLER_H_

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/crypto/page_token.h"
#include "common/rpc/edge.h"
#include "common/rpc/stream_writer.h"
#include "handrail/messaging/v1/messaging.grpc.pb.h"
#include "services/messaging/domain/messaging.h"
#include "services/messaging/domain/meter.h"

namespace handrail::messaging {

// MessagingService on the public listener: proto in, domain, proto out.
class MessagingHandler final : public v1::MessagingService::CallbackService {
 public:
  // All must outlive the handler. `openers` opens streams, which blocks.
  MessagingHandler(Messaging& messaging, rpc::Edge& edge, const rpc::StreamEnvironment& streams,
                   const crypto::PageTokenCodec& page_tokens, const Clock& clock, Executor& openers,
                   Meter& meter)
      : messaging_(messaging),
        edge_(edge),
        streams_(streams),
        page_tokens_(page_tokens),
        clock_(clock),
        openers_(openers),
        meter_(meter) {}

  grpc::ServerUnaryReactor* SendMessage(grpc::CallbackServerContext* context,
                                        const v1::SendMessageRequest* request,
                                        v1::SendMessageResponse* response) override;
  grpc::ServerWriteReactor<v1::SubscribeResponse>* Subscribe(
      grpc::CallbackServerContext* context, const v1::SubscribeRequest* request) override;
  grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* Connect(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* AckMessages(grpc::CallbackServerContext* context,
                                        const v1::AckMessagesRequest* request,
                                        v1::AckMessagesResponse* response) override;
  grpc::ServerUnaryReactor* FetchMessages(grpc::CallbackServerContext* context,
                                          const v1::FetchMessagesRequest* request,
                                          v1::FetchMessagesResponse* response) override;
  grpc::ServerUnaryReactor* GetConversation(grpc::CallbackServerContext* context,
                                            const v1::GetConversationRequest* request,
                                            v1::Conversation* response) override;
  grpc::ServerUnaryReactor* ListConversations(grpc::CallbackServerContext* context,
                                              const v1::ListConversationsRequest* request,
                                              v1::ListConversationsResponse* response) override;
  grpc::ServerUnaryReactor* LeaveConversation(grpc::CallbackServerContext* context,
                                              const v1::LeaveConversationRequest* request,
                                              v1::LeaveConversationResponse* response) override;

 private:
  absl::Status List(const Call& call, const v1::ListConversationsRequest& request,
                    v1::ListConversationsResponse* response);

  Messaging& messaging_;
  rpc::Edge& edge_;
  const rpc::StreamEnvironment streams_;
  const crypto::PageTokenCodec& page_tokens_;
  const Clock& clock_;
  Executor& openers_;
  Meter& meter_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_MESSAGING_HANDLER_H_
