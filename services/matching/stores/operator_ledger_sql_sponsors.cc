#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/stores/codec.h"
#include "services/matching/stores/operator_ledger_sql.h"
#include "services/matching/stores/probation_step.h"
#include "services/matching/stores/rows.h"

// What operators see of sponsors and do for them.
namespace handrail::matching {

using storage::Rows;

namespace {

#define HANDRAIL_SPONSOR_REPORT_QUERY                                                       \
  "SELECT s.id, s.capacity, s.accepting, s.last_offer_at, s.version, "                      \
  "COALESCE(m.attested_at, 0), "                                                            \
  "CASE WHEN m.standing = 1 AND m.may_match = 1 AND m.has_sponsor = 1 THEN 1 ELSE 0 END, "  \
  "(SELECT COUNT(*) FROM seats h WHERE h.sponsor = s.id AND h.held_by = 1), "               \
  "(SELECT COUNT(*) FROM seats h WHERE h.sponsor = s.id AND h.held_by = 2), s.seat_limit, " \
  "s.responsiveness "                                                                       \
  "FROM sponsors s LEFT JOIN members m ON m.id = s.id "

SponsorReport ReadSponsorReport(const storage::Row& row) {
  SponsorReport report;
  Availability& availability = report.seats.availability;
  availability.sponsor = row.Id<MemberId>(0);
  availability.capacity = static_cast<int>(row.Int(1));
  availability.accepting = row.Bool(2);
  availability.last_offer_time = TimeOrNever(row.Int(3));
  availability.version = row.Int(4);
  report.attest_time = TimeOrNever(row.Int(5));
  report.seats.may_be_offered = row.Bool(6);
  availability.open_offer_count = static_cast<int>(row.Int(7));
  availability.pairing_count = static_cast<int>(row.Int(8));
  availability.seat_limit = static_cast<int>(row.Int(9));
  availability.responsiveness = ShareOfColumn(row.Int(10));
  return report;
}

// The sponsor as this transaction leaves them, as an answer of the request log.
absl::StatusOr<std::string> ReportNow(LedgerSteps& steps, const MemberId& sponsor) {
  ASSIGN_OR_RETURN(const Rows rows,
                   steps.tx().Query(HANDRAIL_SPONSOR_REPORT_QUERY "WHERE s.id = $1", {sponsor}));
  const SponsorReport report = ReadSponsorReport(rows.front());
  return absl::StrCat(NeverIsZero(report.attest_time), " ", report.seats.may_be_offered ? 1 : 0,
                      " ", EncodeAvailability(report.seats.availability));
}

absl::StatusOr<SponsorReport> DecodeReport(absl::string_view answer) {
  SponsorReport report;
  ASSIGN_OR_RETURN(const int64_t attested, TakeNumber(answer));
  ASSIGN_OR_RETURN(const int64_t may_be_offered, TakeNumber(answer));
  report.attest_time = TimeOrNever(attested);
  report.seats.may_be_offered = may_be_offered != 0;
  ASSIGN_OR_RETURN(report.seats.availability, DecodeAvailability(answer));
  return report;
}

}  // namespace

absl::StatusOr<Page<SponsorReport>> SqlOperatorLedger::ListSponsors(
    absl::Time deadline, int limit, std::optional<PageStart> after) {
  const RawId start = after.has_value() ? after->id : RawId();
  ASSIGN_OR_RETURN(
      const Rows rows,
      ReadRows(deadline, HANDRAIL_SPONSOR_REPORT_QUERY "WHERE s.id > $1 ORDER BY s.id LIMIT $2",
               {start, limit + 1}));
  Page<SponsorReport> page;
  page.more = rows.size() > static_cast<size_t>(limit);
  for (const storage::Row& row : rows) {
    if (page.items.size() == static_cast<size_t>(limit)) break;
    page.items.push_back(ReadSponsorReport(row));
  }
  return page;
}

absl::StatusOr<std::string> SqlOperatorLedger::DrainSponsorStep(Steps& steps,
                                                                const MemberId& sponsor,
                                                                OpenOffers open_offers) {
  // The sponsor first: an offer to them locks that row too, so none comes after it was looked for.
  RETURN_IF_ERROR(steps.LockSponsors({sponsor}));
  std::vector<Offer> offers;
  if (open_offers == OpenOffers::kWithdraw) {
    ASSIGN_OR_RETURN(offers, steps.OpenOffersWhere("sponsor = $1", sponsor, kMaxCapacity));
  }
  RETURN_IF_ERROR(steps.LockFor(offers, {sponsor}));
  ASSIGN_OR_RETURN(
      const int64_t found,
      steps.tx().Execute("UPDATE sponsors SET accepting = 0, resume_at = 0 WHERE id = $1",
                         {sponsor}));
  if (found == 0) return NotFoundError();
  RETURN_IF_ERROR(steps.TouchSponsor(sponsor));
  RETURN_IF_ERROR(steps.CloseAndReturn(offers, OfferEvent::kRescind));
  return ReportNow(steps, sponsor);
}

absl::StatusOr<Changed<SponsorReport>> SqlOperatorLedger::DrainSponsor(const Call& call,
                                                                       absl::Time now,
                                                                       const MemberId& sponsor,
                                                                       OpenOffers offers) {
  const std::string detail = offers == OpenOffers::kWithdraw ? "withdraw" : "keep";
  ASSIGN_OR_RETURN(Answered answered,
                   RunRecorded(call, now, sponsor.Name(), detail, [&](Steps& steps) {
                     return DrainSponsorStep(steps, sponsor, offers);
                   }));
  Changed<SponsorReport> changed;
  ASSIGN_OR_RETURN(changed.value, DecodeReport(answered.answer));
  changed.effects = std::move(answered.effects);
  return changed;
}

absl::StatusOr<Changed<SponsorReport>> SqlOperatorLedger::EndProbation(const Call& call,
                                                                       absl::Time now,
                                                                       const MemberId& sponsor,
                                                                       ProbationEndReason why) {
  ASSIGN_OR_RETURN(
      Answered answered,
      RunRecorded(call, now, sponsor.Name(), std::string(CodeOf(why)),
                  [&](Steps& steps) -> absl::StatusOr<std::string> {
                    RETURN_IF_ERROR(steps.LockSponsors({sponsor}));
                    ASSIGN_OR_RETURN(
                        const Rows there,
                        steps.tx().Query("SELECT 1 FROM sponsors WHERE id = $1", {sponsor}));
                    if (there.empty()) return NotFoundError();
                    ASSIGN_OR_RETURN(const bool ended, EndProbationStep(steps, sponsor));
                    if (!ended) return RefusedError(reason::kNotOnProbation);
                    return ReportNow(steps, sponsor);
                  }));
  Changed<SponsorReport> changed;
  ASSIGN_OR_RETURN(changed.value, DecodeReport(answered.answer));
  changed.effects = std::move(answered.effects);
  return changed;
}

}  // namespace handrail::matching
