#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_REPORTS_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_REPORTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "services/messaging/domain/franking.h"

namespace handrail::messaging {

struct ReportTag {
  static constexpr absl::string_view kCollection = "reports";
};
using ReportId = Id<ReportTag>;

struct ReportLimits {
  // Of all messages of a report together: its evidence fits into one request between services.
  size_t content_bytes = 64 << 10;
  int64_t reports_a_day = 50;      // of one member
  int64_t reports_waiting = 1000;  // that profiles has not confirmed, of everybody
};

struct Report {
  ConversationId conversation;
  std::vector<ReportedMessage> messages;
  // All that a case is made of, in the form of whoever takes it. Opaque here, and never in the
  // clear on disk.
  std::string evidence;
};

// What was answered to who reported.
struct FiledReport {
  ReportId id;
  absl::Time create_time;
};

// A report on its way to profiles.
struct QueuedReport {
  ReportId id;
  MemberId reporter;
  absl::Time create_time;
  int attempts = 0;  // refusals, not failures to reach profiles
  std::string evidence;
  absl::Status fault;  // not OK when the evidence cannot be read here
};

struct ReportQueueState {
  int64_t entries = 0;
  std::optional<absl::Time> oldest;  // nothing when there is none
};

// Messages of a conversation that a device could read, the first and the last among them.
struct ReadingSpan {
  int64_t first = 1;
  int64_t last = std::numeric_limits<int64_t>::max();

  bool operator==(const ReadingSpan&) const = default;
};

// Where reports wait until profiles has them. Thread-safe. Every method may also give the errors of
// storage::Database.
class ReportStore {
 public:
  virtual ~ReportStore() = default;

  // What any of the caller's devices could ever read of a conversation, whether they have it still
  // or not: also of one that is closed, blocked or left, and before it was left. In no order; spans
  // may overlap. Errors: NOT_FOUND; NOT_FOUND / DEVICE_UNKNOWN; PERMISSION_DENIED / DEVICE_REVOKED.
  virtual absl::StatusOr<std::vector<ReadingSpan>> FindReporter(
      absl::Time deadline, const Principal& who, const ConversationId& conversation) = 0;
  // Keeps the evidence, sealed, until it is removed, or until the reporter is erased: whoever is,
  // leaves none behind. Idempotent by the request id of `call`: `id` counts the first time. Errors:
  // NOT_FOUND / DEVICE_UNKNOWN; PERMISSION_DENIED / DEVICE_REVOKED; FAILED_PRECONDITION /
  // REQUEST_ID_REUSED; RESOURCE_EXHAUSTED / RATE_LIMITED, QUEUE_FULL.
  virtual absl::StatusOr<FiledReport> File(const Call& call, absl::Time now, const ReportId& id,
                                           const std::string& evidence) = 0;
  // Those that are due, the longest waiting first.
  virtual absl::StatusOr<std::vector<QueuedReport>> Due(absl::Time deadline, absl::Time now,
                                                        int limit) = 0;
  virtual absl::Status Remove(absl::Time deadline, const ReportId& id) = 0;
  // It waits until `due`, and was refused `attempts` times.
  virtual absl::Status Defer(absl::Time deadline, const ReportId& id, absl::Time due,
                             int attempts) = 0;
  virtual absl::StatusOr<ReportQueueState> State(absl::Time deadline) = 0;
};

// OK when everything in `report` is as it was stamped, of others than `reporter`, of what is in one
// of the spans that their devices could read, and in order. INVALID_ARGUMENT / FIELD_INVALID names
// the message at fault by its index, and says no more than a person can act on: an error here is
// nothing to learn a key or a stamp from. Pure.
absl::Status VerifyReport(const Report& report, const MemberId& reporter,
                          absl::Span<const ReadingSpan> readable, const Franker& franker,
                          const ReportLimits& limits);

// What members can report. Thread-safe; blocks until `call.deadline`.
class Reports {
 public:
  // Asks profiles of the caller, of whom messaging was never told.
  using LearnCaller = std::function<absl::Status(const Call&)>;

  // All must outlive it. `filed` is told of every new report; it must not block.
  Reports(ReportStore& store, const Franker& franker, const Clock& clock, Random& random,
          const ReportLimits& limits, LearnCaller learn_caller, std::function<void()> filed)
      : store_(store),
        franker_(franker),
        clock_(clock),
        random_(random),
        limits_(limits),
        learn_caller_(std::move(learn_caller)),
        filed_(std::move(filed)) {}

  // On disk when it returns, verified. Codes of ReportStore::FindReporter, VerifyReport and
  // ReportStore::File.
  absl::StatusOr<FiledReport> File(const Call& call, const Report& report);

 private:
  ReportStore& store_;
  const Franker& franker_;
  const Clock& clock_;
  Random& random_;
  const ReportLimits limits_;
  const LearnCaller learn_caller_;
  const std::function<void()> filed_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_REPORTS_H_
