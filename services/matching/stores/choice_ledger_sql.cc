#include "services/matching/stores/choice_ledger_sql.h"

#include <utility>

#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/matching/stores/codec.h"
#include "services/matching/stores/rows.h"

namespace handrail::matching {

using storage::Blob;
using storage::Rows;
using storage::Transaction;

// Behind a condition over `tickets`; $2 is now.
#define HANDRAIL_POOL_NOT_DRAINED                                                        \
  "AND NOT EXISTS (SELECT 1 FROM pool_drains d WHERE d.pool = tickets.pool AND d.until " \
  "> $2) "

SqlChoiceLedger::SqlChoiceLedger(storage::Database& database, MemberVault& vault,
                                 const PoolNames& pools, Random& random,
                                 const ProgramPolicies& policies, const LedgerOptions& options,
                                 SeenHash hash)
    : database_(database),
      context_{vault, pools, random, policies, options, database.BackendName() != "sqlite"},
      hash_(std::move(hash)) {}

absl::StatusOr<Ticket> SqlChoiceLedger::TicketFromAnswer(absl::string_view answer) const {
  ASSIGN_OR_RETURN(TicketAnswer decoded, DecodeTicketAnswer(answer));
  ASSIGN_OR_RETURN(decoded.ticket.pool, context_.pools.Reveal(decoded.pool));
  decoded.ticket.philosophy = decoded.ticket.pool.philosophy;
  return std::move(decoded.ticket);
}

absl::StatusOr<std::string> SqlChoiceLedger::SetChoiceStep(LedgerSteps& steps, const Call& call,
                                                           const TicketId& id,
                                                           absl::Span<const Chosen> sponsors,
                                                           bool then_handrail) {
  Transaction& tx = steps.tx();
  RETURN_IF_ERROR(steps.LockTickets({id}));
  ASSIGN_OR_RETURN(const Rows held, tx.Query("SELECT state, choosing FROM tickets WHERE id = $1 "
                                             "AND member = $2",
                                             {id, call.who.member}));
  if (held.empty()) return NotFoundError();
  if (!IsOpen(static_cast<TicketState>(held.front().Int(0)))) {
    return RefusedError(reason::kTicketNotOpen);
  }
  if (!held.front().Bool(1)) return RefusedError(reason::kChoiceNotExpected);
  RETURN_IF_ERROR(tx.Execute("DELETE FROM ticket_choices WHERE ticket = $1", {id}).status());
  int64_t place = 0;
  for (const Chosen& chosen : sponsors) {
    RETURN_IF_ERROR(tx.Execute("INSERT INTO ticket_choices (ticket, place, sponsor, state, told) "
                               "VALUES ($1, $2, $3, 0, $4)",
                               {id, place++, chosen.sponsor, int64_t{chosen.told.bits()}})
                        .status());
  }
  // While an offer is open the choice that it came from goes on, even with nobody behind it.
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query("UPDATE tickets SET then_handrail = $2, version = version + 1, index_pending = $3, "
               "choosing = CASE WHEN $2 = 1 AND $4 = 0 AND state = 1 THEN 0 ELSE choosing END "
               "WHERE id = $1 RETURNING " HANDRAIL_TICKET_COLUMNS,
               {id, then_handrail, steps.now(), place}));
  if (rows.empty()) return RunAgainError();
  RETURN_IF_ERROR(steps.NoteTicket(rows.front()));
  const TicketChange& change = steps.effects().tickets.back();
  return EncodeTicketAnswer(TicketOf(change), context_.pools.Opaque(change.pool));
}

absl::StatusOr<Changed<Ticket>> SqlChoiceLedger::SetChoice(const Call& call, absl::Time now,
                                                           const TicketId& id,
                                                           absl::Span<const Chosen> sponsors,
                                                           bool then_handrail) {
  std::string answer;
  Changed<Ticket> changed;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    changed.effects = Effects();
    ASSIGN_OR_RETURN(std::optional<std::string> replay, storage::FindAnswer(tx, call));
    if (replay.has_value()) {
      answer = *std::move(replay);
      return absl::OkStatus();
    }
    LedgerSteps steps(tx, context_, now, changed.effects);
    ASSIGN_OR_RETURN(answer, SetChoiceStep(steps, call, id, sponsors, then_handrail));
    return storage::RecordAnswer(tx, call, now, answer);
  }));
  ASSIGN_OR_RETURN(changed.value, TicketFromAnswer(answer));
  return changed;
}

