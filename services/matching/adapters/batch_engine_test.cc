#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/matching/adapters/engine_test_env.h"
#include "services/matching/domain/batch_desk.h"
#include "services/matching/stores/batch_store_sql.h"
#include "services/matching/stores/operator_ledger_sql.h"

// The batch of operators over the real ledger, queue and matcher.
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr absl::Time kNever = absl::InfiniteFuture();

class BatchEngineTest : public EngineTestBase {
 protected:
  static OperatorRecord Record() {
    return OperatorRecord([](absl::string_view bytes) { return crypto::HmacSha256("key", bytes); });
  }
  std::unique_ptr<BatchDesk> NewDesk(BatchDesk::Options options = {}) {
    return std::make_unique<BatchDesk>(
        *env_.ledger, operators_, runs_, offers_, chooser_, BuiltInPrograms(), env_.clock,
        env_.random, [](absl::string_view bytes) { return crypto::HmacSha256("other", bytes); },
        [this](absl::Time, const PoolKey&) -> absl::StatusOr<std::vector<MemberId>> {
          if (const auto once = std::exchange(on_plan_, nullptr)) once();
          return sponsors_;
        },
        options);
  }
  Call Operator(const std::string& request_id = "") {
    Call call = env_.As(who_, request_id);
    call.who.kind = Principal::Kind::kOperator;
    call.method = "/x/RunBatch";
    return call;
  }
  // The matcher holds still.
  void Drain() {
    Call call = Operator();
    call.method = "/x/DrainPool";
    ASSERT_TRUE(operators_.DrainPool(call, env_.clock.Now(), pool_, absl::Hours(20)).ok());
  }
  void AddSponsors(int count, int capacity = 1) {
    for (int i = 0; i < count; ++i) {
      sponsors_.push_back(env_.AddSponsor(capacity));
      Effects effects;
      effects.sponsors = {sponsors_.back()};
      matcher_->Notify(effects);
    }
    matcher_->RunRoundForTest();
  }
  // So many tickets, a minute apart; the queue knows them.
  std::vector<Ticket> AskOneByOne(int count) {
    std::vector<Ticket> tickets;
    for (int i = 0; i < count; ++i) {
      tickets.push_back(Ask());
      env_.clock.Advance(absl::Minutes(1));
    }
    matcher_->RunRoundForTest();
    return tickets;
  }
  BatchReport Plan(BatchDesk& desk, int max_tickets = 0) {
    const auto plan = desk.Plan(Operator(), pool_, max_tickets);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.value_or(BatchReport());
  }
  BatchReport Plan() { return Plan(*desk_); }
  absl::StatusOr<BatchRun> Run(const std::string& plan, const std::string& request_id = "") {
    return desk_->Run(Operator(request_id), pool_, plan);
  }
  // Writes down what a run of this plan would offer, as the run does.
  std::vector<BatchOffer> Begin(const Call& call, const BatchReport& report) {
    std::vector<BatchOffer> pairs;
    for (const PlannedPair& pair : report.plan.pairs) {
      pairs.push_back({pair.ticket, pair.sponsor, OfferId::Random(env_.random)});
    }
    EXPECT_TRUE(runs_.BeginRun(call, env_.clock.Now(), "pools/x", pairs).ok());
    return pairs;
  }
  void ExpectOutdated(const std::string& plan, absl::string_view cause) {
    const absl::Status status = Run(plan).status();
    EXPECT_TRUE(HasReason(status, reason::kBatchPlanOutdated)) << status;
    const ErrorDetails details = DetailsOf(status);
    const auto found = details.metadata.find("cause");
    ASSERT_NE(found, details.metadata.end());
    EXPECT_EQ(found->second, cause);
  }
  int64_t OpenOffers() { return env_.Count("SELECT COUNT(*) FROM offers WHERE state = 1"); }
  static std::vector<TicketId> TicketsOf(const BatchReport& report) {
    std::vector<TicketId> tickets;
    for (const PlannedPair& pair : report.plan.pairs) tickets.push_back(pair.ticket);
    return tickets;
  }

  const MemberId who_ = MemberId::Random(env_.random);
  SqlOperatorLedger operators_{*env_.database,    env_.vault,      env_.pools, env_.random,
                               BuiltInPrograms(), LedgerOptions(), Record()};
  SqlBatchStore runs_{*env_.database, env_.random, Record()};
  BatchOffersOptions offers_options_ = [] {
    BatchOffersOptions options;
    options.at_once = 2;  // several rounds in each test
    return options;
  }();
  BatchOffers offers_{
      *env_.ledger,      runs_,
      *queue_,           chooser_,
      BuiltInPrograms(), env_.clock,
      offers_options_,   [this](const Effects& effects) { matcher_->Notify(effects); }};
  std::function<void()> on_plan_;  // once
  std::vector<MemberId> sponsors_;
  const std::unique_ptr<BatchDesk> desk_ = NewDesk();
};

