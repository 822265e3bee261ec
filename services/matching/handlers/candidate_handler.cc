#include "services/matching/handlers/candidate_handler.h"

#include <string>
#include <vector>

#include "common/base/status.h"
#include "services/matching/handlers/candidate_proto.h"
#include "services/matching/handlers/ticket_proto.h"

namespace handrail::matching {

grpc::ServerUnaryReactor* CandidateHandler::ListCandidates(grpc::CallbackServerContext* context,
                                                           const v1::ListCandidatesRequest* request,
                                                           v1::ListCandidatesResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this, asked = LanguagesOf(*context)](const Call& call,
                                            const v1::ListCandidatesRequest& request,
                                            v1::ListCandidatesResponse* response) -> absl::Status {
        ASSIGN_OR_RETURN(const TicketId id, TicketId::FromName(request.ticket()));
        ASSIGN_OR_RETURN(const CandidateDesk::List list, desk_.ListCandidates(call, id));
        CandidatesToProto(list, voices_.For(call, asked), response);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* CandidateHandler::ChooseCandidates(
    grpc::CallbackServerContext* context, const v1::ChooseCandidatesRequest* request,
    v1::Ticket* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::ChooseCandidatesRequest& request,
                            v1::Ticket* response) -> absl::Status {
                       ASSIGN_OR_RETURN(const TicketId id, TicketId::FromName(request.ticket()));
                       const std::vector<std::string> handles(request.handles().begin(),
                                                              request.handles().end());
                       ASSIGN_OR_RETURN(const Changed<Ticket> changed,
                                        desk_.Choose(call, id, handles, request.then_handrail()));
                       sink_(changed.effects);
                       TicketToProto(changed.value, 0, response);
                       return absl::OkStatus();
                     });
}

}  // namespace handrail::matching
