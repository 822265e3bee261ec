#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/pair_table.h"
#include "services/matching/domain/people_for_test.h"
#include "services/matching/domain/pool_index.h"

// The searches of a pool held to the plain scan over everybody, on random people who come, change
// and go while time passes.
namespace handrail::matching {
namespace {

using handrail::testing::SeededRandom;

constexpr int kEverything = 1'000'000'000;

ChoiceOptions WithEffort(int effort) {
  ChoiceOptions options;
  options.effort = effort;
  return options;
}

std::shared_ptr<const MemberTraits> Share(const MemberTraits& traits) {
  return std::make_shared<const MemberTraits>(traits);
}

// What a choice says, without where it lies in memory.
std::string Said(const Choice& choice) {
  std::string text;
  for (const Candidate& candidate : choice.candidates) {
    absl::StrAppend(&text, candidate.ticket->ticket.ToString().substr(16), "+",
                    candidate.sponsor->member.ToString().substr(16), " ",
                    candidate.weight_billionths, " ", candidate.score, "\n");
  }
  return text;
}

class World {
 public:
  World(uint64_t seed, const Chooser& chooser)
      : random_(seed), chooser_(chooser), index_(pool_, BuiltInPrograms(), chooser, history_) {}

  void AddSponsor() {
    MemberTraits traits = Chance(25) ? RandomSponsor(random_) : BlendedSponsor(random_);
    traits.sponsor->attest_time = now_ - absl::Hours(random_.Below(800));
    Availability seats = RandomSeats(traits.member, random_);
    if (Chance(40)) seats.responsiveness = random_.Unit();
    sponsors_.push_back({traits, seats});
    index_.PutMember(Share(traits), now_);
    index_.PutSeats(seats);
  }
  void AddTicket() {
    MemberTraits traits = Chance(25) ? RandomNewcomer(random_) : BlendedNewcomer(random_);
    // Nothing is kept of the erased, not even to be counted.
    if (traits.standing == Standing::kErased) traits.standing = Standing::kSuspended;
    Ticket ticket;
    ticket.id = TicketId::Random(random_);
    ticket.newcomer = traits.member;
    ticket.relationship_type =
        Chance(30) ? RelationshipType::kTemporaryContact : RelationshipType::kSponsor;
    ticket.philosophy = pool_.philosophy;
    ticket.pool = pool_;
    // Few different times, so that many wait equally long; some come long after their time.
    ticket.create_time = now_ - absl::Minutes(30 * random_.Below(Chance(50) ? 4 : 400));
    if (Chance(10)) ticket.boost = random_.Unit();
    if (Chance(15))
      ticket.importance = Importance::FromBits(static_cast<uint32_t>(random_.Next64()));
    tickets_.push_back({traits, ticket});
    index_.PutTicket(ticket, Share(traits), now_);
    if (Chance(10) && !sponsors_.empty()) {
      history_.CoolDown(ticket.newcomer, Pick(sponsors_).traits.member, now_ + absl::Hours(24));
    }
  }
  void RemoveTicket() {
    const size_t place = random_.Below(tickets_.size());
    Ticket ticket = tickets_[place].ticket;
    ticket.state = TicketState::kPaired;
    ++ticket.version;
    index_.PutTicket(ticket, nullptr, now_);
    tickets_.erase(tickets_.begin() + static_cast<std::ptrdiff_t>(place));
  }
  void ChangeSomebody() {
    Sponsor& sponsor = Pick(sponsors_);
    Availability seats = RandomSeats(sponsor.traits.member, random_);
    seats.version = sponsor.seats.version + 1;
    sponsor.seats = seats;
    index_.PutSeats(seats);
    Waiting& waiting = Pick(tickets_);
    const NewcomerTraits other = *BlendedNewcomer(random_).newcomer;
    ++waiting.traits.version;
    waiting.traits.newcomer = other;
    index_.PutMember(Share(waiting.traits), now_);
    Sponsor& changed = Pick(sponsors_);
    const SponsorTraits new_side = *BlendedSponsor(random_).sponsor;
    ++changed.traits.version;
    changed.traits.sponsor = new_side;
    index_.PutMember(Share(changed.traits), now_);
    if (!IsHere(changed.traits)) {
      // Whoever left the pool has left their seats too.
      changed.seats = {};
      changed.seats.sponsor = changed.traits.member;
    }
  }
  void Pass(absl::Duration time) { now_ += time; }

