#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "services/matching/adapters/replicas_test_world.h"

// Four replicas over one pool, while people use them, replicas die at any moment and Redis loses
// its data. No invariant may ever be broken, and nothing may be lost. With a seeded bug, the same
// checks find it.
namespace handrail::matching {
namespace {

using storage::TestBackend;
using ::testing::IsEmpty;

constexpr int kTickets = 600;
constexpr int kDeaths = 12;

class ReplicasTest : public ::testing::TestWithParam<TestBackend> {};

TEST_P(ReplicasTest, RaceOverOnePoolAndNothingIsBrokenOrLost) {
  World world(GetParam(), {});
  world.StartPeople(kTickets);
  for (int death = 1; death <= kDeaths; ++death) {
    ASSERT_TRUE(world.Await(absl::Seconds(90), [&] {
      return world.acknowledged() >= death * kTickets / (kDeaths + 2);
    }));
    world.Kill(static_cast<size_t>(death) % kReplicas);
    if (death % 5 == 0) world.LoseRedis();
  }
  ASSERT_TRUE(world.Await(absl::Seconds(90), [&] { return world.acknowledged() >= kTickets; }));
  // It was a race, also between the sponsors of one newcomer.
  EXPECT_TRUE(world.Await(absl::Seconds(60), [&] {
    return world.won_by_two() > 0 && world.won_by_three() > 0 && world.rescinded_together() > 0;
  }));
  world.StopPeople();
  EXPECT_TRUE(world.Await(absl::Seconds(90), [&] { return world.IsSettled(); }))
      << world.unsettled();
  world.LookForViolations();
  world.LookAtTheAges();
  EXPECT_THAT(world.findings(), IsEmpty());
  EXPECT_EQ(world.CountOf("SELECT COUNT(*) FROM tickets"), kTickets);
  EXPECT_EQ(world.CountOf("SELECT COUNT(*) FROM (SELECT 1 FROM pairings GROUP BY ticket "
                          "HAVING COUNT(*) > 1) AS t"),
            0);
  world.CountReplicas();
  EXPECT_GT(world.offers(), 50);
  EXPECT_GT(world.looks(), 10);
  const int64_t rescinded = world.CountOf(
      "SELECT COUNT(*) FROM offers o JOIN pairings p ON p.ticket = o.ticket WHERE o.state = 5");
  EXPECT_GT(rescinded, 0);
  std::printf(
      "%d deaths, %lld offers by %zu replicas, %lld refused, %lld pairings, %lld offers rescinded "
      "beside an accepted one, %lld acceptances at the same moment with a winner in %lld, %lld "
      "looks\n",
      kDeaths, static_cast<long long>(world.offers()), kReplicas,
      static_cast<long long>(world.refused()),
      static_cast<long long>(world.CountOf("SELECT COUNT(*) FROM pairings")),
      static_cast<long long>(rescinded), static_cast<long long>(world.together()),
      static_cast<long long>(world.won_by_two() + world.won_by_three()),
      static_cast<long long>(world.looks()));
}

INSTANTIATE_TEST_SUITE_P(Backends, ReplicasTest,
                         ::testing::Values(TestBackend::kSqliteMemory, TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

// Each bug, and what a look at the ledger says of it.
struct Symptom {
  const char* name;
  Bug bug;
  const char* finding;
};
class SeededBugsTest : public ::testing::TestWithParam<Symptom> {};

TEST_P(SeededBugsTest, IsFound) {
  Replica::Options replica;
  replica.bug = GetParam().bug;
  World world(TestBackend::kSqliteMemory, replica);
  world.StartPeople(10'000);
  EXPECT_TRUE(world.Await(absl::Seconds(60), [&] {
    return world.findings().contains(GetParam().finding);
  })) << ::testing::PrintToString(world.findings());
}

INSTANTIATE_TEST_SUITE_P(
    Bugs, SeededBugsTest,
    ::testing::Values(
        Symptom{"RivalsStayOpen", Bug::kRivalsStayOpen,
                "M4: an offer is open for a ticket that is not offered"},
        Symptom{"KeepsSeats", Bug::kKeepsSeats,
                "M2: a seat is held by an offer that is not open, or by the wrong sponsor's"},
        Symptom{"AcceptsTwice", Bug::kAcceptsTwice, "M3: a ticket has two pairings"},
        Symptom{"TwoAreTheFirst", Bug::kAcceptsTwice,
                "two who accepted offers of one ticket were both the first"}),
    [](const auto& info) { return info.param.name; });

// Nobody answers, nothing times out: what Redis is built from again after a loss is all it has.
class LossTest : public ::testing::TestWithParam<Bug> {};

TEST_P(LossTest, WhoHasRoomForOneMoreOfferIsQueuedAgain) {
  Replica::Options replica;
  replica.bug = GetParam();
  replica.response_deadline = absl::Hours(24);
  World world(TestBackend::kSqliteMemory, replica);
  world.StartPeople(100);
  ASSERT_TRUE(world.Await(absl::Seconds(60), [&] { return world.acknowledged() >= 100; }));
  world.StopPeople();
  const auto settled = [&] { return world.IsSettled(); };
  // Nor is any hint under way.
  ASSERT_TRUE(world.Await(absl::Seconds(60), [&] {
    return world.IsSettled() &&
           world.CountOf("SELECT COUNT(*) FROM tickets WHERE index_pending > 0") == 0;
  })) << world.unsettled();
  world.LoseRedis();
  const bool again = world.Await(absl::Seconds(GetParam() == Bug::kNone ? 60 : 6), settled);
  EXPECT_GT(world.with_room(), 0) << "there is nothing to forget";
  EXPECT_EQ(again, GetParam() == Bug::kNone) << world.unsettled();
}

INSTANTIATE_TEST_SUITE_P(With, LossTest, ::testing::Values(Bug::kNone, Bug::kForgetsRoom),
                         [](const auto& info) {
                           return info.param == Bug::kNone ? "NoBug" : "ForgetsRoom";
                         });

}  // namespace
}  // namespace handrail::matching
