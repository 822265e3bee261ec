#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/stores/codec.h"
#include "services/matching/stores/help_steps.h"
#include "services/matching/stores/ledger_sql.h"
#include "services/matching/stores/rows.h"
#include "services/matching/stores/sql_list.h"

// Our copies of members, blocks, and what they change.
namespace handrail::matching {

using storage::Args;
using storage::Blob;
using storage::Null;
using storage::Rows;
using storage::Value;

namespace {

constexpr int64_t kOpenOffersOfMemberLimit = 256;

absl::StatusOr<std::vector<TicketId>> TicketsThatChose(LedgerSteps& steps, const MemberId& id) {
  ASSIGN_OR_RETURN(const Rows rows,
                   steps.tx().Query("SELECT ticket FROM ticket_choices WHERE sponsor = $1", {id}));
  std::vector<TicketId> tickets;
  tickets.reserve(rows.size());
  for (const storage::Row& row : rows) tickets.push_back(row.Id<TicketId>(0));
  return tickets;
}

// What care and choices know of an erased member. `chose` are the tickets that chose them, locked.
absl::Status ForgetErased(LedgerSteps& steps, const MemberId& id,
                          const std::vector<TicketId>& chose) {
  for (const char* statement : {
           "DELETE FROM notices WHERE member = $1",
           "DELETE FROM check_ins WHERE member = $1",
           "DELETE FROM safety_words WHERE member = $1",
           "DELETE FROM avoided WHERE other = $1",  // their own list went with their copy
           "DELETE FROM candidates_seen WHERE member = $1",
           "DELETE FROM candidate_questions WHERE member = $1",
           "DELETE FROM ticket_choices WHERE ticket IN (SELECT id FROM tickets WHERE member = $1)",
           "DELETE FROM ticket_choices WHERE sponsor = $1",
       }) {
    RETURN_IF_ERROR(steps.tx().Execute(statement, {id}).status());
  }
  for (const TicketId& ticket : chose) {
    // Nobody may be left of the choice; whether the ticket waits for its newcomer is said anew. One
    // that is offered says so when the offer closes.
    ASSIGN_OR_RETURN(
        const Rows rows,
        steps.tx().Query("UPDATE tickets SET version = version + 1, index_pending = $2, "
                         "choosing = " HANDRAIL_STILL_CHOOSING
                         "WHERE id = $1 AND state = 1 AND choosing = 1 "
                         "RETURNING " HANDRAIL_TICKET_COLUMNS,
                         {ticket, steps.now()}));
    for (const storage::Row& row : rows) RETURN_IF_ERROR(steps.NoteTicket(row));
  }
  return absl::OkStatus();
}

// The list as it is now: with the member's row locked, no offer is decided beside it.
absl::Status StoreAvoided(LedgerSteps& steps, const MemberTraits& member) {
  RETURN_IF_ERROR(
      steps.tx().Execute("DELETE FROM avoided WHERE member = $1", {member.member}).status());
  if (member.standing == Standing::kErased) return absl::OkStatus();
  for (const MemberTraits::Avoided& avoided : member.avoided) {
    RETURN_IF_ERROR(steps.tx()
                        .Execute("INSERT INTO avoided (member, other, dual_role) "
                                 "VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                                 {member.member, avoided.other, avoided.dual_role})
                        .status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<MemberTraits>> SqlLedger::LoadMember(absl::Time deadline,
                                                                  const MemberId& id) {
  ASSIGN_OR_RETURN(std::vector<MemberTraits> members, LoadMembers(deadline, {&id, 1}));
  if (members.empty()) return std::optional<MemberTraits>();
  return std::optional<MemberTraits>(std::move(members.front()));
}

absl::StatusOr<std::vector<MemberTraits>> SqlLedger::LoadMembers(absl::Time deadline,
                                                                 absl::Span<const MemberId> ids) {
  std::vector<MemberTraits> members;
  members.reserve(ids.size());
  for (const auto& part : Chunks(ids)) {
    Args args;
    const std::string list = IdList(part, args);
    ASSIGN_OR_RETURN(
        const Rows rows,
        ReadRows(deadline,
                 absl::StrCat("SELECT " HANDRAIL_MEMBER_COLUMNS " FROM members WHERE id IN ", list),
                 args));
    for (const storage::Row& row : rows) {
      ASSIGN_OR_RETURN(MemberTraits member, ReadMember(row, context_.vault));
      members.push_back(std::move(member));
    }
  }
  return members;
}

absl::Status SqlLedger::StoreMember(Steps& steps, const MemberTraits& member,
                                    const std::optional<Steps::MemberRow>& held) {
  std::string wrapped_key = held.has_value() ? held->wrapped_key : std::string();
  Value key = Null{};
  Value traits = Null{};
  if (member.standing != Standing::kErased) {
    if (wrapped_key.empty()) {
      ASSIGN_OR_RETURN(wrapped_key, context_.vault.NewKey(member.member));
    }
    ASSIGN_OR_RETURN(std::string sealed,
                     context_.vault.Seal(member.member, wrapped_key, kTraitsPlace, member.member,
                                         EncodeTraits(member)));
    key = Blob{std::move(wrapped_key)};
    traits = Blob{std::move(sealed)};
  }
  const bool erased = member.standing == Standing::kErased;
  const absl::Time attested =
      member.sponsor.has_value() ? member.sponsor->attest_time : absl::InfinitePast();
  ASSIGN_OR_RETURN(
      const int64_t stored,
      steps.tx().Execute(
          "INSERT INTO members (id, version, standing, may_match, has_newcomer, has_sponsor, "
          "attested_at, wrapped_key, traits) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
          "ON CONFLICT (id) DO UPDATE SET version = excluded.version, "
          "standing = excluded.standing, may_match = excluded.may_match, "
          "has_newcomer = excluded.has_newcomer, has_sponsor = excluded.has_sponsor, "
          "attested_at = excluded.attested_at, wrapped_key = excluded.wrapped_key, "
          "traits = excluded.traits WHERE members.version = $10",
          {member.member, member.version, static_cast<int64_t>(member.standing),
           member.consents_to_matching && member.consents_to_health_data,
           member.newcomer.has_value() && !erased, member.sponsor.has_value() && !erased,
           NeverIsZero(attested), key, traits,
           held.has_value() ? held->version : std::numeric_limits<int64_t>::min()}));
  // Another first copy came between: its version and its key count.
  return stored == 0 ? RunAgainError() : absl::OkStatus();
}

absl::StatusOr<std::vector<Pairing>> SqlLedger::LastingPairingsWhere(Steps& steps,
                                                                     absl::string_view condition,
                                                                     const Args& args) {
  ASSIGN_OR_RETURN(const Rows rows,
                   steps.tx().Query(absl::StrCat("SELECT " HANDRAIL_PAIRING_COLUMNS
                                                 " FROM pairings WHERE state <> 5 AND ",
                                                 condition, " ORDER BY id"),
                                    args));
  std::vector<Pairing> pairings;
  pairings.reserve(rows.size());
  for (const storage::Row& row : rows) {
    ASSIGN_OR_RETURN(Pairing pairing, ReadPairing(row, context_.pools));
    pairings.push_back(std::move(pairing));
  }
  return pairings;
}

absl::Status SqlLedger::EndPairings(Steps& steps, const std::vector<Pairing>& pairings) {
  for (const Pairing& pairing : pairings) {
    ASSIGN_OR_RETURN(const bool ended, steps.EndPairing(pairing, EndReason::kUnspecified));
    if (!ended) continue;
    steps.effects().offers.push_back(
        {pairing.offer, pairing.ticket, pairing.newcomer, pairing.sponsor});
  }
  return absl::OkStatus();
}

absl::Status SqlLedger::Withdraw(Steps& steps, const MemberTraits& member) {
  const MemberId& id = member.member;
  const bool asks = member.MayTakePart() && member.newcomer.has_value();
  const bool gives = member.MayTakePart() && member.sponsor.has_value();
  // The member is locked, so that nothing joins what is found here: an offer, an acceptance and a
  // new ticket lock the member too.
  std::vector<Offer> asked;
  std::vector<Offer> given;
  std::vector<Pairing> ending;
  std::vector<MemberId> sponsors = {id};
  std::vector<TicketId> tickets;
  if (!asks) {
    ASSIGN_OR_RETURN(asked, steps.OpenOffersWhere("newcomer = $1", id, kOpenOffersOfMemberLimit));
    ASSIGN_OR_RETURN(
        const Rows open,
        steps.tx().Query("SELECT id FROM tickets WHERE member = $1 AND state IN (1, 2)", {id}));
    tickets.reserve(open.size());
    for (const storage::Row& ticket : open) tickets.push_back(ticket.Id<TicketId>(0));
  }
  if (!gives) {
    ASSIGN_OR_RETURN(given, steps.OpenOffersWhere("sponsor = $1", id, kOpenOffersOfMemberLimit));
  }
  if (member.standing == Standing::kErased) {
    ASSIGN_OR_RETURN(ending, LastingPairingsWhere(steps, "(newcomer = $1 OR sponsor = $1)", {id}));
    sponsors.reserve(1 + ending.size());
    for (const Pairing& pairing : ending) sponsors.push_back(pairing.sponsor);
  }
  std::vector<TicketId> touched = tickets;
  std::vector<TicketId> chose;
  if (member.standing == Standing::kErased) {
    ASSIGN_OR_RETURN(chose, TicketsThatChose(steps, id));
    touched.insert(touched.end(), chose.begin(), chose.end());
  }
  std::vector<Offer> all = asked;
  all.insert(all.end(), given.begin(), given.end());
  RETURN_IF_ERROR(steps.LockFor(all, std::move(sponsors), std::move(touched)));
  for (const Offer& offer : asked) {
    RETURN_IF_ERROR(steps.CloseOffer(offer, OfferEvent::kRescind).status());
  }
  for (const TicketId& ticket : tickets) RETURN_IF_ERROR(steps.WithdrawTicket(ticket));
  RETURN_IF_ERROR(steps.CloseAndReturn(given, OfferEvent::kRescind));
  RETURN_IF_ERROR(EndPairings(steps, ending));
  RETURN_IF_ERROR(WithdrawFromHelp(steps, member));
  if (member.standing == Standing::kErased) RETURN_IF_ERROR(ForgetErased(steps, id, chose));
  // What they confirmed may be new.
  RETURN_IF_ERROR(steps.tx()
                      .Execute("UPDATE sponsors SET care_at = $2 WHERE id = $1", {id, steps.now()})
                      .status());
  return steps.TouchSponsor(id);  // does nothing without such a row
}

absl::StatusOr<Effects> SqlLedger::ApplyMember(absl::Time deadline, absl::Time now,
                                               const MemberTraits& member) {
  return Run(deadline, now, [&](Steps& steps) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<Steps::MemberRow> held, steps.LockMember(member.member));
    if (held.has_value() && held->version >= member.version) return absl::OkStatus();
    RETURN_IF_ERROR(StoreMember(steps, member, held));
    RETURN_IF_ERROR(StoreAvoided(steps, member));
    RETURN_IF_ERROR(Withdraw(steps, member));
    ASSIGN_OR_RETURN(const Rows tickets,
                     steps.tx().Query("SELECT " HANDRAIL_TICKET_COLUMNS
                                      " FROM tickets WHERE member = $1 AND state IN (1, 2)",
                                      {member.member}));
    for (const storage::Row& row : tickets) RETURN_IF_ERROR(steps.NoteTicket(row));
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> SqlLedger::ApplyBlockStep(Steps& steps, const BlockId& id,
                                               const MemberId& blocker, const MemberId& blocked) {
  // An offer and an acceptance between the two lock the same two rows: one of them comes first.
  ASSIGN_OR_RETURN(const Steps::Two two, steps.LockTwo(blocker, blocked));
  RETURN_IF_ERROR(steps.tx()
                      .Execute("INSERT INTO blocks (id, blocker, blocked, created_at) "
                               "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                               {id, blocker, blocked, steps.now()})
                      .status());
  ASSIGN_OR_RETURN(const std::vector<Offer> offers, steps.OpenOffersBetween(blocker, blocked));
  ASSIGN_OR_RETURN(const std::vector<Pairing> pairings,
                   LastingPairingsWhere(steps,
                                        "((newcomer = $1 AND sponsor = $2) OR "
                                        "(newcomer = $2 AND sponsor = $1))",
                                        {blocker, blocked}));
  std::vector<MemberId> sponsors;
  sponsors.reserve(pairings.size());
  for (const Pairing& pairing : pairings) sponsors.push_back(pairing.sponsor);
  RETURN_IF_ERROR(steps.LockFor(offers, std::move(sponsors)));
  RETURN_IF_ERROR(steps.CloseAndReturn(offers, OfferEvent::kRescind));
  RETURN_IF_ERROR(EndPairings(steps, pairings));
  RETURN_IF_ERROR(KeepApartInHelp(steps, blocker, blocked));
  return two.newcomer.has_value() || two.sponsor.has_value();
}

absl::StatusOr<Effects> SqlLedger::ApplyBlock(absl::Time deadline, absl::Time now,
                                              const BlockId& id, const MemberId& blocker,
                                              const MemberId& blocked) {
  bool locked = false;
  const auto step = [&](Steps& steps) -> absl::Status {
    ASSIGN_OR_RETURN(locked, ApplyBlockStep(steps, id, blocker, blocked));
    return absl::OkStatus();
  };
  ASSIGN_OR_RETURN(Effects effects, Run(deadline, now, step));
  if (locked || !context_.locks_rows) return effects;
  // Neither was known, so there was nothing to lock: both may have come, and an offer between them
  // may have been decided, beside the transaction above. Whoever did not see the block had locked
  // both members before it was committed, so now there are rows to wait for. Before this is done
  // the block is not acknowledged, and meanwhile no such offer can be accepted: that reads blocks.
  ASSIGN_OR_RETURN(Effects rest, Run(deadline, now, step));
  effects.Append(std::move(rest));
  return effects;
}

absl::StatusOr<std::vector<Ledger::PairRecord>> SqlLedger::LoadPairFacts(
    absl::Time deadline, absl::Time now, absl::Span<const MemberId> newcomers) {
  std::vector<PairRecord> records;
  for (const auto& part : Chunks(newcomers)) {
    Args args;
    const std::string list = IdList(part, args);
    args.push_back(now);
    ASSIGN_OR_RETURN(
        const Rows cooling,
        ReadRows(deadline,
                 absl::StrCat("SELECT newcomer, sponsor, until, kind FROM pair_exclusions "
                              "WHERE newcomer IN ",
                              list, " AND until > $", args.size()),
                 args));
    for (const storage::Row& row : cooling) {
      PairRecord record{row.Id<MemberId>(0), row.Id<MemberId>(1), {}};
      record.facts.ended_for_safety = row.Int(2) == INT64_MAX;
      record.facts.cooldown_until = row.Time(2);
      records.push_back(record);
    }
    args.pop_back();
    ASSIGN_OR_RETURN(
        const Rows blocks,
        ReadRows(deadline,
                 absl::StrCat("SELECT blocker, blocked FROM blocks WHERE blocker IN ", list,
                              " UNION SELECT blocked, blocker FROM blocks "
                              "WHERE blocked IN ",
                              list),
                 args));
    for (const storage::Row& row : blocks) {
      PairRecord record{row.Id<MemberId>(0), row.Id<MemberId>(1), {}};
      record.facts.blocked = true;
      records.push_back(record);
    }
    ASSIGN_OR_RETURN(
        const Rows avoided,
        ReadRows(deadline,
                 absl::StrCat("SELECT member, other, dual_role FROM avoided WHERE member IN ", list,
                              " UNION SELECT other, member, dual_role FROM avoided "
                              "WHERE other IN ",
                              list),
                 args));
    for (const storage::Row& row : avoided) {
      PairRecord record{row.Id<MemberId>(0), row.Id<MemberId>(1), {}};
      (row.Bool(2) ? record.facts.dual_role : record.facts.avoided) = true;
      records.push_back(record);
    }
    ASSIGN_OR_RETURN(const Rows together,
                     ReadRows(deadline,
                              absl::StrCat("SELECT newcomer, sponsor FROM pairings "
                                           "WHERE state <> 5 AND newcomer IN ",
                                           list),
                              args));
    for (const storage::Row& row : together) {
      PairRecord record{row.Id<MemberId>(0), row.Id<MemberId>(1), {}};
      // Asked again long before; what decides is the check in MakeOffer.
      record.facts.cooldown_until = now + absl::Hours(1);
      records.push_back(record);
    }
  }
  return records;
}

}  // namespace handrail::matching
