#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "common/base/status.h"
#include "services/matching/stores/ledger_test_env.h"

// Offers that are made in one round, those to one sponsor in one unit of work.
namespace handrail::matching {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using Outcomes = std::vector<absl::StatusOr<Changed<Offer>>>;

constexpr absl::Time kNever = absl::InfiniteFuture();

class OfferRoundTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  void TearDown() override { env.ExpectWhole(); }

  // New people, each of whom is to be put before the sponsor.
  void Propose(const MemberId& sponsor, int count) {
    for (int i = 0; i < count; ++i) {
      const auto ticket = env.Open(env.As(env.AddNewcomer()));
      ASSERT_TRUE(ticket.ok()) << ticket.status();
      tickets.push_back(ticket->value);
      proposals.push_back(env.Propose(ticket->value, sponsor));
    }
  }
  Outcomes MakeOffers(absl::Time deadline = kNever) {
    return env.ledger->MakeOffers(deadline, env.clock.Now(), proposals);
  }
  int64_t Units() const { return env.database->Stats().units; }

  LedgerTestEnv env{GetParam()};
  std::vector<Ticket> tickets;
  std::vector<Proposal> proposals;
};

TEST_P(OfferRoundTest, ASponsorsOffersAreMadeInOneUnit) {
  Propose(env.AddSponsor(3), 3);
  Propose(env.AddSponsor(2), 2);
  const int64_t before = Units();
  const Outcomes outcomes = MakeOffers();
  EXPECT_EQ(Units() - before, 2);
  ASSERT_THAT(outcomes, SizeIs(proposals.size()));
  for (size_t i = 0; i < proposals.size(); ++i) {
    ASSERT_TRUE(outcomes[i].ok()) << i << ": " << outcomes[i].status();
    EXPECT_EQ(outcomes[i]->value.id, proposals[i].offer);
    EXPECT_EQ(outcomes[i]->value.sponsor, proposals[i].sponsor);
    ASSERT_THAT(outcomes[i]->effects.tickets, SizeIs(1));
    EXPECT_EQ(outcomes[i]->effects.tickets.front().ticket, tickets[i].id);
    EXPECT_EQ(env.TicketNow(tickets[i]).state, TicketState::kOffered);
  }
}

TEST_P(OfferRoundTest, OneThatIsRefusedTakesNothingFromTheOthers) {
  Propose(env.AddSponsor(2), 3);
  Propose(env.AddSponsor(3), 3);
  proposals[4].ticket_version = 7;
  const Outcomes outcomes = MakeOffers();
  EXPECT_TRUE(outcomes[3].ok() && outcomes[5].ok());
  EXPECT_TRUE(HasReason(outcomes[4].status(), reason::kEtagMismatch)) << outcomes[4].status();
  EXPECT_EQ(env.TicketNow(tickets[4]).state, TicketState::kWaiting);
  int made = 0;
  for (int i = 0; i < 3; ++i) {
    const bool ok = outcomes[static_cast<size_t>(i)].ok();
    made += ok ? 1 : 0;
    if (!ok) {
      EXPECT_TRUE(HasReason(outcomes[static_cast<size_t>(i)].status(), reason::kPoolFull));
    }
  }
  EXPECT_EQ(made, 2);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM offers WHERE state = 1"), 4);
}

TEST_P(OfferRoundTest, MoreThanAUnitHoldsAreMadeToo) {
  Propose(env.AddSponsor(10), 10);
  for (const auto& outcome : MakeOffers()) EXPECT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM offers WHERE state = 1"), 10);
}

TEST_P(OfferRoundTest, RoundsSideBySideOfferEachTicketOnce) {
  const std::vector<MemberId> sponsors = {env.AddSponsor(10), env.AddSponsor(10)};
  Propose(sponsors[0], 5);
  Propose(sponsors[1], 5);
  // The same people the other way round.
  std::vector<Proposal> others;
  for (size_t i = 0; i < tickets.size(); ++i) {
    others.push_back(env.Propose(tickets[i], sponsors[i < 5 ? 1 : 0]));
  }
  Outcomes theirs;
  std::thread other([&] {
    theirs =
        env.ledger->MakeOffers(SystemClock().Now() + absl::Seconds(60), env.clock.Now(), others);
  });
  const Outcomes ours = MakeOffers(SystemClock().Now() + absl::Seconds(60));
  other.join();
  for (size_t i = 0; i < tickets.size(); ++i) {
    EXPECT_EQ(ours[i].ok() + theirs[i].ok(), 1) << ours[i].status() << ", " << theirs[i].status();
  }
}

TEST_P(OfferRoundTest, WithoutTimeNothingIsMade) {
  Propose(env.AddSponsor(2), 2);
  for (const auto& outcome : MakeOffers(env.clock.Now() - absl::Seconds(1))) {
    EXPECT_TRUE(absl::IsDeadlineExceeded(outcome.status())) << outcome.status();
  }
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM offers"), 0);
}

TEST_P(OfferRoundTest, ARoundOfNothingIsOver) { EXPECT_THAT(MakeOffers(), IsEmpty()); }

INSTANTIATE_TEST_SUITE_P(Backends, OfferRoundTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
