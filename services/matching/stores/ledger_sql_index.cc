#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/matching/stores/help_steps.h"
#include "services/matching/stores/ledger_sql.h"
#include "services/matching/stores/rows.h"
#include "services/matching/stores/sql_list.h"

// What the index, the sweeper and the outbox read and tidy.
namespace handrail::matching {

using storage::Args;
using storage::Blob;
using storage::Rows;
using storage::Transaction;

namespace {

// The seats are counted in the same snapshot as the row is read.
#define HANDRAIL_SPONSOR_QUERY                                                              \
  "SELECT s.id, s.capacity, s.accepting, s.last_offer_at, s.version, m.version, "           \
  "CASE WHEN m.standing = 1 AND m.may_match = 1 AND m.has_sponsor = 1 THEN 1 ELSE 0 END, "  \
  "(SELECT COUNT(*) FROM seats h WHERE h.sponsor = s.id AND h.held_by = 1), "               \
  "(SELECT COUNT(*) FROM seats h WHERE h.sponsor = s.id AND h.held_by = 2), s.seat_limit, " \
  "s.responsiveness "                                                                       \
  "FROM sponsors s LEFT JOIN members m ON m.id = s.id "

constexpr size_t kMarksAUnit = 64;

template <typename Id>
using Marked = std::vector<std::pair<Id, int64_t>>;  // with the version that was told

template <typename Id>
Marked<Id> MarksFrom(const Marked<Id>& all, size_t at) {
  const auto begin = all.begin() + static_cast<std::ptrdiff_t>(std::min(at, all.size()));
  const auto left = static_cast<size_t>(all.end() - begin);
  return {begin, begin + static_cast<std::ptrdiff_t>(std::min(left, kMarksAUnit))};
}

// Rows that somebody holds keep their marks: a mark too many costs less than a wait for those who
// decide about people.
template <typename Id>
absl::Status ClearSome(Transaction& tx, absl::string_view table, const Marked<Id>& marks) {
  if (marks.empty()) return absl::OkStatus();
  // Filled up with the last one, so that the database sees few statements.
  const size_t places = marks.size() == 1 ? 1 : marks.size() <= 8 ? 8 : kMarksAUnit;
  Args args;
  std::string which;
  for (size_t i = 0; i < places; ++i) {
    const auto& [id, version] = marks[std::min(i, marks.size() - 1)];
    args.push_back(id);
    args.push_back(version);
    absl::StrAppend(&which, i == 0 ? "" : " OR ", "(id = $", 2 * i + 1, " AND version = $",
                    2 * i + 2, ")");
  }
  return tx
      .Execute(absl::StrCat("UPDATE ", table, " SET index_pending = 0 WHERE id IN (SELECT id FROM ",
                            table, " WHERE index_pending > 0 AND (", which, ") {skip_locked})"),
               args)
      .status();
}

}  // namespace

absl::StatusOr<std::vector<PoolKey>> SqlLedger::ListWaitingPools(absl::Time deadline) {
  std::set<std::string> names;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    names.clear();
    // One step of the index a pool, however many tickets are in it.
    for (const absl::string_view next :
         {"SELECT pool FROM tickets WHERE state = 1 AND pool > $1 ORDER BY pool LIMIT 1",
          "SELECT pool FROM offers WHERE state = 1 AND exclusive = 0 AND pool > $1 "
          "ORDER BY pool LIMIT 1"}) {
      std::string last;
      while (true) {
        ASSIGN_OR_RETURN(const Rows rows, tx.Query(next, {Blob{last}}));
        if (rows.empty()) break;
        last = std::string(rows.front().Bytes(0));
        names.insert(last);
      }
    }
    return absl::OkStatus();
  }));
  std::vector<PoolKey> pools;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(PoolKey pool, context_.pools.Reveal(name));
    pools.push_back(std::move(pool));
  }
  return pools;
}

absl::StatusOr<std::vector<TicketChange>> SqlLedger::ReadTicketChanges(absl::Time deadline,
                                                                       absl::string_view sql,
                                                                       const Args& args) {
  ASSIGN_OR_RETURN(const Rows rows, ReadRows(deadline, sql, args));
  std::vector<TicketChange> tickets;
  tickets.reserve(rows.size());
  for (const storage::Row& row : rows) {
    ASSIGN_OR_RETURN(TicketChange ticket, ReadTicketChange(row, context_.pools));
    ticket.parallel_limit = context_.policies.Of(ticket.relationship_type).parallel_offers;
    tickets.push_back(std::move(ticket));
  }
  return tickets;
}

absl::StatusOr<std::vector<TicketChange>> SqlLedger::LoadWaiting(absl::Time deadline,
                                                                 const PoolKey& pool, int limit,
                                                                 std::optional<PageStart> after) {
  const PageStart start = after.value_or(PageStart{absl::FromUnixMicros(INT64_MIN), {}});
  return ReadTicketChanges(deadline,
                           "SELECT " HANDRAIL_TICKET_COLUMNS
                           " FROM tickets WHERE state = 1 AND pool = $1 AND created_at >= $2 "
                           "AND (created_at > $2 OR id > $3) ORDER BY created_at, id LIMIT $4",
                           {Blob{context_.pools.Opaque(pool)}, start.create_time, start.id, limit});
}

