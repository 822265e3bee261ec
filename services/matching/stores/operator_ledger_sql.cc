#include "services/matching/stores/operator_ledger_sql.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/matching/stores/codec.h"
#include "services/matching/stores/rows.h"

namespace handrail::matching {

using storage::Args;
using storage::Blob;
using storage::Rows;
using storage::Transaction;

absl::StatusOr<int64_t> TakeNumber(absl::string_view& text) {
  const size_t space = text.find(' ');
  int64_t number = 0;
  if (space == absl::string_view::npos || !absl::SimpleAtoi(text.substr(0, space), &number)) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("an answer in the request log that is not ours");
  }
  text.remove_prefix(space + 1);
  return number;
}

SqlOperatorLedger::SqlOperatorLedger(storage::Database& database, MemberVault& vault,
                                     const PoolNames& pools, Random& random,
                                     const ProgramPolicies& policies, const LedgerOptions& options,
                                     OperatorRecord record)
    : database_(database),
      context_{vault, pools, random, policies, options, database.BackendName() != "sqlite"},
      record_(std::move(record)) {}

PoolId SqlOperatorLedger::IdOf(const PoolKey& pool) const {
  return *PoolId::FromBytes(context_.pools.Opaque(pool));
}

absl::StatusOr<PoolKey> SqlOperatorLedger::KeyOf(const PoolId& pool) const {
  auto key = context_.pools.Reveal(pool.Bytes());
  if (!key.ok()) return NotFoundError();
  return key;
}

absl::StatusOr<Rows> SqlOperatorLedger::ReadRows(absl::Time deadline, absl::string_view sql,
                                                 const Args& args) {
  Rows rows;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(rows, tx.Query(sql, args));
    return absl::OkStatus();
  }));
  return rows;
}

absl::StatusOr<std::vector<PoolReport>> SqlOperatorLedger::ReadPools(absl::Time deadline,
                                                                     absl::Time now,
                                                                     std::optional<PoolKey> only) {
  Args bands;
  for (const int hours : kWaitingBandHours) bands.push_back(now - absl::Hours(hours));
  Args open;
  Args drained = {now};
  std::string of_five, of_one, of_two;
  if (only.has_value()) {
    const Blob name{context_.pools.Opaque(*only)};
    bands.push_back(name);
    open.push_back(name);
    drained.push_back(name);
    of_five = " AND pool = $5";
    of_one = " AND pool = $1";
    of_two = " AND pool = $2";
  }
  Rows waiting, offers, drains;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        waiting,
        tx.Query(absl::StrCat("SELECT pool, COUNT(*), MIN(created_at), "
                              "COUNT(CASE WHEN created_at > $1 THEN 1 END), "
                              "COUNT(CASE WHEN created_at <= $1 AND created_at > $2 THEN 1 END), "
                              "COUNT(CASE WHEN created_at <= $2 AND created_at > $3 THEN 1 END), "
                              "COUNT(CASE WHEN created_at <= $3 AND created_at > $4 THEN 1 END) "
                              "FROM tickets WHERE state = 1",
                              of_five, " GROUP BY pool"),
                 bands));
    // The bound on expires_at makes the index of deadlines serve: it holds open offers only.
    ASSIGN_OR_RETURN(offers, tx.Query(absl::StrCat("SELECT pool, COUNT(*) FROM offers "
                                                   "WHERE state = 1 AND expires_at > 0",
                                                   of_one, " GROUP BY pool"),
                                      open));
    ASSIGN_OR_RETURN(drains, tx.Query(absl::StrCat("SELECT pool, until FROM pool_drains "
                                                   "WHERE until > $1",
                                                   of_two),
                                      drained));
    return absl::OkStatus();
  }));
  std::map<std::string, PoolReport> pools;
  for (const storage::Row& row : waiting) {
    PoolReport& pool = pools[std::string(row.Bytes(0))];
    pool.oldest = row.Time(2);
    int64_t younger = 0;
    for (size_t band = 0; band + 1 < kWaitingBands; ++band) {
      pool.waiting[band] = row.Int(3 + band);
      younger += pool.waiting[band];
    }
    pool.waiting.back() = row.Int(1) - younger;
  }
  for (const storage::Row& row : offers) {
    pools[std::string(row.Bytes(0))].open_offers = row.Int(1);
  }
  for (const storage::Row& row : drains) {
    pools[std::string(row.Bytes(0))].drained_until = row.Time(1);
  }
  std::vector<PoolReport> reports;
  for (auto& [name, pool] : pools) {
    ASSIGN_OR_RETURN(pool.id, PoolId::FromBytes(name));
    ASSIGN_OR_RETURN(pool.key, context_.pools.Reveal(name));
    reports.push_back(std::move(pool));
  }
  return reports;
}

