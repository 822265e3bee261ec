#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/base/status.h"
#include "services/matching/stores/care_sql.h"
#include "services/matching/stores/probation_step.h"
#include "services/matching/stores/rows.h"

// What time alone brings about. A row is found by the time at which it needs care next, and decided
// about again under its lock or by compare-and-set.
namespace handrail::matching {

using storage::Rows;
using storage::Transaction;

namespace {

template <typename IdType>
std::vector<IdType> Ids(const Rows& rows, size_t column) {
  std::vector<IdType> ids;
  ids.reserve(rows.size());
  for (const storage::Row& row : rows) ids.push_back(row.Id<IdType>(column));
  return ids;
}

// What a ticket's care looks at, after the columns of HANDRAIL_TICKET_COLUMNS.
constexpr char kTicketCareQuery[] =
    "SELECT " HANDRAIL_TICKET_COLUMNS
    ", asked_at, wait_band, contact, expiry_told FROM tickets "
    "WHERE id = $1 AND state IN (1, 2) AND care_at <= $2 AND expires_at > $2";
constexpr int64_t kContactDone = 2;

}  // namespace

absl::StatusOr<CareStore::Swept> SqlCareStore::RemindOffers(absl::Time deadline, absl::Time now,
                                                            int limit) {
  ASSIGN_OR_RETURN(const Rows due,
                   runner_.ReadRows(deadline,
                                    "SELECT id, sponsor, created_at, expires_at, care_at "
                                    "FROM offers WHERE state = 1 AND care_at <= $1 LIMIT $2",
                                    {now, limit}));
  Swept swept;
  swept.rows = static_cast<int>(due.size());
  if (due.empty()) return swept;
  ASSIGN_OR_RETURN(swept.effects, runner_.Run(deadline, now, [&](Steps& steps) -> absl::Status {
    for (const storage::Row& row : due) {
      const absl::Time created = row.Time(2);
      const absl::Time expires = row.Time(3);
      ASSIGN_OR_RETURN(const int64_t moved,
                       steps.tx().Execute("UPDATE offers SET care_at = $3 WHERE id = $1 AND "
                                          "state = 1 AND care_at = $2",
                                          {row.Id<OfferId>(0), row.Int(4),
                                           NextOfferReminder(policy(), created, expires, now)}));
      const bool is_time = NextOfferReminder(policy(), created, expires, created) <= now;
      if (moved == 0 || !is_time || expires <= now) continue;
      Steps::NoticeText text;
      text.kind = NoticeKind::kOfferReminder;
      text.subject = row.Id<OfferId>(0);
      text.once = row.Int(4);
      text.due = text.useless = expires;
      RETURN_IF_ERROR(steps.Notify(row.Id<MemberId>(1), text));
    }
    return absl::OkStatus();
  }));
  return swept;
}

absl::Status SqlCareStore::OfferContact(Steps& steps, const TicketChange& ticket, int64_t contact,
                                        const std::optional<Steps::MemberRow>& member) {
  constexpr auto kContact = RelationshipType::kTemporaryContact;
  if (!IsBridgedByContact(ticket.relationship_type) ||
      !context_.policies.Allows(ticket.pool.philosophy, kContact) || !member.has_value() ||
      !member->MayTakePart() || !member->has_newcomer) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(
      const Rows there,
      steps.tx().Query("SELECT 1 FROM pairings WHERE newcomer = $1 AND relationship_type = $2 "
                       "AND state <> 5 UNION ALL SELECT 1 FROM tickets WHERE member = $1 AND "
                       "relationship_type = $2 AND state IN (1, 2)",
                       {ticket.newcomer, static_cast<int64_t>(kContact)}));
  if (!there.empty()) return absl::OkStatus();
  Steps::NoticeText text;
  text.kind = NoticeKind::kTemporaryContactAvailable;
  text.subject = ticket.ticket;
  text.useless = ticket.expire_time;
  if (contact == 1) {
    TicketChange bridge;
    bridge.ticket = TicketId::Random(context_.random);
    bridge.newcomer = ticket.newcomer;
    bridge.relationship_type = kContact;
    bridge.pool = ticket.pool;
    bridge.create_time = steps.now();
    ASSIGN_OR_RETURN(const bool opened, steps.InsertTicket(bridge));
    if (!opened) return absl::OkStatus();
    text.kind = NoticeKind::kTemporaryContactRequested;
    text.subject = bridge.ticket;
  }
  return steps.Notify(ticket.newcomer, text);
}

absl::Status SqlCareStore::CareForTicket(Steps& steps, const TicketId& id,
                                         const std::optional<Steps::MemberRow>& member) {
  Transaction& tx = steps.tx();
  ASSIGN_OR_RETURN(const Rows rows, tx.Query(kTicketCareQuery, {id, steps.now()}));
  if (rows.empty()) return absl::OkStatus();  // cared for, or closed, a moment ago
  const storage::Row& row = rows.front();
  ASSIGN_OR_RETURN(const TicketChange ticket, ReadTicketChange(row, context_.pools));
  const size_t own = row.size() - 4;  // after the ticket's
  TicketCareState state;
  state.asked = row.Int(own) != 0 ? row.Time(own) : ticket.create_time;
  state.expires = ticket.expire_time;
  state.band = static_cast<int>(row.Int(own + 1));
  state.contact_done = row.Int(own + 2) == kContactDone;
  state.expiry_told = row.Bool(own + 3);
  const TicketCarePlan plan = PlanTicketCare(policy(), state, steps.now());
  if (plan.tell_wait) {
    // Who has found somebody meanwhile, for another kind of relationship, is not told to be sorry
    // for.
    ASSIGN_OR_RETURN(const Rows somebody,
                     tx.Query("SELECT 1 FROM pairings WHERE newcomer = $1 AND created_at >= $2 "
                              "AND state <> 5 LIMIT 1",
                              {ticket.newcomer, state.asked}));
    Steps::NoticeText text;
    text.kind = NoticeKind::kStillLooking;
    text.subject = id;
    text.step = BandHours(policy(), plan.band);
    text.useless = ticket.expire_time;
    if (somebody.empty()) RETURN_IF_ERROR(steps.Notify(ticket.newcomer, text));
  }
  if (plan.offer_contact) RETURN_IF_ERROR(OfferContact(steps, ticket, row.Int(own + 2), member));
  if (plan.tell_expiry) {
    Steps::NoticeText text;
    text.kind = NoticeKind::kTicketExpiresSoon;
    text.subject = id;
    text.due = text.useless = ticket.expire_time;
    RETURN_IF_ERROR(steps.Notify(ticket.newcomer, text));
  }
  return tx
      .Execute(
          "UPDATE tickets SET wait_band = $2, contact = $3, expiry_told = $4, care_at = $5 "
          "WHERE id = $1",
          {id, plan.band, plan.offer_contact ? kContactDone : row.Int(own + 2),
           plan.tell_expiry || state.expiry_told, plan.next})
      .status();
}

absl::StatusOr<CareStore::Swept> SqlCareStore::CareForTickets(absl::Time deadline, absl::Time now,
                                                              int limit) {
  ASSIGN_OR_RETURN(const Rows due,
                   runner_.ReadRows(deadline,
                                    "SELECT id, member FROM tickets WHERE state IN (1, 2) AND "
                                    "wait_band IN (0, 1, 2, 3) AND care_at <= $1 AND "
                                    "expires_at > $1 LIMIT $2",
                                    {now, limit}));
  Swept swept;
  swept.rows = static_cast<int>(due.size());
  if (due.empty()) return swept;
  ASSIGN_OR_RETURN(swept.effects, runner_.Run(deadline, now, [&](Steps& steps) -> absl::Status {
    std::vector<MemberId> newcomers = Ids<MemberId>(due, 1);
    std::sort(newcomers.begin(), newcomers.end());
    absl::flat_hash_map<MemberId, std::optional<Steps::MemberRow>> members;
    for (const MemberId& id : newcomers) {
      if (members.contains(id)) continue;
      ASSIGN_OR_RETURN(members[id], steps.LockMember(id));
    }
    RETURN_IF_ERROR(steps.LockTickets(Ids<TicketId>(due, 0)));
    for (const storage::Row& row : due) {
      RETURN_IF_ERROR(CareForTicket(steps, row.Id<TicketId>(0), members[row.Id<MemberId>(1)]));
    }
    return absl::OkStatus();
  }));
  return swept;
}

absl::Status SqlCareStore::CareForPairing(Steps& steps, const PairingId& id) {
  Transaction& tx = steps.tx();
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT newcomer, sponsor, created_at, care_at FROM pairings "
                            "WHERE id = $1 AND state <> 5 AND care_at <= $2",
                            {id, steps.now()}));
  if (rows.empty()) return absl::OkStatus();
  const storage::Row& row = rows.front();
  const CheckInPlan plan = PlanCheckIn(row.Time(2), steps.now());
  ASSIGN_OR_RETURN(const int64_t moved, tx.Execute("UPDATE pairings SET care_at = $3 WHERE id = $1 "
                                                   "AND state <> 5 AND care_at = $2",
                                                   {id, row.Int(3), plan.next}));
  if (moved == 0 || plan.due_day == 0) return absl::OkStatus();
  for (const size_t column : {size_t{0}, size_t{1}}) {
    const auto member = row.Id<MemberId>(column);
    ASSIGN_OR_RETURN(const int64_t asked,
                     tx.Execute("INSERT INTO check_ins (pairing, member, day, due_at, answered_at, "
                                "answer) VALUES ($1, $2, $3, $4, 0, NULL) ON CONFLICT DO NOTHING",
                                {id, member, plan.due_day, plan.due_time}));
    if (asked == 0) continue;
    Steps::NoticeText text;
    text.kind = NoticeKind::kCheckInDue;
    text.subject = id;
    text.step = plan.due_day;
    text.due = plan.due_time;
    RETURN_IF_ERROR(steps.Notify(member, text));
  }
  return absl::OkStatus();
}

