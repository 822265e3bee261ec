#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "services/matching/stores/ledger_test_env.h"

// What a watch of offers reads at every wake-up, on every database.
namespace handrail::matching {
namespace {

class OfferChangesTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  // An offer to the sponsor for a new newcomer.
  Offer Make(const MemberId& sponsor) {
    const auto ticket = env.Open(env.As(env.AddNewcomer()));
    const auto offer = env.MakeOffer(ticket->value, sponsor);
    EXPECT_TRUE(offer.ok()) << offer.status();
    return offer->value;
  }
  static bool All(const OfferVersion&) { return true; }

  LedgerTestEnv env{GetParam()};
};

TEST_P(OfferChangesTest, OpenOffersOfAnyAgeAndWhatChangedSince) {
  const MemberId sponsor = env.AddSponsor(4);
  const Offer old_open = Make(sponsor);
  const Offer old_closed = Make(sponsor);
  ASSERT_TRUE(env.ledger->DeclineOffer(env.As(sponsor), env.clock.Now(), old_closed.id).ok());
  env.clock.Advance(absl::Minutes(5));
  const absl::Time since = env.clock.Now();
  env.clock.Advance(absl::Seconds(1));
  const Offer new_closed = Make(sponsor);
  ASSERT_TRUE(env.ledger->DeclineOffer(env.As(sponsor), env.clock.Now(), new_closed.id).ok());
  Make(env.AddSponsor(1));  // another's

  const auto changes = env.ledger->ReadOfferChanges(env.As(sponsor), since, All);
  ASSERT_TRUE(changes.ok()) << changes.status();
  ASSERT_EQ(changes->all.size(), 2u);
  EXPECT_EQ(changes->all[0].offer, old_open.id);  // the earliest change first
  EXPECT_EQ(changes->all[0].state, OfferState::kOpen);
  EXPECT_EQ(changes->all[1].offer, new_closed.id);
  EXPECT_EQ(changes->all[1].state, OfferState::kDeclined);
  EXPECT_GT(changes->all[1].version, new_closed.version);
  ASSERT_EQ(changes->wanted.size(), 2u);
  EXPECT_EQ(changes->wanted[1].state, OfferState::kDeclined);
}

TEST_P(OfferChangesTest, OnlyWhatIsWantedIsReadWhole) {
  const MemberId sponsor = env.AddSponsor(2);
  const Offer first = Make(sponsor);
  env.clock.Advance(absl::Seconds(1));
  const Offer second = Make(sponsor);
  const auto changes = env.ledger->ReadOfferChanges(
      env.As(sponsor), env.clock.Now(), [&](const OfferVersion& offer) {
        return offer.offer == second.id && offer.version == second.version;
      });
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_EQ(changes->all.size(), 2u);
  ASSERT_EQ(changes->wanted.size(), 1u);
  EXPECT_EQ(changes->wanted[0].id, second.id);
  EXPECT_EQ(changes->wanted[0].explanation, second.explanation);
}

TEST_P(OfferChangesTest, NeedsASponsorsSide) {
  const absl::Status refused =
      env.ledger->ReadOfferChanges(env.As(env.AddNewcomer()), env.clock.Now(), All).status();
  EXPECT_TRUE(HasReason(refused, reason::kSponsorProfileRequired)) << refused;
}

INSTANTIATE_TEST_SUITE_P(Backends, OfferChangesTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
