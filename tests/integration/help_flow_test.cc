// Reaching out for help over real gRPC, against real processes; and what is left of it when every
// store is down.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <functional>

#include "common/base/status.h"
#include "common/rpc/status_conversion.h"
#include "common/testing/temporary_postgres.h"
#include "tests/support/cluster.h"
#include "tests/support/people.h"

namespace handrail::tests {
namespace {

using matching::v1::HelpAsk;
using matching::v1::HelpCall;
using matching::v1::HelpService;
using matching::v1::ReachResponse;
using messaging::v1::MessagingService;
using ::testing::HasSubstr;
using tools::Person;

constexpr absl::Duration kLongEnough = absl::Seconds(60);

class HelpFlowTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Cluster::Options options;
    options.backend = Backend::kPostgres;
    options.service_flags = {"--rate_limit_scale", "0"};
    auto cluster = Cluster::Start(options);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = std::move(*cluster).release();
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override { ASSERT_NE(cluster_, nullptr); }

  template <typename T>
  T Unwrap(absl::StatusOr<T> result) {
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : T();
  }
  HelpService::Stub& help() { return cluster_->services().help(); }

  std::unique_ptr<Person> Newcomer() {
    return Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_));
  }
  std::unique_ptr<Person> Sponsor() {
    return Unwrap(JoinAsSponsor(cluster_->services(), clock_, random_, 1));
  }
  void GoOnCall(Person& sponsor, int hours) {
    matching::v1::SetOnCallRequest request;
    request.set_hours(hours);
    request.set_request_id(sponsor.NewRequestId());
    const auto duty = Unwrap(sponsor.Call(help(), &HelpService::Stub::SetOnCall, request));
    EXPECT_EQ(duty.on_call(), hours > 0);
  }
  absl::StatusOr<ReachResponse> TryReach(Person& person, const std::string& country) {
    matching::v1::ReachRequest request;
    request.set_country(country);
    request.set_request_id(person.NewRequestId());
    return person.Call(help(), &HelpService::Stub::Reach, request,
                       {.total = absl::Seconds(10), .attempt = absl::Seconds(10)});
  }
  ReachResponse Reach(Person& person, const std::string& country = "US") {
    return Unwrap(TryReach(person, country));
  }
  HelpAsk Answer(Person& person, const std::string& name) {
    matching::v1::AnswerHelpCallRequest request;
    request.set_name(name);
    request.set_request_id(person.NewRequestId());
    return Unwrap(person.Call(help(), &HelpService::Stub::AnswerHelpCall, request));
  }
  HelpCall Get(Person& person, const std::string& name) {
    matching::v1::GetHelpCallRequest request;
    request.set_name(name);
    return Unwrap(person.Call(help(), &HelpService::Stub::GetHelpCall, request));
  }
  HelpCall Cancel(Person& person, const std::string& name) {
    matching::v1::CancelHelpCallRequest request;
    request.set_name(name);
    request.set_request_id(person.NewRequestId());
    return Unwrap(person.Call(help(), &HelpService::Stub::CancelHelpCall, request));
  }
  absl::Status Send(Person& person, const std::string& conversation) {
    messaging::v1::SendMessageRequest request;
    request.set_conversation(conversation);
    request.set_message_id(person.NewRequestId());
    request.set_payload("I am here");
    return person
        .Call(cluster_->services().messaging(), &MessagingService::Stub::SendMessage, request)
        .status();
  }
  // Nobody's call: no token.
  matching::v1::CrisisHelp Lines(const std::string& country, const std::string& language = "") {
    matching::v1::ListCrisisLinesRequest request;
    request.set_country(country);
    request.set_language(language);
    matching::v1::ListCrisisLinesResponse response;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(clock_.Now() + absl::Seconds(10)));
    const grpc::Status status = help().ListCrisisLines(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.crisis();
  }
  bool Within(absl::Duration time, const std::function<bool()>& done) {
    const absl::Time give_up = clock_.Now() + time;
    StopSignal pause;
    while (!done()) {
      if (clock_.Now() > give_up) return false;
      pause.Pause(absl::Milliseconds(20));
    }
    return true;
  }
  static void ExpectLinesOfTheUnitedStates(const matching::v1::CrisisHelp& crisis) {
    EXPECT_EQ(crisis.country(), "US");
    ASSERT_GE(crisis.lines_size(), 4);
    EXPECT_EQ(crisis.lines(0).contacts(0).value(), "911");
    bool has_988 = false;
    for (const auto& line : crisis.lines()) has_988 |= line.contacts(0).value() == "988";
    EXPECT_TRUE(has_988);
    EXPECT_THAT(crisis.text(), HasSubstr("not an emergency service"));
  }

  static Cluster* cluster_;
  SystemClock clock_;
  SystemRandom random_;
};

