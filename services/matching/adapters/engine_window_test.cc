#include <gtest/gtest.h>

#include "services/matching/adapters/engine_test_env.h"
#include "services/matching/adapters/flow_solver.h"

// The window over a real ledger and a real Redis, moved round by round.
namespace handrail::matching {
namespace {

class EngineWindowTest : public EngineTestBase {
 protected:
  EngineWindowTest() { matcher_ = NewMatcher(Windowed()); }

  MatcherOptions Windowed() {
    MatcherOptions options;
    options.window = absl::Minutes(10);
    options.solver = &solver_;
    return options;
  }

  int64_t OpenOffers() { return env_.Count("SELECT COUNT(*) FROM offers WHERE state = 1"); }
  // A round every second, as if the matcher's thread ran.
  void Run(absl::Duration time) {
    for (absl::Duration passed; passed < time; passed += absl::Seconds(1)) {
      env_.clock.Advance(absl::Seconds(1));
      matcher_->RunRoundForTest();
    }
  }

  const FlowSolver solver_;
};

TEST_F(EngineWindowTest, WithEnoughSeatsNobodyWaitsForAWindow) {
  Offer(2);
  const Ticket first = Ask();
  const Ticket second = Ask();
  matcher_->RunRoundForTest();
  EXPECT_EQ(StateOf(first), TicketState::kOffered);
  EXPECT_EQ(StateOf(second), TicketState::kOffered);
}

TEST_F(EngineWindowTest, SeatsThatMoreWantThanThereAreAreGivenTogetherWhenTheWindowCloses) {
  std::vector<Ticket> tickets;
  for (int i = 0; i < 5; ++i) {
    tickets.push_back(Ask());
    env_.clock.Advance(absl::Seconds(1));
  }
  matcher_->RunRoundForTest();
  Offer(1);
  Run(absl::Minutes(4));
  Offer(2);
  Run(absl::Minutes(5));
  EXPECT_EQ(OpenOffers(), 0);
  const Ticket late = Ask();  // joins the window, and does not take a seat from it
  Run(absl::Seconds(50));
  EXPECT_EQ(OpenOffers(), 0);
  Run(absl::Seconds(20));
  EXPECT_EQ(OpenOffers(), 3);
  // All fit alike, so that the longest waiting are served.
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(StateOf(tickets[static_cast<size_t>(i)]), TicketState::kOffered) << i;
  }
  EXPECT_EQ(StateOf(late), TicketState::kWaiting);
  EXPECT_EQ(Depth().waiting, 3);
  EXPECT_EQ(Depth().available, 0);
  env_.ExpectWhole();
}

TEST_F(EngineWindowTest, AFullWindowClosesAtOnce) {
  MatcherOptions options = Windowed();
  options.window_limit = 2;
  matcher_ = NewMatcher(options);
  for (int i = 0; i < 3; ++i) Ask();
  matcher_->RunRoundForTest();
  Offer(1);
  Run(absl::Seconds(5));
  EXPECT_EQ(OpenOffers(), 0);
  Offer(1);
  Run(absl::Seconds(5));
  EXPECT_EQ(OpenOffers(), 2);
}

TEST_F(EngineWindowTest, WhenNoTimeIsLeftToSolveTheSeatsAreGivenAllTheSame) {
  MatcherOptions options = Windowed();
  options.window_solve_limit = absl::ZeroDuration();
  matcher_ = NewMatcher(options);
  for (int i = 0; i < 3; ++i) Ask();
  matcher_->RunRoundForTest();
  Offer(1);
  Offer(1);
  Run(absl::Minutes(11));
  EXPECT_EQ(OpenOffers(), 2);
  env_.ExpectWhole();
}

TEST_F(EngineWindowTest, WhoLeavesDuringTheWindowIsNotOffered) {
  const Ticket first = Ask();
  env_.clock.Advance(absl::Seconds(1));
  const Ticket second = Ask();
  matcher_->RunRoundForTest();
  Offer(1);
  Run(absl::Minutes(1));
  const auto cancelled =
      env_.ledger->CancelTicket(env_.As(first.newcomer), env_.clock.Now(), first.id);
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  matcher_->Notify(cancelled->effects);
  Run(absl::Minutes(10));
  EXPECT_EQ(StateOf(second), TicketState::kOffered);
  EXPECT_EQ(OpenOffers(), 1);
  env_.ExpectWhole();
}

// What was held is not lost with the process that held it.
TEST_F(EngineWindowTest, AfterARestartSeatsThatWereHeldAreGiven) {
  for (int i = 0; i < 2; ++i) Ask();
  matcher_->RunRoundForTest();
  Offer(1);
  Run(absl::Minutes(1));
  EXPECT_EQ(OpenOffers(), 0);
  matcher_->Start();
  matcher_->Stop();  // gives its lease back
  matcher_ = NewMatcher(Windowed());
  Run(absl::Minutes(12));
  EXPECT_EQ(OpenOffers(), 1);
  env_.ExpectWhole();
}

}  // namespace
}  // namespace handrail::matching
