// What operators do, through the command and the API of a running deployment, with every kind of
// caller.

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/integration/hostile.h"
#include "tests/support/api.h"
#include "tests/support/cluster.h"
#include "tests/support/people.h"
#include "tools/handrail/up/layout.h"

namespace handrail::tests {
namespace {

using grpc::StatusCode;
using matching::v1::MatchingService;
using matching::v1::OperatorService;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

struct Ran {
  int status = -1;
  std::string out;  // standard output and standard error
};

class OperatorsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Cluster::Options options;
    options.matching_flags = {"--probation", "2160h"};  // as in production
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

  // Runs `handrail` on the cluster's folder.
  static Ran Handrail(const std::string& arguments) {
    std::error_code error;
    const std::string folder =
        std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
    FILE* pipe = popen(
        absl::StrCat(folder, "/handrail --data ", cluster_->data_folder(), " ", arguments, " 2>&1")
            .c_str(),
        "r");
    Ran ran;
    if (pipe == nullptr) return ran;
    char buffer[4096];
    for (size_t size; (size = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
      ran.out.append(buffer, size);
    }
    const int status = pclose(pipe);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return ran;
  }
  static json HandrailJson(const std::string& arguments) {
    const Ran ran = Handrail(absl::StrCat(arguments, " --json"));
    EXPECT_EQ(ran.status, 0) << arguments << ": " << ran.out;
    const json document = json::parse(ran.out, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(document.is_object()) << ran.out;
    return document;
  }

  std::string Ask(tools::Person& newcomer,
                  common::v1::Philosophy program = common::v1::PHILOSOPHY_TWELVE_STEP_NA) {
    matching::v1::RequestMatchRequest ask;
    ask.set_philosophy(program);
    ask.set_relationship_type(common::v1::RELATIONSHIP_TYPE_SPONSOR);
    ask.set_request_id(newcomer.NewRequestId());
    return Unwrap(newcomer.Call(cluster_->services().matching(),
                                &MatchingService::Stub::RequestMatch, ask))
        .name();
  }
  std::unique_ptr<tools::Person> Operator() {
    const tools::Layout layout = *tools::MakeLayout(cluster_->data_folder());
    return Unwrap(tools::Person::LoadOrRegister(cluster_->services(), clock_, random_,
                                                layout.PersonFile("operator")));
  }

  static Cluster* cluster_;
  SystemClock clock_;
  SystemRandom random_;
};

Cluster* OperatorsTest::cluster_ = nullptr;

TEST_F(OperatorsTest, OnlyAnOperatorGetsIn) {
  const auto newcomer = Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_));
  const auto sponsor = Unwrap(JoinAsSponsor(cluster_->services(), clock_, random_, 0));
  const auto nobody = Unwrap(JoinAsNobody(cluster_->services(), clock_, random_));
  const auto boss = Operator();
  RawCaller caller(cluster_->endpoints(), clock_);
  int methods = 0;
  for (const Method& method : AllMethods()) {
    const bool for_operators = method.policy.access() == common::v1::ACCESS_OPERATOR;
    if (method.policy.access() == common::v1::ACCESS_SERVICE) continue;
    const std::string request =
        MakeValidRequest(method.descriptor->input_type(), {}, random_)->SerializeAsString();
    const auto code_of = [&](tools::Person& person) {
      return caller
          .Call(method, request,
                absl::StrCat("Bearer ", Unwrap(person.TokenGoodFor(absl::Minutes(1)))))
          .status.error_code();
    };
    if (!for_operators) {
      // An operator is nobody's newcomer or sponsor.
      if (method.policy.access() != common::v1::ACCESS_PUBLIC) {
        EXPECT_EQ(code_of(*boss), StatusCode::PERMISSION_DENIED) << method.path;
      }
      continue;
    }
    ++methods;
    EXPECT_EQ(caller.Call(method, request, "").status.error_code(), StatusCode::UNAUTHENTICATED);
    for (tools::Person* person : {newcomer.get(), sponsor.get(), nobody.get()}) {
      EXPECT_EQ(code_of(*person), StatusCode::PERMISSION_DENIED) << method.path;
    }
    const StatusCode code = code_of(*boss);
    EXPECT_TRUE(code == StatusCode::OK || code == StatusCode::NOT_FOUND) << method.path << code;
  }
  EXPECT_GE(methods, 12);
}

TEST_F(OperatorsTest, HostileInputIsRefusedAndNeverAFaultOfOurs) {
  google::protobuf::SetLogHandler(nullptr);  // it tells of every bad UTF-8 that we send
  RawCaller caller(cluster_->endpoints(), clock_);
  const auto boss = Operator();
  const std::string token = absl::StrCat("Bearer ", Unwrap(boss->TokenGoodFor(absl::Minutes(5))));
  int sent = 0;
  for (const Method& method : AllMethods()) {
    if (method.policy.access() != common::v1::ACCESS_OPERATOR) continue;
    const auto valid = MakeValidRequest(method.descriptor->input_type(), {}, random_);
    for (const HostileRequest& request : MakeHostileRequests(*valid)) {
      const auto outcome = caller.Call(method, request.bytes, token);
      const StatusCode code = outcome.status.error_code();
      ++sent;
      const std::string label = absl::StrCat(method.path, " ", request.label, ": ", outcome.reason,
                                             " ", outcome.status.error_message());
      EXPECT_NE(code, StatusCode::INTERNAL) << label;
      EXPECT_NE(code, StatusCode::UNKNOWN) << label;
      EXPECT_NE(code, StatusCode::DATA_LOSS) << label;
      EXPECT_NE(code, StatusCode::UNAVAILABLE) << label;
      if (!request.must_be_refused || code == StatusCode::RESOURCE_EXHAUSTED) continue;
      EXPECT_EQ(code, StatusCode::INVALID_ARGUMENT) << label;
      EXPECT_FALSE(outcome.reason.empty()) << label;
    }
  }
  EXPECT_GT(sent, 200);
  EXPECT_EQ(Handrail("audit verify").status, 0);
}

TEST_F(OperatorsTest, WhyATicketWaitsAndWhatHelps) {
  const auto newcomer = Unwrap(
      JoinAsNewcomer(cluster_->services(), clock_, random_, common::v1::PHILOSOPHY_TWELVE_STEP_NA));
  const auto sponsor = Unwrap(JoinAsSponsor(cluster_->services(), clock_, random_, 0,
                                            common::v1::PHILOSOPHY_TWELVE_STEP_NA));
  const std::string ticket = Ask(*newcomer);
  const Ran text = Handrail(absl::StrCat("explain ", ticket));
  EXPECT_EQ(text.status, 0) << text.out;
  EXPECT_THAT(text.out, HasSubstr("H10"));
  EXPECT_THAT(text.out, HasSubstr("For fewer than 5 only H10 CAPACITY stands in the way"));
  EXPECT_THAT(text.out, Not(HasSubstr("members/"))) << "counts, never who";
  const json document = HandrailJson(absl::StrCat("explain ", ticket));
  EXPECT_EQ(document["ticket"]["name"], ticket);
  EXPECT_EQ(document["rules"].size(), 15u);
  EXPECT_EQ(document["complete"], true);
  EXPECT_EQ(document["in_pool"]["under_five"], true);

  const json pools = HandrailJson("pools");
  ASSERT_GE(pools["pools"].size(), 1u);
  const json tickets = HandrailJson("tickets --pool 'na online'");
  ASSERT_EQ(tickets["tickets"].size(), 1u);
  EXPECT_EQ(tickets["tickets"][0]["name"], ticket);
  EXPECT_FALSE(tickets["tickets"][0].contains("newcomer"));
  EXPECT_EQ(HandrailJson(absl::StrCat("requeue ", ticket))["version"],
            std::to_string(std::stoll(tickets["tickets"][0]["version"].get<std::string>()) + 1));
  EXPECT_EQ(HandrailJson(absl::StrCat("boost ", ticket,
                                      " --percent 40 --reason long-wait"))["boost_percent"],
            40);
  EXPECT_EQ(Handrail(absl::StrCat("boost ", ticket, " --percent 101 --reason long-wait")).status,
            2);
  const Ran wrong = Handrail("explain tickets/00000000000000000000000000000000");
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.out, HasSubstr("NOT_FOUND"));
  EXPECT_THAT(Handrail("pools --as stranger").out, HasSubstr("handrail operator new stranger"));
}

