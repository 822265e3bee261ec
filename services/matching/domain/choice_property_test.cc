#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <vector>

#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/pair_table.h"
#include "services/matching/domain/people_for_test.h"

// The rules of domain.md 3.1 written a second time, plainly and from the traits, to hold the fast
// ones to. Nothing here shares code with rules.cc or match_record.cc.
namespace handrail::matching {
namespace {

using handrail::testing::SeededRandom;

struct Meeting {
  MemberTraits newcomer;
  MemberTraits sponsor;
  Availability seats;
  PairFacts facts;
};

bool Willing(const PersonTraits& me, const PersonTraits& other, Philosophy philosophy) {
  GenderRule rule = me.gender_preference.rule;
  const auto number = static_cast<int>(philosophy);
  const bool twelve_step = number <= 7 || number >= 19;
  const bool forced =
      philosophy == Philosophy::kCelebrateRecovery || philosophy == Philosophy::kWomenForSobriety;
  const bool same = me.gender == other.gender && me.gender != Gender::kUnspecified;
  if (forced && !same) return false;
  if (rule == GenderRule::kUnspecified) {
    rule = twelve_step || forced ? GenderRule::kSameGender : GenderRule::kAny;
  }
  if (rule == GenderRule::kAny) return true;
  if (rule == GenderRule::kSameGender) return same;
  return other.gender != Gender::kUnspecified &&
         me.gender_preference.genders.Contains(other.gender);
}

bool MeetsRow(const SponsorTraits& traits, Philosophy philosophy, RelationshipType type) {
  const SponsorProgram* program = traits.Find(philosophy);
  if (program == nullptr || !program->relationship_types.Contains(type)) return false;
  const ProgramPolicy& row = BuiltInPrograms().Of(philosophy);
  if (!row.relationship_types.Contains(type)) return false;
  if (program->steps_done < row.min_steps_done) return false;
  if (row.needs_own_sponsor && !program->has_own_sponsor) return false;
  if (row.needs_active_attendance && !program->attends_actively) return false;
  if (!program->trainings.ContainsAll(row.needs_trainings)) return false;
  const int days = BuiltInPrograms().MinRecoveryDays(philosophy, type);
  if (days == 0) return true;
  if (!program->recovery_date) return false;
  absl::TimeZone zone = absl::UTCTimeZone();
  absl::LoadTimeZone(traits.person.time_zone.empty() ? "UTC" : traits.person.time_zone, &zone);
  return absl::ToCivilDay(TestNow(), zone) - *program->recovery_date >= days;
}

bool SharesLanguage(const PersonTraits& a, const PersonTraits& b) {
  std::set<std::string> tags;
  for (const Language language : a.languages) tags.insert(language.Tag());
  for (const Language language : b.languages) {
    if (tags.count(language.Tag()) > 0) return true;
  }
  return false;
}

double Haversine(CoarseCell a, CoarseCell b) {
  const double radians = 3.14159265358979 / 1800;
  const double lat1 = a.latitude_decidegrees * radians;
  const double lat2 = b.latitude_decidegrees * radians;
  const double dlat = lat2 - lat1;
  const double dlon = (b.longitude_decidegrees - a.longitude_decidegrees) * radians;
  const double h = std::pow(std::sin(dlat / 2), 2) +
                   std::cos(lat1) * std::cos(lat2) * std::pow(std::sin(dlon / 2), 2);
  return 2 * 6371.0088 * std::asin(std::sqrt(h));
}

bool Near(const NewcomerTraits& newcomer, const SponsorTraits& sponsor) {
  const auto shared = newcomer.person.modalities & sponsor.person.modalities;
  const bool only_way = shared == EnumSet<Modality>{Modality::kInPersonPublic};
  if (!newcomer.requires_in_person && !only_way) return true;
  if (!newcomer.person.place.cell || !sponsor.person.place.cell) return false;
  const int limit = newcomer.max_distance_km == 0 ? 40 : newcomer.max_distance_km;
  return Haversine(*newcomer.person.place.cell, *sponsor.person.place.cell) <= limit;
}

// Minute by minute through the week of TestNow() (no zone of the random people changes its clock
// then).
std::vector<bool> FreeMinutes(const PersonTraits& person) {
  absl::TimeZone zone;
  absl::LoadTimeZone(person.time_zone, &zone);
  std::vector<bool> free(7 * 1440);
  const absl::Time monday = absl::FromCivil(absl::CivilDay(2026, 6, 1), absl::UTCTimeZone());
  const int offset = zone.At(TestNow()).offset / 60;
  const int week = 7 * 1440;
  EXPECT_EQ(absl::GetWeekday(absl::ToCivilDay(monday, absl::UTCTimeZone())), absl::Weekday::monday);
  for (const WeeklyWindow& window : person.availability) {
    const int start = (window.iso_weekday - 1) * 1440 + window.start_minute - offset;
    for (int minute = start; minute < start + window.length_minutes; ++minute) {
      free[static_cast<size_t>(((minute % week) + week) % week)] = true;
    }
  }
  return free;
}

bool Overlaps(const PersonTraits& a, const PersonTraits& b) {
  for (const PersonTraits* person : {&a, &b}) {
    if (person->availability.empty() || person->time_zone.empty()) return true;
  }
  const std::vector<bool> mine = FreeMinutes(a);
  const std::vector<bool> theirs = FreeMinutes(b);
  int minutes = 0;
  for (size_t i = 0; i < mine.size(); ++i) minutes += mine[i] && theirs[i] ? 1 : 0;
  return minutes >= 60;
}

bool MoreTime(const NewcomerTraits& newcomer, const SponsorTraits& sponsor, Philosophy philosophy) {
  const int margin = BuiltInPrograms().Of(philosophy).more_time_days;
  const SponsorProgram* program = sponsor.Find(philosophy);
  if (margin == 0) return true;
  if (program == nullptr || !program->recovery_date) return false;
  return !newcomer.recovery_date || *newcomer.recovery_date - *program->recovery_date >= margin;
}

// Every rule that the pair breaks.
std::set<Rule> AllBroken(const Meeting& m, Philosophy philosophy, RelationshipType type) {
  const NewcomerTraits& newcomer = *m.newcomer.newcomer;
  const SponsorTraits& sponsor = *m.sponsor.sponsor;
  const PersonTraits& a = newcomer.person;
  const PersonTraits& b = sponsor.person;
  const auto shared = a.modalities & b.modalities;
  std::set<Rule> broken;
  const auto check = [&broken](Rule rule, bool passes) {
    if (!passes) broken.insert(rule);
  };
  check(Rule::kCapacity, m.seats.FreeSeats() > 0);
  check(Rule::kPhilosophy,
        newcomer.philosophies.Contains(philosophy) && sponsor.Find(philosophy) != nullptr);
  check(Rule::kProgramPolicy, MeetsRow(sponsor, philosophy, type));
  check(Rule::kGenderPolicy, Willing(a, b, philosophy) && Willing(b, a, philosophy));
  check(Rule::kModality,
        newcomer.requires_in_person ? shared.Contains(Modality::kInPersonPublic) : !shared.empty());
  check(Rule::kAdult, a.adult_attested && b.adult_attested);
  for (const MemberTraits* member : {&m.newcomer, &m.sponsor}) {
    check(Rule::kConsent, member->consents_to_matching && member->consents_to_health_data);
    check(Rule::kStanding, member->standing == Standing::kGood);
  }
  check(Rule::kFresh, TestNow() - sponsor.attest_time < absl::Hours(24 * 30));
  check(Rule::kAccess, sponsor.access_offered.ContainsAll(newcomer.access_needs));
  check(Rule::kMedicationSupport, !newcomer.requires_medication_support ||
                                      b.medication_stance == MedicationStance::kSupportsMedication);
  check(Rule::kMoreTime, MoreTime(newcomer, sponsor, philosophy));
  check(Rule::kLanguage, SharesLanguage(a, b));
  check(Rule::kDistance, Near(newcomer, sponsor));
  check(Rule::kAvailability, Overlaps(a, b));
  check(Rule::kDualRole, !m.facts.dual_role && m.newcomer.member != m.sponsor.member);
  check(Rule::kNotBlocked, !m.facts.blocked && !m.facts.avoided);
  check(Rule::kCooldown, !m.facts.ended_for_safety && m.facts.cooldown_until <= TestNow());
  return broken;
}

// A good person with some traits of a random one, so that many pairs break one rule, or none.
PersonTraits Blend(const PersonTraits& wild, Random& random) {
  PersonTraits person = GoodPerson();
  const auto take = [&random](auto& to, const auto& from) {
    if (random.Below(100) < 12) to = from;
  };
  take(person.languages, wild.languages);
  take(person.time_zone, wild.time_zone);
  take(person.availability, wild.availability);
  take(person.modalities, wild.modalities);
  take(person.gender, wild.gender);
  take(person.gender_preference, wild.gender_preference);
  take(person.place, wild.place);
  take(person.adult_attested, wild.adult_attested);
  person.medication_stance = wild.medication_stance;
  person.communities = wild.communities;
  person.spiritual_stance = wild.spiritual_stance;
  return person;
}

MemberTraits BlendedNewcomer(Random& random) {
  MemberTraits member = RandomNewcomer(random);
  NewcomerTraits& traits = *member.newcomer;
  traits.person = Blend(traits.person, random);
  if (random.Below(100) < 95) traits.philosophies.Add(Philosophy::kTwelveStepAa);
  if (random.Below(100) < 60) traits.recovery_date = absl::CivilDay(2026, 5, 1);
  if (random.Below(100) < 70) traits.requires_in_person = false;
  return member;
}

MemberTraits BlendedSponsor(Random& random) {
  MemberTraits member = RandomSponsor(random);
  const SponsorTraits good = *GoodSponsor().sponsor;
  SponsorTraits& traits = *member.sponsor;
  traits.person = Blend(traits.person, random);
  if (random.Below(100) < 60) traits.programs = good.programs;
  if (random.Below(100) < 70) traits.attest_time = good.attest_time;
  return member;
}

PairFacts RandomFacts(Random& random) {
  PairFacts facts;
  facts.blocked = random.Below(100) < 3;
  facts.avoided = random.Below(100) < 3;
  facts.dual_role = random.Below(100) < 3;
  facts.ended_for_safety = random.Below(100) < 3;
  if (random.Below(100) < 6) {
    facts.cooldown_until = TestNow() + absl::Hours(static_cast<int64_t>(random.Below(48)) - 24);
  }
  return facts;
}

constexpr int kNewcomers = 400;
constexpr int kSponsors = 250;  // 10^5 pairs

class ChoicePropertyTest : public ::testing::Test {
 protected:
  ChoicePropertyTest() {
    const absl::Time week = UtcWeekStart(TestNow());
    const ProgramPolicies& policies = BuiltInPrograms();
    for (int i = 0; i < kSponsors; ++i) {
      members_.push_back(i % 3 == 0 ? RandomSponsor(random_) : BlendedSponsor(random_));
      seats_.push_back(RandomSeats(members_.back().member, random_));
      sponsors_.push_back(
          MakeSponsorRecord(members_.back(), Philosophy::kTwelveStepAa, policies, week));
      SetSeats(seats_.back(), sponsors_.back());
    }
    for (int i = 0; i < kNewcomers; ++i) {
      newcomers_.push_back(i % 3 == 0 ? RandomNewcomer(random_) : BlendedNewcomer(random_));
      Ticket ticket = GoodTicket(i + 1, absl::Hours(i));
      ticket.relationship_type =
          i % 4 == 0 ? RelationshipType::kTemporaryContact : RelationshipType::kSponsor;
      tickets_.push_back(MakeTicketRecord(ticket, newcomers_.back(), policies, week));
      for (const MemberTraits& sponsor : members_) {
        const PairFacts facts = RandomFacts(random_);
        if (!facts.IsClear()) table_.Put(newcomers_.back().member, sponsor.member, facts);
      }
    }
  }

