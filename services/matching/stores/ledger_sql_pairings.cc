#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/stores/codec.h"
#include "services/matching/stores/ledger_sql.h"
#include "services/matching/stores/rows.h"

// Pairings, and the seats of a sponsor.
namespace handrail::matching {

using storage::Rows;
using storage::Transaction;

absl::StatusOr<Changed<Pairing>> SqlLedger::PairingFromAnswer(
    absl::StatusOr<Answered> answered) const {
  RETURN_IF_ERROR(answered.status());
  ASSIGN_OR_RETURN(PairingAnswer decoded, DecodePairingAnswer(answered->answer));
  ASSIGN_OR_RETURN(const PoolKey pool, context_.pools.Reveal(decoded.pool));
  decoded.pairing.philosophy = pool.philosophy;
  return Changed<Pairing>{std::move(decoded.pairing), std::move(answered->effects)};
}

absl::StatusOr<Pairing> SqlLedger::GetPairing(const Call& call, const PairingId& id) {
  ASSIGN_OR_RETURN(const Rows rows,
                   ReadRows(call.deadline,
                            "SELECT " HANDRAIL_PAIRING_COLUMNS
                            " FROM pairings WHERE id = $1 AND (newcomer = $2 OR sponsor = $2)",
                            {id, call.who.member}));
  if (rows.empty()) return NotFoundError();
  return ReadPairing(rows.front(), context_.pools);
}

absl::StatusOr<Page<Pairing>> SqlLedger::ListPairings(const Call& call, int limit,
                                                      std::optional<PageStart> after) {
  const PageStart start = after.value_or(PageStart{absl::FromUnixMicros(INT64_MAX), {}});
  ASSIGN_OR_RETURN(
      const Rows rows,
      ReadRows(call.deadline,
               "SELECT " HANDRAIL_PAIRING_COLUMNS
               " FROM pairings WHERE (newcomer = $1 OR sponsor = $1) "
               "AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4",
               {call.who.member, start.create_time, start.id, limit + 1}));
  Page<Pairing> page;
  page.more = rows.size() > static_cast<size_t>(limit);
  for (const storage::Row& row : rows) {
    if (page.items.size() == static_cast<size_t>(limit)) break;
    ASSIGN_OR_RETURN(Pairing pairing, ReadPairing(row, context_.pools));
    page.items.push_back(std::move(pairing));
  }
  return page;
}

absl::StatusOr<Changed<Pairing>> SqlLedger::StepPairing(
    const Call& call, absl::Time now, const PairingId& id,
    absl::FunctionRef<absl::Status(Steps&, Pairing&)> step) {
  return StepPairing(
      call, now, id,
      [](Steps& steps, const Pairing& pairing) { return steps.LockSponsors({pairing.sponsor}); },
      step);
}

absl::StatusOr<Changed<Pairing>> SqlLedger::StepPairing(
    const Call& call, absl::Time now, const PairingId& id,
    absl::FunctionRef<absl::Status(Steps&, const Pairing&)> lock,
    absl::FunctionRef<absl::Status(Steps&, Pairing&)> step) {
  return PairingFromAnswer(RunOnce(call, now, [&](Steps& steps) -> absl::StatusOr<std::string> {
    // What is locked comes before the pairing, as everywhere; who the two are never changes.
    constexpr char kQuery[] = "SELECT " HANDRAIL_PAIRING_COLUMNS
                              " FROM pairings WHERE id = $1 AND "
                              "(newcomer = $2 OR sponsor = $2) ";
    ASSIGN_OR_RETURN(Rows rows, steps.tx().Query(kQuery, {id, call.who.member}));
    if (rows.empty()) return NotFoundError();
    ASSIGN_OR_RETURN(Pairing pairing, ReadPairing(rows.front(), context_.pools));
    RETURN_IF_ERROR(lock(steps, pairing));
    if (context_.locks_rows) {
      ASSIGN_OR_RETURN(
          rows, steps.tx().Query(absl::StrCat(kQuery, "{for_update}"), {id, call.who.member}));
      if (rows.empty()) return NotFoundError();
      ASSIGN_OR_RETURN(pairing, ReadPairing(rows.front(), context_.pools));
    }
    RETURN_IF_ERROR(step(steps, pairing));
    return EncodePairingAnswer(pairing, rows.front().Bytes(6));
  }));
}

absl::Status SqlLedger::MovePairing(Steps& steps, Pairing& pairing, PairingState next) {
  ASSIGN_OR_RETURN(const int64_t moved,
                   steps.tx().Execute("UPDATE pairings SET state = $3, version = version + 1, "
                                      "newcomer_confirmed = $4, sponsor_confirmed = $5 "
                                      "WHERE id = $1 AND version = $2",
                                      {pairing.id, pairing.version, static_cast<int64_t>(next),
                                       pairing.newcomer_confirmed, pairing.sponsor_confirmed}));
  if (moved == 0) return RunAgainError();
  pairing.state = next;
  ++pairing.version;
  steps.effects().offers.push_back(
      {pairing.offer, pairing.ticket, pairing.newcomer, pairing.sponsor});
  return absl::OkStatus();
}

absl::StatusOr<Changed<Pairing>> SqlLedger::ConfirmContact(const Call& call, absl::Time now,
                                                           const PairingId& id) {
  return StepPairing(call, now, id, [&](Steps& steps, Pairing& pairing) -> absl::Status {
    const bool by_newcomer = pairing.newcomer == call.who.member;
    const bool other = by_newcomer ? pairing.sponsor_confirmed : pairing.newcomer_confirmed;
    const auto event = other ? PairingEvent::kBothConfirmed : PairingEvent::kOneConfirmed;
    const Step<PairingState> step = Apply(pairing.state, event);
    if (step.refused()) return RefusedError(step.refusal);
    bool& mine = by_newcomer ? pairing.newcomer_confirmed : pairing.sponsor_confirmed;
    if (mine && !step.moves()) return absl::OkStatus();
    mine = true;
    return MovePairing(steps, pairing, step.next);
  });
}

absl::StatusOr<Changed<Pairing>> SqlLedger::PausePairing(const Call& call, absl::Time now,
                                                         const PairingId& id) {
  return StepPairing(call, now, id, [&](Steps& steps, Pairing& pairing) -> absl::Status {
    const Step<PairingState> step = Apply(pairing.state, PairingEvent::kPause);
    if (step.refused()) return RefusedError(step.refusal);
    return step.moves() ? MovePairing(steps, pairing, step.next) : absl::OkStatus();
  });
}

absl::StatusOr<Changed<Pairing>> SqlLedger::ResumePairing(const Call& call, absl::Time now,
                                                          const PairingId& id) {
  return StepPairing(call, now, id, [&](Steps& steps, Pairing& pairing) -> absl::Status {
    const Step<PairingState> step = Apply(pairing.state, PairingEvent::kResume);
    if (step.refused()) return RefusedError(step.refusal);
    return step.moves() ? MovePairing(steps, pairing, step.next) : absl::OkStatus();
  });
}

absl::StatusOr<Changed<Pairing>> SqlLedger::EndPairing(const Call& call, absl::Time now,
                                                       const PairingId& id, EndReason reason) {
  std::vector<Offer> between;
  const auto lock = [&](Steps& steps, const Pairing& pairing) -> absl::Status {
    between.clear();
    if (ForbidsRematch(reason)) {
      // An offer, an acceptance and an answer to a call for help lock both too: what is decided
      // beside this either sees that the two are kept apart, or is found here.
      RETURN_IF_ERROR(steps.LockTwo(pairing.newcomer, pairing.sponsor).status());
      ASSIGN_OR_RETURN(between, steps.OpenOffersBetween(pairing.newcomer, pairing.sponsor));
    }
    return steps.LockFor(between, {pairing.sponsor});
  };
  return StepPairing(call, now, id, lock, [&](Steps& steps, Pairing& pairing) -> absl::Status {
    const Step<PairingState> step = Apply(pairing.state, PairingEvent::kEnd);
    if (step.refused()) return RefusedError(step.refusal);
    RETURN_IF_ERROR(steps.CloseAndReturn(between, OfferEvent::kRescind));
    if (step.moves()) {
      ASSIGN_OR_RETURN(const bool ended, steps.EndPairing(pairing, reason));
      if (!ended) return RunAgainError();
    }
    // Also of a pairing that had ended otherwise: it may take time to say so.
    if (ForbidsRematch(reason)) {
      RETURN_IF_ERROR(steps.SayUnsafe(pairing, call.who.member, reason));
    }
    if (!step.moves()) return absl::OkStatus();
    pairing.state = step.next;
    pairing.end_time = steps.now();
    ++pairing.version;
    return absl::OkStatus();
  });
}

absl::StatusOr<int64_t> SqlLedger::PassTrials(absl::Time deadline, absl::Time now, int limit) {
  int64_t passed = 0;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(
        passed, tx.Execute("UPDATE pairings SET state = 3, version = version + 1 WHERE state = 2 "
                           "AND id IN (SELECT id FROM pairings WHERE state = 2 AND "
                           "trial_end <= $1 ORDER BY trial_end LIMIT $2 {skip_locked})",
                           {now, limit}));
    return absl::OkStatus();
  }));
  return passed;
}