absl::StatusOr<std::vector<PoolReport>> SqlOperatorLedger::ReportPools(absl::Time deadline,
                                                                       absl::Time now) {
  return ReadPools(deadline, now, std::nullopt);
}

absl::StatusOr<PoolReport> SqlOperatorLedger::ReportPool(absl::Time deadline, absl::Time now,
                                                         const PoolKey& pool) {
  ASSIGN_OR_RETURN(std::vector<PoolReport> reports, ReadPools(deadline, now, pool));
  if (!reports.empty()) return std::move(reports.front());
  PoolReport empty;
  empty.id = IdOf(pool);
  empty.key = pool;
  return empty;
}

absl::StatusOr<OpenTicketReport> SqlOperatorLedger::ReadOpenTicket(const storage::Row& row) const {
  OpenTicketReport report;
  ASSIGN_OR_RETURN(report.ticket, ReadTicketChange(row, context_.pools));
  report.pool = row.Id<PoolId>(3);
  report.hint_due = TimeOrNever(row.Int(row.size() - 1));  // behind the ticket's own columns
  return report;
}

absl::StatusOr<Page<OpenTicketReport>> SqlOperatorLedger::ListOpenTickets(
    absl::Time deadline, const PoolKey& pool, TicketState state, int limit,
    std::optional<PageStart> after) {
  const PageStart start = after.value_or(PageStart{absl::FromUnixMicros(INT64_MIN), {}});
  // An offered ticket is found through its offer: no index has to be kept for operators.
  const absl::string_view sql =
      state == TicketState::kWaiting
          ? "SELECT " HANDRAIL_TICKET_COLUMNS
            ", index_pending FROM tickets WHERE state = 1 AND pool = $1 AND created_at >= $2 "
            "AND (created_at > $2 OR id > $3) ORDER BY created_at, id LIMIT $4"
          : "SELECT " HANDRAIL_TICKET_COLUMNS
            ", index_pending FROM tickets WHERE id IN (SELECT ticket FROM offers WHERE state = 1 "
            "AND expires_at > 0 AND pool = $1) AND state = 2 AND created_at >= $2 "
            "AND (created_at > $2 OR id > $3) ORDER BY created_at, id LIMIT $4";
  ASSIGN_OR_RETURN(const Rows rows, ReadRows(deadline, sql,
                                             {Blob{context_.pools.Opaque(pool)}, start.create_time,
                                              start.id, limit + 1}));
  Page<OpenTicketReport> page;
  page.more = rows.size() > static_cast<size_t>(limit);
  for (const storage::Row& row : rows) {
    if (page.items.size() == static_cast<size_t>(limit)) break;
    ASSIGN_OR_RETURN(OpenTicketReport ticket, ReadOpenTicket(row));
    page.items.push_back(std::move(ticket));
  }
  return page;
}

absl::StatusOr<Page<OpenOfferReport>> SqlOperatorLedger::ListOpenOffers(
    absl::Time deadline, const PoolKey& pool, int limit, std::optional<PageStart> after) {
  const PageStart start = after.value_or(PageStart{absl::FromUnixMicros(INT64_MIN), {}});
  ASSIGN_OR_RETURN(
      const Rows rows,
      ReadRows(deadline,
               "SELECT id, ticket, pool, created_at, expires_at FROM offers WHERE state = 1 AND "
               "expires_at > 0 AND pool = $1 AND (created_at, id) > ($2, $3) "
               "ORDER BY created_at, id LIMIT $4",
               {Blob{context_.pools.Opaque(pool)}, start.create_time, start.id, limit + 1}));
  Page<OpenOfferReport> page;
  page.more = rows.size() > static_cast<size_t>(limit);
  for (const storage::Row& row : rows) {
    if (page.items.size() == static_cast<size_t>(limit)) break;
    page.items.push_back(
        {row.Id<OfferId>(0), row.Id<TicketId>(1), row.Id<PoolId>(2), row.Time(3), row.Time(4)});
  }
  return page;
}

absl::StatusOr<OpenTicketReport> SqlOperatorLedger::FindOpenTicket(absl::Time deadline,
                                                                   const TicketId& id) {
  ASSIGN_OR_RETURN(const Rows rows, ReadRows(deadline,
                                             "SELECT " HANDRAIL_TICKET_COLUMNS
                                             ", index_pending FROM tickets WHERE id = $1",
                                             {id}));
  if (rows.empty()) return NotFoundError();
  ASSIGN_OR_RETURN(OpenTicketReport report, ReadOpenTicket(rows.front()));
  if (!IsOpen(report.ticket.state)) return RefusedError(reason::kTicketNotOpen);
  return report;
}

