#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_OPERATOR_CARE_HANDLER_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_OPERATOR_CARE_HANDLER_H_

#include <functional>
#include <utility>

#include "common/base/clock.h"
#include "common/rpc/edge.h"
#include "handrail/matching/v1/operator_care.grpc.pb.h"
#include "services/matching/domain/operator_desk.h"
#include "services/matching/domain/operator_ledger.h"

namespace handrail::matching {

class OperatorCareHandler final : public v1::OperatorCareService::CallbackService {
 public:
  // Everything must outlive the handler. `sink` hears of what was changed.
  OperatorCareHandler(rpc::Edge& edge, OperatorLedger& operators, OperatorDesk& desk,
                      const Clock& clock, std::function<void(const Effects&)> sink)
      : edge_(edge), operators_(operators), desk_(desk), clock_(clock), sink_(std::move(sink)) {}

  grpc::ServerUnaryReactor* EndProbation(grpc::CallbackServerContext* context,
                                         const v1::EndProbationRequest* request,
                                         v1::SponsorSeats* response) override;

 private:
  rpc::Edge& edge_;
  OperatorLedger& operators_;
  OperatorDesk& desk_;
  const Clock& clock_;
  const std::function<void(const Effects&)> sink_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_OPERATOR_CARE_HANDLER_H_
