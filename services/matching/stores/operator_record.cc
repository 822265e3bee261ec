#include "services/matching/stores/operator_record.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::matching {

using storage::Blob;
using storage::Rows;
using storage::Transaction;

namespace {

constexpr int64_t kChunk = 1000;

// At most this many bytes of a text are kept. Ours are shorter; a request id has at most 64.
constexpr char kActions[] =
    "CREATE TABLE operator_actions ("
    "sequence {int} NOT NULL PRIMARY KEY CHECK (sequence > 0), "
    "acted_at {int} NOT NULL, "
    "who {blob} NOT NULL CHECK (length(who) = 16), "
    "method TEXT NOT NULL CHECK (length(method) <= 64), "
    "subject TEXT NOT NULL CHECK (length(subject) <= 128), "
    "request_id TEXT NOT NULL CHECK (length(request_id) <= 64), "
    "outcome TEXT NOT NULL CHECK (length(outcome) <= 128), "
    "detail TEXT NOT NULL CHECK (length(detail) <= 128), "
    "seal {blob} NOT NULL CHECK (length(seal) = 32)) {strict}";

// One row: the last sequence that was given. Its lock puts the writers in a row.
constexpr char kHead[] =
    "CREATE TABLE operator_record_head ("
    "id {int} NOT NULL PRIMARY KEY CHECK (id = 1), "
    "sequence {int} NOT NULL) {strict}";

constexpr char kDrains[] =
    "CREATE TABLE pool_drains ("
    "pool {blob} NOT NULL PRIMARY KEY CHECK (length(pool) = 16), "
    "until {int} NOT NULL) {strict}";

constexpr char kTrims[] =
    "CREATE TABLE operator_record_trims ("
    "id {int} NOT NULL PRIMARY KEY CHECK (id = 1), "
    "sequence {int} NOT NULL CHECK (sequence > 0), "  // of the last row that was trimmed
    "last_seal {blob} NOT NULL CHECK (length(last_seal) = 32), "
    "seal {blob} NOT NULL CHECK (length(seal) = 32)) {strict}";

#define HANDRAIL_ACTION_COLUMNS \
  "sequence, acted_at, who, method, subject, request_id, outcome, detail"

OperatorAction ReadAction(const storage::Row& row) {
  OperatorAction action;
  action.sequence = row.Int(0);
  action.time = row.Time(1);
  action.who = row.Id<MemberId>(2);
  action.method = std::string(row.Text(3));
  action.subject = std::string(row.Text(4));
  action.request_id = std::string(row.Text(5));
  action.outcome = std::string(row.Text(6));
  action.detail = std::string(row.Text(7));
  return action;
}

// Behind its length, so that no two rows give the same bytes.
void Put(absl::string_view field, std::string& out) {
  absl::StrAppend(&out, field.size(), ":", field, ";");
}

// How many rows the record should have, and the last sequence that is there.
struct Ends {
  int64_t head = 0;
  int64_t last = 0;
};

absl::StatusOr<Ends> ReadEnds(storage::Database& database, absl::Time deadline) {
  Ends ends;
  RETURN_IF_ERROR(database.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        const Rows rows,
        tx.Query("SELECT COALESCE((SELECT sequence FROM operator_record_head WHERE id = 1), 0), "
                 "COALESCE((SELECT MAX(sequence) FROM operator_actions), 0)",
                 {}));
    ends = {rows.front().Int(0), rows.front().Int(1)};
    return absl::OkStatus();
  }));
  return ends;
}

// "BoostTicket" of "/handrail.matching.v1.OperatorService/BoostTicket".
std::string ShortMethod(absl::string_view method) {
  const size_t slash = method.rfind('/');
  return std::string(slash == absl::string_view::npos ? method : method.substr(slash + 1));
}

}  // namespace

OperatorAction ActionOf(const Call& call, absl::Time now, absl::string_view subject,
                        absl::string_view outcome, absl::string_view detail) {
  return {0,
          now,
          call.who.member,
          ShortMethod(call.method),
          std::string(subject),
          call.request_id,
          std::string(outcome),
          std::string(detail)};
}

