#include <algorithm>

#include "common/base/status.h"
#include "services/matching/domain/responsiveness.h"
#include "services/matching/stores/ledger_steps.h"
#include "services/matching/stores/rows.h"

// The steps of care that happen inside other steps: what a person is told, and what is counted.
namespace handrail::matching {

using storage::Blob;
using storage::Rows;

absl::Status LedgerSteps::Notify(const MemberId& member, const NoticeText& text) {
  const CarePolicy& policy = context_.options.care;
  const absl::Time useless =
      text.useless == absl::InfinitePast() ? now_ + policy.notice_lifetime : text.useless;
  ASSIGN_OR_RETURN(
      const int64_t inserted,
      tx_.Execute("INSERT INTO notices (id, member, kind, subject, step, once, created_at, due_at, "
                  "useless_at, read_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0) "
                  "ON CONFLICT DO NOTHING",
                  {NoticeId::Random(context_.random), member, static_cast<int64_t>(text.kind),
                   text.subject, text.step, text.once, now_, NeverIsZero(text.due), useless}));
  if (inserted == 0) return absl::OkStatus();
  effects_.notices.push_back({member, text.kind});
  return tx_.Later(
      "DELETE FROM notices WHERE member = $1 AND id IN (SELECT id FROM notices "
      "WHERE member = $1 ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET $2)",
      {member, policy.notices_limit});
}

absl::Status LedgerSteps::RecordSilence(const MemberId& sponsor) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx_.Query("UPDATE sponsors SET missed_offers = missed_offers + 1 WHERE id = $1 "
                             "RETURNING missed_offers, accepting, version, responsiveness",
                             {sponsor}));
  if (rows.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(
      tx_.Later("UPDATE sponsors SET responsiveness = $2 WHERE id = $1",
                {sponsor, ShareToColumn(AfterSilence(ShareOfColumn(rows.front().Int(3))))}));
  const int limit = context_.options.care.missed_offers_limit;
  if (limit == 0 || !rows.front().Bool(1) || rows.front().Int(0) < limit) return absl::OkStatus();
  RETURN_IF_ERROR(
      tx_.Later("UPDATE sponsors SET accepting = 0, pause_reason = $2, missed_offers = 0, "
                "resume_at = 0 WHERE id = $1",
                {sponsor, static_cast<int64_t>(PauseReason::kMissedOffers)}));
  RETURN_IF_ERROR(TouchSponsor(sponsor));
  NoticeText text;
  text.kind = NoticeKind::kPausedAfterMissedOffers;
  text.subject = sponsor;
  text.once = rows.front().Int(2);
  return Notify(sponsor, text);
}

absl::Status LedgerSteps::RecordAnswer(const Offer& offer) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx_.Query("SELECT responsiveness FROM sponsors WHERE id = $1", {offer.sponsor}));
  if (rows.empty()) return absl::OkStatus();
  const double now = AfterAnswer(ShareOfColumn(rows.front().Int(0)), now_ - offer.create_time);
  return tx_.Later("UPDATE sponsors SET missed_offers = 0, responsiveness = $2 WHERE id = $1",
                   {offer.sponsor, ShareToColumn(now)});
}

absl::Time LedgerSteps::FirstTicketCare(absl::Time expires) const {
  TicketCareState state;
  state.asked = now_;
  state.expires = expires;
  const TicketCarePlan plan = PlanTicketCare(context_.options.care, state, now_);
  return plan.offer_contact ? now_ : plan.next;
}

absl::StatusOr<bool> LedgerSteps::InsertTicket(TicketChange& change) {
  change.create_time = absl::FromUnixMicros(absl::ToUnixMicros(change.create_time));
  change.expire_time =
      absl::FromUnixMicros(absl::ToUnixMicros(now_ + context_.options.ticket_lifetime));
  change.version = 1;
  ASSIGN_OR_RETURN(
      const int64_t inserted,
      tx_.Execute("INSERT INTO tickets (id, member, relationship_type, pool, state, created_at, "
                  "expires_at, boost, version, offer_count, index_pending, asked_at, care_at) "
                  "VALUES ($1, $2, $3, $4, 1, $5, $6, 0, 1, 0, $7, $7, $8) ON CONFLICT DO NOTHING",
                  {change.ticket, change.newcomer, static_cast<int64_t>(change.relationship_type),
                   Blob{context_.pools.Opaque(change.pool)}, change.create_time, change.expire_time,
                   now_, FirstTicketCare(change.expire_time)}));
  if (inserted == 0) return false;
  effects_.tickets.push_back(change);
  return true;
}

}  // namespace handrail::matching
