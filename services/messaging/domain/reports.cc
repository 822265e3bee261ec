#include "services/messaging/domain/reports.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/domain/known_device.h"

namespace handrail::messaging {
namespace {

absl::Status Fault(size_t index, absl::string_view description) {
  return FieldError(absl::StrCat("messages[", index, "]"), description);
}

bool Verifies(const ReportedMessage& message, const Franker& franker) {
  return franker.Opens(message.stamped.commitment, message.franking_key, message.content) &&
         franker.IsStampOf(message.stamped, message.key_id, message.stamp);
}

bool IsReadable(int64_t sequence, absl::Span<const ReadingSpan> readable) {
  return std::any_of(readable.begin(), readable.end(), [sequence](const ReadingSpan& span) {
    return span.first <= sequence && sequence <= span.last;
  });
}

bool Follows(const StampedMessage& message, const StampedMessage& before) {
  if (message.sequence <= before.sequence) return false;
  return message.sequence > before.sequence + 1 || message.previous_commitment == before.commitment;
}

}  // namespace

absl::Status VerifyReport(const Report& report, const MemberId& reporter,
                          absl::Span<const ReadingSpan> readable, const Franker& franker,
                          const ReportLimits& limits) {
  size_t bytes = 0;
  for (size_t i = 0; i < report.messages.size(); ++i) {
    const ReportedMessage& message = report.messages[i];
    const StampedMessage& stamped = message.stamped;
    bytes += message.content.size();
    if (bytes > limits.content_bytes) {
      return Fault(i, absl::StrCat("makes the report longer than ", limits.content_bytes,
                                   " bytes: report it apart"));
    }
    if (stamped.conversation != report.conversation || !Verifies(message, franker)) {
      return Fault(i, "cannot be verified");
    }
    // What follows is of a message that is what it is said to be.
    if (stamped.sender == reporter || !IsReadable(stamped.sequence, readable)) {
      return Fault(i, "is not the caller's to report");
    }
    if (i > 0 && !Follows(stamped, report.messages[i - 1].stamped)) {
      return Fault(i, "does not come after the message before it");
    }
  }
  if (report.messages.empty()) return FieldError("messages", "must not be empty");
  return absl::OkStatus();
}

absl::StatusOr<FiledReport> Reports::File(const Call& call, const Report& report) {
  const absl::Status unknown =
      Error(absl::StatusCode::kNotFound, reason::kNotFound).Message("no such conversation");
  ASSIGN_OR_RETURN(
      const std::vector<ReadingSpan> readable,
      WithKnownDevice(
          [&] { return learn_caller_(call); }, unknown,
          [&] { return store_.FindReporter(call.deadline, call.who, report.conversation); }));
  RETURN_IF_ERROR(VerifyReport(report, call.who.member, readable, franker_, limits_));
  ASSIGN_OR_RETURN(const FiledReport filed,
                   store_.File(call, clock_.Now(), ReportId::Random(random_), report.evidence));
  filed_();
  return filed;
}

}  // namespace handrail::messaging
