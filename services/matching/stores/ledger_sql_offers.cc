#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/stores/codec.h"
#include "services/matching/stores/ledger_sql.h"
#include "services/matching/stores/offer_round.h"
#include "services/matching/stores/rows.h"

// Offers: made, accepted, declined, timed out, rescinded.
namespace handrail::matching {

using storage::Args;
using storage::Blob;
using storage::Rows;
using storage::Transaction;

namespace {

constexpr int64_t kParallelOffersLimit = 3;

// Of an offer's reasons those that its newcomer was told when they chose; none when they have
// chosen anew since. `choice` has whom they chose and what they were told of each.
void KeepTold(const Rows& choice, Offer& offer) {
  EnumSet<MatchReason> told;
  for (const storage::Row& row : choice) {
    if (row.IsNull(0) || row.Id<MemberId>(0) != offer.sponsor) continue;
    told = EnumSet<MatchReason>::FromBits(static_cast<uint32_t>(row.Int(1)));
  }
  std::erase_if(offer.explanation.reasons,
                [told](MatchReason reason) { return !told.Contains(reason); });
}

// In a drained pool only what an operator's batch has just written down is offered: a run that is
// taken up again later belongs to another drain.
constexpr absl::Duration kRunPassesDrains = absl::Hours(1);

absl::Status RequireOffersFlow(LedgerSteps& steps, const OfferId& offer) {
  const absl::Status flows = steps.RequireNotDrained(steps.effects().tickets.back().pool);
  if (!HasReason(flows, reason::kPoolDrained)) return flows;
  ASSIGN_OR_RETURN(const Rows planned,
                   steps.tx().Query("SELECT 1 FROM batch_pairs p JOIN batch_runs r ON r.id = p.run "
                                    "WHERE p.offer = $1 AND r.created_at > $2",
                                    {offer, steps.now() - kRunPassesDrains}));
  return planned.empty() ? flows : absl::OkStatus();
}

}  // namespace

absl::Status SqlLedger::CheckProposal(Steps& steps, const Proposal& proposal, Steps::Two& two) {
  ASSIGN_OR_RETURN(two, steps.LockTwo(proposal.newcomer, proposal.sponsor));
  if (!two.newcomer.has_value() || two.newcomer->version != proposal.newcomer_version ||
      !two.sponsor.has_value() || two.sponsor->version != proposal.sponsor_version) {
    return ChangedMeanwhileError();
  }
  ASSIGN_OR_RETURN(const bool may_meet, steps.MayMeet(proposal.newcomer, proposal.sponsor, two));
  if (!may_meet) return RefusedError(reason::kRelationshipNotOffered);
  // Cooling down, or together already: then another pairing between the two would be none.
  ASSIGN_OR_RETURN(const Rows cooling,
                   steps.tx().Query("SELECT 1 FROM pair_exclusions WHERE newcomer = $1 "
                                    "AND sponsor = $2 AND until > $3 UNION ALL "
                                    "SELECT 1 FROM pairings WHERE newcomer = $1 "
                                    "AND sponsor = $2 AND state <> 5",
                                    {proposal.newcomer, proposal.sponsor, steps.now()}));
  if (!cooling.empty()) return RefusedError(reason::kRelationshipNotOffered);
  if (proposal.parallel_limit > 1) {  // one ticket is put before a sponsor once at a time
    ASSIGN_OR_RETURN(const Rows open,
                     steps.tx().Query("SELECT 1 FROM offers WHERE ticket = $1 AND sponsor = $2 "
                                      "AND state = 1",
                                      {proposal.ticket, proposal.sponsor}));
    if (!open.empty()) return RefusedError(reason::kRelationshipNotOffered);
  }
  return absl::OkStatus();
}

absl::Status SqlLedger::MakeOfferStep(Steps& steps, const Proposal& proposal, Offer& made) {
  Steps::Two two;
  RETURN_IF_ERROR(CheckProposal(steps, proposal, two));
  Transaction& tx = steps.tx();
  ASSIGN_OR_RETURN(const Rows sponsor, tx.Query("SELECT capacity, accepting, seat_limit "
                                                "FROM sponsors WHERE id = $1 {for_update}",
                                                {proposal.sponsor}));
  if (sponsor.empty() || !sponsor.front().Bool(1)) return RefusedError(reason::kPoolFull);
  const int64_t seats = std::min(sponsor.front().Int(0), sponsor.front().Int(2));
  ASSIGN_OR_RETURN(const std::optional<int64_t> slot, steps.FindFreeSlot(proposal.sponsor, seats));
  if (!slot.has_value()) return RefusedError(reason::kPoolFull);

  const bool parallel = proposal.parallel_limit > 1;
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query(
          "UPDATE tickets SET state = 2, version = version + 1, offer_count = offer_count + 1, "
          "index_pending = $3 WHERE id = $1 AND version = $2 AND member = $4 "
          "AND (state = 1 OR (state = 2 AND $5 = 1)) RETURNING " HANDRAIL_TICKET_COLUMNS,
          {proposal.ticket, proposal.ticket_version, steps.now(), proposal.newcomer, parallel}));
  if (rows.empty()) return ChangedMeanwhileError();
  RETURN_IF_ERROR(steps.NoteTicket(rows.front()));
  RETURN_IF_ERROR(RequireOffersFlow(steps, proposal.offer));
  ++steps.effects().tickets.back().open_offers;
  if (steps.effects().tickets.back().choosing) {
    RETURN_IF_ERROR(steps.TakeChoice(proposal.ticket, proposal.sponsor));
    --steps.effects().tickets.back().chosen_left;
  }
  if (parallel) {
    ASSIGN_OR_RETURN(const std::vector<Offer> open,
                     steps.OpenOffersWhere("ticket = $1", proposal.ticket, kParallelOffersLimit));
    if (static_cast<int>(open.size()) >= proposal.parallel_limit) {
      return RefusedError(reason::kTicketNotOpen);
    }
  }
  const TicketChange& ticket = steps.effects().tickets.back();
  // Another replica's clock may have been ahead of ours when the ticket was opened.
  const absl::Time created = std::max(steps.now(), ticket.create_time);
  ASSIGN_OR_RETURN(
      const std::string explanation,
      context_.vault.Seal(proposal.newcomer, two.newcomer->wrapped_key, kExplanationPlace,
                          proposal.offer, EncodeExplanation(proposal.explanation)));
  RETURN_IF_ERROR(
      tx.Later("INSERT INTO seats (sponsor, slot, held_by, holder) "
               "VALUES ($1, $2, 1, $3)",
               {proposal.sponsor, *slot, proposal.offer}));
  RETURN_IF_ERROR(tx.Later(
      "INSERT INTO offers (id, ticket, newcomer, sponsor, relationship_type, pool, "
      "state, created_at, expires_at, changed_at, version, exclusive, explanation, "
      "care_at) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $7, 1, $9, $10, $11)",
      {proposal.offer, proposal.ticket, proposal.newcomer, proposal.sponsor,
       static_cast<int64_t>(ticket.relationship_type), Blob{context_.pools.Opaque(ticket.pool)},
       created, proposal.expire_time, !parallel, Blob{explanation},
       NextOfferReminder(context_.options.care, created, proposal.expire_time, created)}));
  RETURN_IF_ERROR(
      tx.Later("UPDATE sponsors SET last_offer_at = $2, version = version + 1, "
               "index_pending = $2 WHERE id = $1",
               {proposal.sponsor, steps.now()}));
  steps.effects().sponsors.push_back(proposal.sponsor);
  steps.effects().offers.push_back(
      {proposal.offer, proposal.ticket, proposal.newcomer, proposal.sponsor});
  made.id = proposal.offer;
  made.ticket = proposal.ticket;
  made.newcomer = proposal.newcomer;
  made.sponsor = proposal.sponsor;
  made.relationship_type = ticket.relationship_type;
  made.philosophy = ticket.pool.philosophy;
  made.create_time = created;
  made.expire_time = proposal.expire_time;
  made.explanation = proposal.explanation;
  return absl::OkStatus();
}