  // Makes everybody's records from what they said, and scans them all.
  void Refresh() {
    const absl::Time week = UtcWeekStart(now_);
    sponsor_records_.clear();
    for (const Sponsor& sponsor : sponsors_) {
      SponsorRecord record;
      if (IsHere(sponsor.traits)) {
        record = MakeSponsorRecord(sponsor.traits, pool_.philosophy, BuiltInPrograms(), week);
      }
      record.member = sponsor.traits.member;
      SetSeats(sponsor.seats, record);
      sponsor_records_.push_back(record);
    }
    ticket_records_.clear();
    for (const Waiting& waiting : tickets_) {
      ticket_records_.push_back(
          MakeTicketRecord(waiting.ticket, waiting.traits, BuiltInPrograms(), week));
    }
  }
  void ExpectTheSame(size_t limit) {
    const size_t t = random_.Below(tickets_.size());
    ASSERT_EQ(Said(index_.FindSponsors(tickets_[t].ticket.id, now_, limit)),
              Said(chooser_.BestSponsorsFor(ticket_records_[t], sponsor_records_, history_, now_,
                                            limit)));
    const size_t s = random_.Below(sponsors_.size());
    const Choice plain =
        chooser_.BestTicketsFor(sponsor_records_[s], ticket_records_, history_, now_, limit);
    ASSERT_EQ(Said(index_.FindTickets(sponsors_[s].traits.member, now_, limit)), Said(plain));
    found_ += plain.found() ? 1 : 0;
    const RuleCounts counts = index_.CountRemoved(tickets_[t].ticket.id, now_);
    const RuleCounts plain_counts =
        chooser_.BestSponsorsFor(ticket_records_[t], sponsor_records_, history_, now_, 1).removed;
    ASSERT_EQ(counts.removed, plain_counts.removed);
    ASSERT_EQ(counts.passed, plain_counts.passed);
  }
  // Of a search that may have ended early.
  void ExpectTheLongestWaiting() {
    const size_t s = random_.Below(sponsors_.size());
    const Choice plain = chooser_.BestTicketsFor(sponsor_records_[s], ticket_records_, history_,
                                                 now_, Chooser::kMaxCandidates);
    const Choice found = index_.FindTickets(sponsors_[s].traits.member, now_, 2);
    ASSERT_EQ(found.found(), plain.found());
    if (!found.found()) return;
    int64_t longest = std::numeric_limits<int64_t>::max();
    for (const Candidate& c : plain.candidates)
      longest = std::min(longest, c.ticket->enqueue_micros);
    const bool listed =
        std::any_of(found.candidates.begin(), found.candidates.end(),
                    [&](const Candidate& c) { return c.ticket->enqueue_micros == longest; });
    ASSERT_TRUE(listed);
    ++found_;
  }

  PoolIndex& index() { return index_; }
  size_t tickets() const { return tickets_.size(); }
  int found() const { return found_; }

 private:
  struct Sponsor {
    MemberTraits traits;
    Availability seats;
  };
  struct Waiting {
    MemberTraits traits;
    Ticket ticket;
  };

  bool IsHere(const MemberTraits& sponsor) const {
    const std::vector<PoolKey> pools = PoolsForSponsor(*sponsor.sponsor);
    return sponsor.standing != Standing::kErased &&
           std::find(pools.begin(), pools.end(), pool_) != pools.end();
  }
  bool Chance(uint64_t percent) { return random_.Below(100) < percent; }
  template <typename T>
  T& Pick(std::vector<T>& all) {
    return all[random_.Below(all.size())];
  }