TEST_F(OperatorsTest, ADrainedPoolGetsNoOffersUntilItGoesOn) {
  const auto first = Unwrap(JoinAsSponsor(cluster_->services(), clock_, random_, 1,
                                          common::v1::PHILOSOPHY_TWELVE_STEP_CA));
  const auto waiting = Unwrap(
      JoinAsNewcomer(cluster_->services(), clock_, random_, common::v1::PHILOSOPHY_TWELVE_STEP_CA));
  const std::string ticket = Ask(*waiting, common::v1::PHILOSOPHY_TWELVE_STEP_CA);
  StopSignal pause;
  const absl::Time give_up = clock_.Now() + absl::Seconds(20);
  const auto open_offers = [&] { return HandrailJson("offers open --pool 'ca online'")["offers"]; };
  while (open_offers().empty() && clock_.Now() < give_up) pause.Pause(absl::Milliseconds(50));
  ASSERT_EQ(open_offers().size(), 1u);
  const json drained = HandrailJson("drain pool 'ca online' --minutes 10");
  EXPECT_EQ(drained["withdrawn"], 1);
  EXPECT_EQ(drained["pool"]["open_offers"], "0");
  EXPECT_TRUE(open_offers().empty());
  EXPECT_THAT(Handrail(absl::StrCat("explain ", ticket)).out, HasSubstr("The pool is drained"));
  EXPECT_THAT(Handrail("pools").out, HasSubstr("drained until"));
  EXPECT_EQ(Handrail(absl::StrCat("requeue ", ticket)).status, 0);
  EXPECT_TRUE(open_offers().empty());

  EXPECT_EQ(Handrail("resume 'ca online'").status, 0);
  while (open_offers().empty() && clock_.Now() < give_up) pause.Pause(absl::Milliseconds(50));
  EXPECT_EQ(open_offers().size(), 1u) << "the pool goes on without a new event";
  const json sponsors = HandrailJson("sponsors");
  ASSERT_FALSE(sponsors["sponsors"].empty());
  const json seats = HandrailJson(absl::StrCat("drain sponsor ", first->member(), " --withdraw"));
  EXPECT_EQ(seats["accepting"], false);
  EXPECT_EQ(seats["open_offer_count"], 0);
}

