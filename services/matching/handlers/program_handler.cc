#include "services/matching/handlers/handlers.h"

namespace handrail::matching {

grpc::ServerUnaryReactor* ProgramHandler::ListPrograms(grpc::CallbackServerContext* context,
                                                       const v1::ListProgramsRequest* request,
                                                       v1::ListProgramsResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call&, const v1::ListProgramsRequest&, v1::ListProgramsResponse* answer) {
        *answer->mutable_programs() = table_.programs();
        *answer->mutable_relationships() = table_.relationships();
        return absl::OkStatus();
      });
}

}  // namespace handrail::matching