TEST_F(BatchEngineTest, ADryRunTellsWhatWouldBeOfferedAndChangesNothing) {
  Drain();
  AddSponsors(3);
  const std::vector<Ticket> tickets = AskOneByOne(5);
  const BatchReport report = Plan();
  EXPECT_EQ(report.plan.tickets, 5u);
  EXPECT_EQ(report.plan.sponsors, 3u);
  EXPECT_EQ(report.plan.seats, 3);
  EXPECT_EQ(report.plan.blocking_pairs, 0);
  EXPECT_EQ(report.looked_at, 5);
  EXPECT_TRUE(report.complete);
  EXPECT_TRUE(report.drained);
  EXPECT_GT(report.plan.mean_score, 0);
  EXPECT_EQ(report.expire_time - report.create_time, absl::Minutes(10));
  // All suit each other alike: the longest waiting come first.
  EXPECT_THAT(TicketsOf(report), ElementsAre(tickets[0].id, tickets[1].id, tickets[2].id));
  EXPECT_EQ(report.plan.left_waits.p99, absl::Minutes(2));
  EXPECT_EQ(OpenOffers(), 0);
  EXPECT_EQ(Plan().name, report.name) << "the same people at the same time";
  EXPECT_FALSE(absl::StrContains(report.name, tickets[0].id.ToString()));
}

TEST_F(BatchEngineTest, ARunMakesTheOffersOfItsPlanAlsoWhereNothingElseIsOffered) {
  Drain();
  AddSponsors(2, 2);
  const std::vector<Ticket> tickets = AskOneByOne(5);
  EXPECT_EQ(Depth().waiting, 5);
  const BatchReport report = Plan();
  ASSERT_THAT(report.plan.pairs, SizeIs(4));
  const auto run = Run(report.name);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_TRUE(run->done);
  EXPECT_EQ(run->pair_count, 4);
  EXPECT_EQ(run->offer_count, 4);
  for (const PlannedPair& pair : report.plan.pairs) {
    const auto offers = env_.ledger->OpenOffersOf(kNever, pair.sponsor);
    ASSERT_TRUE(offers.ok());
    EXPECT_TRUE(std::any_of(offers->begin(), offers->end(),
                            [&](const auto& offer) { return offer.ticket == pair.ticket; }));
    EXPECT_THAT(*offers, SizeIs(2));
  }
  EXPECT_EQ(StateOf(tickets[4]), TicketState::kWaiting);
  EXPECT_EQ(Depth().claimed, 0);
  EXPECT_EQ(Depth().waiting, 1);
  EXPECT_EQ(Depth().available, 0);
  matcher_->RunRoundForTest();
  EXPECT_EQ(OpenOffers(), 4);
  // An offer like every other: the sponsor decides.
  const MemberId sponsor = sponsors_.front();
  const auto accepted =
      env_.ledger->AcceptOffer(env_.As(sponsor), env_.clock.Now(), OpenOfferOf(sponsor));
  EXPECT_TRUE(accepted.ok()) << accepted.status();
  env_.ExpectWhole();
}

TEST_F(BatchEngineTest, TheSameRequestGetsTheSameAnswerAndOffersNothingAgain) {
  Drain();
  AddSponsors(2);
  AskOneByOne(2);
  const std::string plan = Plan().name;
  const auto first = Run(plan, "once");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->offer_count, 2);
  AddSponsors(2);
  AskOneByOne(2);
  env_.clock.Advance(absl::Minutes(30));  // the plan alone would be too old by now
  const auto second = Run(plan, "once");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->id, first->id);
  EXPECT_EQ(second->offer_count, 2);
  EXPECT_EQ(second->create_time, first->create_time);
  EXPECT_EQ(OpenOffers(), 2);
  const auto actions = operators_.ListActions(kNever, who_, 3, INT64_MAX);
  ASSERT_TRUE(actions.ok());
  std::vector<std::string> details;
  for (const OperatorAction& action : actions->items) details.push_back(action.detail);
  EXPECT_THAT(details, ElementsAre("repeated", "2 offers of 2 pairs", "2 pairs, begun"));
}