absl::StatusOr<Changed<Offer>> SqlLedger::MakeOffer(absl::Time deadline, absl::Time now,
                                                    const Proposal& proposal) {
  Changed<Offer> changed;
  ASSIGN_OR_RETURN(changed.effects, Run(deadline, now, [&](Steps& steps) {
                     return MakeOfferStep(steps, proposal, changed.value);
                   }));
  return changed;
}

std::vector<absl::StatusOr<Changed<Offer>>> SqlLedger::MakeOffers(
    absl::Time deadline, absl::Time now, absl::Span<const Proposal> proposals) {
  OfferRound round(database_, context_, proposals,
                   [this](Steps& steps, const Proposal& proposal, Offer& made) {
                     return MakeOfferStep(steps, proposal, made);
                   });
  return round.Run(deadline, now);
}

absl::StatusOr<Offer> SqlLedger::FindOfferOf(Steps& steps, const Call& call, const OfferId& id,
                                             std::string& pool) {
  ASSIGN_OR_RETURN(const Rows rows, steps.tx().Query("SELECT " HANDRAIL_OFFER_COLUMNS
                                                     " FROM offers WHERE id = $1 AND sponsor = $2",
                                                     {id, call.who.member}));
  if (rows.empty()) return NotFoundError();
  pool = std::string(rows.front().Bytes(5));
  return ReadOffer(rows.front(), context_.pools);
}