const storage::Migration& OperatorMigration() {
  static const auto* const migration = new storage::Migration{
      "0006_operators",
      {
          kActions,
          "CREATE INDEX operator_actions_by_who ON operator_actions (who, sequence)",
          kHead,
          "INSERT INTO operator_record_head (id, sequence) VALUES (1, 0)",
          kDrains,
      }};
  return *migration;
}

const storage::Migration& OperatorTrimMigration() {
  static const auto* const migration = new storage::Migration{"0016_operator_trims", {kTrims}};
  return *migration;
}

std::string OperatorRecord::SealOf(const Checkpoint& checkpoint) const {
  std::string bytes = "handrail-operator-record-trim-v1;";
  Put(absl::StrCat(checkpoint.sequence), bytes);
  Put(checkpoint.seal, bytes);
  return mac_(bytes);
}

absl::StatusOr<OperatorRecord::Checkpoint> OperatorRecord::ReadCheckpoint(Transaction& tx) const {
  Checkpoint checkpoint;
  ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT sequence, last_seal, seal FROM "
                                             "operator_record_trims WHERE id = 1",
                                             {}));
  if (rows.empty()) return checkpoint;
  checkpoint.sequence = rows.front().Int(0);
  checkpoint.seal = std::string(rows.front().Bytes(1));
  checkpoint.sound = rows.front().Bytes(2) == SealOf(checkpoint);
  return checkpoint;
}

absl::StatusOr<int64_t> OperatorRecord::Trim(Transaction& tx, absl::Time before, int limit) const {
  // Whoever appends holds the head; whoever trims beside this waits, and finds less.
  ASSIGN_OR_RETURN(
      const Rows head,
      tx.Query("SELECT sequence FROM operator_record_head WHERE id = 1 {for_update}", {}));
  ASSIGN_OR_RETURN(Checkpoint checkpoint, ReadCheckpoint(tx));
  const int64_t begin = checkpoint.sequence;
  // The newest row stays: the next one is sealed over it.
  ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT " HANDRAIL_ACTION_COLUMNS
                                             ", seal FROM operator_actions WHERE sequence < $1 "
                                             "ORDER BY sequence LIMIT $2",
                                             {head.empty() ? 0 : head.front().Int(0), limit}));
  for (const storage::Row& row : rows) {
    const OperatorAction action = ReadAction(row);
    const std::string seal(row.Bytes(8));
    // What was tampered with is evidence, and stays for Verify to find.
    if (!checkpoint.sound || action.sequence != checkpoint.sequence + 1 ||
        seal != SealOf(action, checkpoint.seal)) {
      return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
          .Message("the record of operators is not as it was written");
    }
    if (action.time >= before) break;
    checkpoint.sequence = action.sequence;
    checkpoint.seal = seal;
  }
  if (checkpoint.sequence == begin) return 0;
  RETURN_IF_ERROR(
      tx.Execute("DELETE FROM operator_actions WHERE sequence <= $1", {checkpoint.sequence})
          .status());
  RETURN_IF_ERROR(tx.Execute("INSERT INTO operator_record_trims (id, sequence, last_seal, seal) "
                             "VALUES (1, $1, $2, $3) ON CONFLICT (id) DO UPDATE SET "
                             "sequence = excluded.sequence, last_seal = excluded.last_seal, "
                             "seal = excluded.seal",
                             {checkpoint.sequence, Blob{checkpoint.seal}, Blob{SealOf(checkpoint)}})
                      .status());
  return checkpoint.sequence - begin;
}

std::string OperatorRecord::SealOf(const OperatorAction& action, absl::string_view previous) const {
  std::string bytes = "handrail-operator-record-v1;";
  Put(previous, bytes);
  Put(absl::StrCat(action.sequence), bytes);
  Put(absl::StrCat(absl::ToUnixMicros(action.time)), bytes);
  Put(action.who.Bytes(), bytes);
  for (const std::string* text :
       {&action.method, &action.subject, &action.request_id, &action.outcome, &action.detail}) {
    Put(*text, bytes);
  }
  return mac_(bytes);
}