  std::set<Rule> BrokenBy(size_t newcomer, size_t sponsor) const {
    const Meeting meeting = {newcomers_[newcomer], members_[sponsor], seats_[sponsor],
                             table_.Between(newcomers_[newcomer].member, members_[sponsor].member)};
    return AllBroken(meeting, Philosophy::kTwelveStepAa,
                     tickets_[newcomer].newcomer.relationship_type);
  }

  // The same pairs are judged again and again: the plain rules are slow, so each is remembered.
  bool IsWrong(size_t newcomer, size_t sponsor) const {
    std::optional<bool>& known = wrong_[newcomer * kSponsors + sponsor];
    if (!known) known = !BrokenBy(newcomer, sponsor).empty();
    return *known;
  }

  // How many chosen pairs break a rule, and how many were chosen, both ways of choosing.
  struct Outcome {
    int chosen = 0;
    int wrong = 0;
  };
  Outcome ChooseAll(const RuleSet& rules) const {
    const Chooser chooser(rules, Scorer{});
    Outcome outcome;
    const auto judge = [&](const Choice& choice) {
      for (const Candidate& candidate : choice.candidates) {
        const auto newcomer = static_cast<size_t>(candidate.ticket - tickets_.data());
        const auto sponsor = static_cast<size_t>(candidate.sponsor - sponsors_.data());
        ++outcome.chosen;
        outcome.wrong += IsWrong(newcomer, sponsor) ? 1 : 0;
      }
    };
    for (const TicketRecord& ticket : tickets_) {
      judge(chooser.BestSponsorsFor(ticket, sponsors_, table_, TestNow(), 32));
    }
    for (const SponsorRecord& sponsor : sponsors_) {
      judge(chooser.BestTicketsFor(sponsor, tickets_, table_, TestNow(), 32));
    }
    return outcome;
  }