TEST_F(OperatorsTest, ABatchIsTriedFirstAndThenMakesItsOffers) {
  constexpr auto kProgram = common::v1::PHILOSOPHY_TWELVE_STEP_HA;
  std::vector<std::unique_ptr<tools::Person>> people;
  std::vector<std::string> tickets;
  people.push_back(Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_, kProgram)));
  tickets.push_back(Ask(*people.back(), kProgram));
  ASSERT_EQ(Handrail("drain pool 'ha online' --minutes 10").status, 0);
  for (int i = 0; i < 2; ++i) {
    people.push_back(Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_, kProgram)));
    tickets.push_back(Ask(*people.back(), kProgram));
  }
  std::vector<std::unique_ptr<tools::Person>> sponsors;
  for (int i = 0; i < 2; ++i) {
    sponsors.push_back(Unwrap(JoinAsSponsor(cluster_->services(), clock_, random_, 1, kProgram)));
  }
  // The index hears of the sponsors a moment after the ledger.
  StopSignal pause;
  const absl::Time give_up = clock_.Now() + absl::Seconds(20);
  json plan = HandrailJson("batch plan 'ha online'");
  while (plan["pairs"].size() != 2 && clock_.Now() < give_up) {
    pause.Pause(absl::Milliseconds(100));
    plan = HandrailJson("batch plan 'ha online'");
  }
  EXPECT_EQ(plan["looked_at"], 3);
  // Numbers of people are told roughly: else one plan more would tell of one person.
  for (const char* count : {"tickets", "sponsors", "seats", "unmatched"}) {
    EXPECT_EQ(plan[count]["under_five"], true) << count;
    EXPECT_EQ(plan[count]["value"], "0") << count;
  }
  EXPECT_EQ(plan["mean_score"], 0.0);
  EXPECT_EQ(plan["blocking_pairs"], 0);
  EXPECT_EQ(plan["drained"], true);
  ASSERT_EQ(plan["pairs"].size(), 2u);
  EXPECT_THAT(plan.dump(), Not(HasSubstr("members/"))) << "sponsors are numbers";
  const auto open_offers = [&] { return HandrailJson("offers open --pool 'ha online'")["offers"]; };
  EXPECT_TRUE(open_offers().empty()) << "a dry run";
  const Ran text = Handrail("batch plan 'ha online'");
  EXPECT_THAT(text.out, HasSubstr("nothing was changed, and nobody was asked"));
  EXPECT_THAT(text.out, HasSubstr("handrail batch run 'ha online' --plan "));

  // Who was in the plan waits no longer: it does not hold.
  matching::v1::CancelTicketRequest cancel;
  cancel.set_name(tickets[0]);
  cancel.set_request_id(people[0]->NewRequestId());
  Unwrap(people[0]->Call(cluster_->services().matching(), &MatchingService::Stub::CancelTicket,
                         cancel));
  const Ran stale =
      Handrail(absl::StrCat("batch run 'ha online' --plan ", plan["plan"].get<std::string>()));
  EXPECT_EQ(stale.status, 1);
  EXPECT_THAT(stale.out, HasSubstr("BATCH_PLAN_OUTDATED"));
  EXPECT_TRUE(open_offers().empty());

  plan = HandrailJson("batch plan 'ha online'");
  ASSERT_EQ(plan["pairs"].size(), 2u);
  const std::string run = absl::StrCat("batch run 'ha online' --request-id batch-1 --plan ",
                                       plan["plan"].get<std::string>());
  const json done = HandrailJson(run);
  EXPECT_EQ(done["pairs"], 2);
  EXPECT_EQ(done["offers"], 2);
  EXPECT_EQ(done["passed_over"], 0);
  const json offers = open_offers();
  ASSERT_EQ(offers.size(), 2u);
  for (const json& offer : offers) {
    EXPECT_THAT(offer["ticket"].get<std::string>(),
                ::testing::AnyOf(::testing::Eq(tickets[1]), ::testing::Eq(tickets[2])));
  }
  EXPECT_EQ(HandrailJson(run), done) << "the same request has one answer";
  EXPECT_EQ(open_offers().size(), 2u);
  // Nobody is paired without a word of their own.
  matching::v1::ListOffersRequest list;
  const auto offered = Unwrap(
      sponsors[0]->Call(cluster_->services().matching(), &MatchingService::Stub::ListOffers, list));
  ASSERT_EQ(offered.offers_size(), 1);
  matching::v1::AcceptOfferRequest accept;
  accept.set_name(offered.offers(0).name());
  accept.set_request_id(sponsors[0]->NewRequestId());
  const auto pairing = Unwrap(sponsors[0]->Call(cluster_->services().matching(),
                                                &MatchingService::Stub::AcceptOffer, accept));
  EXPECT_EQ(pairing.state(), matching::v1::PAIRING_STATE_INTRO);
  EXPECT_EQ(Handrail("resume 'ha online'").status, 0);
  EXPECT_EQ(Handrail("batch plan 'ha online' --max-tickets 501").status, 2);
  EXPECT_EQ(Handrail("audit verify").status, 0);
}

