#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/pair_table.h"
#include "services/matching/domain/people_for_test.h"
#include "services/matching/domain/pool_index.h"
#include "services/matching/domain/rule_oracle.h"

// A million random pairs, in every program and in weeks whose clocks change, against the rules
// written a second time (rule_oracle.h): what they forbid is never offered, and each rule is needed
// for that.
namespace handrail::matching {
namespace {

using handrail::testing::SeededRandom;

constexpr int kPeople = 225;  // of each side in a program
constexpr int kPrograms = kPhilosophyCount - 1;
static_assert(kPrograms * kPeople * kPeople >= 1'000'000, "pairs");
constexpr size_t kLimit = Chooser::kMaxCandidates;

// In weeks in which nobody's clock changes, in which New York's, London's, Sydney's or Lord Howe's
// does, and at the very end of a year.
absl::Time MomentOf(int number) {
  static constexpr std::array<const char*, 8> kMoments = {
      "2026-06-03T12:00:00Z", "2026-03-04T08:00:00Z", "2026-03-25T23:30:00Z",
      "2026-10-21T00:00:00Z", "2026-10-28T17:45:00Z", "2026-04-01T05:00:00Z",
      "2026-09-30T21:15:00Z", "2026-12-31T23:59:59Z"};
  absl::Time moment;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(
      absl::RFC3339_full, kMoments[static_cast<size_t>(number) % kMoments.size()], &moment, &error))
      << error;
  return moment;
}

template <typename T>
T OneOf(Random& random, std::initializer_list<T> values) {
  return *(values.begin() + random.Below(values.size()));
}

bool Chance(Random& random, uint64_t percent) { return random.Below(100) < percent; }

// People who suit each other in a program but for a few random traits, so that many pairs break one
// rule only, or none; some of them just at a threshold.
class People {
 public:
  People(Philosophy philosophy, absl::Time now, Random& random)
      : philosophy_(philosophy),
        now_(now),
        today_(absl::ToCivilDay(now, absl::UTCTimeZone())),
        random_(random) {}

  MemberTraits Newcomer() {
    MemberTraits member = RandomNewcomer(random_);
    NewcomerTraits& traits = *member.newcomer;
    traits.person = Blend(traits.person);
    if (Chance(random_, 95)) traits.philosophies.Add(philosophy_);
    if (Chance(random_, 80)) {
      traits.recovery_date = today_ - OneOf<int>(random_, {0, 5, 30, 184, 185, 186, 190, 1999});
    }
    if (Chance(random_, 85)) traits.requires_in_person = false;
    if (Chance(random_, 80)) traits.access_needs = {};
    return member;
  }

  MemberTraits Sponsor() {
    MemberTraits member = RandomSponsor(random_);
    SponsorTraits& traits = *member.sponsor;
    traits.person = Blend(traits.person);
    if (Chance(random_, 85)) traits.programs = {GoodProgram()};
    traits.attest_time += now_ - TestNow();
    if (Chance(random_, 70)) traits.attest_time = now_ - absl::Hours(24);
    if (Chance(random_, 5)) traits.attest_time = now_ - absl::Hours(30 * 24);
    if (Chance(random_, 5)) traits.attest_time = now_ - absl::Hours(30 * 24) + absl::Seconds(1);
    return member;
  }

  RelationshipType Relationship() {
    if (Chance(random_, 10)) return static_cast<RelationshipType>(1 + random_.Below(8));
    std::vector<RelationshipType> types;
    BuiltInPrograms().Of(philosophy_).relationship_types.ForEach([&types](RelationshipType type) {
      types.push_back(type);
    });
    return types[random_.Below(types.size())];
  }

  PairFacts Facts() {
    PairFacts facts;
    facts.blocked = Chance(random_, 3);
    facts.avoided = Chance(random_, 3);
    facts.dual_role = Chance(random_, 3);
    facts.ended_for_safety = Chance(random_, 3);
    if (Chance(random_, 6)) {
      facts.cooldown_until = now_ + OneOf(random_, {-absl::Hours(24), absl::ZeroDuration(),
                                                    absl::Seconds(1), absl::Hours(24)});
    }
    return facts;
  }

 private:
  PersonTraits Blend(const PersonTraits& wild) {
    PersonTraits person = GoodPerson();
    const auto take = [this](auto& to, const auto& from) {
      if (Chance(random_, 12)) to = from;
    };
    take(person.languages, wild.languages);
    take(person.modalities, wild.modalities);
    take(person.gender, wild.gender);
    take(person.gender_preference, wild.gender_preference);
    // Near each other and not so near.
    if (Chance(random_, 40)) person.modalities.Add(Modality::kInPersonPublic);
    if (Chance(random_, 40)) person.place = wild.place;
    take(person.adult_attested, wild.adult_attested);
    // Half of them far apart, free at any hour: also at those that a change of the clock skips and
    // repeats.
    if (Chance(random_, 50)) {
      person.time_zone = OneOf<const char*>(
          random_, {"America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Sydney",
                    "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu",
                    "Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC", "Nowhere/Atoll", ""});
      person.availability = wild.availability;
      for (uint64_t extra = random_.Below(3); extra > 0; --extra) {
        person.availability.push_back({7, static_cast<int16_t>(random_.Below(20) * 15),
                                       static_cast<int16_t>((2 + random_.Below(12)) * 15)});
      }
    }
    person.medication_stance = wild.medication_stance;
    person.communities = wild.communities;
    person.spiritual_stance = wild.spiritual_stance;
    return person;
  }

