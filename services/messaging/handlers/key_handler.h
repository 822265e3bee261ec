#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_KEY_HANDLER_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_KEY_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/messaging/v1/key_service.grpc.pb.h"
#include "services/messaging/domain/device_log.h"
#include "services/messaging/domain/key_packages.h"

namespace handrail::messaging {

// KeyService on the public listener.
class KeyHandler final : public v1::KeyService::CallbackService {
 public:
  // All must outlive the handler.
  KeyHandler(KeyPackages& key_packages, DeviceLogs& device_logs, rpc::Edge& edge)
      : key_packages_(key_packages), device_logs_(device_logs), edge_(edge) {}

  grpc::ServerUnaryReactor* PublishKeyPackages(grpc::CallbackServerContext* context,
                                               const v1::PublishKeyPackagesRequest* request,
                                               v1::PublishKeyPackagesResponse* response) override;
  grpc::ServerUnaryReactor* CountKeyPackages(grpc::CallbackServerContext* context,
                                             const v1::CountKeyPackagesRequest* request,
                                             v1::CountKeyPackagesResponse* response) override;
  grpc::ServerUnaryReactor* ClaimKeyPackages(grpc::CallbackServerContext* context,
                                             const v1::ClaimKeyPackagesRequest* request,
                                             v1::ClaimKeyPackagesResponse* response) override;
  grpc::ServerUnaryReactor* ListDeviceLog(grpc::CallbackServerContext* context,
                                          const v1::ListDeviceLogRequest* request,
                                          v1::ListDeviceLogResponse* response) override;

 private:
  KeyPackages& key_packages_;
  DeviceLogs& device_logs_;
  rpc::Edge& edge_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_KEY_HANDLER_H_
