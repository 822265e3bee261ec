#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_BATCH_HANDLER_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_BATCH_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/matching/v1/batch.grpc.pb.h"
#include "services/matching/domain/batch_desk.h"
#include "services/matching/domain/operator_desk.h"

namespace handrail::matching {

class BatchHandler final : public v1::BatchService::CallbackService {
 public:
  // Everything must outlive the handler.
  BatchHandler(rpc::Edge& edge, const OperatorLedger& operators, OperatorDesk& desk,
               BatchDesk& batches)
      : edge_(edge), operators_(operators), desk_(desk), batches_(batches) {}

  grpc::ServerUnaryReactor* PlanBatch(grpc::CallbackServerContext* context,
                                      const v1::PlanBatchRequest* request,
                                      v1::BatchPlan* response) override;
  grpc::ServerUnaryReactor* RunBatch(grpc::CallbackServerContext* context,
                                     const v1::RunBatchRequest* request,
                                     v1::BatchRun* response) override;

 private:
  rpc::Edge& edge_;
  const OperatorLedger& operators_;
  OperatorDesk& desk_;
  BatchDesk& batches_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_BATCH_HANDLER_H_