absl::StatusOr<CareStore::Swept> SqlCareStore::CareForPairings(absl::Time deadline, absl::Time now,
                                                               int limit) {
  ASSIGN_OR_RETURN(const Rows due,
                   runner_.ReadRows(deadline,
                                    "SELECT id FROM pairings WHERE state <> 5 AND care_at <= $1 "
                                    "ORDER BY care_at LIMIT $2",
                                    {now, limit}));
  Swept swept;
  swept.rows = static_cast<int>(due.size());
  if (due.empty()) return swept;
  std::vector<PairingId> ids = Ids<PairingId>(due, 0);
  std::sort(ids.begin(), ids.end());
  ASSIGN_OR_RETURN(swept.effects, runner_.Run(deadline, now, [&](Steps& steps) -> absl::Status {
    for (const PairingId& id : ids) RETURN_IF_ERROR(CareForPairing(steps, id));
    return absl::OkStatus();
  }));
  return swept;
}

absl::Status SqlCareStore::CareForSponsor(Steps& steps, const MemberId& id) {
  Transaction& tx = steps.tx();
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT s.accepting, s.seat_limit, s.probation_end, s.resume_at, "
                            "s.version, m.attested_at, m.has_sponsor FROM sponsors s "
                            "LEFT JOIN members m ON m.id = s.id WHERE s.id = $1 AND "
                            "s.care_at <= $2",
                            {id, steps.now()}));
  if (rows.empty()) return absl::OkStatus();
  const storage::Row& row = rows.front();
  SponsorCareState state;
  state.accepting = row.Bool(0);
  state.on_probation = row.Int(1) < kMaxCapacity;
  state.probation_end = TimeOrNever(row.Int(2));
  if (row.Int(3) != 0) state.resume = row.Time(3);
  const bool is_sponsor = !row.IsNull(5) && row.Bool(6);
  if (is_sponsor) state.attested = TimeOrNever(row.Int(5));
  const SponsorCarePlan plan =
      PlanSponsorCare(policy(), context_.options.attestation_lifetime, state, steps.now());
  RETURN_IF_ERROR(
      tx.Execute("UPDATE sponsors SET care_at = $2 WHERE id = $1", {id, plan.next}).status());
  Steps::NoticeText text;
  text.subject = id;
  text.once = row.Int(4);
  if (plan.end_probation) {
    RETURN_IF_ERROR(tx.Execute("UPDATE sponsors SET seat_limit = $2, probation_end = 0 "
                               "WHERE id = $1",
                               {id, kMaxCapacity})
                        .status());
    text.kind = NoticeKind::kProbationOver;
    RETURN_IF_ERROR(steps.Notify(id, text));
  }
  if (plan.resume) {
    RETURN_IF_ERROR(tx.Execute("UPDATE sponsors SET accepting = 1, resume_at = 0, "
                               "pause_reason = 0, missed_offers = 0 WHERE id = $1",
                               {id})
                        .status());
    text.kind = NoticeKind::kPauseOver;
    text.due = state.resume;
    RETURN_IF_ERROR(steps.Notify(id, text));
  }
  if (plan.end_probation || plan.resume) RETURN_IF_ERROR(steps.TouchSponsor(id));
  if (!plan.tell_due && !plan.tell_lapsed) return absl::OkStatus();
  text.kind = plan.tell_due ? NoticeKind::kAttestationDue : NoticeKind::kAttestationLapsed;
  text.once = row.Int(5);  // again after the next confirmation
  text.due = state.attested + context_.options.attestation_lifetime;
  return steps.Notify(id, text);
}

