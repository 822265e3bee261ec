#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/matching/stores/codec.h"
#include "services/matching/stores/ledger_sql.h"
#include "services/matching/stores/rows.h"

// Tickets, and what all steps share.
namespace handrail::matching {

using storage::Args;
using storage::Blob;
using storage::Rows;
using storage::Transaction;

SqlLedger::SqlLedger(storage::Database& database, MemberVault& vault, const PoolNames& pools,
                     Random& random, const ProgramPolicies& policies, const LedgerOptions& options)
    : database_(database),
      context_{vault, pools, random, policies, options, database.BackendName() != "sqlite"},
      runner_(database_, context_) {}

absl::StatusOr<Ticket> SqlLedger::TicketFromAnswer(absl::string_view answer) const {
  ASSIGN_OR_RETURN(TicketAnswer decoded, DecodeTicketAnswer(answer));
  ASSIGN_OR_RETURN(decoded.ticket.pool, context_.pools.Reveal(decoded.pool));
  decoded.ticket.philosophy = decoded.ticket.pool.philosophy;
  return std::move(decoded.ticket);
}

absl::StatusOr<std::string> SqlLedger::OpenTicketStep(Steps& steps, const Call& call,
                                                      const NewTicket& ticket, Ticket& opened) {
  const MemberId& member = call.who.member;
  ASSIGN_OR_RETURN(const std::optional<Steps::MemberRow> row, steps.LockMember(member));
  if (!row.has_value() || row->version != ticket.member_version) return ChangedMeanwhileError();
  if (row->standing != Standing::kGood) return RefusedError(reason::kMemberSuspended);
  if (!row->may_match) return RefusedError(reason::kConsentRequired);
  if (!row->has_newcomer) return RefusedError(reason::kProfileIncomplete);

  const std::string pool = context_.pools.Opaque(ticket.pool);
  const absl::Time expires = steps.now() + context_.options.ticket_lifetime;
  ASSIGN_OR_RETURN(
      const int64_t inserted,
      steps.tx().Execute(
          "INSERT INTO tickets (id, member, relationship_type, pool, state, "
          "created_at, expires_at, boost, version, offer_count, index_pending, "
          "importance, choosing, care_at, contact) VALUES ($1, $2, $3, $4, 1, $5, $6, 0, 1, 0, $5, "
          "$7, $8, $9, $10) ON CONFLICT DO NOTHING",
          {ticket.id, member, static_cast<int64_t>(ticket.relationship_type), Blob{pool},
           steps.now(), expires, static_cast<int64_t>(ticket.importance.bits()), ticket.choosing,
           steps.FirstTicketCare(expires), ticket.temporary_contact_while_waiting}));
  if (inserted == 0) {
    ASSIGN_OR_RETURN(const Rows open,
                     steps.tx().Query("SELECT id FROM tickets WHERE member = $1 AND "
                                      "relationship_type = $2 AND state IN (1, 2)",
                                      {member, static_cast<int64_t>(ticket.relationship_type)}));
    if (open.empty()) return RunAgainError();  // it was closed a moment ago
    return TicketAlreadyOpenError(open.front().Id<TicketId>(0));
  }
  TicketChange change;
  change.ticket = ticket.id;
  change.newcomer = member;
  change.relationship_type = ticket.relationship_type;
  change.pool = ticket.pool;
  change.create_time = absl::FromUnixMicros(absl::ToUnixMicros(steps.now()));
  change.expire_time = absl::FromUnixMicros(absl::ToUnixMicros(expires));
  change.importance = ticket.importance;
  change.choosing = ticket.choosing;
  change.version = 1;
  opened = TicketOf(change);
  steps.effects().tickets.push_back(std::move(change));
  return EncodeTicketAnswer(opened, pool);
}

void SqlLedger::OpenTicket(const Call& call, absl::Time now, const NewTicket& ticket,
                           TicketDone done) {
  struct State {
    Call call;
    NewTicket ticket;
    Changed<Ticket> result;
  };
  auto state = std::make_shared<State>(State{call, ticket, {}});
  database_.WriteAsync(
      call.deadline,
      [this, state, now](Transaction& tx) -> absl::Status {
        state->result = {};
        ASSIGN_OR_RETURN(const std::optional<std::string> replay,
                         storage::FindAnswer(tx, state->call));
        if (replay.has_value()) {
          ASSIGN_OR_RETURN(state->result.value, TicketFromAnswer(*replay));
          return absl::OkStatus();
        }
        Steps steps(tx, context_, now, state->result.effects);
        ASSIGN_OR_RETURN(const std::string answer,
                         OpenTicketStep(steps, state->call, state->ticket, state->result.value));
        return storage::RecordAnswer(tx, state->call, now, answer);
      },
      [state, done = std::move(done)](absl::Status status) {
        if (!status.ok()) {
          done(std::move(status));
        } else {
          done(std::move(state->result));
        }
      });
}

absl::StatusOr<std::optional<Ticket>> SqlLedger::FindOpenTicketAnswer(const Call& call) {
  std::optional<std::string> replay;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(replay, storage::FindAnswer(tx, call));
    return absl::OkStatus();
  }));
  if (!replay.has_value()) return std::optional<Ticket>();
  ASSIGN_OR_RETURN(Ticket ticket, TicketFromAnswer(*replay));
  return std::optional<Ticket>(std::move(ticket));
}