absl::StatusOr<std::optional<Ticket>> SqlChoiceLedger::FindSetChoiceAnswer(const Call& call) {
  std::optional<std::string> replay;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(replay, storage::FindAnswer(tx, call));
    return absl::OkStatus();
  }));
  if (!replay.has_value()) return std::optional<Ticket>();
  ASSIGN_OR_RETURN(Ticket ticket, TicketFromAnswer(*replay));
  return std::optional<Ticket>(std::move(ticket));
}

absl::StatusOr<std::optional<ChoiceLedger::Next>> SqlChoiceLedger::FindNext(absl::Time deadline,
                                                                            absl::Time now,
                                                                            const TicketId& id) {
  std::optional<Next> next;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    next.reset();
    ASSIGN_OR_RETURN(const Rows chosen,
                     tx.Query("SELECT sponsor FROM ticket_choices WHERE ticket = $1 "
                              "AND state = 0 ORDER BY place LIMIT 1",
                              {id}));
    if (chosen.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(
        const Rows ticket,
        tx.Query(
            "SELECT " HANDRAIL_TICKET_COLUMNS
            " FROM tickets WHERE id = $1 AND state = 1 AND choosing = 1 " HANDRAIL_POOL_NOT_DRAINED,
            {id, now}));
    if (ticket.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(TicketChange change, ReadTicketChange(ticket.front(), context_.pools));
    next = Next{std::move(change), chosen.front().Id<MemberId>(0)};
    return absl::OkStatus();
  }));
  return next;
}

absl::StatusOr<Effects> SqlChoiceLedger::PassOver(absl::Time deadline, absl::Time now,
                                                  const TicketId& id, const MemberId& sponsor) {
  Effects effects;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    effects = Effects();
    LedgerSteps steps(tx, context_, now, effects);
    RETURN_IF_ERROR(steps.LockTickets({id}));
    ASSIGN_OR_RETURN(const Rows waits, tx.Query("SELECT 1 FROM tickets WHERE id = $1 "
                                                "AND state = 1 AND choosing = 1",
                                                {id}));
    if (waits.empty()) return absl::OkStatus();
    const absl::Status taken = steps.TakeChoice(id, sponsor);
    if (HasReason(taken, reason::kTicketNotOpen)) return absl::OkStatus();
    RETURN_IF_ERROR(taken);
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("UPDATE tickets SET version = version + 1, index_pending = $2, "
                              "choosing = " HANDRAIL_STILL_CHOOSING
                              "WHERE id = $1 RETURNING " HANDRAIL_TICKET_COLUMNS,
                              {id, now}));
    if (rows.empty()) return RunAgainError();
    return steps.NoteTicket(rows.front());
  }));
  return effects;
}

absl::StatusOr<std::vector<TicketId>> SqlChoiceLedger::ListDue(absl::Time deadline, absl::Time now,
                                                               int limit, const TicketId& after) {
  std::vector<TicketId> due;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    due.clear();
    ASSIGN_OR_RETURN(
        const Rows rows,
        tx.Query("SELECT id FROM tickets WHERE choosing = 1 AND state = 1 "
                 "AND id > $1 AND EXISTS (SELECT 1 FROM ticket_choices c "
                 "WHERE c.ticket = tickets.id AND c.state = 0) " HANDRAIL_POOL_NOT_DRAINED
                 "ORDER BY id LIMIT $3",
                 {after, now, limit}));
    for (const storage::Row& row : rows) due.push_back(row.Id<TicketId>(0));
    return absl::OkStatus();
  }));
  return due;
}

absl::StatusOr<int64_t> SqlChoiceLedger::Trim(absl::Time deadline, absl::Time now, int limit) {
  int64_t gone = 0;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    gone = 0;
    ASSIGN_OR_RETURN(const int64_t seen,
                     tx.Execute("DELETE FROM candidates_seen WHERE (member, day, seen) IN "
                                "(SELECT member, day, seen FROM candidates_seen WHERE day < $1 "
                                "LIMIT $2)",
                                {DayOf(now) - 1, limit}));
    ASSIGN_OR_RETURN(const int64_t asked,
                     tx.Execute("DELETE FROM candidate_questions WHERE id IN "
                                "(SELECT id FROM candidate_questions WHERE day < $1 LIMIT $2)",
                                {DayOf(now) - 1, limit}));
    ASSIGN_OR_RETURN(const int64_t chosen,
                     tx.Execute("DELETE FROM ticket_choices WHERE (ticket, place) IN "
                                "(SELECT c.ticket, c.place FROM ticket_choices c "
                                "JOIN tickets t ON t.id = c.ticket WHERE t.state > 2 LIMIT $1)",
                                {limit}));
    gone = seen + asked + chosen;
    return absl::OkStatus();
  }));
  return gone;
}

}  // namespace handrail::matching
