#include "services/matching/domain/explain.h"

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/testing/seeded_random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/people_for_test.h"

namespace handrail::matching {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

RuleTally TallyOf(const std::vector<TestPair>& pairs, const PairFacts& facts = {}) {
  RuleTally tally;
  for (const TestPair& pair : pairs) {
    Tally(RuleSet(), pair.NewcomerOf(), pair.SponsorOf(), facts, TestNow(), tally);
  }
  return tally;
}

// A change to a pair that breaks no rule, after which it breaks this one and no other.
struct Case {
  Rule rule;
  std::function<void(TestPair&, PairFacts&)> change;
};

const std::vector<Case>& OneCaseForEachRule() {
  static const auto* const cases = new std::vector<Case>{
      {Rule::kCapacity, [](TestPair& p, PairFacts&) { p.seats.pairing_count = 3; }},
      {Rule::kPhilosophy,
       [](TestPair& p, PairFacts&) {
         p.newcomer.newcomer->philosophies = {Philosophy::kTwelveStepNa};
       }},
      {Rule::kProgramPolicy, [](TestPair& p, PairFacts&) { p.program().relationship_types = {}; }},
      {Rule::kGenderPolicy,
       [](TestPair& p, PairFacts&) {
         p.newcomer_person().gender = Gender::kMan;
         p.sponsor_person().gender = Gender::kWoman;
       }},
      {Rule::kModality,
       [](TestPair& p, PairFacts&) { p.sponsor_person().modalities = {Modality::kVideo}; }},
      {Rule::kAdult, [](TestPair& p, PairFacts&) { p.sponsor_person().adult_attested = false; }},
      {Rule::kConsent, [](TestPair& p, PairFacts&) { p.sponsor.consents_to_matching = false; }},
      {Rule::kStanding, [](TestPair& p, PairFacts&) { p.sponsor.standing = Standing::kSuspended; }},
      {Rule::kFresh,
       [](TestPair& p, PairFacts&) {
         p.sponsor.sponsor->attest_time = TestNow() - absl::Hours(24 * 31);
       }},
      {Rule::kAccess,
       [](TestPair& p, PairFacts&) { p.newcomer.newcomer->access_needs = {AccessNeed::kAsl}; }},
      {Rule::kMedicationSupport,
       [](TestPair& p, PairFacts&) { p.newcomer.newcomer->requires_medication_support = true; }},
      {Rule::kMoreTime,
       [](TestPair& p, PairFacts&) {
         p.program().recovery_date = absl::CivilDay(2024, 1, 1);
         p.newcomer.newcomer->recovery_date = absl::CivilDay(2024, 1, 1) + 179;
       }},
      {Rule::kLanguage,
       [](TestPair& p, PairFacts&) {
         p.sponsor_person().languages = {Language::FromTag("es"), Language::FromTag("fr")};
       }},
      {Rule::kDistance,
       [](TestPair& p, PairFacts&) {
         p.newcomer.newcomer->requires_in_person = true;
         for (PersonTraits* person : {&p.newcomer_person(), &p.sponsor_person()}) {
           person->modalities.Add(Modality::kInPersonPublic);
         }
         p.newcomer_person().place.cell = CoarseCell{400, -740};
         p.sponsor_person().place.cell = CoarseCell{440, -740};
       }},
      {Rule::kAvailability,
       [](TestPair& p, PairFacts&) {
         p.sponsor_person().availability = {{1, 3 * 60, 60}};
       }},
      {Rule::kDualRole, [](TestPair&, PairFacts& f) { f.dual_role = true; }},
      {Rule::kNotBlocked, [](TestPair&, PairFacts& f) { f.blocked = true; }},
      {Rule::kCooldown,
       [](TestPair&, PairFacts& f) { f.cooldown_until = TestNow() + absl::Hours(1); }},
  };
  return *cases;
}

TEST(ExplainTest, EachRuleCanBeTheOneThatStandsInTheWay) {
  std::set<Rule> seen;
  for (const Case& c : OneCaseForEachRule()) {
    TestPair pair;
    PairFacts facts;
    c.change(pair, facts);
    const RuleTally tally = TallyOf({pair}, facts);
    EXPECT_EQ(tally.passing, 0) << CodeOf(c.rule);
    for (int i = 0; i < kRuleCount; ++i) {
      const Rule rule = static_cast<Rule>(i);
      const int64_t expected = rule == c.rule ? 1 : 0;
      EXPECT_EQ(tally.FirstOf(rule), expected) << CodeOf(c.rule) << " " << CodeOf(rule);
      EXPECT_EQ(tally.BrokenOf(rule), expected) << CodeOf(c.rule) << " " << CodeOf(rule);
      EXPECT_EQ(tally.OnlyOf(rule), expected) << CodeOf(c.rule) << " " << CodeOf(rule);
    }
    const auto findings = Findings(tally, TicketSituation());
    const bool alone = IsToldAlone(c.rule);
    EXPECT_EQ(tally.together_broken, alone ? 0 : 1) << CodeOf(c.rule);
    EXPECT_EQ(tally.together_only, alone ? 0 : 1) << CodeOf(c.rule);
    const std::string code(alone ? CodeOf(c.rule) : kTogetherCode);
    EXPECT_THAT(findings, Contains(HasSubstr(code))) << CodeOf(c.rule);
    EXPECT_THAT(findings, Contains(HasSubstr(std::string(TextOf(c.rule).help))));
    seen.insert(c.rule);
  }
  EXPECT_EQ(seen.size(), size_t{kRuleCount}) << "a rule has no case";
}

TEST(ExplainTest, SwitchingTheOnlyRuleOffLetsExactlyThoseThrough) {
  for (const Case& c : OneCaseForEachRule()) {
    TestPair pair;
    PairFacts facts;
    c.change(pair, facts);
    RuleTally relaxed;
    Tally(RuleSet().Without(c.rule), pair.NewcomerOf(), pair.SponsorOf(), facts, TestNow(),
          relaxed);
    EXPECT_EQ(relaxed.passing, 1) << CodeOf(c.rule);
  }
}

TEST(ExplainTest, CountsAddUpOverRandomPeople) {
  testing::SeededRandom random(7);
  const ProgramPolicies& policies = BuiltInPrograms();
  const absl::Time week = UtcWeekStart(TestNow());
  const RuleSet rules;
  RuleTally tally;
  RuleCounts counts;
  std::array<int64_t, kRuleCount> relaxed{};
  const MemberTraits newcomer = GoodNewcomer();
  const NewcomerRecord asks = MakeNewcomerRecord(newcomer, Philosophy::kTwelveStepAa,
                                                 RelationshipType::kSponsor, policies, week);
  for (int i = 0; i < 3000; ++i) {
    const MemberTraits sponsor = i % 3 == 0 ? GoodSponsor(i + 2000) : RandomSponsor(random);
    SponsorRecord gives = MakeSponsorRecord(sponsor, Philosophy::kTwelveStepAa, policies, week);
    SetSeats(RandomSeats(sponsor.member, random), gives);
    PairFacts facts;
    facts.blocked = random.Below(20) == 0;
    Tally(rules, asks, gives, facts, TestNow(), tally);
    counts.Add(rules.FirstBroken(asks, gives, facts, TestNow()));
    for (int r = 0; r < kRuleCount; ++r) {
      relaxed[static_cast<size_t>(r)] +=
          rules.Without(static_cast<Rule>(r)).FirstBroken(asks, gives, facts, TestNow()) ? 0 : 1;
    }
  }
  EXPECT_EQ(tally.evaluated, 3000);
  EXPECT_EQ(tally.passing, counts.passed);
  int64_t first = tally.passing;
  for (int i = 0; i < kRuleCount; ++i) {
    const Rule rule = static_cast<Rule>(i);
    first += tally.FirstOf(rule);
    EXPECT_EQ(tally.FirstOf(rule), counts.of(rule)) << CodeOf(rule);
    EXPECT_GE(tally.BrokenOf(rule), tally.FirstOf(rule)) << CodeOf(rule);
    EXPECT_GE(tally.BrokenOf(rule), tally.OnlyOf(rule)) << CodeOf(rule);
    // "So many more would pass without it" is what switching the rule off gives.
    EXPECT_EQ(tally.passing + tally.OnlyOf(rule), relaxed[static_cast<size_t>(i)]) << CodeOf(rule);
  }
  EXPECT_EQ(first, tally.evaluated);
  EXPECT_GT(tally.passing, 100);
  EXPECT_GT(tally.OnlyOf(Rule::kCapacity), 100);
  EXPECT_GT(tally.OnlyOf(Rule::kNotBlocked), 10);
  EXPECT_EQ(tally.only_full + tally.only_not_accepting, tally.OnlyOf(Rule::kCapacity));
}

TEST(ExplainTest, AFullSponsorAndOneWhoTakesNoOffersAreToldApart) {
  TestPair full, closed, unset, both;
  full.seats.pairing_count = 3;
  closed.seats.accepting = false;
  unset.seats = {};
  both.seats.pairing_count = 3;
  both.sponsor_person().languages = {Language::FromTag("es")};
  const RuleTally tally = TallyOf({full, closed, unset, both});
  EXPECT_EQ(tally.BrokenOf(Rule::kCapacity), 4);
  EXPECT_EQ(tally.OnlyOf(Rule::kCapacity), 3);
  EXPECT_EQ(tally.only_full, 1);
  EXPECT_EQ(tally.only_not_accepting, 2);
  EXPECT_EQ(tally.OnlyOf(Rule::kLanguage), 0);
}

TEST(ExplainTest, SmallCountsAreNotTold) {
  EXPECT_EQ(RoundCount(0), (RoundedCount{0, false}));
  EXPECT_EQ(RoundCount(1), (RoundedCount{0, true}));
  EXPECT_EQ(RoundCount(4), (RoundedCount{0, true}));
  EXPECT_EQ(RoundCount(5), (RoundedCount{5, false}));
  EXPECT_EQ(RoundCount(9), (RoundedCount{5, false}));
  EXPECT_EQ(RoundCount(10), (RoundedCount{10, false}));
  EXPECT_EQ(RoundCount(1234), (RoundedCount{1230, false}));
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(3), "fewer than 5");
  EXPECT_EQ(CountText(12), "at least 10");
  TestPair speaks_another;
  speaks_another.sponsor_person().languages = {Language::FromTag("es")};
  const auto findings =
      Findings(TallyOf({speaks_another, speaks_another, TestPair()}), TicketSituation());
  EXPECT_THAT(findings, Contains(HasSubstr("For fewer than 5 only H8 LANGUAGE")));
}

