#include "services/matching/domain/rules.h"

#include <functional>
#include <set>
#include <string>

#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/people_for_test.h"

namespace handrail::matching {
namespace {

using ::testing::HasSubstr;

std::optional<Rule> Broken(const TestPair& pair, const PairFacts& facts = {}) {
  return RuleSet().FirstBroken(pair.NewcomerOf(), pair.SponsorOf(), facts, TestNow());
}

std::string BrokenCode(const TestPair& pair, const PairFacts& facts = {}) {
  const std::optional<Rule> rule = Broken(pair, facts);
  return rule ? std::string(CodeOf(*rule)) : "";
}

// A change to a pair that breaks no rule, and the code of the rule it then breaks ("" for none).
struct Case {
  std::string what;
  std::function<void(TestPair&)> change;
  std::string broken;
};

void ExpectCases(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    TestPair pair;
    c.change(pair);
    EXPECT_EQ(BrokenCode(pair), c.broken) << c.what;
  }
}

TEST(RulesTest, AGoodPairBreaksNone) { EXPECT_EQ(BrokenCode(TestPair{}), ""); }

TEST(RulesTest, EveryRuleHasItsOwnCodeAndEveryNumberOfTheTableHasARule) {
  std::set<absl::string_view> codes, numbers;
  for (int i = 0; i < kRuleCount; ++i) {
    codes.insert(CodeOf(static_cast<Rule>(i)));
    numbers.insert(InfoOf(static_cast<Rule>(i)).number);
  }
  EXPECT_EQ(codes.size(), size_t{kRuleCount});
  EXPECT_EQ(numbers.size(), 17u);  // H3 is two rows
}

TEST(RulesTest, AdultConsentStanding) {
  ExpectCases({
      {"H1 newcomer", [](TestPair& p) { p.newcomer_person().adult_attested = false; }, "ADULT"},
      {"H1 sponsor", [](TestPair& p) { p.sponsor_person().adult_attested = false; }, "ADULT"},
      {"H2 matching", [](TestPair& p) { p.newcomer.consents_to_matching = false; }, "CONSENT"},
      {"H2 health", [](TestPair& p) { p.sponsor.consents_to_health_data = false; }, "CONSENT"},
      {"H3 suspended", [](TestPair& p) { p.sponsor.standing = Standing::kSuspended; }, "STANDING"},
      {"H3 unknown", [](TestPair& p) { p.newcomer.standing = Standing::kUnspecified; }, "STANDING"},
  });
}

TEST(RulesTest, ProgramPolicy) {
  const auto date = [](absl::CivilDay day) {
    return [day](TestPair& p) { p.program().recovery_date = day; };
  };
  ExpectCases({
      {"a year on the day", date(absl::CivilDay(2025, 6, 3)), ""},
      {"a day short", date(absl::CivilDay(2025, 6, 4)), "PROGRAM_POLICY"},
      {"no date", [](TestPair& p) { p.program().recovery_date.reset(); }, "PROGRAM_POLICY"},
      {"not willing", [](TestPair& p) { p.program().relationship_types = {}; }, "PROGRAM_POLICY"},
      {"the program has no such relationship",
       [](TestPair& p) {
         p.relationship_type = RelationshipType::kPeerCompanion;
         p.program().relationship_types.Add(RelationshipType::kPeerCompanion);
       },
       "PROGRAM_POLICY"},
      {"another program", [](TestPair& p) { p.philosophy = Philosophy::kSmart; }, "PHILOSOPHY"},
      {"temporary contact after 200 days",
       [](TestPair& p) {
         p.relationship_type = RelationshipType::kTemporaryContact;
         p.newcomer.newcomer->recovery_date = absl::CivilDay(2026, 6, 1);
         p.program().recovery_date = absl::CivilDay(2025, 11, 15);
       },
       ""},
      {"newcomer not willing to work in it",
       [](TestPair& p) { p.newcomer.newcomer->philosophies = {Philosophy::kTwelveStepNa}; },
       "PHILOSOPHY"},
  });
}

TEST(RulesTest, ADayOfRecoveryEndsAtTheSponsorsOwnMidnight) {
  TestPair pair;
  pair.sponsor_person().availability.clear();
  pair.sponsor_person().time_zone =
      "Pacific/Kiritimati";  // +14: 3 June began at 10:00 UTC on the 2nd
  pair.program().recovery_date = absl::CivilDay(2025, 6, 3);
  const absl::Time midnight = absl::FromCivil(absl::CivilHour(2026, 6, 2, 10), absl::UTCTimeZone());
  const RuleSet rules;
  const auto broken = [&](absl::Time now) {
    return rules.FirstBroken(pair.NewcomerOf(), pair.SponsorOf(), PairFacts{}, now);
  };
  EXPECT_EQ(broken(midnight), std::nullopt);
  EXPECT_EQ(broken(midnight - absl::Seconds(1)), Rule::kProgramPolicy);
}

TEST(RulesTest, CelebrateRecoveryAsksForStepsOwnSponsorAttendanceAndTheSameGender) {
  const auto in_celebrate = [](std::function<void(TestPair&)> change) {
    return [change](TestPair& p) {
      p.philosophy = Philosophy::kCelebrateRecovery;
      p.newcomer.newcomer->philosophies.Add(p.philosophy);
      p.program().philosophy = p.philosophy;
      p.program().steps_done = 12;
      p.program().has_own_sponsor = true;
      p.program().attends_actively = true;
      change(p);
    };
  };
  const auto any = [](TestPair& p) {
    p.newcomer_person().gender_preference.rule = GenderRule::kAny;
    p.sponsor_person().gender_preference.rule = GenderRule::kAny;
  };
  ExpectCases({
      {"all met", in_celebrate([](TestPair&) {}), ""},
      {"steps", in_celebrate([](TestPair& p) { p.program().steps_done = 11; }), "PROGRAM_POLICY"},
      {"sponsor", in_celebrate([](TestPair& p) { p.program().has_own_sponsor = false; }),
       "PROGRAM_POLICY"},
      {"attendance", in_celebrate([](TestPair& p) { p.program().attends_actively = false; }),
       "PROGRAM_POLICY"},
      {"both chose ANY, the program says same", in_celebrate([&](TestPair& p) {
         any(p);
         p.sponsor_person().gender = Gender::kMan;
       }),
       "GENDER_POLICY"},
      {"both chose ANY and are the same", in_celebrate(any), ""},
  });
}

TEST(RulesTest, MoreTime) {
  const auto dates = [](std::optional<absl::CivilDay> newcomer) {
    return [newcomer](TestPair& p) {
      p.program().recovery_date = absl::CivilDay(2024, 1, 1);
      p.newcomer.newcomer->recovery_date = newcomer;
    };
  };
  ExpectCases({
      {"180 days more", dates(absl::CivilDay(2024, 1, 1) + 180), ""},
      {"179 days more", dates(absl::CivilDay(2024, 1, 1) + 179), "MORE_TIME"},
      {"newcomer's date not said", dates(std::nullopt), ""},
  });
}

TEST(RulesTest, GenderPolicyTakesBothSides) {
  const auto genders = [](Gender newcomer, GenderRule newcomer_rule, Gender sponsor,
                          GenderRule sponsor_rule, EnumSet<Gender> set = {}) {
    return [=](TestPair& p) {
      p.newcomer_person().gender = newcomer;
      p.newcomer_person().gender_preference = {newcomer_rule, set};
      p.sponsor_person().gender = sponsor;
      p.sponsor_person().gender_preference = {sponsor_rule, set};
    };
  };
  using G = Gender;
  using enum GenderRule;
  const std::string no = "GENDER_POLICY";
  const EnumSet<G> both = {G::kWoman, G::kMan};
  ExpectCases({
      {"said nothing, same", genders(G::kMan, kUnspecified, G::kMan, kUnspecified), ""},
      {"said nothing, other", genders(G::kMan, kUnspecified, G::kWoman, kUnspecified), no},
      {"any and any", genders(G::kMan, kAny, G::kWoman, kAny), ""},
      {"any and nothing said", genders(G::kMan, kAny, G::kWoman, kUnspecified), no},
      {"any and same", genders(G::kMan, kAny, G::kWoman, kSameGender), no},
      {"any and any, not said", genders(G::kUnspecified, kAny, G::kUnspecified, kAny), ""},
      {"same, not said", genders(G::kUnspecified, kSameGender, G::kUnspecified, kSameGender), no},
      {"set has both", genders(G::kMan, kExplicitSet, G::kWoman, kExplicitSet, both), ""},
      {"set lacks one", genders(G::kMan, kExplicitSet, G::kNonBinary, kExplicitSet, both), no},
      {"set is empty", genders(G::kMan, kExplicitSet, G::kMan, kExplicitSet), no},
      {"set, other not said", genders(G::kMan, kExplicitSet, G::kUnspecified, kAny, both), no},
  });
}

TEST(RulesTest, LanguageModalityAccessMedication) {
  const auto sponsor_speaks = [](std::vector<const char*> tags) {
    return [tags](TestPair& p) {
      p.sponsor_person().languages.clear();
      for (const char* tag : tags) p.sponsor_person().languages.push_back(Language::FromTag(tag));
    };
  };
  ExpectCases({
      {"H8 one shared", sponsor_speaks({"es", "en-AU"}), ""},
      {"H8 none shared", sponsor_speaks({"es", "fr"}), "LANGUAGE"},
      {"H8 not said", sponsor_speaks({}), "LANGUAGE"},
      {"H8 neither can be read",
       [](TestPair& p) {
         p.sponsor_person().languages = {Language()};
         p.newcomer_person().languages = {Language()};
       },
       "LANGUAGE"},
      {"H9 none shared", [](TestPair& p) { p.sponsor_person().modalities = {Modality::kVideo}; },
       "MODALITY"},
      {"H9 not said", [](TestPair& p) { p.newcomer_person().modalities = {}; }, "MODALITY"},
      {"H13 not offered",
       [](TestPair& p) {
         p.newcomer.newcomer->access_needs = {AccessNeed::kAsl, AccessNeed::kCaptions};
         p.sponsor.sponsor->access_offered = {AccessNeed::kAsl};
       },
       "ACCESS"},
      {"H13 offered",
       [](TestPair& p) {
         p.newcomer.newcomer->access_needs = {AccessNeed::kAsl};
         p.sponsor.sponsor->access_offered = {AccessNeed::kAsl, AccessNeed::kCaptions};
       },
       ""},
      {"H17 asked, not said",
       [](TestPair& p) { p.newcomer.newcomer->requires_medication_support = true; },
       "MEDICATION_SUPPORT"},
      {"H17 asked, no opinion",
       [](TestPair& p) {
         p.newcomer.newcomer->requires_medication_support = true;
         p.sponsor_person().medication_stance = MedicationStance::kNoOpinion;
       },
       "MEDICATION_SUPPORT"},
      {"H17 asked, affirmed",
       [](TestPair& p) {
         p.newcomer.newcomer->requires_medication_support = true;
         p.sponsor_person().medication_stance = MedicationStance::kSupportsMedication;
       },
       ""},
  });
}

TEST(RulesTest, CapacityFreshnessAvailability) {
  const auto attested = [](absl::Duration ago) {
    return [ago](TestPair& p) { p.sponsor.sponsor->attest_time = TestNow() - ago; };
  };
  const auto sponsor_hours = [](int16_t start, int16_t length) {
    return [=](TestPair& p) { p.sponsor_person().availability = {{1, start, length}}; };
  };
  ExpectCases({
      {"H10 last seat", [](TestPair& p) { p.seats.pairing_count = 2; }, ""},
      {"H10 full", [](TestPair& p) { p.seats.pairing_count = 3; }, "CAPACITY"},
      {"H10 offers count", [](TestPair& p) { p.seats.open_offer_count = 2; }, "CAPACITY"},
      {"H10 not accepting", [](TestPair& p) { p.seats.accepting = false; }, "CAPACITY"},
      {"H10 not set", [](TestPair& p) { p.seats = {}; }, "CAPACITY"},
      {"H12 almost 30 days", attested(absl::Hours(720) - absl::Seconds(1)), ""},
      {"H12 30 days", attested(absl::Hours(720)), "FRESH"},
      {"H12 never", [](TestPair& p) { p.sponsor.sponsor->attest_time = absl::InfinitePast(); },
       "FRESH"},
      {"H11 an hour", sponsor_hours(20 * 60, 300), ""},
      {"H11 45 minutes", sponsor_hours(20 * 60 + 15, 300), "AVAILABILITY"},
      {"H11 no hours", [](TestPair& p) { p.sponsor_person().availability.clear(); }, ""},
      {"H11 no zone", [](TestPair& p) { p.newcomer_person().time_zone.clear(); }, ""},
      {"H11 no such zone", [](TestPair& p) { p.newcomer_person().time_zone = "Mars/Base"; }, ""},
  });
}

// Wednesday 08:00 in Sydney is Tuesday evening in New York, and an hour or two earlier there while
// one of the two, or both, have moved their clocks.
TEST(RulesTest, OverlapFollowsTheClocksOfBothHemispheres) {
  TestPair pair;
  pair.newcomer_person().time_zone = "Australia/Sydney";
  pair.newcomer_person().availability = {{3, 8 * 60, 60}};
  pair.sponsor.sponsor->attest_time = absl::InfiniteFuture();
  const auto broken = [&](int month, int day) {
    const absl::Time now = absl::FromCivil(absl::CivilHour(2026, month, day), absl::UTCTimeZone());
    const absl::Time week = UtcWeekStart(now);
    const NewcomerRecord newcomer = MakeNewcomerRecord(
        pair.newcomer, pair.philosophy, pair.relationship_type, BuiltInPrograms(), week);
    SponsorRecord sponsor =
        MakeSponsorRecord(pair.sponsor, pair.philosophy, BuiltInPrograms(), week);
    SetSeats(pair.seats, sponsor);
    return RuleSet().FirstBroken(newcomer, sponsor, PairFacts{}, now);
  };
  EXPECT_EQ(broken(1, 14), Rule::kAvailability);   // 16:00: summer there, winter here
  EXPECT_EQ(broken(3, 18), Rule::kAvailability);   // 17:00: both in summer time
  EXPECT_EQ(broken(4, 8), std::nullopt);           // 18:00: winter there, summer here
  EXPECT_EQ(broken(9, 30), std::nullopt);          // the same
  EXPECT_EQ(broken(10, 14), Rule::kAvailability);  // 17:00 again
  EXPECT_EQ(broken(11, 11), Rule::kAvailability);  // 16:00 again
}

TEST(RulesTest, DistanceCountsOnlyInPerson) {
  const auto away = [](int16_t latitude, bool required) {
    return [=](TestPair& p) {
      p.newcomer_person().modalities.Add(Modality::kInPersonPublic);
      p.sponsor_person().modalities.Add(Modality::kInPersonPublic);
      p.newcomer.newcomer->requires_in_person = required;
      p.sponsor_person().place.cell = CoarseCell{latitude, -740};
    };
  };
  // A tenth of a degree of latitude is 11.12 km: three are within 40 km, four are not.
  ExpectCases({
      {"near", away(410, true), ""},
      {"far", away(411, true), "DISTANCE"},
      {"far, not required", away(411, false), ""},
      {"far, but that is the one way",
       [&](TestPair& p) {
         away(411, false)(p);
         p.sponsor_person().modalities = {Modality::kInPersonPublic};
       },
       "DISTANCE"},
      {"farther is welcome",
       [&](TestPair& p) {
         away(411, true)(p);
         p.newcomer.newcomer->max_distance_km = 45;
       },
       ""},
      {"as far as is welcome, and a little more",
       [&](TestPair& p) {
         away(411, true)(p);
         p.newcomer.newcomer->max_distance_km = 44;  // 44.5 km
       },
       "DISTANCE"},
      {"over the pole and over the date line it is the short way",
       [&](TestPair& p) {
         away(0, true)(p);
         p.newcomer_person().place.cell = CoarseCell{0, 1799};
         p.sponsor_person().place.cell = CoarseCell{0, -1799};
       },
       ""},
      {"the longest way that may be asked for",
       [&](TestPair& p) {
         away(451, true)(p);  // 489 km
         p.newcomer.newcomer->max_distance_km = 500;
       },
       ""},
      {"newcomer's cell not said",
       [&](TestPair& p) {
         away(407, true)(p);
         p.newcomer_person().place.cell.reset();
       },
       "DISTANCE"},
      {"cell not said, and not asked to meet",
       [&](TestPair& p) {
         away(407, false)(p);
         p.sponsor_person().place.cell.reset();
       },
       ""},
      {"cell not said",
       [&](TestPair& p) {
         away(407, true)(p);
         p.sponsor_person().place.cell.reset();
       },
       "DISTANCE"},
      {"in person is not among the sponsor's ways",
       [&](TestPair& p) {
         away(407, true)(p);
         p.sponsor_person().modalities.Remove(Modality::kInPersonPublic);
       },
       "MODALITY"},
  });
}

TEST(RulesTest, WhatStandsBetweenTheTwo) {
  const TestPair pair;
  PairFacts facts;
  facts.blocked = true;
  EXPECT_EQ(BrokenCode(pair, facts), "NOT_BLOCKED");
  facts = {};
  facts.avoided = true;
  EXPECT_EQ(BrokenCode(pair, facts), "NOT_BLOCKED");
  facts = {};
  facts.dual_role = true;
  EXPECT_EQ(BrokenCode(pair, facts), "DUAL_ROLE");
  facts = {};
  facts.ended_for_safety = true;
  EXPECT_EQ(BrokenCode(pair, facts), "COOLDOWN");
  facts = {};
  facts.cooldown_until = TestNow() + absl::Seconds(1);
  EXPECT_EQ(BrokenCode(pair, facts), "COOLDOWN");
  facts.cooldown_until = TestNow();
  EXPECT_EQ(BrokenCode(pair, facts), "");
}

TEST(RulesTest, NobodyIsPairedWithThemselves) {
  TestPair pair;
  pair.sponsor.member = pair.newcomer.member;
  EXPECT_EQ(BrokenCode(pair), "DUAL_ROLE");
}

TEST(RulesTest, WhatANewcomerHasToSayIsNamed) {
  const ProgramPolicies& policies = BuiltInPrograms();
  const Philosophy aa = Philosophy::kTwelveStepAa;
  EXPECT_TRUE(MissingForMatching(*GoodNewcomer().newcomer, aa, policies).empty());
  std::set<std::string> paths;
  for (const MissingField& field : MissingForMatching(NewcomerTraits{}, aa, policies)) {
    paths.insert(field.path);
    EXPECT_FALSE(field.text.empty());
  }
  EXPECT_EQ(paths, (std::set<std::string>{"newcomer.person.adult_attested", "newcomer.philosophies",
                                          "newcomer.person.languages", "newcomer.person.modalities",
                                          "newcomer.person.gender"}));
}

TEST(RulesTest, OptionsNameTheirFaults) {
  EXPECT_TRUE(RuleOptions{}.Validate().ok());
  const absl::Status status = RuleOptions{-1, 0, 501}.Validate();
  EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid));
  EXPECT_THAT(status.message(), HasSubstr("min_overlap_minutes is -1"));
  EXPECT_THAT(status.message(), HasSubstr("fresh_days is 0"));
  EXPECT_THAT(status.message(), HasSubstr("default_max_distance_km is 501"));
}

}  // namespace
}  // namespace handrail::matching