absl::Status OperatorRecord::Append(Transaction& tx, const OperatorAction& action) const {
  ASSIGN_OR_RETURN(const Rows head,
                   tx.Query("UPDATE operator_record_head SET sequence = sequence + 1 "
                            "WHERE id = 1 RETURNING sequence",
                            {}));
  if (head.empty()) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("the record of operators has lost its head");
  }
  OperatorAction row = action;
  row.sequence = head.front().Int(0);
  row.time = absl::FromUnixMicros(absl::ToUnixMicros(action.time));
  ASSIGN_OR_RETURN(const Rows before, tx.Query("SELECT seal FROM operator_actions "
                                               "WHERE sequence = $1",
                                               {row.sequence - 1}));
  // A row that was removed leaves a gap that Verify finds; operators can go on working meanwhile.
  const absl::string_view previous = before.empty() ? absl::string_view() : before.front().Bytes(0);
  return tx
      .Execute("INSERT INTO operator_actions (" HANDRAIL_ACTION_COLUMNS
               ", seal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
               {row.sequence, row.time, row.who, row.method, row.subject, row.request_id,
                row.outcome, row.detail, Blob{SealOf(row, previous)}})
      .status();
}

absl::StatusOr<Page<OperatorAction>> OperatorRecord::List(Transaction& tx,
                                                          std::optional<MemberId> who, int limit,
                                                          int64_t before) {
  Rows rows;
  if (who.has_value()) {
    ASSIGN_OR_RETURN(rows, tx.Query("SELECT " HANDRAIL_ACTION_COLUMNS
                                    " FROM operator_actions WHERE who = $3 AND "
                                    "sequence < $1 ORDER BY sequence DESC LIMIT $2",
                                    {before, limit + 1, *who}));
  } else {
    ASSIGN_OR_RETURN(rows, tx.Query("SELECT " HANDRAIL_ACTION_COLUMNS
                                    " FROM operator_actions WHERE sequence < $1 "
                                    "ORDER BY sequence DESC LIMIT $2",
                                    {before, limit + 1}));
  }
  Page<OperatorAction> page;
  page.more = rows.size() > static_cast<size_t>(limit);
  for (const storage::Row& row : rows) {
    if (page.items.size() == static_cast<size_t>(limit)) break;
    page.items.push_back(ReadAction(row));
  }
  return page;
}

absl::StatusOr<AuditReport> OperatorRecord::Verify(storage::Database& database, absl::Time deadline,
                                                   const KnownSeal& known) const {
  ASSIGN_OR_RETURN(const Ends ends, ReadEnds(database, deadline));
  AuditReport report;
  report.last_sequence = ends.last;
  report.known_found = known.sequence == 0;
  const auto broken = [&report](int64_t sequence) {
    if (report.whole) report.first_broken = sequence;
    report.whole = false;
  };
  std::string previous;
  int64_t next = 1;
  while (next <= ends.last && report.whole) {
    Rows rows;
    Checkpoint checkpoint;
    const int64_t expected = next;
    RETURN_IF_ERROR(database.Read(deadline, [&](Transaction& tx) -> absl::Status {
      ASSIGN_OR_RETURN(checkpoint, ReadCheckpoint(tx));
      // At the beginning, or when rows were trimmed while this went on.
      if (checkpoint.sequence >= next) {
        next = checkpoint.sequence + 1;
        previous = checkpoint.seal;
      }
      ASSIGN_OR_RETURN(rows, tx.Query("SELECT " HANDRAIL_ACTION_COLUMNS
                                      ", seal FROM operator_actions WHERE sequence >= $1 AND "
                                      "sequence <= $2 ORDER BY sequence LIMIT $3",
                                      {next, ends.last, kChunk}));
      return absl::OkStatus();
    }));
    if (known.sequence >= expected && known.sequence < checkpoint.sequence && checkpoint.sound) {
      return FieldError("known_sequence", "names a row that is older than what is kept");
    }
    if (known.sequence >= expected && known.sequence == checkpoint.sequence) {
      report.known_found = checkpoint.seal == known.seal;
    }
    if (rows.empty() || !checkpoint.sound) {
      broken(next);
      break;
    }
    for (const storage::Row& row : rows) {
      const OperatorAction action = ReadAction(row);
      const std::string seal(row.Bytes(8));
      if (action.sequence != next || seal != SealOf(action, previous)) {
        broken(next);
        break;
      }
      if (next == known.sequence) report.known_found = seal == known.seal;
      previous = seal;
      ++next;
    }
  }
  report.last_seal = previous;
  if (report.whole && ends.head != ends.last) broken(std::min(ends.head, ends.last) + 1);
  return report;
}

}  // namespace handrail::matching