  SponsorProgram GoodProgram() {
    SponsorProgram program;
    program.philosophy = philosophy_;
    program.recovery_date =
        today_ - OneOf<int>(random_, {179, 180, 181, 364, 365, 366, 2000, 2000, 2000, 2179, 2180});
    program.steps_done = Chance(random_, 90) ? 12 : 11;
    program.has_own_sponsor = Chance(random_, 90);
    program.attends_actively = Chance(random_, 90);
    if (Chance(random_, 90)) program.trainings = {Training::kFacilitator, Training::kBoundaries};
    for (int type = 1; type < kRelationshipTypeCount; ++type) {
      program.relationship_types.Add(static_cast<RelationshipType>(type));
    }
    return program;
  }

  const Philosophy philosophy_;
  const absl::Time now_;
  const absl::CivilDay today_;
  Random& random_;
};

// Everybody of one program at one moment.
class World {
 public:
  explicit World(int program)
      : philosophy_(static_cast<Philosophy>(program)), now_(MomentOf(program)), oracle_(now_) {
    SeededRandom random(static_cast<uint64_t>(20260600 + program));
    People people(philosophy_, now_, random);
    for (int i = 0; i < kPeople; ++i) {
      const MemberTraits sponsor = i % 5 == 0 ? RandomSponsor(random) : people.Sponsor();
      seats_.push_back(RandomSeats(sponsor.member, random));
      if (random.Below(100) < 60) seats_.back().capacity = 3;
      sponsor_of_[sponsor.member] = sponsors_.size();
      sponsors_.push_back(oracle_.Sponsor(sponsor));
    }
    for (int i = 0; i < kPeople; ++i) {
      const MemberTraits newcomer = i % 5 == 0 ? RandomNewcomer(random) : people.Newcomer();
      Ticket ticket = GoodTicket(i + 1, absl::Hours(i));
      ticket.newcomer = newcomer.member;
      ticket.relationship_type = people.Relationship();
      ticket.philosophy = philosophy_;
      ticket.pool.philosophy = philosophy_;
      ticket.create_time = now_ - absl::Hours(i);
      ticket.expire_time = ticket.create_time + kTicketLifetime;
      ticket.version = 1;
      ticket_of_[ticket.id] = tickets_.size();
      tickets_.push_back(ticket);
      newcomers_.push_back(oracle_.Newcomer(newcomer));
      for (const RuleOracle::Person& sponsor : sponsors_) {
        const PairFacts facts = people.Facts();
        if (!facts.IsClear()) table_.Put(newcomer.member, sponsor.traits.member, facts);
      }
    }
  }

  std::set<Rule> Broken(size_t newcomer, size_t sponsor) const {
    return oracle_.Broken(
        newcomers_[newcomer], sponsors_[sponsor],
        {philosophy_, tickets_[newcomer].relationship_type, seats_[sponsor],
         table_.Between(newcomers_[newcomer].traits.member, sponsors_[sponsor].traits.member)});
  }

  // What an index with these rules would offer, both ways of looking, and how much of it is wrong.
  struct Outcome {
    int64_t offered = 0;
    int64_t wrong = 0;
  };
  Outcome OfferAll(const RuleSet& rules) const {
    const Chooser chooser(rules, Scorer{});
    PoolIndex index({philosophy_, std::string(PoolKey::kOnline)}, BuiltInPrograms(), chooser,
                    table_);
    for (size_t i = 0; i < sponsors_.size(); ++i) {
      index.PutMember(std::make_shared<const MemberTraits>(sponsors_[i].traits), now_);
      index.PutSeats(seats_[i]);
    }
    for (size_t i = 0; i < tickets_.size(); ++i) {
      index.PutTicket(tickets_[i], std::make_shared<const MemberTraits>(newcomers_[i].traits),
                      now_);
    }
    Outcome outcome;
    const auto judge = [&](const Choice& choice) {
      for (const Candidate& candidate : choice.candidates) {
        ++outcome.offered;
        const size_t newcomer = ticket_of_.at(candidate.ticket->ticket);
        const size_t sponsor = sponsor_of_.at(candidate.sponsor->member);
        if (!Broken(newcomer, sponsor).empty()) ++outcome.wrong;
      }
    };
    for (const Ticket& ticket : tickets_) judge(index.FindSponsors(ticket.id, now_, kLimit));
    for (const RuleOracle::Person& sponsor : sponsors_) {
      judge(index.FindTickets(sponsor.traits.member, now_, kLimit));
    }
    return outcome;
  }

