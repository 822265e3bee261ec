#include "services/matching/handlers/operator_care_handler.h"

#include "common/base/status.h"
#include "services/matching/handlers/operator_proto.h"

namespace handrail::matching {

grpc::ServerUnaryReactor* OperatorCareHandler::EndProbation(grpc::CallbackServerContext* context,
                                                            const v1::EndProbationRequest* request,
                                                            v1::SponsorSeats* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::EndProbationRequest& request,
                            v1::SponsorSeats* response) -> absl::Status {
                       ASSIGN_OR_RETURN(const MemberId id, MemberId::FromName(request.member()));
                       const auto changed = operators_.EndProbation(
                           call, clock_.Now(), id,
                           static_cast<ProbationEndReason>(request.reason()));
                       RETURN_IF_ERROR(desk_.Written(call, request.member(), changed.status()));
                       sink_(changed->effects);
                       SponsorToProto(changed->value, response);
                       return absl::OkStatus();
                     });
}

}  // namespace handrail::matching