absl::StatusOr<CareStore::Swept> SqlCareStore::CareForSponsors(absl::Time deadline, absl::Time now,
                                                               int limit) {
  ASSIGN_OR_RETURN(const Rows due, runner_.ReadRows(deadline,
                                                    "SELECT id FROM sponsors WHERE care_at <= $1 "
                                                    "ORDER BY care_at LIMIT $2",
                                                    {now, limit}));
  Swept swept;
  swept.rows = static_cast<int>(due.size());
  if (due.empty()) return swept;
  const std::vector<MemberId> ids = Ids<MemberId>(due, 0);
  ASSIGN_OR_RETURN(swept.effects, runner_.Run(deadline, now, [&](Steps& steps) -> absl::Status {
    RETURN_IF_ERROR(steps.LockSponsors(ids));
    for (const MemberId& id : ids) RETURN_IF_ERROR(CareForSponsor(steps, id));
    return absl::OkStatus();
  }));
  return swept;
}

absl::StatusOr<bool> EndProbationStep(LedgerSteps& steps, const MemberId& sponsor) {
  ASSIGN_OR_RETURN(const Rows ended,
                   steps.tx().Query("UPDATE sponsors SET seat_limit = $2, probation_end = 0 "
                                    "WHERE id = $1 AND seat_limit < $2 RETURNING version",
                                    {sponsor, kMaxCapacity}));
  if (ended.empty()) return false;
  RETURN_IF_ERROR(steps.TouchSponsor(sponsor));
  LedgerSteps::NoticeText text;
  text.kind = NoticeKind::kProbationOver;
  text.subject = sponsor;
  text.once = ended.front().Int(0);
  RETURN_IF_ERROR(steps.Notify(sponsor, text));
  return true;
}

absl::StatusOr<Effects> SqlCareStore::EndProbation(absl::Time deadline, absl::Time now,
                                                   const MemberId& sponsor) {
  return runner_.Run(deadline, now, [&](Steps& steps) -> absl::Status {
    RETURN_IF_ERROR(steps.LockSponsors({sponsor}));
    return EndProbationStep(steps, sponsor).status();
  });
}

absl::StatusOr<int64_t> SqlCareStore::TrimNotices(absl::Time deadline, absl::Time now, int limit) {
  int64_t trimmed = 0;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(trimmed,
                     tx.Execute("DELETE FROM notices WHERE id IN (SELECT id FROM notices WHERE "
                                "useless_at <= $1 ORDER BY useless_at LIMIT $2 {skip_locked})",
                                {now, limit}));
    return absl::OkStatus();
  }));
  return trimmed;
}

}  // namespace handrail::matching
