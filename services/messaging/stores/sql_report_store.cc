#include "services/messaging/stores/sql_report_store.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/stores/membership.h"
#include "services/messaging/stores/reading_spans.h"
#include "services/messaging/stores/refusals.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Blob;
using storage::Row;
using storage::Rows;
using storage::Transaction;

constexpr absl::Duration kDay = absl::Hours(24);

absl::Status NotFound() {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message("no such conversation");
}

crypto::SealContext PlaceOf(const ReportId& id) {
  return {"report_queue", "sealed_evidence", id.Bytes()};
}

// The first answer, as the request log keeps it.
std::string EncodeAnswer(const FiledReport& filed) {
  return absl::StrCat(filed.id.Bytes(), absl::ToUnixMicros(filed.create_time));
}
absl::StatusOr<FiledReport> DecodeAnswer(absl::string_view answer) {
  FiledReport filed;
  ASSIGN_OR_RETURN(filed.id, ReportId::FromBytes(answer.substr(0, ReportId::kBytes)));
  int64_t micros = 0;
  if (!absl::SimpleAtoi(answer.substr(ReportId::kBytes), &micros)) {
    return absl::DataLossError("an answer that cannot be read");
  }
  filed.create_time = absl::FromUnixMicros(micros);
  return filed;
}

}  // namespace

absl::StatusOr<std::vector<ReadingSpan>> SqlReportStore::FindReporter(
    absl::Time deadline, const Principal& who, const ConversationId& conversation) {
  std::vector<ReadingSpan> readable;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const Rows devices,
                     tx.Query("SELECT revoked FROM devices WHERE device_id = $1 AND member_id = $2",
                              {who.device, who.member}));
    if (devices.empty()) {
      return Error(StatusCode::kNotFound, kDeviceUnknown).Message("no such conversation");
    }
    if (devices.front().Bool(0)) return DeviceRemoved();
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT 1 FROM conversation_members m"
                              " JOIN conversations c ON c.conversation_key = m.conversation_key"
                              " WHERE c.conversation_key = $1 AND c.conversation_id = $2"
                              " AND m.member_id = $3",
                              {KeyOf(conversation), conversation, who.member}));
    if (rows.empty()) return NotFound();
    ASSIGN_OR_RETURN(readable, ReadingSpansOf(tx, KeyOf(conversation), who.member));
    return absl::OkStatus();
  }));
  return readable;
}

absl::Status SqlReportStore::CheckRoom(Transaction& tx, const Call& call, absl::Time now) const {
  // What the member was answered in the last day: the request log keeps it for seven.
  ASSIGN_OR_RETURN(const Rows today, tx.Query("SELECT COUNT(*) FROM request_log WHERE caller = $1"
                                              " AND method = $2 AND created_at > $3",
                                              {call.who.member, call.method, now - kDay}));
  if (today.front().Int(0) >= limits_.reports_a_day) {
    return Error(StatusCode::kResourceExhausted, reason::kRateLimited)
        .Message("a member may make no more reports today")
        .Detail("limit", absl::StrCat(limits_.reports_a_day))
        .RetryAfter(absl::Hours(1));
  }
  ASSIGN_OR_RETURN(const Rows waiting, tx.Query("SELECT COUNT(*) FROM report_queue", {}));
  if (waiting.front().Int(0) < limits_.reports_waiting) return absl::OkStatus();
  return Error(StatusCode::kResourceExhausted, reason::kQueueFull)
      .Message("too many reports are waiting to be passed on")
      .RetryAfter(absl::Minutes(1));
}

absl::StatusOr<FiledReport> SqlReportStore::File(const Call& call, absl::Time now,
                                                 const ReportId& id, const std::string& evidence) {
  const crypto::MemberKey key = crypto::MemberKey::Generate(random_);
  const Blob wrapped{ring_.Wrap(call.who.member, key, random_)};
  const Blob sealed{crypto::Seal(key, PlaceOf(id), evidence, random_)};
  FiledReport filed;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    filed = FiledReport{id, now};
    // What profiles says of the reporter must not cross this, or a report would stay of somebody
    // who is erased.
    RETURN_IF_ERROR(
        tx.Query("SELECT version FROM members WHERE member_id = $1 {for_update}", {call.who.member})
            .status());
    RETURN_IF_ERROR(CheckLiveDevice(tx, call.who));
    ASSIGN_OR_RETURN(const auto answer, storage::FindAnswer(tx, call));
    if (answer.has_value()) {
      ASSIGN_OR_RETURN(filed, DecodeAnswer(*answer));
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(CheckRoom(tx, call, now));
    RETURN_IF_ERROR(
        tx.Execute("INSERT INTO report_queue (report_id, reporter, wrapped_key, sealed_evidence,"
                   " created_at, due_at, attempts) VALUES ($1, $2, $3, $4, $5, $5, 0)",
                   {id, call.who.member, wrapped, sealed, now})
            .status());
    return storage::RecordAnswer(tx, call, now, EncodeAnswer(filed));
  }));
  return filed;
}

absl::StatusOr<std::vector<QueuedReport>> SqlReportStore::Due(absl::Time deadline, absl::Time now,
                                                              int limit) {
  std::vector<QueuedReport> due;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    due.clear();
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT report_id, reporter, created_at, attempts, wrapped_key,"
                              " sealed_evidence FROM report_queue WHERE due_at <= $1"
                              " ORDER BY due_at, report_id LIMIT $2",
                              {now, limit}));
    for (const Row& row : rows) {
      QueuedReport& report = due.emplace_back();
      report.id = row.Id<ReportId>(0);
      report.reporter = row.Id<MemberId>(1);
      report.create_time = row.Time(2);
      report.attempts = static_cast<int>(row.Int(3));
      const auto key = ring_.Unwrap(report.reporter, row.Bytes(4));
      report.fault = key.status();
      if (!key.ok()) continue;
      const auto evidence = crypto::Open(*key, PlaceOf(report.id), row.Bytes(5));
      report.fault = evidence.status();
      if (evidence.ok()) report.evidence = evidence->Reveal();
    }
    return absl::OkStatus();
  }));
  return due;
}

absl::Status SqlReportStore::Remove(absl::Time deadline, const ReportId& id) {
  return database_.Write(deadline, [&](Transaction& tx) {
    return tx.Execute("DELETE FROM report_queue WHERE report_id = $1", {id}).status();
  });
}

absl::Status SqlReportStore::Defer(absl::Time deadline, const ReportId& id, absl::Time due,
                                   int attempts) {
  return database_.Write(deadline, [&](Transaction& tx) {
    return tx
        .Execute("UPDATE report_queue SET due_at = $2, attempts = $3 WHERE report_id = $1",
                 {id, due, attempts})
        .status();
  });
}

absl::StatusOr<ReportQueueState> SqlReportStore::State(absl::Time deadline) {
  ReportQueueState state;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    state = ReportQueueState();
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT COUNT(*), MIN(created_at) FROM report_queue", {}));
    state.entries = rows.front().Int(0);
    if (!rows.front().IsNull(1)) state.oldest = rows.front().Time(1);
    return absl::OkStatus();
  }));
  return state;
}

}  // namespace handrail::messaging
