#include "services/matching/domain/care.h"

#include <gtest/gtest.h>

#include <set>

#include "common/base/status.h"

namespace handrail::matching {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1772366400);
absl::Time At(absl::Duration after) { return kStart + after; }
constexpr absl::Duration kDay = absl::Hours(24);

TEST(CareTest, AnOfferIsRemindedOfAtHalfTimeAndTwoHoursBeforeItsEnd) {
  const CarePolicy policy;
  const auto next = [&](absl::Duration open, absl::Duration now) {
    return NextOfferReminder(policy, kStart, At(open), At(now)) - kStart;
  };
  EXPECT_EQ(next(kDay, absl::ZeroDuration()), absl::Hours(12));
  EXPECT_EQ(next(kDay, absl::Hours(12)), absl::Hours(22));
  EXPECT_EQ(next(kDay, absl::Hours(22)), absl::InfiniteDuration());
  // Half-time comes after the last reminder, or the offer is open for too short a time.
  EXPECT_EQ(next(absl::Hours(3), absl::ZeroDuration()), absl::Minutes(90));
  EXPECT_EQ(next(absl::Hours(3), absl::Minutes(90)), absl::InfiniteDuration());
  EXPECT_EQ(next(absl::Minutes(29), absl::ZeroDuration()), absl::InfiniteDuration());
  EXPECT_EQ(next(absl::Minutes(30), absl::ZeroDuration()), absl::Minutes(15));
}

TEST(CareTest, BothAreAskedOnDays3And14And30And90) {
  std::vector<std::pair<int, int64_t>> asked;
  for (int64_t hour = 0; hour <= 24 * 120; ++hour) {
    const CheckInPlan plan = PlanCheckIn(kStart, At(absl::Hours(hour)));
    if (plan.due_day != 0 && (asked.empty() || asked.back().first != plan.due_day)) {
      asked.emplace_back(plan.due_day, hour);
      EXPECT_EQ(plan.due_time, At(absl::Hours(hour)));
    }
  }
  const std::vector<std::pair<int, int64_t>> want = {{3, 72}, {14, 336}, {30, 720}, {90, 2160}};
  EXPECT_EQ(asked, want);
  EXPECT_EQ(PlanCheckIn(kStart, At(100 * kDay)).next, kNothingDue);
  EXPECT_EQ(PlanCheckIn(kStart, kStart).next, At(3 * kDay));
}

// Follows a ticket as the sweep does: only when something is due, at once or `late`.
struct Told {
  std::multiset<int> bands;
  int contact = 0;
  int expiry = 0;
  int steps = 0;
};
Told Follow(const CarePolicy& policy, absl::Duration late, absl::Duration lifetime = 30 * kDay) {
  TicketCareState state;
  state.asked = kStart;
  state.expires = kStart + lifetime;
  absl::Time next = PlanTicketCare(policy, state, kStart).next;
  Told told;
  while (next + late < state.expires && ++told.steps < 20) {
    const TicketCarePlan plan = PlanTicketCare(policy, state, next + late);
    if (plan.tell_wait) told.bands.insert(BandHours(policy, plan.band));
    told.contact += plan.offer_contact ? 1 : 0;
    told.expiry += plan.tell_expiry ? 1 : 0;
    state.band = plan.band;
    state.contact_done |= plan.offer_contact;
    state.expiry_told |= plan.tell_expiry;
    EXPECT_LE(plan.next, state.expires);
    next = std::max(plan.next, next + absl::Microseconds(1));
  }
  return told;
}

TEST(CareTest, ATicketThatWaitsIsToldOfEachBoundOnce) {
  for (const absl::Duration late : {absl::ZeroDuration(), absl::Seconds(7), absl::Hours(3)}) {
    const Told told = Follow(CarePolicy(), late);
    EXPECT_EQ(told.bands, (std::multiset<int>{24, 48, 72}));
    EXPECT_EQ(told.contact, 1);
    EXPECT_EQ(told.expiry, 1);
    EXPECT_LE(told.steps, 5);
  }
}

TEST(CareTest, WhoWasNotToldInTimeIsToldOnceHowItIsNow) {
  const Told told = Follow(CarePolicy(), 5 * kDay);
  EXPECT_EQ(told.bands, (std::multiset<int>{72}));
  EXPECT_EQ(told.contact, 1);
}