TEST_F(BatchEngineTest, APlanThatIsTooOldOrNoPlanIsRefused) {
  Drain();
  AddSponsors(1);
  AskOneByOne(1);
  const std::string plan = Plan().name;
  for (const char* text :
       {"", "x", "1-2-3", "1-500-00000000000000000000000000000000-",
        "x-500-00000000000000000000000000000000", "1-0-00000000000000000000000000000000",
        "1-501-00000000000000000000000000000000"}) {
    const absl::Status status = Run(text).status();
    EXPECT_TRUE(HasReason(status, reason::kFieldInvalid)) << text << ": " << status;
  }
  std::string forged = plan;
  forged.back() = forged.back() == '0' ? '1' : '0';
  ExpectOutdated(forged, "POOL_CHANGED");
  ExpectOutdated("9223372036854775807-500-00000000000000000000000000000000", "AGE");
  env_.clock.Advance(absl::Minutes(10));
  ExpectOutdated(plan, "AGE");
  EXPECT_EQ(OpenOffers(), 0);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM batch_runs"), 0);
}

TEST_F(BatchEngineTest, APlanHoldsAsLongAsItsPairsAreThose) {
  Drain();
  AddSponsors(2);
  std::vector<Ticket> tickets = AskOneByOne(3);
  const std::string plan = Plan().name;
  // Somebody who was left waits no longer, and somebody else came: the pairs are the same.
  ASSERT_TRUE(
      env_.ledger->CancelTicket(env_.As(tickets[2].newcomer), env_.clock.Now(), tickets[2].id)
          .ok());
  AskOneByOne(1);
  const auto run = Run(plan);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->offer_count, 2);
}

TEST_F(BatchEngineTest, APlanWhosePairsWouldBeOthersIsRefused) {
  Drain();
  AddSponsors(2);
  const std::vector<Ticket> tickets = AskOneByOne(3);
  std::string plan = Plan().name;
  ASSERT_TRUE(
      env_.ledger->CancelTicket(env_.As(tickets[0].newcomer), env_.clock.Now(), tickets[0].id)
          .ok());
  ExpectOutdated(plan, "POOL_CHANGED");
  plan = Plan().name;
  ASSERT_TRUE(env_.ledger->SetAvailability(env_.As(sponsors_[0]), env_.clock.Now(), 1, false).ok());
  ExpectOutdated(plan, "POOL_CHANGED");
  plan = Plan().name;
  ASSERT_TRUE(env_.ledger
                  ->ApplyBlock(kNever, env_.clock.Now(), BlockId::Random(env_.random),
                               tickets[1].newcomer, sponsors_[1])
                  .ok());
  ExpectOutdated(plan, "POOL_CHANGED");
  EXPECT_EQ(OpenOffers(), 0);
}

TEST_F(BatchEngineTest, RulesWishesAndTheNewcomersOwnChoiceHold) {
  Drain();
  AddSponsors(2);
  const MemberId man = env_.AddNewcomer();
  MemberTraits other = env_.Newcomer(man, 2);  // same-gender pairing is the program's default
  other.newcomer->person.gender = Gender::kMan;
  ASSERT_TRUE(env_.ledger->ApplyMember(kNever, env_.clock.Now(), other).ok());
  ASSERT_TRUE(env_.Open(env_.As(man), RelationshipType::kSponsor, 2).ok());
  const MemberId speaks = env_.AddNewcomer();
  MemberTraits foreign = env_.Newcomer(speaks, 2);
  foreign.newcomer->person.languages = {Language::FromTag("fr")};
  ASSERT_TRUE(env_.ledger->ApplyMember(kNever, env_.clock.Now(), foreign).ok());
  ASSERT_TRUE(env_.Open(env_.As(speaks), RelationshipType::kSponsor, 2).ok());
  const Ticket chooser = Ask();
  env_.Execute("UPDATE tickets SET choosing = 1 WHERE hex(id) = upper('" + chooser.id.ToString() +
               "')");
  const Ticket blocked = Ask();
  for (const MemberId& sponsor : sponsors_) {
    ASSERT_TRUE(env_.ledger
                    ->ApplyBlock(kNever, env_.clock.Now(), BlockId::Random(env_.random), sponsor,
                                 blocked.newcomer)
                    .ok());
  }
  const Ticket good = Ask();
  const BatchReport report = Plan();
  EXPECT_EQ(report.looked_at, 5);
  EXPECT_EQ(report.plan.tickets, 1u);
  EXPECT_THAT(TicketsOf(report), ElementsAre(good.id));
}