absl::StatusOr<Availability> SqlLedger::ReadAvailability(Transaction& tx, const MemberId& id) {
  Availability availability;
  availability.sponsor = id;
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT capacity, accepting, last_offer_at, version, seat_limit, "
                            "probation_end, pause_reason, resume_at, responsiveness FROM sponsors "
                            "WHERE id = $1",
                            {id}));
  if (rows.empty()) return availability;
  availability.capacity = static_cast<int>(rows.front().Int(0));
  availability.accepting = rows.front().Bool(1);
  availability.last_offer_time = TimeOrNever(rows.front().Int(2));
  availability.version = rows.front().Int(3);
  availability.seat_limit = static_cast<int>(rows.front().Int(4));
  availability.probation_end_time = TimeOrNever(rows.front().Int(5));
  availability.pause_reason = static_cast<PauseReason>(rows.front().Int(6));
  if (rows.front().Int(7) != 0) availability.resume_time = rows.front().Time(7);
  availability.responsiveness = ShareOfColumn(rows.front().Int(8));
  ASSIGN_OR_RETURN(const Rows seats,
                   tx.Query("SELECT held_by FROM seats WHERE sponsor = $1", {id}));
  for (const storage::Row& seat : seats) {
    ++(seat.Int(0) == 1 ? availability.open_offer_count : availability.pairing_count);
  }
  return availability;
}

