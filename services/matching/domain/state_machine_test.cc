#include "services/matching/domain/state_machine.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace handrail::matching {
namespace {

// One line a state, one word an event: the state it moves to, "stay", or the reason of the refusal.
// Written out by hand from design.md §5, so that a change of the table shows up as a change here.
using Expected = std::vector<std::vector<std::string>>;

template <typename State, typename Event>
void ExpectTable(const Expected& expected) {
  for (size_t s = 0; s < expected.size(); ++s) {
    const auto state = static_cast<State>(s + 1);
    for (size_t e = 0; e < expected[s].size(); ++e) {
      const auto event = static_cast<Event>(e);
      const Step<State> step = Apply(state, event);
      std::string got(NameOf(step.next));
      if (step.kind == StepKind::kStay) got = "stay";
      if (step.refused()) got = std::string(step.refusal);
      EXPECT_EQ(got, expected[s][e]) << NameOf(state) << " × " << NameOf(event);
      if (!step.moves()) {
        EXPECT_EQ(step.next, state);
      }
    }
  }
}

TEST(StateMachineTest, TicketTableIsTheDesigns) {
  const std::string no = "TICKET_NOT_OPEN";
  const Expected expected = {
      // OFFER_MADE, OFFER_ACCEPTED, LAST_OFFER_CLOSED, CANCEL, EXPIRE
      {"OFFERED", no, "stay", "CANCELLED", "EXPIRED"},  // WAITING
      {"stay", "PAIRED", "WAITING", "CANCELLED", no},   // OFFERED
      {no, no, "stay", no, no},                         // PAIRED
      {no, no, "stay", "stay", no},                     // CANCELLED
      {no, no, "stay", no, "stay"},                     // EXPIRED
  };
  ASSERT_EQ(expected[0].size(), size_t{kTicketEventCount});
  ExpectTable<TicketState, TicketEvent>(expected);
}

TEST(StateMachineTest, OfferTableIsTheDesigns) {
  const std::string no = "OFFER_NOT_OPEN";
  const Expected expected = {
      // ACCEPT, DECLINE, TIME_OUT, RESCIND
      {"ACCEPTED", "DECLINED", "TIMED_OUT", "RESCINDED"},  // OPEN
      {no, no, no, no},                                    // ACCEPTED
      {no, no, no, no},                                    // DECLINED
      {no, no, no, no},                                    // TIMED_OUT
      {no, no, no, no},                                    // RESCINDED
  };
  ASSERT_EQ(expected[0].size(), size_t{kOfferEventCount});
  ExpectTable<OfferState, OfferEvent>(expected);
}

TEST(StateMachineTest, PairingTableIsTheDesigns) {
  const std::string no = "PAIRING_STATE_INVALID";
  const std::string over = "PAIRING_ENDED";
  const Expected expected = {
      // ONE_CONFIRMED, BOTH_CONFIRMED, TRIAL_PASSED, PAUSE, RESUME, END
      {"TRIAL", no, no, no, no, "ENDED"},                   // INTRO
      {"stay", "ACTIVE", "ACTIVE", no, no, "ENDED"},        // TRIAL
      {"stay", "stay", "stay", "PAUSED", "stay", "ENDED"},  // ACTIVE
      {no, no, no, "stay", "ACTIVE", "ENDED"},              // PAUSED
      {over, over, over, over, over, "stay"},               // ENDED
  };
  ASSERT_EQ(expected[0].size(), size_t{kPairingEventCount});
  ExpectTable<PairingState, PairingEvent>(expected);
}

TEST(StateMachineTest, AStateThatIsNoneIsRefusedAsOurBug) {
  for (int e = 0; e < kTicketEventCount; ++e) {
    EXPECT_EQ(Apply(TicketState::kUnspecified, static_cast<TicketEvent>(e)).refusal, "INTERNAL");
  }
  EXPECT_EQ(Apply(OfferState::kUnspecified, OfferEvent::kAccept).refusal, "INTERNAL");
  EXPECT_EQ(Apply(PairingState::kUnspecified, PairingEvent::kEnd).refusal, "INTERNAL");
}

TEST(StateMachineTest, FinalStatesAreNeverLeft) {
  for (int s = 1; s <= 5; ++s) {
    for (int e = 0; e < kTicketEventCount; ++e) {
      const auto state = static_cast<TicketState>(s);
      if (IsFinal(state)) {
        EXPECT_FALSE(Apply(state, static_cast<TicketEvent>(e)).moves());
      }
      EXPECT_NE(IsFinal(state), IsOpen(state));
    }
  }
}

TEST(PoolKeyTest, TextRoundTrips) {
  const PoolKey online{Philosophy::kTwelveStepNa, "online"};
  EXPECT_EQ(online.ToString(), "2.online");
  for (const PoolKey& key : {online, PoolKey{Philosophy::kSmart, "US-CA"}}) {
    EXPECT_EQ(PoolKey::FromString(key.ToString()), key);
  }
  for (const char* bad :
       {"", ".", "1.", "0.online", "21.online", "x.online", "1.a b", "1.{x}", "1.aaaaaaaaaaa"}) {
    EXPECT_EQ(PoolKey::FromString(bad), std::nullopt) << bad;
  }
}

TEST(PoolKeyTest, WhoMustMeetInPersonWaitsInTheRegionAndSponsorsAreFoundThere) {
  NewcomerTraits newcomer;
  newcomer.person.modalities = {Modality::kVoice, Modality::kInPersonPublic};
  newcomer.person.place.region = "US-NY";
  newcomer.person.place.country = "US";
  const Philosophy aa = Philosophy::kTwelveStepAa;
  EXPECT_EQ(PoolForTicket(newcomer, aa).ToString(), "1.online");
  newcomer.requires_in_person = true;
  EXPECT_EQ(PoolForTicket(newcomer, aa).ToString(), "1.US-NY");
  newcomer.person.place.region.clear();
  EXPECT_EQ(PoolForTicket(newcomer, aa).ToString(), "1.US");

  SponsorTraits sponsor;
  sponsor.person = newcomer.person;
  sponsor.person.place.region = "US-NY";
  sponsor.programs.push_back({aa, {}, 0, false, false, {}, {}});
  std::vector<std::string> pools;
  for (const PoolKey& pool : PoolsForSponsor(sponsor)) pools.push_back(pool.ToString());
  EXPECT_EQ(pools, (std::vector<std::string>{"1.online", "1.US-NY", "1.US"}));
  sponsor.person.modalities = {Modality::kVoice};
  EXPECT_EQ(PoolsForSponsor(sponsor).size(), 1u);
}

TEST(LanguageTest, ThePrimarySubtagDecides) {
  EXPECT_EQ(Language::FromTag("en-US"), Language::FromTag("EN-gb"));
  EXPECT_NE(Language::FromTag("en"), Language::FromTag("es"));
  EXPECT_NE(Language::FromTag("as"), Language::FromTag("ase"));
  EXPECT_EQ(Language::FromTag("ase-US").Tag(), "ase");
  EXPECT_EQ(Language::FromTag("pt-BR").Tag(), "pt");
  for (const char* bad : {"", "e", "-", "x-private", "english", "e1", "é"}) {
    EXPECT_TRUE(Language::FromTag(bad).IsZero()) << bad;
  }
}

}  // namespace
}  // namespace handrail::matching