absl::StatusOr<int64_t> SqlOperatorLedger::CountOpenOffers(absl::Time deadline,
                                                           const TicketId& id) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      ReadRows(deadline, "SELECT COUNT(*) FROM offers WHERE state = 1 AND ticket = $1", {id}));
  return rows.front().Int(0);
}

absl::StatusOr<std::vector<PoolDrain>> SqlOperatorLedger::ListDrains(absl::Time deadline,
                                                                     absl::Time now) {
  ASSIGN_OR_RETURN(const Rows rows, ReadRows(deadline,
                                             "SELECT pool, until FROM pool_drains "
                                             "WHERE until > $1",
                                             {now}));
  std::vector<PoolDrain> drains;
  for (const storage::Row& row : rows) {
    ASSIGN_OR_RETURN(PoolKey pool, context_.pools.Reveal(row.Bytes(0)));
    drains.push_back({std::move(pool), row.Time(1)});
  }
  return drains;
}

absl::StatusOr<SqlOperatorLedger::Answered> SqlOperatorLedger::RunRecorded(
    const Call& call, absl::Time now, const std::string& subject, const std::string& detail,
    absl::FunctionRef<absl::StatusOr<std::string>(Steps&)> step) {
  Answered answered;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    answered = Answered();
    ASSIGN_OR_RETURN(std::optional<std::string> replay, storage::FindAnswer(tx, call));
    if (replay.has_value()) {
      answered.answer = *std::move(replay);
      return record_.Append(tx, ActionOf(call, now, subject, "OK", "repeated"));
    }
    Steps steps(tx, context_, now, answered.effects);
    ASSIGN_OR_RETURN(answered.answer, step(steps));
    RETURN_IF_ERROR(storage::RecordAnswer(tx, call, now, answered.answer));
    return record_.Append(tx, ActionOf(call, now, subject, "OK", detail));
  }));
  return answered;
}

absl::StatusOr<Changed<OpenTicketReport>> SqlOperatorLedger::ChangeTicket(
    const Call& call, absl::Time now, const TicketId& id, const std::string& detail,
    absl::string_view sql, const Args& args) {
  ASSIGN_OR_RETURN(
      Answered answered,
      RunRecorded(call, now, id.Name(), detail, [&](Steps& steps) -> absl::StatusOr<std::string> {
        ASSIGN_OR_RETURN(const Rows rows, steps.tx().Query(sql, args));
        if (rows.empty()) {
          ASSIGN_OR_RETURN(const Rows there,
                           steps.tx().Query("SELECT 1 FROM tickets WHERE id = $1", {id}));
          return there.empty() ? NotFoundError() : RefusedError(reason::kTicketNotOpen);
        }
        RETURN_IF_ERROR(steps.NoteTicket(rows.front()));
        const Ticket ticket = TicketOf(steps.effects().tickets.back());
        return absl::StrCat(BoostToColumn(ticket.boost), " ",
                            EncodeTicketAnswer(ticket, context_.pools.Opaque(ticket.pool)));
      }));
  absl::string_view answer = answered.answer;
  ASSIGN_OR_RETURN(const int64_t boost, TakeNumber(answer));
  ASSIGN_OR_RETURN(const TicketAnswer decoded, DecodeTicketAnswer(answer));
  Changed<OpenTicketReport> changed;
  TicketChange& ticket = changed.value.ticket;
  ticket.ticket = decoded.ticket.id;
  ticket.newcomer = decoded.ticket.newcomer;
  ticket.relationship_type = decoded.ticket.relationship_type;
  ticket.state = decoded.ticket.state;
  ticket.create_time = decoded.ticket.create_time;
  ticket.expire_time = decoded.ticket.expire_time;
  ticket.offer_count = decoded.ticket.offer_count;
  ticket.version = decoded.ticket.version;
  ticket.boost = static_cast<double>(boost) / 1e6;
  ASSIGN_OR_RETURN(changed.value.pool, PoolId::FromBytes(decoded.pool));
  ASSIGN_OR_RETURN(ticket.pool, context_.pools.Reveal(decoded.pool));
  changed.effects = std::move(answered.effects);
  return changed;
}