absl::StatusOr<Availability> SqlLedger::GetAvailability(const Call& call) {
  Availability availability;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(RequireSponsor(tx, call.who.member));
    ASSIGN_OR_RETURN(availability, ReadAvailability(tx, call.who.member));
    return absl::OkStatus();
  }));
  return availability;
}

absl::Status SqlLedger::RescindOverCapacity(Steps& steps, const MemberId& sponsor) {
  ASSIGN_OR_RETURN(const Availability before, ReadAvailability(steps.tx(), sponsor));
  int64_t excess = before.TakenSeats() - before.EffectiveCapacity();
  if (excess <= 0 || before.open_offer_count == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Rows rows,
                   steps.tx().Query("SELECT " HANDRAIL_OFFER_COLUMNS
                                    " FROM offers WHERE sponsor = $1 AND state = 1 "
                                    "ORDER BY created_at DESC, id DESC",
                                    {sponsor}));
  std::vector<Offer> newest;
  for (const storage::Row& row : rows) {
    if (excess-- <= 0) break;
    ASSIGN_OR_RETURN(Offer offer, ReadOffer(row, context_.pools));
    newest.push_back(std::move(offer));
  }
  RETURN_IF_ERROR(steps.LockFor(newest));
  return steps.CloseAndReturn(newest, OfferEvent::kRescind);
}