absl::StatusOr<std::vector<TicketChange>> SqlLedger::LoadOfferedInParallel(absl::Time deadline,
                                                                           const PoolKey& pool,
                                                                           int limit,
                                                                           const TicketId& after) {
  return ReadTicketChanges(deadline,
                           "SELECT " HANDRAIL_TICKET_COLUMNS
                           " FROM tickets WHERE state = 2 AND id IN (SELECT DISTINCT ticket "
                           "FROM offers WHERE state = 1 AND exclusive = 0 AND pool = $1 "
                           "AND ticket > $2 ORDER BY ticket LIMIT $3) ORDER BY id",
                           {Blob{context_.pools.Opaque(pool)}, after, limit});
}

absl::StatusOr<std::vector<WaitingTicket>> SqlLedger::ScanWaiting(absl::Time deadline,
                                                                  const PoolKey& pool, int limit,
                                                                  std::optional<PageStart> after) {
  const PageStart start = after.value_or(PageStart{absl::FromUnixMicros(INT64_MIN), {}});
  ASSIGN_OR_RETURN(
      const Rows rows,
      ReadRows(deadline,
               "SELECT id, created_at, boost, version FROM tickets WHERE state = 1 AND pool = $1 "
               "AND created_at >= $2 AND (created_at > $2 OR id > $3) "
               "ORDER BY created_at, id LIMIT $4",
               {Blob{context_.pools.Opaque(pool)}, start.create_time, start.id, limit}));
  std::vector<WaitingTicket> tickets;
  tickets.reserve(rows.size());
  for (const storage::Row& row : rows) {
    tickets.push_back({row.Id<TicketId>(0), row.Time(1), BoostOfColumn(row.Int(2)), row.Int(3)});
  }
  return tickets;
}

absl::StatusOr<std::vector<TicketChange>> SqlLedger::LoadTickets(absl::Time deadline,
                                                                 absl::Span<const TicketId> ids) {
  std::vector<TicketChange> tickets;
  tickets.reserve(ids.size());
  for (const auto& part : Chunks(ids)) {
    Args args;
    const std::string list = IdList(part, args);
    ASSIGN_OR_RETURN(
        std::vector<TicketChange> some,
        ReadTicketChanges(
            deadline,
            absl::StrCat("SELECT " HANDRAIL_TICKET_COLUMNS " FROM tickets WHERE id IN ", list),
            args));
    for (TicketChange& ticket : some) tickets.push_back(std::move(ticket));
  }
  return tickets;
}

absl::StatusOr<std::vector<SponsorSeats>> SqlLedger::ReadSponsorSeats(absl::Time deadline,
                                                                      absl::string_view sql,
                                                                      const Args& args) {
  ASSIGN_OR_RETURN(const Rows rows, ReadRows(deadline, sql, args));
  std::vector<SponsorSeats> sponsors;
  sponsors.reserve(rows.size());
  for (const storage::Row& row : rows) {
    SponsorSeats sponsor;
    Availability& availability = sponsor.availability;
    availability.sponsor = row.Id<MemberId>(0);
    availability.capacity = static_cast<int>(row.Int(1));
    availability.accepting = row.Bool(2);
    availability.last_offer_time = TimeOrNever(row.Int(3));
    availability.version = row.Int(4);
    availability.open_offer_count = static_cast<int>(row.Int(7));
    availability.pairing_count = static_cast<int>(row.Int(8));
    sponsor.member_version = row.IsNull(5) ? 0 : row.Int(5);
    sponsor.may_be_offered = row.Bool(6);
    availability.seat_limit = static_cast<int>(row.Int(9));
    availability.responsiveness = ShareOfColumn(row.Int(10));
    sponsors.push_back(sponsor);
  }
  return sponsors;
}

absl::StatusOr<std::vector<SponsorSeats>> SqlLedger::ScanSponsors(absl::Time deadline, int limit,
                                                                  const MemberId& after) {
  return ReadSponsorSeats(deadline, HANDRAIL_SPONSOR_QUERY "WHERE s.id > $1 ORDER BY s.id LIMIT $2",
                          {after, limit});
}

absl::StatusOr<std::vector<SponsorSeats>> SqlLedger::LoadSponsors(absl::Time deadline,
                                                                  absl::Span<const MemberId> ids) {
  std::vector<SponsorSeats> sponsors;
  sponsors.reserve(ids.size());
  for (const auto& part : Chunks(ids)) {
    Args args;
    const std::string list = IdList(part, args);
    ASSIGN_OR_RETURN(
        const std::vector<SponsorSeats> some,
        ReadSponsorSeats(deadline, absl::StrCat(HANDRAIL_SPONSOR_QUERY "WHERE s.id IN ", list),
                         args));
    sponsors.insert(sponsors.end(), some.begin(), some.end());
  }
  return sponsors;
}