// What a careful reader can conclude of one count, from all that is told.
struct Bounds {
  int64_t low = 0;
  int64_t high = 0;
};
Bounds BoundsOf(const RoundedCount& count) {
  if (count.under_five) return {1, 4};
  return {count.value, count.value == 0 ? 0 : count.value + 4};
}

TEST(ExplainTest, SmallCountsCannotBeHadBySubtraction) {
  // One sponsor speaks another language, the rest pass: their number was the difference.
  for (int passing = 5; passing < 20; ++passing) {
    std::vector<TestPair> pairs(static_cast<size_t>(passing) + 1);
    pairs.back().sponsor_person().languages = {Language::FromTag("es")};
    const ToldTally told = Tell(TallyOf(pairs));
    const Bounds all = BoundsOf(told.evaluated);
    const Bounds pass = BoundsOf(told.passing);
    for (const ToldRule& rule : told.rules) {
      if (rule.code != CodeOf(Rule::kLanguage)) continue;
      Bounds removed = BoundsOf(rule.first);
      removed.low = std::max(removed.low, all.low - pass.high);
      removed.high = std::min(removed.high, all.high - pass.low);
      EXPECT_LE(removed.low, 1) << passing;
      EXPECT_GE(removed.high, 4) << passing;
    }
  }
}