TEST_F(OperatorsTest, AProbationEndsEarlyOnceAndForAReason) {
  const auto sponsor = Unwrap(JoinAsSponsor(cluster_->services(), clock_, random_, 3,
                                            common::v1::PHILOSOPHY_TWELVE_STEP_MA));
  const auto availability = [&] {
    return Unwrap(sponsor->Call(cluster_->services().matching(),
                                &MatchingService::Stub::GetAvailability,
                                matching::v1::GetAvailabilityRequest()));
  };
  EXPECT_TRUE(availability().has_probation_end_time());
  const std::string command =
      absl::StrCat("sponsors end-probation ", sponsor->member(), " --reason vouched");
  const Ran ended = Handrail(command);
  EXPECT_EQ(ended.status, 0) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("The probation is over"));
  EXPECT_FALSE(availability().has_probation_end_time());
  const json actions = HandrailJson("audit list --limit 1");
  EXPECT_EQ(actions["actions"][0]["method"], "EndProbation");
  EXPECT_EQ(actions["actions"][0]["detail"], "VOUCHED");
  const Ran again = Handrail(command);
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.out, HasSubstr("NOT_ON_PROBATION"));
  const Ran nobody =
      Handrail("sponsors end-probation members/00000000000000000000000000000000 --reason trained");
  EXPECT_THAT(nobody.out, HasSubstr("NOT_FOUND"));
  EXPECT_EQ(Handrail(absl::StrCat("sponsors end-probation ", sponsor->member())).status, 2);
  EXPECT_FALSE(HandrailJson("sponsors --limit 1")["sponsors"].empty()) << "the list is as before";
}

TEST_F(OperatorsTest, EverythingIsOnRecordAndTamperingIsFound) {
  ASSERT_EQ(Handrail("pools").status, 0);
  const json actions = HandrailJson("audit list --limit 1");
  EXPECT_EQ(actions["actions"][0]["method"], "ListPools");
  EXPECT_EQ(actions["actions"][0]["operator"], Operator()->member());
  EXPECT_EQ(actions["actions"][0]["outcome"], "OK");
  const json whole = HandrailJson("audit verify");
  EXPECT_EQ(whole["whole"], true);
  const std::string known = absl::StrCat(" --after ", whole["last_sequence"].get<std::string>(),
                                         " --seal ", whole["last_seal"].get<std::string>());
  EXPECT_EQ(Handrail(absl::StrCat("audit verify", known)).status, 0);
  const Ran other = Handrail(absl::StrCat("audit verify --after 1 --seal ", std::string(64, '0')));
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.out, HasSubstr("older copy"));
}

TEST_F(OperatorsTest, TopShowsOneScreen) {
  const Ran top = Handrail("top --once --interval 0.5");
  EXPECT_EQ(top.status, 0) << top.out;
  for (const char* text : {"matching", "messaging", "profiles", "ready", "redis up", "waiting"}) {
    EXPECT_THAT(top.out, HasSubstr(text));
  }
  EXPECT_THAT(top.out, Not(HasSubstr("DOWN")));
  EXPECT_THAT(top.out, Not(HasSubstr("\033")));
}

}  // namespace
}  // namespace handrail::tests