  // Sponsors who do not sponsor in the program at all: a scan passes over them.
  int64_t NotInProgram() const {
    return std::count_if(sponsors_.begin(), sponsors_.end(),
                         [](const SponsorRecord& sponsor) { return !sponsor.IsLive(); });
  }

  SeededRandom random_{20260603};
  std::vector<MemberTraits> members_, newcomers_;
  std::vector<Availability> seats_;
  std::vector<SponsorRecord> sponsors_;
  std::vector<TicketRecord> tickets_;
  PairTable table_;
  mutable std::vector<std::optional<bool>> wrong_ =
      std::vector<std::optional<bool>>(size_t{kNewcomers} * kSponsors);
};

TEST_F(ChoicePropertyTest, TheRulesSayWhatThePlainOnesSayOfEveryPair) {
  const RuleSet rules;
  int64_t good = 0;
  for (size_t i = 0; i < tickets_.size(); ++i) {
    for (size_t j = 0; j < sponsors_.size(); ++j) {
      const std::set<Rule> expected = BrokenBy(i, j);
      const std::optional<Rule> first =
          rules.FirstBroken(tickets_[i].newcomer, sponsors_[j], table_, TestNow());
      // std::set is in the order of evaluation.
      const auto want = expected.empty() ? std::nullopt : std::optional(*expected.begin());
      ASSERT_EQ(first, want) << i << " × " << j << " " << (first ? CodeOf(*first) : "none")
                             << " instead of " << (want ? CodeOf(*want) : "none");
      good += expected.empty() ? 1 : 0;
    }
  }
  EXPECT_GT(good, 500);
}

TEST_F(ChoicePropertyTest, NothingThatBreaksARuleIsChosen) {
  const Outcome outcome = ChooseAll(RuleSet());
  EXPECT_GT(outcome.chosen, 500);
  EXPECT_EQ(outcome.wrong, 0);
}

TEST_F(ChoicePropertyTest, WithoutAnyOneRuleSomethingWrongIsChosen) {
  for (int i = 0; i < kRuleCount; ++i) {
    const auto rule = static_cast<Rule>(i);
    EXPECT_GT(ChooseAll(RuleSet().Without(rule)).wrong, 0) << CodeOf(rule);
  }
}

TEST_F(ChoicePropertyTest, CountsAddUpAndScoresStayInTheirBounds) {
  const Chooser chooser(RuleSet{}, Scorer{});
  for (const TicketRecord& ticket : tickets_) {
    const Choice choice = chooser.BestSponsorsFor(ticket, sponsors_, table_, TestNow(), 32);
    EXPECT_EQ(choice.removed.evaluated(), kSponsors - NotInProgram());
    EXPECT_EQ(choice.candidates.size(),
              static_cast<size_t>(std::min<int64_t>(32, choice.removed.passed)));
  }
  for (const TicketRecord& ticket : tickets_) {
    for (const SponsorRecord& sponsor : sponsors_) {
      const double score = chooser.scorer().Score(ticket.newcomer, sponsor, TestNow());
      ASSERT_GE(score, 0);
      ASSERT_LE(score, 100);
    }
  }
}

}  // namespace
}  // namespace handrail::matching
