#ifndef HANDRAIL_SERVICES_PROFILES_HANDLERS_CASE_SYNC_HANDLER_H_
#define HANDRAIL_SERVICES_PROFILES_HANDLERS_CASE_SYNC_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/profiles/v1/case_sync.grpc.pb.h"
#include "services/profiles/domain/cases.h"

namespace handrail::profiles {

// For the internal listener. Thread-safe.
class CaseSyncHandler final : public v1::CaseSyncService::CallbackService {
 public:
  // Both must outlive the handler.
  CaseSyncHandler(rpc::Edge& edge, Cases& cases) : edge_(edge), cases_(cases) {}

  grpc::ServerUnaryReactor* OpenCase(grpc::CallbackServerContext* context,
                                     const v1::OpenCaseRequest* request,
                                     v1::OpenCaseResponse* response) override;

 private:
  rpc::Edge& edge_;
  Cases& cases_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_HANDLERS_CASE_SYNC_HANDLER_H_
