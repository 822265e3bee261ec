#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_KEY_HANDLER_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_KEY_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/messaging/v1/key_service.grpc.pb.h"
#include "services/messaging/domain/key_packages.h"

namespace handrail::messaging {

// KeyService on the public listener.
class KeyHandler final : public v1::KeyService::CallbackService {
 public:
  // Both must outlive the handler.
  KeyHandler(KeyPackages& key_packages, rpc::Edge& edge)
      : key_packages_(key_packages), edge_(edge) {}

  grpc::ServerUnaryReactor* PublishKeyPackages(grpc::CallbackServerContext* context,
                                               const v1::PublishKeyPackagesRequest* request,
                                               v1::PublishKeyPackagesResponse* response) override;
  grpc::ServerUnaryReactor* CountKeyPackages(grpc::CallbackServerContext* context,
                                             const v1::CountKeyPackagesRequest* request,
                                             v1::CountKeyPackagesResponse* response) override;
  grpc::ServerUnaryReactor* ClaimKeyPackages(grpc::CallbackServerContext* context,
                                             const v1::ClaimKeyPackagesRequest* request,
                                             v1::ClaimKeyPackagesResponse* response) override;

 private:
  KeyPackages& key_packages_;
  rpc::Edge& edge_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_KEY_HANDLER_H_