Cluster* HelpFlowTest::cluster_ = nullptr;

TEST_F(HelpFlowTest, ANewcomerReachesOutAndSomebodyOnCallAnswers) {
  auto sponsor = Sponsor();
  auto other = Sponsor();
  auto newcomer = Newcomer();
  GoOnCall(*sponsor, 2);
  GoOnCall(*other, 2);

  // The sponsor watches from before the call.
  grpc::ClientContext watching;
  ASSERT_TRUE(sponsor->Authorize(watching).ok());
  auto stream = help().WatchHelpCalls(&watching, matching::v1::WatchHelpCallsRequest());
  const ReachResponse reached = Reach(*newcomer);
  EXPECT_EQ(reached.outcome(), matching::v1::REACH_OUTCOME_ASKING);
  ExpectLinesOfTheUnitedStates(reached.crisis());
  ExpectLinesOfTheUnitedStates(reached.help_call().crisis());
  matching::v1::WatchHelpCallsResponse event;
  ASSERT_TRUE(stream->Read(&event));
  while (!event.has_help_call()) ASSERT_TRUE(stream->Read(&event));
  EXPECT_EQ(event.help_call().name(), reached.help_call().name());
  EXPECT_EQ(event.help_call().state(), matching::v1::HELP_ASK_STATE_OPEN);
  EXPECT_EQ(event.help_call().member(), "");
  watching.TryCancel();

  const HelpAsk first = Answer(*sponsor, reached.help_call().name());
  EXPECT_EQ(first.state(), matching::v1::HELP_ASK_STATE_ANSWERED);
  EXPECT_EQ(first.member(), newcomer->member());
  const HelpAsk second = Answer(*other, reached.help_call().name());
  EXPECT_EQ(second.state(), matching::v1::HELP_ASK_STATE_TAKEN_CARE_OF);
  EXPECT_THAT(second.text(), HasSubstr("taken care of"));

  HelpCall call;
  ASSERT_TRUE(Within(kLongEnough, [&] {
    call = Get(*newcomer, reached.help_call().name());
    return !call.conversation().empty();
  }));
  EXPECT_EQ(call.answered_by(), sponsor->member());
  EXPECT_TRUE(call.has_contact_end_time());
  EXPECT_TRUE(Send(*sponsor, call.conversation()).ok());
  EXPECT_TRUE(Send(*newcomer, call.conversation()).ok());
  EXPECT_TRUE(absl::IsNotFound(Send(*other, call.conversation())));

  // The newcomer ends the contact before its time, and the conversation closes.
  Cancel(*newcomer, call.name());
  EXPECT_TRUE(Within(kLongEnough, [&] {
    return HasReason(Send(*sponsor, call.conversation()), reason::kConversationClosed);
  }));
  GoOnCall(*sponsor, 0);
  GoOnCall(*other, 0);
}

// Reads on to the next event of this call.
HelpAsk NextOf(grpc::ClientReader<matching::v1::WatchHelpCallsResponse>& stream,
               const std::string& name) {
  matching::v1::WatchHelpCallsResponse event;
  while (stream.Read(&event)) {
    if (event.help_call().name() == name) return event.help_call();
  }
  ADD_FAILURE() << "the watch has ended";
  return HelpAsk();
}

