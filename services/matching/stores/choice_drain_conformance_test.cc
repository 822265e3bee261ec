#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/matching/stores/choice_store_fixture.h"
#include "services/matching/stores/operator_ledger_sql.h"

// A drained pool, and those who were chosen in it, on every backend.
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Time kNever = absl::InfiniteFuture();
const PoolKey kPool{Philosophy::kTwelveStepAa};

class ChoiceDrainTest : public ChoiceStoreFixture {
 protected:
  Effects Drain(absl::Duration how_long) {
    Call call = env_.As(operator_);
    call.who.kind = Principal::Kind::kOperator;
    auto drained = operators_.DrainPool(call, env_.clock.Now(), kPool, how_long);
    EXPECT_TRUE(drained.ok()) << drained.status();
    return drained.ok() ? drained->effects : Effects();
  }
  void Resume() {
    Call call = env_.As(operator_);
    call.who.kind = Principal::Kind::kOperator;
    const auto resumed = operators_.ResumePool(call, env_.clock.Now(), kPool);
    EXPECT_TRUE(resumed.ok()) << resumed.status();
  }
  std::vector<TicketId> Due() {
    const auto due = choices_.ListDue(kNever, env_.clock.Now(), 10, TicketId());
    EXPECT_TRUE(due.ok()) << due.status();
    return due.value_or(std::vector<TicketId>());
  }

  const MemberId operator_ = MemberId::Random(env_.random);
  SqlOperatorLedger operators_{
      *env_.database,
      env_.vault,
      env_.pools,
      env_.random,
      BuiltInPrograms(),
      LedgerOptions(),
      OperatorRecord([](absl::string_view bytes) { return crypto::HmacSha256("key", bytes); })};
};

TEST_P(ChoiceDrainTest, NoStepMakesAnOfferInADrainedPool) {
  const std::vector<MemberId> sponsors = Sponsors(2);
  const Ticket handrail = Ask(env_.AddNewcomer(), false);
  const Ticket chosen = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(chosen, {sponsors[0]}).ok());
  Drain(absl::Hours(1));
  for (const Ticket& ticket : {handrail, chosen}) {
    const absl::Status refused = OfferTo(ticket, sponsors[0]).status();
    EXPECT_TRUE(HasReason(refused, reason::kPoolDrained)) << refused;
    EXPECT_EQ(env_.TicketNow(ticket).state, TicketState::kWaiting);
  }
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM offers"), 0);
  EXPECT_EQ(env_.SeatsOf(sponsors[0]).open_offer_count, 0);
  EXPECT_EQ(env_.TicketNow(chosen).chosen_left, 1) << "whoever was chosen keeps their turn";
  env_.clock.Advance(absl::Hours(1));
  EXPECT_TRUE(OfferTo(chosen, sponsors[0]).ok()) << "a drain ends by itself";
  EXPECT_TRUE(OfferTo(handrail, sponsors[1]).ok());
  env_.ExpectWhole();
}

TEST_P(ChoiceDrainTest, WhoeverWaitsInADrainedPoolIsNotDueUntilItEnds) {
  const std::vector<MemberId> sponsors = Sponsors(2);
  const Ticket ticket = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(ticket, {sponsors[1], sponsors[0]}).ok());
  EXPECT_THAT(Due(), ElementsAre(ticket.id));
  Drain(absl::Hours(1));
  EXPECT_THAT(Due(), IsEmpty());
  EXPECT_EQ(NextOf(ticket), std::nullopt);
  Resume();
  EXPECT_THAT(Due(), ElementsAre(ticket.id));
  EXPECT_EQ(NextOf(ticket), sponsors[1]);
  Drain(absl::Hours(1));
  EXPECT_EQ(NextOf(ticket), std::nullopt);
  env_.clock.Advance(absl::Hours(1));
  EXPECT_THAT(Due(), ElementsAre(ticket.id));
  EXPECT_EQ(NextOf(ticket), sponsors[1]);
}

TEST_P(ChoiceDrainTest, WhoseOfferADrainTookBackIsNextAgain) {
  const std::vector<MemberId> sponsors = Sponsors(3);
  const Ticket ticket = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(ticket, {sponsors[2], sponsors[0], sponsors[1]}, true).ok());
  const auto first = OfferTo(ticket, sponsors[2]);
  ASSERT_TRUE(first.ok()) << first.status();
  Decline(sponsors[2], first->value.id);
  ASSERT_TRUE(OfferTo(ticket, sponsors[0]).ok());
  const Effects effects = Drain(absl::Hours(1));
  ASSERT_EQ(effects.tickets.size(), 1u);
  EXPECT_EQ(effects.tickets[0].chosen_left, 2);
  EXPECT_EQ(env_.TicketNow(ticket).state, TicketState::kWaiting);
  Resume();
  EXPECT_EQ(NextOf(ticket), sponsors[0]) << "and not who declined before, nor who comes after";
  const auto again = OfferTo(ticket, sponsors[0]);
  ASSERT_TRUE(again.ok()) << again.status();
  Decline(sponsors[0], again->value.id);
  EXPECT_EQ(NextOf(ticket), sponsors[1]);
  env_.ExpectWhole();
}

TEST_P(ChoiceDrainTest, TheLastOneChosenIsNotLostToHandrail) {
  const std::vector<MemberId> sponsors = Sponsors(1);
  const Ticket ticket = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(ticket, {sponsors[0]}, true).ok());
  ASSERT_TRUE(OfferTo(ticket, sponsors[0]).ok());
  Drain(absl::Hours(1));
  EXPECT_TRUE(env_.TicketNow(ticket).choosing);
  Resume();
  EXPECT_EQ(NextOf(ticket), sponsors[0]);
}

TEST_P(ChoiceDrainTest, WhoWasChosenBeforeIsNotAskedAgainstANewChoice) {
  const std::vector<MemberId> sponsors = Sponsors(2);
  const Ticket ticket = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(ticket, {sponsors[0]}).ok());
  ASSERT_TRUE(OfferTo(ticket, sponsors[0]).ok());
  ASSERT_TRUE(Choose(ticket, {sponsors[1]}).ok());
  Drain(absl::Hours(1));
  Resume();
  EXPECT_EQ(env_.TicketNow(ticket).chosen_left, 1);
  EXPECT_EQ(NextOf(ticket), sponsors[1]);
}

TEST_P(ChoiceDrainTest, AnOfferOfHandrailsOwnIsNotTakenForAChoice) {
  const std::vector<MemberId> sponsors = Sponsors(2);
  const Ticket ticket = Ask(env_.AddNewcomer());
  ASSERT_TRUE(Choose(ticket, sponsors, true).ok());
  ASSERT_TRUE(choices_.PassOver(kNever, env_.clock.Now(), ticket.id, sponsors[0]).ok());
  const auto chosen = OfferTo(ticket, sponsors[1]);
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  Decline(sponsors[1], chosen->value.id);
  ASSERT_FALSE(env_.TicketNow(ticket).choosing);
  ASSERT_TRUE(OfferTo(ticket, sponsors[0]).ok()) << "who had no seat then has one now";
  Drain(absl::Hours(1));
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM ticket_choices WHERE state = 0"), 0)
      << "the choice is over, and nobody of it has a turn";
  Resume();
  EXPECT_TRUE(OfferTo(ticket, sponsors[0]).ok());
  env_.ExpectWhole();
}

INSTANTIATE_TEST_SUITE_P(Backends, ChoiceDrainTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