  TicketRecord TicketRecordOf(size_t i) const {
    return MakeTicketRecord(tickets_[i], newcomers_[i].traits, BuiltInPrograms(),
                            UtcWeekStart(now_));
  }
  SponsorRecord SponsorRecordOf(size_t i) const {
    SponsorRecord record =
        MakeSponsorRecord(sponsors_[i].traits, philosophy_, BuiltInPrograms(), UtcWeekStart(now_));
    SetSeats(seats_[i], record);
    return record;
  }
  const PairTable& table() const { return table_; }
  absl::Time now() const { return now_; }

 private:
  const Philosophy philosophy_;
  const absl::Time now_;
  RuleOracle oracle_;
  std::vector<RuleOracle::Person> sponsors_, newcomers_;
  std::vector<Availability> seats_;
  std::vector<Ticket> tickets_;
  absl::flat_hash_map<MemberId, size_t> sponsor_of_;
  absl::flat_hash_map<TicketId, size_t> ticket_of_;
  PairTable table_;
};

const std::vector<std::unique_ptr<World>>& Worlds() {
  static const auto* const worlds = [] {
    auto* made = new std::vector<std::unique_ptr<World>>;
    for (int program = 1; program <= kPrograms; ++program) {
      made->push_back(std::make_unique<World>(program));
    }
    return made;
  }();
  return *worlds;
}

TEST(ChoicePropertyTest, TheRulesSayOfAMillionPairsWhatThePlainOnesSay) {
  const RuleSet rules;
  int64_t pairs = 0;
  int64_t good = 0;
  std::map<Rule, int64_t> alone;  // pairs that break this rule and no other
  for (const auto& world : Worlds()) {
    std::vector<SponsorRecord> sponsors;
    for (size_t j = 0; j < kPeople; ++j) sponsors.push_back(world->SponsorRecordOf(j));
    for (size_t i = 0; i < kPeople; ++i) {
      const TicketRecord ticket = world->TicketRecordOf(i);
      for (size_t j = 0; j < kPeople; ++j) {
        ++pairs;
        const std::set<Rule> expected = world->Broken(i, j);
        good += expected.empty() ? 1 : 0;
        if (expected.size() == 1) ++alone[*expected.begin()];
        const std::optional<Rule> first =
            rules.FirstBroken(ticket.newcomer, sponsors[j], world->table(), world->now());
        // std::set is in the order of evaluation.
        const auto want = expected.empty() ? std::nullopt : std::optional(*expected.begin());
        ASSERT_EQ(first, want) << i << " × " << j << " at " << world->now() << ": "
                               << (first ? CodeOf(*first) : "none") << " instead of "
                               << (want ? CodeOf(*want) : "none");
      }
    }
  }
  EXPECT_GE(pairs, 1'000'000);
  EXPECT_GT(good, 20'000);
  for (int i = 0; i < kRuleCount; ++i) {
    EXPECT_GT(alone[static_cast<Rule>(i)], 50) << CodeOf(static_cast<Rule>(i));
  }
}

TEST(ChoicePropertyTest, OfAMillionPairsNoneThatBreaksARuleIsOffered) {
  World::Outcome all;
  for (const auto& world : Worlds()) {
    const World::Outcome outcome = world->OfferAll(RuleSet());
    EXPECT_GT(outcome.offered, 100) << "at " << world->now();
    all.offered += outcome.offered;
    all.wrong += outcome.wrong;
  }
  EXPECT_GT(all.offered, 20'000);
  EXPECT_EQ(all.wrong, 0);
}

TEST(ChoicePropertyTest, WithoutAnyOneRuleSomethingWrongIsOffered) {
  for (int i = 0; i < kRuleCount; ++i) {
    const auto rule = static_cast<Rule>(i);
    const RuleSet rules = RuleSet().Without(rule);
    int64_t wrong = 0;
    for (const auto& world : Worlds()) {
      wrong += world->OfferAll(rules).wrong;
      if (wrong > 0) break;
    }
    EXPECT_GT(wrong, 0) << CodeOf(rule);
  }
}

TEST(ChoicePropertyTest, CountsAddUpAndScoresStayInTheirBounds) {
  const Chooser chooser(RuleSet{}, Scorer{});
  const World& world = *Worlds().front();
  std::vector<SponsorRecord> sponsors;
  for (size_t j = 0; j < kPeople; ++j) sponsors.push_back(world.SponsorRecordOf(j));
  // Sponsors who do not sponsor in the program at all: a scan passes over them.
  const int64_t live = std::count_if(sponsors.begin(), sponsors.end(),
                                     [](const SponsorRecord& sponsor) { return sponsor.IsLive(); });
  for (size_t i = 0; i < kPeople; ++i) {
    const TicketRecord ticket = world.TicketRecordOf(i);
    const Choice choice =
        chooser.BestSponsorsFor(ticket, sponsors, world.table(), world.now(), kLimit);
    EXPECT_EQ(choice.removed.evaluated(), live);
    EXPECT_EQ(choice.candidates.size(),
              static_cast<size_t>(std::min<int64_t>(kLimit, choice.removed.passed)));
    for (const SponsorRecord& sponsor : sponsors) {
      const double score = chooser.scorer().Score(ticket.newcomer, sponsor, world.now());
      ASSERT_GE(score, 0);
      ASSERT_LE(score, 100);
    }
  }
}

}  // namespace
}  // namespace handrail::matching
