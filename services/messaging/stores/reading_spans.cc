#include "services/messaging/stores/reading_spans.h"

#include "common/base/macros.h"

namespace handrail::messaging {
namespace {

using storage::Row;
using storage::Rows;
using storage::Transaction;

}  // namespace

absl::Status KeepReadingSpan(Transaction& tx, int64_t key, const DeviceId& device, int64_t head) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT CASE WHEN read_from > start_sequence THEN read_from"
                            " ELSE start_sequence END, COALESCE(end_sequence, $3)"
                            " FROM conversation_devices"
                            " WHERE conversation_key = $1 AND device_id = $2",
                            {key, device, head}));
  if (rows.empty() || rows.front().Int(0) > rows.front().Int(1)) return absl::OkStatus();
  const int64_t last = rows.front().Int(1);
  ASSIGN_OR_RETURN(const Rows kept,
                   tx.Query("SELECT COUNT(*), MAX(first_sequence) FROM reading_spans"
                            " WHERE conversation_key = $1 AND device_id = $2",
                            {key, device}));
  if (kept.front().Int(0) >= kReadingSpansKept) {
    return tx
        .Execute(
            "UPDATE reading_spans SET last_sequence = $4 WHERE conversation_key = $1"
            " AND device_id = $2 AND first_sequence = $3",
            {key, device, kept.front().Int(1), last})
        .status();
  }
  return tx
      .Execute(
          "INSERT INTO reading_spans (conversation_key, device_id, first_sequence,"
          " last_sequence) VALUES ($1, $2, $3, $4)"
          " ON CONFLICT (conversation_key, device_id, first_sequence) DO UPDATE SET"
          " last_sequence = excluded.last_sequence",
          {key, device, rows.front().Int(0), last})
      .status();
}

absl::StatusOr<std::vector<ReadingSpan>> ReadingSpansOf(Transaction& tx, int64_t key,
                                                        const MemberId& member) {
  ASSIGN_OR_RETURN(const Rows now,
                   tx.Query("SELECT CASE WHEN read_from > start_sequence THEN read_from"
                            " ELSE start_sequence END, end_sequence FROM conversation_devices"
                            " WHERE conversation_key = $1 AND member_id = $2",
                            {key, member}));
  ASSIGN_OR_RETURN(const Rows before,
                   tx.Query("SELECT s.first_sequence, s.last_sequence FROM reading_spans s"
                            " JOIN conversation_devices d"
                            " ON d.conversation_key = s.conversation_key"
                            " AND d.device_id = s.device_id"
                            " WHERE d.conversation_key = $1 AND d.member_id = $2",
                            {key, member}));
  std::vector<ReadingSpan> spans;
  for (const Rows* rows : {&now, &before}) {
    for (const Row& row : *rows) {
      ReadingSpan span;
      span.first = row.Int(0);
      if (!row.IsNull(1)) span.last = row.Int(1);
      if (span.first <= span.last) spans.push_back(span);
    }
  }
  return spans;
}

}  // namespace handrail::messaging