absl::Status SqlLedger::TakeOffer(Steps& steps, const Offer& offer, const Pairing& pairing,
                                  absl::string_view pool) {
  Transaction& tx = steps.tx();
  ASSIGN_OR_RETURN(const int64_t accepted,
                   tx.Execute("UPDATE offers SET state = 2, version = version + 1, changed_at = $2 "
                              "WHERE id = $1 AND state = 1",
                              {offer.id, steps.now()}));
  if (accepted == 0) return RefusedError(reason::kOfferNotOpen);
  ASSIGN_OR_RETURN(
      const Rows ticket,
      tx.Query("UPDATE tickets SET state = 3, version = version + 1, index_pending = $2 "
               "WHERE id = $1 AND state = 2 RETURNING " HANDRAIL_TICKET_COLUMNS,
               {offer.ticket, steps.now()}));
  if (ticket.empty()) return RefusedError(reason::kOfferNotOpen);
  RETURN_IF_ERROR(steps.NoteTicket(ticket.front()));
  RETURN_IF_ERROR(
      tx.Later("INSERT INTO pairings (id, offer, ticket, newcomer, sponsor, relationship_type, "
               "pool, state, created_at, trial_end, newcomer_confirmed, sponsor_confirmed, "
               "conversation, ended_at, end_reason, version, care_at) "
               "VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, 0, 0, NULL, 0, 0, 1, $10)",
               {pairing.id, offer.id, offer.ticket, offer.newcomer, offer.sponsor,
                static_cast<int64_t>(offer.relationship_type), Blob{std::string(pool)}, steps.now(),
                pairing.trial_end_time, PlanCheckIn(steps.now(), steps.now()).next}));
  // The seat moves with it; it is never free in between.
  ASSIGN_OR_RETURN(const int64_t moved,
                   tx.Execute("UPDATE seats SET held_by = 2, holder = $2 WHERE holder = $1",
                              {offer.id, pairing.id}));
  if (moved != 1) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("an open offer holds no seat");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SqlLedger::AcceptOfferStep(Steps& steps, const Call& call,
                                                       const OfferId& id) {
  std::string pool;
  ASSIGN_OR_RETURN(const Offer offer, FindOfferOf(steps, call, id, pool));
  if (const auto step = Apply(offer.state, OfferEvent::kAccept); step.refused()) {
    return RefusedError(step.refusal);
  }
  ASSIGN_OR_RETURN(const Steps::Two two, steps.LockTwo(offer.newcomer, offer.sponsor));
  ASSIGN_OR_RETURN(std::vector<Offer> rivals,
                   steps.OpenOffersWhere("ticket = $1", offer.ticket, kParallelOffersLimit));
  RETURN_IF_ERROR(steps.LockFor(rivals));
  ASSIGN_OR_RETURN(const bool may_meet, steps.MayMeet(offer.newcomer, offer.sponsor, two));
  if (!may_meet) return RefusedError(reason::kOfferNotOpen);
  if (context_.locks_rows) {
    const size_t before = rivals.size();
    ASSIGN_OR_RETURN(rivals,
                     steps.OpenOffersWhere("ticket = $1", offer.ticket, kParallelOffersLimit));
    if (rivals.size() > before) return RunAgainError();
  }
  Pairing pairing;
  pairing.id = PairingId::Random(context_.random);
  pairing.offer = offer.id;
  pairing.ticket = offer.ticket;
  pairing.newcomer = offer.newcomer;
  pairing.sponsor = offer.sponsor;
  pairing.relationship_type = offer.relationship_type;
  pairing.philosophy = offer.philosophy;
  pairing.create_time = steps.now();
  pairing.trial_end_time =
      steps.now() + context_.policies.TrialLength(offer.philosophy, offer.relationship_type);
  RETURN_IF_ERROR(TakeOffer(steps, offer, pairing, pool));
  for (const Offer& rival : rivals) {
    if (rival.id == offer.id) continue;
    RETURN_IF_ERROR(steps.CloseOffer(rival, OfferEvent::kRescind).status());
  }
  RETURN_IF_ERROR(steps.RecordAnswer(offer));
  RETURN_IF_ERROR(steps.PutOutbox(pairing, OutboxEntry::Step::kOpen));
  steps.effects().offers.push_back({offer.id, offer.ticket, offer.newcomer, offer.sponsor});
  return EncodePairingAnswer(pairing, pool);
}

absl::StatusOr<Changed<Pairing>> SqlLedger::AcceptOffer(const Call& call, absl::Time now,
                                                        const OfferId& id) {
  return PairingFromAnswer(
      RunOnce(call, now, [&](Steps& steps) { return AcceptOfferStep(steps, call, id); }));
}

absl::StatusOr<std::string> SqlLedger::DeclineOfferStep(Steps& steps, const Call& call,
                                                        const OfferId& id) {
  std::string pool;
  ASSIGN_OR_RETURN(Offer offer, FindOfferOf(steps, call, id, pool));
  const auto step = Apply(offer.state, OfferEvent::kDecline);
  if (step.refused()) return RefusedError(step.refusal);
  RETURN_IF_ERROR(steps.LockFor({offer}));
  ASSIGN_OR_RETURN(const bool closed, steps.CloseOffer(offer, OfferEvent::kDecline));
  if (!closed) return RefusedError(reason::kOfferNotOpen);
  RETURN_IF_ERROR(steps.RecordAnswer(offer));
  RETURN_IF_ERROR(steps.ReturnTicket(offer.ticket));
  offer.state = step.next;
  ++offer.version;
  return EncodeOfferAnswer(offer);
}

absl::StatusOr<Changed<Offer>> SqlLedger::DeclineOffer(const Call& call, absl::Time now,
                                                       const OfferId& id) {
  ASSIGN_OR_RETURN(Answered answered, RunOnce(call, now, [&](Steps& steps) {
                     return DeclineOfferStep(steps, call, id);
                   }));
  ASSIGN_OR_RETURN(const Offer answer, DecodeOfferAnswer(answered.answer));
  ASSIGN_OR_RETURN(std::vector<Offer> offers,
                   ReadOffers(call.deadline, HANDRAIL_OFFER_QUERY "WHERE o.id = $1", {answer.id}));
  if (offers.empty()) return NotFoundError();
  offers.front().state = answer.state;
  offers.front().version = answer.version;
  return Changed<Offer>{std::move(offers.front()), std::move(answered.effects)};
}

absl::StatusOr<Effects> SqlLedger::TimeOutOffers(absl::Time deadline, absl::Time now, int limit) {
  return Run(deadline, now, [&](Steps& steps) -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<Offer> offers,
                     steps.OpenOffersWhere("expires_at <= $1", now, limit));
    RETURN_IF_ERROR(steps.LockFor(offers));
    return steps.CloseAndReturn(offers, OfferEvent::kTimeOut);
  });
}