absl::StatusOr<Ticket> SqlLedger::GetTicket(const Call& call, const TicketId& id) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      ReadRows(call.deadline, HANDRAIL_TICKET_QUERY "WHERE t.id = $1 AND t.member = $2",
               {id, call.who.member}));
  if (rows.empty()) return NotFoundError();
  return ReadTicket(rows.front(), context_.pools);
}

absl::StatusOr<Page<Ticket>> SqlLedger::ListTickets(const Call& call, int limit,
                                                    std::optional<PageStart> after) {
  const PageStart start = after.value_or(PageStart{absl::FromUnixMicros(INT64_MAX), {}});
  ASSIGN_OR_RETURN(
      const Rows rows,
      ReadRows(call.deadline,
               HANDRAIL_TICKET_QUERY "WHERE t.member = $1 AND (t.created_at, t.id) < ($2, $3) "
                                     "ORDER BY t.created_at DESC, t.id DESC LIMIT $4",
               {call.who.member, start.create_time, start.id, limit + 1}));
  Page<Ticket> page;
  page.more = rows.size() > static_cast<size_t>(limit);
  for (const storage::Row& row : rows) {
    if (page.items.size() == static_cast<size_t>(limit)) break;
    ASSIGN_OR_RETURN(Ticket ticket, ReadTicket(row, context_.pools));
    page.items.push_back(std::move(ticket));
  }
  return page;
}

absl::StatusOr<Changed<Ticket>> SqlLedger::CancelTicket(const Call& call, absl::Time now,
                                                        const TicketId& id) {
  ASSIGN_OR_RETURN(
      Answered answered, RunOnce(call, now, [&](Steps& steps) -> absl::StatusOr<std::string> {
        ASSIGN_OR_RETURN(const std::vector<Offer> offers,
                         steps.OpenOffersWhere("ticket = $1", id, kMaxCapacity));
        RETURN_IF_ERROR(steps.LockFor(offers));
        RETURN_IF_ERROR(steps.LockTickets({id}));
        ASSIGN_OR_RETURN(Rows rows, steps.tx().Query("SELECT " HANDRAIL_TICKET_COLUMNS
                                                     " FROM tickets WHERE id = $1 AND member = $2",
                                                     {id, call.who.member}));
        if (rows.empty()) return NotFoundError();
        ASSIGN_OR_RETURN(TicketChange change, ReadTicketChange(rows.front(), context_.pools));
        const Step<TicketState> step = Apply(change.state, TicketEvent::kCancel);
        if (step.refused()) return RefusedError(step.refusal);
        if (step.moves()) {
          // An offer that was made after the list was read has a sponsor who is not locked yet.
          ASSIGN_OR_RETURN(const std::vector<Offer> again,
                           steps.OpenOffersWhere("ticket = $1", id, kMaxCapacity));
          for (const Offer& offer : again) {
            const bool locked =
                std::any_of(offers.begin(), offers.end(),
                            [&offer](const Offer& known) { return known.id == offer.id; });
            if (!locked) return RunAgainError();
            RETURN_IF_ERROR(steps.CloseOffer(offer, OfferEvent::kRescind).status());
          }
          RETURN_IF_ERROR(steps.WithdrawTicket(id));
          if (steps.effects().tickets.empty()) return RunAgainError();
          change = steps.effects().tickets.back();
        }
        return EncodeTicketAnswer(TicketOf(change), context_.pools.Opaque(change.pool));
      }));
  Changed<Ticket> changed;
  ASSIGN_OR_RETURN(changed.value, TicketFromAnswer(answered.answer));
  changed.effects = std::move(answered.effects);
  return changed;
}

absl::StatusOr<Effects> SqlLedger::ExpireTickets(absl::Time deadline, absl::Time now, int limit) {
  // Care is never due later than the end of a ticket, and its index finds both.
  ASSIGN_OR_RETURN(const Rows found,
                   ReadRows(deadline,
                            "SELECT id FROM tickets WHERE state IN (1, 2) AND state = 1 AND "
                            "wait_band IN (0, 1, 2, 3) AND care_at <= $1 AND expires_at <= $1 "
                            "LIMIT $2",
                            {now, limit}));
  if (found.empty()) return Effects();
  std::vector<TicketId> due;
  due.reserve(found.size());
  for (const storage::Row& row : found) due.push_back(row.Id<TicketId>(0));
  return Run(deadline, now, [&](Steps& steps) -> absl::Status {
    RETURN_IF_ERROR(steps.LockTickets(due));
    for (const TicketId& id : due) {
      ASSIGN_OR_RETURN(const Rows rows,
                       steps.tx().Query("UPDATE tickets SET state = 5, version = version + 1, "
                                        "index_pending = $2 WHERE id = $1 AND state = 1 "
                                        "AND expires_at <= $2 RETURNING " HANDRAIL_TICKET_COLUMNS,
                                        {id, now}));
      if (rows.empty()) continue;
      RETURN_IF_ERROR(steps.NoteTicket(rows.front()));
      Steps::NoticeText text;
      text.kind = NoticeKind::kTicketExpired;
      text.subject = id;
      RETURN_IF_ERROR(steps.Notify(rows.front().Id<MemberId>(1), text));
    }
    return absl::OkStatus();
  });
}

}  // namespace handrail::matching
