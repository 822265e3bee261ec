#include "services/messaging/handlers/push_handler.h"

#include "common/base/status.h"

namespace handrail::messaging {

grpc::ServerUnaryReactor* PushHandler::RegisterPush(grpc::CallbackServerContext* context,
                                                    const v1::RegisterPushRequest* request,
                                                    v1::RegisterPushResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::RegisterPushRequest& registered,
                            v1::RegisterPushResponse* answer) -> absl::Status {
                       RETURN_IF_ERROR(tokens_.Register(call, registered.token()));
                       answer->set_gateway(gateway_ == Gateway::kThere);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* PushHandler::UnregisterPush(grpc::CallbackServerContext* context,
                                                      const v1::UnregisterPushRequest* request,
                                                      v1::UnregisterPushResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::UnregisterPushRequest&,
             v1::UnregisterPushResponse*) -> absl::Status { return tokens_.Unregister(call); });
}

}  // namespace handrail::messaging
