#include "services/messaging/domain/report_sender.h"

#include "common/base/macros.h"

namespace handrail::messaging {

absl::StatusOr<size_t> ReportSender::TakeDue(absl::Time deadline, absl::Time now, int limit) {
  ASSIGN_OR_RETURN(in_hand_, store_.Due(deadline, now, limit));
  return in_hand_.size();
}

absl::Status ReportSender::Send(absl::Time deadline, size_t first, size_t) {
  const QueuedReport& report = in_hand_[first];
  return report.fault.ok() ? desk_.OpenCase(deadline, report) : report.fault;
}

absl::Status ReportSender::Remove(absl::Time deadline, size_t first, size_t) {
  return store_.Remove(deadline, in_hand_[first].id);
}

absl::Status ReportSender::Defer(absl::Time deadline, size_t place, absl::Time due, int attempts) {
  return store_.Defer(deadline, in_hand_[place].id, due, attempts);
}

}  // namespace handrail::messaging