  SeededRandom random_;
  const Chooser& chooser_;
  const PoolKey pool_ = GoodTicket().pool;
  absl::Time now_ = TestNow();
  PairTable history_;
  PoolIndex index_;
  std::vector<Sponsor> sponsors_;
  std::vector<Waiting> tickets_;
  std::vector<SponsorRecord> sponsor_records_;
  std::vector<TicketRecord> ticket_records_;
  int found_ = 0;
};

TEST(PoolSearchTest, FindsWhatAScanOverEverybodyFinds) {
  const Chooser chooser(RuleSet{}, Scorer{}, WithEffort(kEverything));
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    World world(seed, chooser);
    for (int i = 0; i < 300; ++i) world.AddSponsor();
    for (int i = 0; i < 1500; ++i) world.AddTicket();
    for (int round = 0; round < 12; ++round) {
      world.Refresh();
      for (const size_t limit : {1u, 2u, 8u, 32u}) {
        for (int i = 0; i < 10; ++i) world.ExpectTheSame(limit);
        if (::testing::Test::HasFatalFailure()) FAIL() << seed << " round " << round;
      }
      for (int i = 0; i < 120; ++i) {
        world.AddTicket();
        world.RemoveTicket();
        world.RemoveTicket();
        world.ChangeSomebody();
      }
      world.AddSponsor();
      world.Pass(absl::Hours(20));
    }
    EXPECT_GT(world.found(), 60);
    EXPECT_LT(world.tickets(), 1000u);
  }
}

TEST(PoolSearchTest, WithoutAnyOneRuleItIsStillTheScan) {
  for (int rule = 0; rule < kRuleCount; ++rule) {
    const Chooser chooser(RuleSet().Without(static_cast<Rule>(rule)), Scorer{},
                          WithEffort(kEverything));
    World world(static_cast<uint64_t>(rule) + 100, chooser);
    for (int i = 0; i < 100; ++i) world.AddSponsor();
    for (int i = 0; i < 300; ++i) world.AddTicket();
    world.Refresh();
    for (int i = 0; i < 20; ++i) world.ExpectTheSame(2);
    if (::testing::Test::HasFatalFailure()) FAIL() << CodeOf(static_cast<Rule>(rule));
  }
}

// Over a year, with zones of both hemispheres, the hours that are turned from week to week are
// those that the windows come to.
TEST(PoolSearchTest, HoursAreRightInEveryWeekOfAYear) {
  RuleOptions rules;
  rules.fresh_days = 365;
  const Chooser chooser(RuleSet(rules), Scorer{}, WithEffort(kEverything));
  World world(7, chooser);
  for (int i = 0; i < 80; ++i) world.AddSponsor();
  for (int i = 0; i < 300; ++i) world.AddTicket();
  for (int week = 0; week < 53; ++week) {
    world.Pass(absl::Hours(168));
    world.Refresh();
    for (int i = 0; i < 6; ++i) world.ExpectTheSame(8);
    if (::testing::Test::HasFatalFailure()) FAIL() << "week " << week;
    world.ChangeSomebody();
  }
  EXPECT_GT(world.found(), 20);
}

TEST(PoolSearchTest, ASearchThatEndsEarlyStillListsTheLongestWaiting) {
  // Wherever it is that the effort ends.
  for (const int effort : {1, 9, 12, 16, 20, 25, 40, 60, 90, 150, 250}) {
    SCOPED_TRACE(effort);
    const Chooser chooser(RuleSet{}, Scorer{}, WithEffort(effort));
    World world(11, chooser);
    for (int i = 0; i < 200; ++i) world.AddSponsor();
    for (int i = 0; i < 3000; ++i) world.AddTicket();
    world.Refresh();
    for (int i = 0; i < 150; ++i) world.ExpectTheLongestWaiting();
    EXPECT_GT(world.found(), 30);
  }
}

// Hundreds stand before them whom the sponsor cannot have just now, each to be looked at singly.
TEST(PoolSearchTest, WhoSpendsTheEffortOnOthersStillListsTheLongestWaiting) {
  for (const int effort : {20, 50, 100, 200, 400}) {
    SCOPED_TRACE(effort);
    const Chooser chooser(RuleSet{}, Scorer{}, WithEffort(effort));
    PairTable history;
    PoolIndex index(GoodTicket().pool, BuiltInPrograms(), chooser, history);
    constexpr int kSponsor = 100'001;
    index.PutMember(Share(GoodSponsor(kSponsor)), TestNow());
    index.PutSeats(GoodSeats(kSponsor));
    const auto add = [&](int number, absl::Duration waited, RelationshipType type, double boost) {
      Ticket ticket = GoodTicket(number, waited);
      ticket.relationship_type = type;
      ticket.boost = boost;
      index.PutTicket(ticket, Share(GoodNewcomer(number)), TestNow());
    };
    add(1, absl::Hours(1), RelationshipType::kTemporaryContact, 0);
    for (int number = 10; number < 522; ++number) {
      add(number, absl::Hours(100), RelationshipType::kSponsor, 0.1);
      history.CoolDown(NumberedId<MemberId>(number), NumberedId<MemberId>(kSponsor),
                       TestNow() + absl::Hours(1));
    }
    add(2, absl::Hours(50), RelationshipType::kSponsor, 0);
    const Choice choice = index.FindTickets(NumberedId<MemberId>(kSponsor), TestNow(), 2);
    EXPECT_TRUE(std::any_of(
        choice.candidates.begin(), choice.candidates.end(),
        [](const Candidate& c) { return c.ticket->ticket == NumberedId<TicketId>(2); }));
  }
}

}  // namespace
}  // namespace handrail::matching