absl::StatusOr<Changed<OpenTicketReport>> SqlOperatorLedger::Requeue(const Call& call,
                                                                     absl::Time now,
                                                                     const TicketId& id) {
  // created_at stays: the place in the queue is kept (M6).
  return ChangeTicket(call, now, id, "",
                      "UPDATE tickets SET version = version + 1, index_pending = $2 "
                      "WHERE id = $1 AND state = 1 RETURNING " HANDRAIL_TICKET_COLUMNS,
                      {id, now});
}

absl::StatusOr<Changed<OpenTicketReport>> SqlOperatorLedger::Boost(const Call& call, absl::Time now,
                                                                   const TicketId& id, int percent,
                                                                   BoostReason why) {
  const double boost = std::clamp(percent, 0, 100) * kMaxBoost / 100;
  return ChangeTicket(call, now, id, absl::StrCat(percent, " ", CodeOf(why)),
                      "UPDATE tickets SET boost = $3, version = version + 1, index_pending = $2 "
                      "WHERE id = $1 AND state IN (1, 2) RETURNING " HANDRAIL_TICKET_COLUMNS,
                      {id, now, BoostToColumn(boost)});
}

absl::StatusOr<Changed<int64_t>> SqlOperatorLedger::DrainPool(const Call& call, absl::Time now,
                                                              const PoolKey& pool,
                                                              absl::Duration how_long) {
  const Blob name{context_.pools.Opaque(pool)};
  ASSIGN_OR_RETURN(
      Answered answered,
      RunRecorded(
          call, now, IdOf(pool).Name(), absl::StrCat(absl::ToInt64Minutes(how_long), " minutes"),
          [&](Steps& steps) -> absl::StatusOr<std::string> {
            RETURN_IF_ERROR(steps.tx()
                                .Execute("INSERT INTO pool_drains (pool, until) VALUES ($1, $2) "
                                         "ON CONFLICT (pool) DO UPDATE SET until = excluded.until",
                                         {name, now + how_long})
                                .status());
            ASSIGN_OR_RETURN(
                const std::vector<Offer> offers,
                steps.OpenOffersWhere("expires_at > 0 AND pool = $1", name, kDrainBatch));
            RETURN_IF_ERROR(steps.LockFor(offers));
            for (const Offer& offer : offers) {
              ASSIGN_OR_RETURN(const bool closed, steps.CloseOffer(offer, OfferEvent::kRescind));
              if (!closed) continue;
              // Whom the newcomer chose has their turn when the drain is over.
              RETURN_IF_ERROR(steps.ReturnChoice(offer.ticket, offer.sponsor));
              RETURN_IF_ERROR(steps.ReturnTicket(offer.ticket));
            }
            return absl::StrCat(steps.effects().offers.size(), " ");
          }));
  absl::string_view answer = answered.answer;
  ASSIGN_OR_RETURN(const int64_t withdrawn, TakeNumber(answer));
  return Changed<int64_t>{withdrawn, std::move(answered.effects)};
}

absl::StatusOr<Effects> SqlOperatorLedger::ResumePool(const Call& call, absl::Time now,
                                                      const PoolKey& pool) {
  const Blob name{context_.pools.Opaque(pool)};
  ASSIGN_OR_RETURN(
      Answered answered,
      RunRecorded(
          call, now, IdOf(pool).Name(), "", [&](Steps& steps) -> absl::StatusOr<std::string> {
            RETURN_IF_ERROR(
                steps.tx().Execute("DELETE FROM pool_drains WHERE pool = $1", {name}).status());
            return std::string("resumed");
          }));
  return std::move(answered.effects);
}

absl::Status SqlOperatorLedger::Record(const Call& call, absl::Time now, absl::string_view subject,
                                       absl::string_view outcome, absl::string_view detail) {
  return database_.Write(call.deadline, [&](Transaction& tx) {
    return record_.Append(tx, ActionOf(call, now, subject, outcome, detail));
  });
}

absl::StatusOr<Page<OperatorAction>> SqlOperatorLedger::ListActions(absl::Time deadline,
                                                                    std::optional<MemberId> who,
                                                                    int limit, int64_t before) {
  Page<OperatorAction> page;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(page, OperatorRecord::List(tx, who, limit, before));
    return absl::OkStatus();
  }));
  return page;
}

absl::StatusOr<int64_t> SqlOperatorLedger::TrimActions(absl::Time deadline, absl::Time before,
                                                       int limit) {
  int64_t trimmed = 0;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(trimmed, record_.Trim(tx, before, limit));
    return absl::OkStatus();
  }));
  return trimmed;
}

absl::StatusOr<AuditReport> SqlOperatorLedger::VerifyActions(absl::Time deadline,
                                                             const KnownSeal& known) {
  return record_.Verify(database_, deadline, known);
}

}  // namespace handrail::matching