TEST(CareTest, AShortLivedTicketIsNotToldOfItsEndAtItsStart) {
  EXPECT_EQ(Follow(CarePolicy(), absl::ZeroDuration(), 2 * kDay).expiry, 0);
  CarePolicy at_once;
  at_once.temporary_contact_after = absl::ZeroDuration();
  TicketCareState state;
  state.asked = kStart;
  state.expires = At(30 * kDay);
  EXPECT_TRUE(PlanTicketCare(at_once, state, kStart).offer_contact);
}

TEST(CareTest, ASponsorIsToldBeforeAndAfterTheirWordLapses) {
  const CarePolicy policy;
  SponsorCareState state;
  state.attested = kStart;
  state.accepting = true;
  const auto plan = [&](absl::Duration now) {
    return PlanSponsorCare(policy, 30 * kDay, state, At(now));
  };
  EXPECT_FALSE(plan(24 * kDay).tell_due);
  EXPECT_EQ(plan(24 * kDay).next, At(25 * kDay));
  EXPECT_TRUE(plan(25 * kDay).tell_due);
  EXPECT_EQ(plan(25 * kDay).next, At(30 * kDay));
  EXPECT_TRUE(plan(30 * kDay).tell_lapsed);
  EXPECT_FALSE(plan(30 * kDay).tell_due);
  EXPECT_EQ(plan(30 * kDay).next, kNothingDue);
  state.accepting = false;  // who takes no offers need not confirm
  EXPECT_FALSE(plan(30 * kDay).tell_lapsed);
  state.resume = At(kDay);
  EXPECT_EQ(plan(absl::ZeroDuration()).next, At(kDay));
  EXPECT_TRUE(plan(kDay).resume);
  EXPECT_EQ(plan(kDay).next, At(25 * kDay));
}

TEST(CareTest, ProbationEndsByTimeAlone) {
  const CarePolicy policy;
  SponsorCareState state;
  state.on_probation = true;
  state.probation_end = At(90 * kDay);
  EXPECT_EQ(PlanSponsorCare(policy, 30 * kDay, state, kStart).next, At(90 * kDay));
  EXPECT_FALSE(PlanSponsorCare(policy, 30 * kDay, state, kStart).end_probation);
  EXPECT_TRUE(PlanSponsorCare(policy, 30 * kDay, state, At(90 * kDay)).end_probation);
}

TEST(CareTest, ARematchHasTheOldPlaceButNoOlderThanAnyTicket) {
  const absl::Time now = At(100 * kDay);
  EXPECT_EQ(RematchPlace(now - 3 * kDay, now, 30 * kDay), now - 3 * kDay);
  EXPECT_EQ(RematchPlace(kStart, now, 30 * kDay), now - 30 * kDay);
  EXPECT_EQ(RematchPlace(now + kDay, now, 30 * kDay), now);
}

TEST(CareTest, AllFaultsOfAPolicyAreNamedAtOnce) {
  EXPECT_TRUE(CarePolicy().Validate().ok());
  CarePolicy policy;
  policy.missed_offers_limit = -1;
  policy.probation = -absl::Hours(1);
  policy.probation_seats = 0;
  policy.notices_limit = 0;
  policy.wait_bands = {absl::Hours(48), absl::Hours(24), absl::Hours(72)};
  const absl::Status status = policy.Validate();
  EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid));
  for (const char* name :
       {"missed_offers_limit", "probation is", "probation_seats", "notices_limit", "wait_bands"}) {
    EXPECT_NE(std::string(status.message()).find(name), std::string::npos) << name;
  }
}

TEST(CareTest, EveryKindOfNoticeHasAName) {
  std::set<absl::string_view> codes;
  for (int kind = 1; kind < kNoticeKindCount; ++kind) {
    codes.insert(InfoOf(static_cast<NoticeKind>(kind)).code);
  }
  EXPECT_EQ(codes.size(), static_cast<size_t>(kNoticeKindCount - 1));
  EXPECT_EQ(InfoOf(static_cast<NoticeKind>(200)).code, "UNSPECIFIED");
}

}  // namespace
}  // namespace handrail::matching