TEST(ExplainTest, ABlockLooksLikeAnythingElseBetweenTheTwo) {
  const auto told = [](const std::function<void(TestPair&, PairFacts&)>& change) {
    TestPair pair;
    PairFacts facts;
    change(pair, facts);
    RuleTally tally = TallyOf({pair}, facts);
    std::string all = absl::StrJoin(Findings(tally, TicketSituation()), "\n");
    for (const ToldRule& rule : Tell(tally).rules) {
      absl::StrAppend(&all, "\n", rule.number, " ", rule.code, " ", rule.asks, " ",
                      rule.first.under_five, rule.broken.under_five, rule.only.under_five);
    }
    return all;
  };
  std::set<std::string> answers;
  int rules = 0;
  for (const Case& c : OneCaseForEachRule()) {
    if (IsToldAlone(c.rule)) continue;
    answers.insert(told(c.change));
    ++rules;
  }
  EXPECT_EQ(rules, 4);
  EXPECT_EQ(answers.size(), 1u) << absl::StrJoin(answers, "\n---\n");
  EXPECT_THAT(*answers.begin(), Not(HasSubstr("BLOCK")));
  EXPECT_THAT(*answers.begin(), HasSubstr("For fewer than 5 only H3/H14/H16"));
  // Two of them at once are still one reason.
  answers.insert(told([](TestPair&, PairFacts& f) { f.blocked = f.dual_role = true; }));
  EXPECT_EQ(answers.size(), 1u);
}

