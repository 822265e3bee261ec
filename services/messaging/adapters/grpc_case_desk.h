#ifndef HANDRAIL_SERVICES_MESSAGING_ADAPTERS_GRPC_CASE_DESK_H_
#define HANDRAIL_SERVICES_MESSAGING_ADAPTERS_GRPC_CASE_DESK_H_

#include <memory>
#include <string>

#include "common/base/clock.h"
#include "handrail/messaging/v1/report.pb.h"
#include "handrail/profiles/v1/case_sync.grpc.pb.h"
#include "services/messaging/domain/report_sender.h"

namespace handrail::messaging {

// What Report::evidence holds: all of a case that the request says.
std::string EncodeEvidence(const v1::ReportMessagesRequest& request);

// Tells profiles' CaseSyncService. Without a channel (profiles is not configured) every answer is
// UNAVAILABLE / PEER_UNAVAILABLE. Thread-safe.
class GrpcCaseDesk final : public CaseDesk {
 public:
  // `channel` may be null. `clock` must outlive it.
  GrpcCaseDesk(std::shared_ptr<grpc::Channel> channel, const Clock& clock);
  absl::Status OpenCase(absl::Time deadline, const QueuedReport& report) override;

 private:
  const std::unique_ptr<handrail::profiles::v1::CaseSyncService::Stub> stub_;
  const Clock& clock_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_ADAPTERS_GRPC_CASE_DESK_H_