TEST_F(BatchEngineTest, ARunThatWasCutOffGoesOnAndPassesOverWhoChanged) {
  Drain();
  AddSponsors(4);
  const std::vector<Ticket> tickets = AskOneByOne(4);
  const Call call = Operator("cut off");
  std::vector<BatchOffer> pairs;
  for (size_t i = 0; i < 4; ++i) {
    pairs.push_back({tickets[i].id, sponsors_[i], OfferId::Random(env_.random)});
  }
  ASSERT_TRUE(runs_.BeginRun(call, env_.clock.Now(), "pools/x", pairs).ok());
  Proposal made = env_.Propose(tickets[0], sponsors_[0]);
  made.offer = pairs[0].offer;
  ASSERT_TRUE(env_.ledger->MakeOffer(kNever, env_.clock.Now(), made).ok());
  // The sponsor passed it on at once: it was made all the same.
  ASSERT_TRUE(env_.ledger->DeclineOffer(env_.As(sponsors_[0]), env_.clock.Now(), made.offer).ok());
  ASSERT_TRUE(env_.ledger
                  ->ApplyBlock(kNever, env_.clock.Now(), BlockId::Random(env_.random),
                               tickets[1].newcomer, sponsors_[1])
                  .ok());
  ASSERT_TRUE(env_.ledger->SetAvailability(env_.As(sponsors_[2]), env_.clock.Now(), 1, false).ok());
  env_.clock.Advance(absl::Minutes(50));
  const auto run = desk_->Run(call, pool_, "whatever it was called");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_TRUE(run->done);
  EXPECT_EQ(run->pair_count, 4);
  EXPECT_EQ(run->offer_count, 2);
  EXPECT_EQ(StateOf(tickets[0]), TicketState::kWaiting) << "nothing is offered a second time";
  EXPECT_EQ(StateOf(tickets[1]), TicketState::kWaiting);
  EXPECT_EQ(StateOf(tickets[2]), TicketState::kWaiting);
  EXPECT_EQ(StateOf(tickets[3]), TicketState::kOffered);
  env_.ExpectWhole();
}

TEST_F(BatchEngineTest, ADeadlineEndsItEarlyAndARepeatedCallFinishesIt) {
  Drain();
  AddSponsors(5);
  AskOneByOne(5);
  const BatchReport report = Plan();
  const Call call = Operator("slow");
  const std::vector<BatchOffer> pairs = Begin(call, report);
  // Time passes with every round of offers.
  BatchOffers slow(*env_.ledger, runs_, *queue_, chooser_, BuiltInPrograms(), env_.clock,
                   offers_options_,
                   [this](const Effects&) { env_.clock.Advance(absl::Minutes(10)); });
  const absl::Status late =
      slow.MakeAll(env_.clock.Now() + absl::Minutes(30), pool_, pairs).status();
  EXPECT_TRUE(HasReason(late, reason::kDeadlineExceeded)) << late;
  EXPECT_EQ(OpenOffers(), 4);
  const auto run = desk_->Run(call, pool_, report.name);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->offer_count, 5);
  EXPECT_EQ(OpenOffers(), 5);
}

TEST_F(BatchEngineTest, WhatGoesWrongForSomeKeepsNoOtherWaiting) {
  Drain();
  AddSponsors(6);
  AskOneByOne(6);
  const BatchReport report = Plan();
  ASSERT_EQ(report.plan.pairs.size(), 6u);
  const std::vector<BatchOffer> pairs = Begin(Operator("again"), report);
  // One of the first two cannot be read now, and so neither can be offered.
  const std::string who = " WHERE id = x'" + pairs.front().sponsor.ToString() + "'";
  env_.Execute("CREATE TABLE kept AS SELECT * FROM members" + who);
  env_.Execute("UPDATE members SET traits = x'00'" + who);
  const absl::Status failed = offers_.MakeAll(kNever, pool_, pairs).status();
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(OpenOffers(), 4);
  env_.Execute("UPDATE members SET traits = (SELECT traits FROM kept)" + who);
  const auto run = Run(report.name, "again");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->offer_count, 6);
  EXPECT_EQ(OpenOffers(), 6);
}

TEST_F(BatchEngineTest, ARepeatedCallThatMeetsItsOwnFirstAttemptGoesOnWithIt) {
  Drain();
  AddSponsors(2);
  const std::vector<Ticket> tickets = AskOneByOne(2);
  const BatchReport report = Plan();
  ASSERT_EQ(report.plan.pairs.size(), 2u);
  // While the second attempt plans, the first one writes down what it offers, and makes one.
  on_plan_ = [&] {
    const std::vector<BatchOffer> pairs = Begin(Operator("twice"), report);
    Proposal first = env_.Propose(tickets[0], pairs[0].sponsor);
    first.offer = pairs[0].offer;
    ASSERT_TRUE(env_.ledger->MakeOffer(kNever, env_.clock.Now(), first).ok());
  };
  const auto run = Run(report.name, "twice");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_TRUE(run->done);
  EXPECT_EQ(run->offer_count, 2);
  EXPECT_EQ(OpenOffers(), 2);
}

