#include "services/matching/domain/care.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr std::array<NoticeInfo, kNoticeKindCount> kNotices = {{
    {NoticeKind::kUnspecified, "UNSPECIFIED", "members"},
    {NoticeKind::kOfferReminder, "OFFER_REMINDER", "offers"},
    {NoticeKind::kAttestationDue, "ATTESTATION_DUE", "members"},
    {NoticeKind::kAttestationLapsed, "ATTESTATION_LAPSED", "members"},
    {NoticeKind::kPausedAfterMissedOffers, "PAUSED_AFTER_MISSED_OFFERS", "members"},
    {NoticeKind::kPauseOver, "PAUSE_OVER", "members"},
    {NoticeKind::kProbationOver, "PROBATION_OVER", "members"},
    {NoticeKind::kCheckInDue, "CHECK_IN_DUE", "pairings"},
    {NoticeKind::kStillLooking, "STILL_LOOKING", "tickets"},
    {NoticeKind::kTicketExpiresSoon, "TICKET_EXPIRES_SOON", "tickets"},
    {NoticeKind::kTicketExpired, "TICKET_EXPIRED", "tickets"},
    {NoticeKind::kTemporaryContactAvailable, "TEMPORARY_CONTACT_AVAILABLE", "tickets"},
    {NoticeKind::kTemporaryContactRequested, "TEMPORARY_CONTACT_REQUESTED", "tickets"},
    {NoticeKind::kRematchAvailable, "REMATCH_AVAILABLE", "pairings"},
}};

constexpr bool IsInOrder() {
  for (size_t i = 0; i < kNotices.size(); ++i) {
    if (static_cast<size_t>(kNotices[i].kind) != i) return false;
    if (kNotices[i].code.empty() || kNotices[i].collection.empty()) return false;
  }
  return true;
}
static_assert(IsInOrder(), "every kind has its row, at its place");

// The earlier of `next` and `time`, if that lies ahead.
void Sooner(absl::Time time, absl::Time now, absl::Time& next) {
  if (time > now) next = std::min(next, time);
}

}  // namespace

const NoticeInfo& InfoOf(NoticeKind kind) {
  const auto index = static_cast<size_t>(kind);
  return kNotices[index < kNotices.size() ? index : 0];
}

std::string Notice::SubjectName() const {
  return absl::StrCat(InfoOf(kind).collection, "/", subject.ToString());
}

absl::Status CarePolicy::Validate() const {
  std::vector<std::string> faults;
  const auto check = [&faults](absl::string_view what, absl::Duration value, absl::Duration min,
                               absl::Duration max) {
    if (value >= min && value <= max) return;
    faults.push_back(absl::StrCat(what, " is ", absl::FormatDuration(value), ", not ",
                                  absl::FormatDuration(min), " to ", absl::FormatDuration(max)));
  };
  const absl::Duration none = absl::ZeroDuration();
  const absl::Duration year = absl::Hours(24 * 365);
  check("last_reminder", last_reminder, none, absl::Hours(168));
  check("shortest_reminded", shortest_reminded, none, absl::Hours(168));
  check("probation", probation, none, year);
  check("attestation_notice", attestation_notice, absl::Hours(1), year);
  check("temporary_contact_after", temporary_contact_after, none, year);
  check("expiry_notice", expiry_notice, none, year);
  check("rematch_window", rematch_window, none, year);
  check("notice_lifetime", notice_lifetime, absl::Hours(1), year);
  if (missed_offers_limit < 0 || missed_offers_limit > 100) {
    faults.push_back(
        absl::StrCat("missed_offers_limit is ", missed_offers_limit, ", not 0 to 100"));
  }
  if (probation_seats < 1 || probation_seats > kMaxCapacity) {
    faults.push_back(absl::StrCat("probation_seats is ", probation_seats, ", not 1 to 10"));
  }
  if (notices_limit < 1 || notices_limit > 1000) {
    faults.push_back(absl::StrCat("notices_limit is ", notices_limit, ", not 1 to 1000"));
  }
  if (!std::is_sorted(wait_bands.begin(), wait_bands.end()) || wait_bands.front() <= none) {
    faults.emplace_back("wait_bands do not rise from above zero");
  }
  if (faults.empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat("care: ", absl::StrJoin(faults, "; ")));
}

absl::Time NextOfferReminder(const CarePolicy& policy, absl::Time created, absl::Time expires,
                             absl::Time now) {
  const absl::Duration open = expires - created;
  if (open < policy.shortest_reminded) return kNothingDue;
  const absl::Time half = created + open / 2;
  const absl::Time last = expires - policy.last_reminder;
  absl::Time next = kNothingDue;
  Sooner(half, now, next);
  if (last > half) Sooner(last, now, next);
  return next < expires ? next : kNothingDue;
}

CheckInPlan PlanCheckIn(absl::Time created, absl::Time now) {
  CheckInPlan plan;
  for (const int day : kCheckInDays) {
    const absl::Time due = created + absl::Hours(24 * day);
    if (due <= now) {
      plan.due_day = day;
      plan.due_time = due;
    } else {
      plan.next = due;
      break;
    }
  }
  return plan;
}

TicketCarePlan PlanTicketCare(const CarePolicy& policy, const TicketCareState& state,
                              absl::Time now) {
  TicketCarePlan plan;
  plan.next = kNothingDue;
  for (const absl::Duration bound : policy.wait_bands) {
    if (state.asked + bound <= now) {
      ++plan.band;
    } else {
      Sooner(state.asked + bound, now, plan.next);
    }
  }
  plan.band = std::max(plan.band, state.band);
  plan.tell_wait = plan.band > state.band;
  if (!state.contact_done) {
    const absl::Time due = state.asked + policy.temporary_contact_after;
    plan.offer_contact = due <= now;
    Sooner(due, now, plan.next);
  }
  if (!state.expiry_told) {
    const absl::Time due = state.expires - policy.expiry_notice;
    // A ticket that lives for less than that is not told of at its start.
    plan.tell_expiry = due <= now && due > state.asked;
    Sooner(due, now, plan.next);
  }
  plan.next = std::min(plan.next, state.expires);
  return plan;
}

int BandHours(const CarePolicy& policy, int band) {
  if (band <= 0) return 0;
  const auto index = std::min(static_cast<size_t>(band), policy.wait_bands.size()) - 1;
  return static_cast<int>(absl::ToInt64Hours(policy.wait_bands[index]));
}

SponsorCarePlan PlanSponsorCare(const CarePolicy& policy, absl::Duration attestation_lifetime,
                                const SponsorCareState& state, absl::Time now) {
  SponsorCarePlan plan;
  if (state.on_probation) {
    plan.end_probation = state.probation_end <= now;
    Sooner(state.probation_end, now, plan.next);
  }
  plan.resume = !state.accepting && state.resume <= now;
  Sooner(state.resume, now, plan.next);
  // Who takes no offers need not confirm anything.
  if ((!state.accepting && !plan.resume) || state.attested == absl::InfinitePast()) return plan;
  const absl::Time notice = state.attested + policy.attestation_notice;
  const absl::Time lapse = state.attested + attestation_lifetime;
  plan.tell_lapsed = lapse <= now;
  plan.tell_due = notice <= now && !plan.tell_lapsed;
  Sooner(notice, now, plan.next);
  Sooner(lapse, now, plan.next);
  return plan;
}

absl::Time RematchPlace(absl::Time before, absl::Time now, absl::Duration ticket_lifetime) {
  return std::min(now, std::max(before, now - ticket_lifetime));
}

}  // namespace handrail::matching
