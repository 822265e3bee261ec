#include "services/matching/stores/batch_store_sql.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/matching/stores/ledger_steps.h"
#include "services/matching/stores/sql_list.h"

namespace handrail::matching {

using storage::Args;
using storage::Rows;
using storage::Transaction;

namespace {

// Longer than a request id is kept, so that no answer names a run that is gone.
constexpr absl::Duration kKept = absl::Hours(24 * 8);

absl::StatusOr<BatchRun> ReadRun(Transaction& tx, const BatchRunId& id) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT created_at, pair_count, finished_at, offer_count "
                            "FROM batch_runs WHERE id = $1",
                            {id}));
  if (rows.empty()) return NotFoundError();
  const storage::Row& row = rows.front();
  BatchRun run;
  run.id = id;
  run.create_time = row.Time(0);
  run.pair_count = row.Int(1);
  run.done = row.Int(2) != 0;
  run.offer_count = row.Int(3);
  ASSIGN_OR_RETURN(const Rows pairs,
                   tx.Query("SELECT ticket, sponsor, offer FROM batch_pairs WHERE run = $1 "
                            "ORDER BY place",
                            {id}));
  for (const storage::Row& pair : pairs) {
    run.pairs.push_back({pair.Id<TicketId>(0), pair.Id<MemberId>(1), pair.Id<OfferId>(2)});
  }
  return run;
}

// The run that an answer in the request log names.
absl::StatusOr<BatchRun> RunOfAnswer(Transaction& tx, absl::string_view answer) {
  ASSIGN_OR_RETURN(const BatchRunId id, BatchRunId::FromBytes(answer));
  return ReadRun(tx, id);
}

}  // namespace

const storage::Migration& BatchMigration() {
  static const auto* const migration =
      new storage::Migration{"0017_batch_runs",
                             {
                                 "CREATE TABLE batch_runs ("
                                 "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
                                 "created_at {int} NOT NULL, "
                                 "finished_at {int} NOT NULL, "  // 0 while offers are being made
                                 "pair_count {int} NOT NULL, "
                                 "offer_count {int} NOT NULL) {strict}",
                                 "CREATE INDEX batch_runs_by_age ON batch_runs (created_at)",
                                 // What a run that is not finished is about to offer.
                                 "CREATE TABLE batch_pairs ("
                                 "offer {blob} NOT NULL PRIMARY KEY CHECK (length(offer) = 16), "
                                 "run {blob} NOT NULL CHECK (length(run) = 16), "
                                 "place {int} NOT NULL, "
                                 "ticket {blob} NOT NULL CHECK (length(ticket) = 16), "
                                 "sponsor {blob} NOT NULL CHECK (length(sponsor) = 16)) {strict}",
                                 "CREATE INDEX batch_pairs_by_run ON batch_pairs (run, place)",
                             }};
  return *migration;
}

absl::StatusOr<std::optional<BatchRun>> SqlBatchStore::FindRun(const Call& call) {
  std::optional<BatchRun> run;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    run.reset();
    ASSIGN_OR_RETURN(const std::optional<std::string> answer, storage::FindAnswer(tx, call));
    if (!answer.has_value()) return absl::OkStatus();
    ASSIGN_OR_RETURN(run, RunOfAnswer(tx, *answer));
    return absl::OkStatus();
  }));
  return run;
}

absl::StatusOr<BatchRun> SqlBatchStore::BeginRun(const Call& call, absl::Time now,
                                                 absl::string_view subject,
                                                 absl::Span<const BatchOffer> pairs) {
  const BatchRunId id = BatchRunId::Random(random_);
  BatchRun run;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<std::string> answer, storage::FindAnswer(tx, call));
    if (answer.has_value()) {
      ASSIGN_OR_RETURN(run, RunOfAnswer(tx, *answer));
      return record_.Append(tx, ActionOf(call, now, subject, "OK", "repeated"));
    }
    RETURN_IF_ERROR(tx.Execute("INSERT INTO batch_runs (id, created_at, finished_at, pair_count, "
                               "offer_count) VALUES ($1, $2, 0, $3, 0)",
                               {id, now, static_cast<int64_t>(pairs.size())})
                        .status());
    for (size_t place = 0; place < pairs.size(); ++place) {
      const BatchOffer& pair = pairs[place];
      RETURN_IF_ERROR(
          tx.Execute("INSERT INTO batch_pairs (offer, run, place, ticket, sponsor) "
                     "VALUES ($1, $2, $3, $4, $5)",
                     {pair.offer, id, static_cast<int64_t>(place), pair.ticket, pair.sponsor})
              .status());
    }
    RETURN_IF_ERROR(storage::RecordAnswer(tx, call, now, id.Bytes()));
    ASSIGN_OR_RETURN(run, ReadRun(tx, id));
    return record_.Append(
        tx, ActionOf(call, now, subject, "OK", absl::StrCat(pairs.size(), " pairs, begun")));
  }));
  return run;
}

absl::StatusOr<std::vector<OfferId>> SqlBatchStore::FindMade(absl::Time deadline,
                                                             absl::Span<const OfferId> ids) {
  std::vector<OfferId> made;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    made.clear();
    for (const auto& part : Chunks(ids)) {
      Args args;
      const std::string list = IdList(part, args);
      ASSIGN_OR_RETURN(const Rows rows,
                       tx.Query(absl::StrCat("SELECT id FROM offers WHERE id IN ", list), args));
      for (const storage::Row& row : rows) made.push_back(row.Id<OfferId>(0));
    }
    return absl::OkStatus();
  }));
  return made;
}

absl::StatusOr<BatchRun> SqlBatchStore::FinishRun(const Call& call, absl::Time now,
                                                  absl::string_view subject, const BatchRunId& id,
                                                  int64_t offer_count) {
  BatchRun run;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const int64_t finished,
                     tx.Execute("UPDATE batch_runs SET finished_at = $2, offer_count = $3 "
                                "WHERE id = $1 AND finished_at = 0",
                                {id, now, offer_count}));
    RETURN_IF_ERROR(tx.Execute("DELETE FROM batch_pairs WHERE run = $1", {id}).status());
    ASSIGN_OR_RETURN(run, ReadRun(tx, id));
    const std::string detail = absl::StrCat(run.offer_count, " offers of ", run.pair_count,
                                            finished == 0 ? " pairs, repeated" : " pairs");
    return record_.Append(tx, ActionOf(call, now, subject, "OK", detail));
  }));
  return run;
}

absl::StatusOr<int64_t> SqlBatchStore::TrimRuns(absl::Time deadline, absl::Time now, int limit) {
  int64_t trimmed = 0;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    // Of a run that nobody finished.
    RETURN_IF_ERROR(tx.Execute("DELETE FROM batch_pairs WHERE run IN (SELECT id FROM batch_runs "
                               "WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
                               {now - kKept, limit})
                        .status());
    ASSIGN_OR_RETURN(
        trimmed, tx.Execute("DELETE FROM batch_runs WHERE id IN (SELECT id FROM batch_runs WHERE "
                            "created_at < $1 ORDER BY created_at LIMIT $2)",
                            {now - kKept, limit}));
    return absl::OkStatus();
  }));
  return trimmed;
}

}  // namespace handrail::matching