absl::StatusOr<Effects> SqlLedger::RescindOffer(absl::Time deadline, absl::Time now,
                                                const OfferId& id) {
  return Run(deadline, now, [&](Steps& steps) -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<Offer> offers, steps.OpenOffersWhere("id = $1", id, 1));
    RETURN_IF_ERROR(steps.LockFor(offers));
    return steps.CloseAndReturn(offers, OfferEvent::kRescind);
  });
}

absl::StatusOr<Effects> SqlLedger::RescindLapsed(absl::Time deadline, absl::Time now,
                                                 absl::Time attested_before, int limit) {
  return Run(deadline, now, [&](Steps& steps) -> absl::Status {
    ASSIGN_OR_RETURN(
        const std::vector<Offer> offers,
        steps.OpenOffersWhere("sponsor IN (SELECT id FROM members WHERE attested_at < $1)",
                              attested_before, limit));
    RETURN_IF_ERROR(steps.LockFor(offers));
    return steps.CloseAndReturn(offers, OfferEvent::kRescind);
  });
}

absl::StatusOr<std::vector<Offer>> SqlLedger::ReadOffers(absl::Time deadline, absl::string_view sql,
                                                         const Args& args) {
  ASSIGN_OR_RETURN(const Rows rows, ReadRows(deadline, sql, args));
  std::vector<Offer> offers;
  offers.reserve(rows.size());
  for (const storage::Row& row : rows) {
    ASSIGN_OR_RETURN(Offer offer, ReadWholeOffer(row, context_.pools, context_.vault));
    offers.push_back(std::move(offer));
  }
  return offers;
}

absl::Status SqlLedger::RequireSponsor(Transaction& tx, const MemberId& id) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT has_sponsor FROM members WHERE id = $1", {id}));
  if (!rows.empty() && rows.front().Bool(0)) return absl::OkStatus();
  return Error(absl::StatusCode::kPermissionDenied, reason::kSponsorProfileRequired)
      .Message("this needs a sponsor profile");
}

