#include "services/messaging/adapters/grpc_case_desk.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/rpc/client.h"
#include "common/rpc/status_conversion.h"
#include "services/messaging/adapters/proto_conversion.h"

namespace handrail::messaging {

using handrail::profiles::v1::CaseSyncService;
using handrail::profiles::v1::OpenCaseRequest;
using handrail::profiles::v1::OpenCaseResponse;

std::string EncodeEvidence(const v1::ReportMessagesRequest& request) {
  OpenCaseRequest evidence;
  evidence.set_conversation(request.conversation());
  evidence.set_reason(request.reason());
  evidence.set_note(request.note());
  *evidence.mutable_messages() = request.messages();
  return evidence.SerializeAsString();
}

GrpcCaseDesk::GrpcCaseDesk(std::shared_ptr<grpc::Channel> channel, const Clock& clock)
    : stub_(channel == nullptr ? nullptr : CaseSyncService::NewStub(std::move(channel))),
      clock_(clock) {}

absl::Status GrpcCaseDesk::OpenCase(absl::Time deadline, const QueuedReport& report) {
  if (stub_ == nullptr) {
    return UnavailableError(reason::kPeerUnavailable, "profiles is not configured");
  }
  OpenCaseRequest request;
  if (!request.ParseFromString(report.evidence)) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("a report that waits cannot be read");
  }
  request.set_report(report.id.Name());
  request.set_reporter(report.reporter.Name());
  ToProto(report.create_time, request.mutable_report_time());
  OpenCaseResponse response;
  const auto context = rpc::MakeServiceContext(
      std::max(deadline - clock_.Now(), absl::Milliseconds(1)), "messaging");
  return rpc::FromGrpcStatus(stub_->OpenCase(context.get(), request, &response));
}

}  // namespace handrail::messaging