TEST_F(HelpFlowTest, AWatchShowsABlockAsItShowsACallThatIsTakenBack) {
  auto sponsor = Sponsor();
  GoOnCall(*sponsor, 2);
  grpc::ClientContext watching;
  ASSERT_TRUE(sponsor->Authorize(watching).ok());
  watching.set_deadline(absl::ToChronoTime(clock_.Now() + kLongEnough));
  auto stream = help().WatchHelpCalls(&watching, matching::v1::WatchHelpCallsRequest());
  const auto told = [&](const std::function<void(Person&, const HelpCall&)>& end) {
    auto newcomer = Newcomer();
    const HelpCall call = Reach(*newcomer).help_call();
    HelpAsk open = NextOf(*stream, call.name());
    EXPECT_EQ(open.state(), matching::v1::HELP_ASK_STATE_OPEN);
    end(*newcomer, call);
    HelpAsk over = NextOf(*stream, call.name());
    EXPECT_EQ(over.state(), matching::v1::HELP_ASK_STATE_OVER);
    EXPECT_EQ(over.ask_time().seconds(), open.ask_time().seconds());
    EXPECT_GT(over.version(), open.version());
    // All else is the same, whatever ended it.
    over.clear_name();
    over.clear_create_time();
    over.clear_ask_time();
    return over.SerializeAsString();
  };
  const std::string taken_back =
      told([&](Person& newcomer, const HelpCall& call) { Cancel(newcomer, call.name()); });
  const auto block = [&](Person& who, const std::string& whom) {
    profiles::v1::BlockMemberRequest request;
    request.set_member(whom);
    request.set_request_id(who.NewRequestId());
    EXPECT_TRUE(who.Call(cluster_->services().safety(),
                         &profiles::v1::SafetyService::Stub::BlockMember, request)
                    .ok());
  };
  EXPECT_EQ(told([&](Person& newcomer, const HelpCall&) { block(newcomer, sponsor->member()); }),
            taken_back);
  EXPECT_EQ(told([&](Person& newcomer, const HelpCall&) { block(*sponsor, newcomer.member()); }),
            taken_back)
      << "their own block";
  watching.TryCancel();
  GoOnCall(*sponsor, 0);
}

TEST_F(HelpFlowTest, CrisisLinesAreForAnybody) {
  ExpectLinesOfTheUnitedStates(Lines("us"));
  EXPECT_EQ(Lines("FR", "fr-CA").language(), "fr");
  for (const char* unknown : {"", "XX", "Atlantis"}) {
    const auto lines = Lines(unknown);
    EXPECT_EQ(lines.country(), "") << unknown;
    EXPECT_GE(lines.lines_size(), 2) << unknown;
  }
}

TEST_F(HelpFlowTest, WithRedisFrozenPeopleAreStillReached) {
  auto sponsor = Sponsor();
  auto newcomer = Newcomer();
  GoOnCall(*sponsor, 2);
  ASSERT_TRUE(cluster_->Signal("redis", SIGSTOP));
  const auto reached = TryReach(*newcomer, "US");
  const HelpAsk answered = Answer(*sponsor, reached.ok() ? reached->help_call().name() : "");
  EXPECT_TRUE(cluster_->Signal("redis", SIGCONT));
  ASSERT_TRUE(reached.ok()) << reached.status();
  EXPECT_EQ(reached->outcome(), matching::v1::REACH_OUTCOME_ASKING);
  EXPECT_EQ(answered.state(), matching::v1::HELP_ASK_STATE_ANSWERED);
  GoOnCall(*sponsor, 0);
}

TEST_F(HelpFlowTest, WithEveryDatabaseDownTheLinesAreStillThere) {
  auto sponsor = Sponsor();
  auto newcomer = Newcomer();
  GoOnCall(*sponsor, 2);
  Cancel(*newcomer, Reach(*newcomer).help_call().name());
  cluster_->postgres()->Stop(testing::TemporaryPostgres::StopMode::kImmediate);

  const absl::Time before = clock_.Now();
  const auto reached = TryReach(*newcomer, "US");
  EXPECT_LT(clock_.Now() - before, absl::Seconds(8)) << "somebody waits";
  ExpectLinesOfTheUnitedStates(Lines("US"));
  ASSERT_TRUE(reached.ok()) << reached.status();
  EXPECT_EQ(reached->outcome(), matching::v1::REACH_OUTCOME_UNAVAILABLE);
  EXPECT_THAT(reached->text(), HasSubstr("Nobody could be reached through Handrail right now"));
  EXPECT_FALSE(reached->has_help_call());
  ExpectLinesOfTheUnitedStates(reached->crisis());
  const auto nowhere = TryReach(*newcomer, "");
  ASSERT_TRUE(nowhere.ok()) << nowhere.status();
  EXPECT_GE(nowhere->crisis().lines_size(), 1);

  ASSERT_TRUE(cluster_->postgres()->Restart().ok());
  EXPECT_TRUE(Within(kLongEnough, [&] {
    const auto again = TryReach(*newcomer, "US");
    return again.ok() && again->outcome() == matching::v1::REACH_OUTCOME_ASKING;
  })) << "people can be asked again when the database is back";
}

}  // namespace
}  // namespace handrail::tests