absl::StatusOr<Page<Offer>> SqlLedger::ListOffers(const Call& call, bool include_closed, int limit,
                                                  std::optional<PageStart> after) {
  RETURN_IF_ERROR(database_.Read(
      call.deadline, [&](Transaction& tx) { return RequireSponsor(tx, call.who.member); }));
  const PageStart start = after.value_or(PageStart{absl::FromUnixMicros(INT64_MAX), {}});
  ASSIGN_OR_RETURN(
      std::vector<Offer> offers,
      ReadOffers(call.deadline,
                 HANDRAIL_OFFER_QUERY
                 "WHERE o.sponsor = $1 AND (o.created_at, o.id) < ($2, $3) AND "
                 "(o.state = 1 OR $4 = 1) ORDER BY o.created_at DESC, o.id DESC LIMIT $5",
                 {call.who.member, start.create_time, start.id, include_closed, limit + 1}));
  Page<Offer> page;
  page.more = offers.size() > static_cast<size_t>(limit);
  if (page.more) offers.resize(static_cast<size_t>(limit));
  page.items = std::move(offers);
  return page;
}

absl::StatusOr<OfferChanges> SqlLedger::ReadOfferChanges(
    const Call& call, absl::Time since, absl::FunctionRef<bool(const OfferVersion&)> wants) {
  OfferChanges changes;
  Rows whole;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    changes = OfferChanges();
    whole.clear();
    ASSIGN_OR_RETURN(Rows rows, tx.Query("SELECT id, state, version, changed_at FROM offers "
                                         "WHERE sponsor = $1 AND state = 1 LIMIT 200",
                                         {call.who.member}));
    ASSIGN_OR_RETURN(Rows closed, tx.Query("SELECT id, state, version, changed_at FROM offers "
                                           "WHERE sponsor = $1 AND changed_at >= $2 AND state <> 1 "
                                           "ORDER BY changed_at DESC LIMIT 200",
                                           {call.who.member, since}));
    rows.insert(rows.end(), std::make_move_iterator(closed.begin()),
                std::make_move_iterator(closed.end()));
    // Whoever has offers is a sponsor, or was one a moment ago.
    if (rows.empty()) return RequireSponsor(tx, call.who.member);
    std::sort(rows.begin(), rows.end(), [](const storage::Row& a, const storage::Row& b) {
      return std::make_pair(a.Int(3), a.Bytes(0)) < std::make_pair(b.Int(3), b.Bytes(0));
    });
    for (const storage::Row& row : rows) {
      const OfferVersion& offer = changes.all.emplace_back(
          OfferVersion{row.Id<OfferId>(0), static_cast<OfferState>(row.Int(1)), row.Int(2)});
      if (!wants(offer)) continue;
      ASSIGN_OR_RETURN(Rows found, tx.Query(HANDRAIL_OFFER_QUERY "WHERE o.id = $1", {offer.offer}));
      for (storage::Row& one : found) whole.push_back(std::move(one));
    }
    return absl::OkStatus();
  }));
  for (const storage::Row& row : whole) {
    ASSIGN_OR_RETURN(Offer offer, ReadWholeOffer(row, context_.pools, context_.vault));
    changes.wanted.push_back(std::move(offer));
  }
  return changes;
}

absl::StatusOr<std::optional<Offer>> SqlLedger::FindOpenOffer(const Call& call,
                                                              const TicketId& id) {
  // Read first: a ticket that is not the newcomer's to choose for never is again.
  ASSIGN_OR_RETURN(const Rows choice,
                   ReadRows(call.deadline,
                            "SELECT c.sponsor, c.told FROM tickets t LEFT JOIN ticket_choices c "
                            "ON c.ticket = t.id WHERE t.id = $1 AND t.choosing = 1",
                            {id}));
  ASSIGN_OR_RETURN(
      std::vector<Offer> offers,
      ReadOffers(call.deadline,
                 HANDRAIL_OFFER_QUERY "WHERE o.ticket = $1 AND o.newcomer = $2 AND o.state = 1 "
                                      "ORDER BY o.expires_at DESC LIMIT 1",
                 {id, call.who.member}));
  if (offers.empty()) return std::optional<Offer>();
  if (!choice.empty()) KeepTold(choice, offers.front());
  return std::optional<Offer>(std::move(offers.front()));
}

absl::StatusOr<std::vector<Offer>> SqlLedger::OpenOffersOf(absl::Time deadline,
                                                           const MemberId& member) {
  return ReadOffers(deadline,
                    HANDRAIL_OFFER_QUERY
                    "WHERE o.state = 1 AND (o.newcomer = $1 OR o.sponsor = $1) LIMIT 200",
                    {member});
}

}  // namespace handrail::matching