TEST_F(BatchEngineTest, TwoOperatorsAtOnceFillNoSeatTwice) {
  Drain();
  AddSponsors(6);
  AskOneByOne(12);
  const std::string plan = Plan().name;
  const auto second = NewDesk();
  std::atomic<int64_t> offers = 0;
  std::vector<std::thread> threads;
  for (BatchDesk* desk : {desk_.get(), second.get()}) {
    const Call call = Operator();
    threads.emplace_back([this, desk, call, &plan, &offers] {
      const auto run = desk->Run(call, pool_, plan);
      if (run.ok()) {
        offers += run->offer_count;
      } else {
        EXPECT_TRUE(HasReason(run.status(), reason::kBatchPlanOutdated)) << run.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(OpenOffers(), offers.load());
  EXPECT_LE(OpenOffers(), 6);
  EXPECT_GT(OpenOffers(), 0);
  env_.ExpectWhole();
}

TEST_F(BatchEngineTest, WhileRedisIsDownTheLedgerDecidesAlone) {
  Drain();
  AddSponsors(3);
  AskOneByOne(3);
  server_.Kill();
  AwaitRedis(false);
  const auto run = Run(Plan().name);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->offer_count, 3);
}

TEST_F(BatchEngineTest, WhomTheQueueHasNotHeardOfIsOfferedAllTheSame) {
  Drain();
  for (int i = 0; i < 3; ++i) {
    sponsors_.push_back(env_.AddSponsor(1));
    ASSERT_TRUE(env_.Open(env_.As(env_.AddNewcomer())).ok());  // no hint of either
  }
  const auto run = Run(Plan().name);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->offer_count, 3);
  EXPECT_EQ(Depth().claimed, 0);
}

TEST_F(BatchEngineTest, ABatchHasItsLimitsAndWhoeverNobodySuitsDoesNotUseThemUp) {
  Drain();
  AddSponsors(3);
  for (int i = 0; i < 3; ++i) {
    const MemberId member = env_.AddNewcomer();
    MemberTraits foreign = env_.Newcomer(member, 2);
    foreign.newcomer->person.languages = {Language::FromTag("fr")};
    ASSERT_TRUE(env_.ledger->ApplyMember(kNever, env_.clock.Now(), foreign).ok());
    ASSERT_TRUE(env_.Open(env_.As(member), RelationshipType::kSponsor, 2).ok());
  }
  env_.clock.Advance(absl::Minutes(1));
  const std::vector<Ticket> tickets = AskOneByOne(3);
  BatchDesk::Options few;
  few.limits.tickets = 1;
  const BatchReport one = Plan(*NewDesk(few));
  EXPECT_THAT(TicketsOf(one), ElementsAre(tickets[0].id));
  EXPECT_EQ(one.looked_at, 4);
  EXPECT_FALSE(one.complete);
  EXPECT_EQ(Plan(*desk_, 1).plan.pairs.size(), 3u) << "a plan is not for one person";
  BatchDesk::Options options;
  options.limits.looked_at = 3;
  options.limits.page = 2;
  EXPECT_THAT(Plan(*NewDesk(options)).plan.pairs, IsEmpty());
  options.limits.looked_at = 5;
  EXPECT_THAT(TicketsOf(Plan(*NewDesk(options))),
              UnorderedElementsAre(tickets[0].id, tickets[1].id));
  options.limits.pairs = 1;
  EXPECT_THAT(TicketsOf(Plan(*NewDesk(options))), ElementsAre(tickets[0].id));
  options.limits.sponsors = 2;
  const absl::Status large = NewDesk(options)->Plan(Operator(), pool_, 0).status();
  EXPECT_TRUE(HasReason(large, reason::kBatchTooLarge)) << large;
}

TEST_F(BatchEngineTest, OnePlanIsMadeAtATime) {
  AddSponsors(1);
  absl::Status second;
  on_plan_ = [&] { second = desk_->Plan(Operator(), pool_, 0).status(); };
  EXPECT_TRUE(desk_->Plan(Operator(), pool_, 0).ok());
  EXPECT_TRUE(HasReason(second, reason::kOverloaded)) << second;
  EXPECT_TRUE(DetailsOf(second).retry_after.has_value());
  EXPECT_TRUE(desk_->Plan(Operator(), pool_, 0).ok());
}

}  // namespace
}  // namespace handrail::matching
