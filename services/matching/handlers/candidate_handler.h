#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_CANDIDATE_HANDLER_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_CANDIDATE_HANDLER_H_

#include <functional>
#include <utility>

#include "common/rpc/edge.h"
#include "handrail/matching/v1/candidates.grpc.pb.h"
#include "services/matching/domain/candidate_desk.h"
#include "services/matching/handlers/voices.h"

namespace handrail::matching {

// Let me choose. Everything must outlive the handler.
class CandidateHandler final : public v1::CandidateService::CallbackService {
 public:
  CandidateHandler(rpc::Edge& edge, CandidateDesk& desk, const Voices& voices,
                   std::function<void(const Effects&)> sink)
      : edge_(edge), desk_(desk), voices_(voices), sink_(std::move(sink)) {}

  grpc::ServerUnaryReactor* ListCandidates(grpc::CallbackServerContext* context,
                                           const v1::ListCandidatesRequest* request,
                                           v1::ListCandidatesResponse* response) override;
  grpc::ServerUnaryReactor* ChooseCandidates(grpc::CallbackServerContext* context,
                                             const v1::ChooseCandidatesRequest* request,
                                             v1::Ticket* response) override;

 private:
  rpc::Edge& edge_;
  CandidateDesk& desk_;
  const Voices& voices_;
  const std::function<void(const Effects&)> sink_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_CANDIDATE_HANDLER_H_
