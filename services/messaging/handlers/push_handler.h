#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_PUSH_HANDLER_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_PUSH_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/messaging/v1/push.grpc.pb.h"
#include "services/messaging/domain/push.h"

namespace handrail::messaging {

// PushService on the public listener.
class PushHandler final : public v1::PushService::CallbackService {
 public:
  enum class Gateway { kNone, kThere };

  // Both must outlive the handler.
  PushHandler(PushTokens& tokens, rpc::Edge& edge, Gateway gateway)
      : tokens_(tokens), edge_(edge), gateway_(gateway) {}

  grpc::ServerUnaryReactor* RegisterPush(grpc::CallbackServerContext* context,
                                         const v1::RegisterPushRequest* request,
                                         v1::RegisterPushResponse* response) override;
  grpc::ServerUnaryReactor* UnregisterPush(grpc::CallbackServerContext* context,
                                           const v1::UnregisterPushRequest* request,
                                           v1::UnregisterPushResponse* response) override;

 private:
  PushTokens& tokens_;
  rpc::Edge& edge_;
  const Gateway gateway_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_PUSH_HANDLER_H_