absl::Status SqlLedger::StoreAvailability(Steps& steps, const MemberId& me,
                                          const AvailabilityWish& wish) {
  const CarePolicy& care = context_.options.care;
  const bool begins = wish.accepting && wish.capacity > 0;
  const bool is_new = begins && care.probation > absl::ZeroDuration();
  const auto reason = wish.accepting ? PauseReason::kUnspecified : PauseReason::kAsked;
  const bool resumes = !wish.accepting && wish.resume_time != absl::InfiniteFuture();
  // Probation begins with the first availability, and only then.
  return steps.tx().Later(
      "INSERT INTO sponsors (id, capacity, accepting, last_offer_at, version, index_pending, "
      "care_at, missed_offers, pause_reason, resume_at, first_available_at, seat_limit, "
      "probation_end) VALUES ($1, $2, $3, 0, 1, $4, $4, 0, $5, $6, $7, $8, $9) "
      "ON CONFLICT (id) DO UPDATE SET capacity = excluded.capacity, "
      "accepting = excluded.accepting, version = sponsors.version + 1, "
      "index_pending = excluded.index_pending, care_at = excluded.care_at, missed_offers = 0, "
      "pause_reason = excluded.pause_reason, resume_at = excluded.resume_at, "
      "first_available_at = CASE WHEN sponsors.first_available_at = 0 "
      "THEN excluded.first_available_at ELSE sponsors.first_available_at END, "
      "seat_limit = CASE WHEN sponsors.first_available_at = 0 "
      "THEN excluded.seat_limit ELSE sponsors.seat_limit END, "
      "probation_end = CASE WHEN sponsors.first_available_at = 0 "
      "THEN excluded.probation_end ELSE sponsors.probation_end END",
      {me, wish.capacity, wish.accepting, steps.now(), static_cast<int64_t>(reason),
       resumes ? absl::ToUnixMicros(wish.resume_time) : int64_t{0},
       begins ? absl::ToUnixMicros(steps.now()) : int64_t{0},
       is_new ? care.probation_seats : kMaxCapacity,
       is_new ? absl::ToUnixMicros(steps.now() + care.probation) : int64_t{0}});
}

absl::StatusOr<Changed<Availability>> SqlLedger::SetAvailability(const Call& call, absl::Time now,
                                                                 const AvailabilityWish& wish) {
  const bool accepting = wish.accepting;
  const MemberId& me = call.who.member;
  ASSIGN_OR_RETURN(
      Answered answered, RunOnce(call, now, [&](Steps& steps) -> absl::StatusOr<std::string> {
        ASSIGN_OR_RETURN(const std::optional<Steps::MemberRow> row, steps.LockMember(me));
        RETURN_IF_ERROR(RequireSponsor(steps.tx(), me));
        // The first copy of the caller was committed between the two reads: decide again.
        if (!row.has_value()) return ChangedMeanwhileError();
        // Saying that one is not there needs no consent.
        if (accepting && row->standing != Standing::kGood) {
          return RefusedError(reason::kMemberSuspended);
        }
        if (accepting && !row->may_match) return RefusedError(reason::kConsentRequired);
        RETURN_IF_ERROR(StoreAvailability(steps, me, wish));
        steps.effects().sponsors.push_back(me);
        RETURN_IF_ERROR(RescindOverCapacity(steps, me));
        ASSIGN_OR_RETURN(const Availability after, ReadAvailability(steps.tx(), me));
        return EncodeAvailability(after);
      }));
  Changed<Availability> changed;
  ASSIGN_OR_RETURN(changed.value, DecodeAvailability(answered.answer));
  changed.effects = std::move(answered.effects);
  return changed;
}

}  // namespace handrail::matching