absl::StatusOr<Ledger::Marks> SqlLedger::LoadMarks(absl::Time deadline, absl::Time before,
                                                   int limit) {
  Marks marks;
  ASSIGN_OR_RETURN(marks.tickets,
                   ReadTicketChanges(deadline,
                                     "SELECT " HANDRAIL_TICKET_COLUMNS
                                     " FROM tickets WHERE index_pending > 0 AND "
                                     "index_pending < $1 ORDER BY index_pending LIMIT $2",
                                     {before, limit}));
  ASSIGN_OR_RETURN(const Rows rows, ReadRows(deadline,
                                             "SELECT id FROM sponsors WHERE index_pending > 0 AND "
                                             "index_pending < $1 ORDER BY index_pending LIMIT $2",
                                             {before, limit}));
  for (const storage::Row& row : rows) marks.sponsors.push_back(row.Id<MemberId>(0));
  return marks;
}

void SqlLedger::ClearMarks(absl::Time deadline, std::vector<std::pair<TicketId, int64_t>> tickets,
                           std::vector<std::pair<MemberId, int64_t>> sponsors) {
  for (size_t at = 0; at < std::max(tickets.size(), sponsors.size()); at += kMarksAUnit) {
    database_.WriteAsync(
        deadline,
        [tickets = MarksFrom(tickets, at), sponsors = MarksFrom(sponsors, at)](Transaction& tx) {
          const absl::Status cleared = ClearSome(tx, "sponsors", sponsors);
          return cleared.ok() ? ClearSome(tx, "tickets", tickets) : cleared;
        },
        [](absl::Status status) {
          if (status.ok()) return;
          Log(Severity::kDebug, "marks_not_cleared", {{LogField::kReason, ReasonOf(status)}});
        });
  }
}

absl::StatusOr<int64_t> SqlLedger::CountWaitingBefore(absl::Time deadline, const PoolKey& pool,
                                                      absl::Time create_time, int limit) {
  ASSIGN_OR_RETURN(const Rows rows,
                   ReadRows(deadline,
                            "SELECT COUNT(*) FROM (SELECT 1 FROM tickets WHERE state = 1 AND "
                            "pool = $1 AND created_at < $2 LIMIT $3) AS ahead",
                            {Blob{context_.pools.Opaque(pool)}, create_time, limit}));
  return rows.front().Int(0);
}

absl::StatusOr<std::vector<OutboxEntry>> SqlLedger::DueOutbox(absl::Time deadline, absl::Time now,
                                                              int limit) {
  // A close waits until its open is delivered.
  ASSIGN_OR_RETURN(
      const Rows rows,
      ReadRows(deadline,
               "SELECT o.id, o.pairing, o.step, o.newcomer, o.sponsor, o.attempts FROM outbox o "
               "WHERE o.due_at <= $1 AND NOT EXISTS (SELECT 1 FROM outbox earlier WHERE "
               "earlier.pairing = o.pairing AND earlier.step < o.step) "
               "ORDER BY o.due_at, o.id LIMIT $2",
               {now, limit}));
  std::vector<OutboxEntry> entries;
  for (const storage::Row& row : rows) {
    OutboxEntry entry;
    entry.id = row.Id<OutboxId>(0);
    entry.pairing = row.Id<PairingId>(1);
    entry.step = static_cast<OutboxEntry::Step>(row.Int(2));
    entry.newcomer = row.Id<MemberId>(3);
    entry.sponsor = row.Id<MemberId>(4);
    entry.attempts = static_cast<int>(row.Int(5));
    entries.push_back(entry);
  }
  return entries;
}

absl::StatusOr<Effects> SqlLedger::OutboxDelivered(absl::Time deadline, const OutboxEntry& entry,
                                                   std::optional<ConversationId> conversation) {
  return Run(deadline, absl::UnixEpoch(), [&](Steps& steps) -> absl::Status {
    RETURN_IF_ERROR(steps.tx().Execute("DELETE FROM outbox WHERE id = $1", {entry.id}).status());
    if (!conversation.has_value()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const Rows rows,
                     steps.tx().Query("UPDATE pairings SET conversation = $2, "
                                      "version = version + 1 WHERE id = $1 AND "
                                      "conversation IS NULL RETURNING offer, ticket",
                                      {entry.pairing, *conversation}));
    if (rows.empty()) return HelpConversationOpened(steps, entry.pairing, *conversation);
    steps.effects().offers.push_back(
        {rows.front().Id<OfferId>(0), rows.front().Id<TicketId>(1), entry.newcomer, entry.sponsor});
    return absl::OkStatus();
  });
}

absl::Status SqlLedger::OutboxDelayed(absl::Time deadline, const OutboxEntry& entry,
                                      absl::Time due) {
  return database_.Write(deadline, [&](Transaction& tx) {
    return tx
        .Execute("UPDATE outbox SET due_at = $2, attempts = attempts + 1 WHERE id = $1",
                 {entry.id, due})
        .status();
  });
}

absl::StatusOr<int64_t> SqlLedger::TrimRequests(absl::Time deadline, absl::Time now, int limit) {
  int64_t trimmed = 0;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(trimmed, storage::TrimRequestLog(tx, now, limit));
    return absl::OkStatus();
  }));
  return trimmed;
}

}  // namespace handrail::matching