TEST(ExplainTest, WhoPassesIsToldWithWhatMayHoldTheOfferBack) {
  const RuleTally tally = TallyOf(std::vector<TestPair>(6));
  TicketSituation situation;
  EXPECT_THAT(Findings(tally, situation), Contains(HasSubstr("due within seconds")));
  situation.waiting_ahead = 3;
  EXPECT_THAT(Findings(tally, situation), Contains(HasSubstr("at least 5 pass every rule now")));
  EXPECT_THAT(Findings(tally, situation), Contains(HasSubstr("waits ahead")));
  situation.hint_overdue = true;
  EXPECT_THAT(Findings(tally, situation), Contains(HasSubstr("is Redis up?")));
  situation.pool_drained = true;
  EXPECT_THAT(Findings(tally, situation), Contains(HasSubstr("until the drain ends")));
  EXPECT_THAT(Findings(RuleTally(), situation), Contains(HasSubstr("The pool is drained")));
  situation.open_offers = 1;
  EXPECT_THAT(Findings(tally, situation).front(), HasSubstr("put before a sponsor"));
}

TEST(ExplainTest, SomethingIsAlwaysSaid) {
  TestPair hopeless;
  hopeless.sponsor_person().languages = {Language::FromTag("es")};
  hopeless.seats.accepting = false;
  TestPair other;
  other.sponsor_person().modalities = {Modality::kVideo};
  other.sponsor_person().adult_attested = false;
  EXPECT_THAT(Findings(TallyOf({hopeless, other}), TicketSituation()),
              Contains(HasSubstr("no single change would help")));
  EXPECT_THAT(Findings(RuleTally(), TicketSituation()), Contains(HasSubstr("No sponsor is in")));
  TicketSituation unknown;
  unknown.newcomer_known = false;
  EXPECT_THAT(Findings(RuleTally(), unknown), Contains(HasSubstr("no copy of the newcomer")));
  TicketSituation partial;
  partial.complete = false;
  EXPECT_THAT(Findings(RuleTally(), partial), Contains(HasSubstr("counts are low")));
}

TEST(ExplainTest, TheRulesThatNeverBendSaySo) {
  for (const Rule rule : {Rule::kDualRole, Rule::kNotBlocked}) {
    EXPECT_THAT(std::string(TextOf(rule).help), HasSubstr("never bends"));
  }
  for (int i = 0; i < kRuleCount; ++i) {
    EXPECT_FALSE(TextOf(static_cast<Rule>(i)).asks.empty());
    EXPECT_FALSE(TextOf(static_cast<Rule>(i)).help.empty());
  }
}

}  // namespace
}  // namespace handrail::matching
