#include "services/profiles/handlers/case_sync_handler.h"

#include <utility>

#include "common/base/status.h"

namespace handrail::profiles {
namespace {

absl::StatusOr<Case> CaseOf(const v1::OpenCaseRequest& request) {
  Case opened;
  ASSIGN_OR_RETURN(opened.id, CaseId::FromName(request.report()));
  ASSIGN_OR_RETURN(opened.reporter, MemberId::FromName(request.reporter()));
  opened.report_time = absl::FromUnixSeconds(request.report_time().seconds()) +
                       absl::Nanoseconds(request.report_time().nanos());
  opened.evidence = Secret<std::string>(request.SerializeAsString());
  return opened;
}

}  // namespace

grpc::ServerUnaryReactor* CaseSyncHandler::OpenCase(grpc::CallbackServerContext* context,
                                                    const v1::OpenCaseRequest* request,
                                                    v1::OpenCaseResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::OpenCaseRequest& proto,
                            v1::OpenCaseResponse*) -> absl::Status {
                       // Only who has verified a report may say that it is verified.
                       if (call.who.service != "messaging") {
                         return Error(absl::StatusCode::kPermissionDenied, reason::kRoleRequired)
                             .Message("only messaging opens cases");
                       }
                       ASSIGN_OR_RETURN(Case opened, CaseOf(proto));
                       return cases_.Open(call, std::move(opened));
                     });
}

}  // namespace handrail::profiles
