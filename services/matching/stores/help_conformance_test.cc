#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/help_desk.h"
#include "services/matching/stores/help_sql.h"
#include "services/matching/stores/ledger_test_env.h"

// Each sentence of domain/help_store.h and help_desk.h, on every database, with time by hand.
namespace handrail::matching {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr absl::Time kNever = absl::InfiniteFuture();

class HelpTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  void TearDown() override {
    desk.Sweep();
    env.ExpectWhole();
  }

  // A sponsor who is on call for a day.
  MemberId AddOnCall() {
    const MemberId id = env.AddSponsor(1);
    EXPECT_TRUE(store.SetOnCall(env.As(id), env.clock.Now(), absl::Hours(24)).ok());
    return id;
  }
  void Apply(const MemberTraits& member) {
    ASSERT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), member).ok());
  }
  void Block(const MemberId& blocker, const MemberId& blocked) {
    ASSERT_TRUE(
        env.ledger
            ->ApplyBlock(kNever, env.clock.Now(), BlockId::Random(env.random), blocker, blocked)
            .ok());
  }
  Reached Reach(const MemberId& caller, const std::string& request = "") {
    const auto reached = desk.Reach(env.As(caller, request));
    EXPECT_TRUE(reached.ok()) << reached.status();
    return reached.ok() ? *reached : Reached();
  }
  // An open call of the caller.
  HelpCallId Called(const MemberId& caller) {
    const Reached reached = Reach(caller);
    EXPECT_TRUE(reached.call.has_value());
    return reached.call.has_value() ? reached.call->id : HelpCallId();
  }
  HelpCall Get(const MemberId& caller, const HelpCallId& id) {
    const auto call = store.GetCall(env.As(caller), id);
    EXPECT_TRUE(call.ok()) << call.status();
    return call.ok() ? *call : HelpCall();
  }
  std::vector<HelpAsk> AsksOf(const MemberId& helper, bool closed = false) {
    const auto page = store.ListAsks(env.As(helper), closed, 50, {});
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? page->items : std::vector<HelpAsk>();
  }
  absl::StatusOr<HelpAsk> Answer(const MemberId& helper, const HelpCallId& id) {
    auto changed = store.Answer(env.As(helper), env.clock.Now(), id);
    if (!changed.ok()) return changed.status();
    return changed->value;
  }
  HelpAskState AnsweredState(const MemberId& helper, const HelpCallId& id) {
    const auto ask = Answer(helper, id);
    EXPECT_TRUE(ask.ok()) << ask.status();
    return ask.ok() ? ask->state : HelpAskState::kUnspecified;
  }
  void Pass(absl::Duration time) {
    env.clock.Advance(time);
    desk.Sweep();
  }
  int64_t OutboxOf(const HelpCallId& id, int step) {
    int64_t count = -1;
    EXPECT_TRUE(env.database
                    ->Read(kNever,
                           [&](storage::Transaction& tx) -> absl::Status {
                             ASSIGN_OR_RETURN(const storage::Rows rows,
                                              tx.Query("SELECT COUNT(*) FROM outbox WHERE pairing "
                                                       "= $1 AND step = $2",
                                                       {id, step}));
                             count = rows.front().Int(0);
                             return absl::OkStatus();
                           })
                    .ok());
    return count;
  }

  LedgerTestEnv env{GetParam()};
  HelpOptions options;
  SqlHelpStore store{*env.database, env.vault, env.pools, env.random, BuiltInPrograms(), options};
  std::vector<std::string> woken;
  HelpDesk desk{store,
                *env.ledger,
                BuiltInPrograms(),
                env.clock,
                env.random,
                HelpDesk::Options(),
                [](absl::Time, const MemberId&) { return absl::UnavailableError("down"); },
                [this](const Effects& effects) {
                  woken.insert(woken.end(), effects.topics.begin(), effects.topics.end());
                }};
};

TEST_P(HelpTest, ACallGoesToTheSponsorFirstThenToBackupsThenToThoseOnCall) {
  const MemberId sponsor = env.AddSponsor(2);
  const Pairing pairing = env.Pair(sponsor);
  const MemberId caller = pairing.newcomer;
  const MemberId backup = env.AddSponsor(1);
  // The backup is somebody the caller once was paired with.
  const MemberId on_call = AddOnCall();
  {
    const auto ticket = env.Open(env.As(caller), RelationshipType::kTemporaryContact);
    const auto offer = env.MakeOffer(ticket->value, backup);
    const auto second = env.ledger->AcceptOffer(env.As(backup), env.clock.Now(), offer->value.id);
    ASSERT_TRUE(second.ok()) << second.status();
    ASSERT_TRUE(
        env.ledger->EndPairing(env.As(caller), env.clock.Now(), second->value.id, EndReason::kTime)
            .ok());
  }
  ASSERT_TRUE(store.SetBackups(env.As(caller), env.clock.Now(), {&backup, 1}).ok());

  const Reached reached = Reach(caller);
  EXPECT_EQ(reached.outcome, ReachOutcome::kAsking);
  const HelpCallId id = reached.call->id;
  EXPECT_EQ(reached.call->stage, HelpStage::kSponsors);
  EXPECT_EQ(reached.call->stage_deadline - env.clock.Now(), options.sponsors_time);
  ASSERT_THAT(AsksOf(sponsor), SizeIs(1));
  EXPECT_EQ(AsksOf(sponsor)[0].member, caller);
  EXPECT_EQ(AsksOf(sponsor)[0].asked_as, HelpStage::kSponsors);
  EXPECT_THAT(AsksOf(backup), IsEmpty());
  EXPECT_THAT(AsksOf(on_call), IsEmpty());
  EXPECT_THAT(woken, Contains(HelpTopicOf(sponsor)));

  Pass(options.sponsors_time - absl::Seconds(1));
  EXPECT_THAT(AsksOf(backup), IsEmpty()) << "a second too early";
  Pass(absl::Seconds(1));
  EXPECT_EQ(Get(caller, id).stage, HelpStage::kBackups);
  ASSERT_THAT(AsksOf(backup), SizeIs(1));
  EXPECT_THAT(AsksOf(on_call), IsEmpty());

  Pass(options.backups_time);
  EXPECT_EQ(Get(caller, id).stage, HelpStage::kOnCall);
  ASSERT_THAT(AsksOf(on_call), SizeIs(1));
  EXPECT_EQ(AsksOf(on_call)[0].member, std::nullopt) << "who calls is not said before an answer";
  EXPECT_THAT(AsksOf(sponsor), SizeIs(1)) << "whoever was asked stays asked";
  EXPECT_EQ(Get(caller, id).asked, 3);
}

TEST_P(HelpTest, StagesWithoutAnybodyAreSkippedAtOnce) {
  const MemberId on_call = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const Reached reached = Reach(caller);
  EXPECT_EQ(reached.outcome, ReachOutcome::kAsking);
  EXPECT_EQ(reached.call->stage, HelpStage::kOnCall);
  EXPECT_THAT(AsksOf(on_call), SizeIs(1));
}

TEST_P(HelpTest, WithNobodyToAskItSaysSoLooksOnAndEndsInTime) {
  const MemberId caller = env.AddNewcomer();
  const Reached reached = Reach(caller);
  EXPECT_EQ(reached.outcome, ReachOutcome::kNobody);
  const HelpCallId id = reached.call->id;
  EXPECT_EQ(Get(caller, id).state, HelpState::kOpen);
  const MemberId late = AddOnCall();
  Pass(options.on_call_time);
  EXPECT_THAT(AsksOf(late), SizeIs(1)) << "somebody went on call meanwhile";
  Pass(options.open_time);
  EXPECT_EQ(Get(caller, id).state, HelpState::kUnanswered);
  EXPECT_THAT(AsksOf(late), IsEmpty());
  ASSERT_THAT(AsksOf(late, true), SizeIs(1));
  EXPECT_EQ(AsksOf(late, true)[0].state, HelpAskState::kOver);
  EXPECT_EQ(AnsweredState(late, id), HelpAskState::kOver) << "too late is no error";
  EXPECT_EQ(Get(caller, id).state, HelpState::kUnanswered);
}

TEST_P(HelpTest, OnCallIsAskedInBoundedRoundsTheLongestNotAskedFirst) {
  std::vector<MemberId> duty;
  for (int i = 0; i < options.on_call_at_once + 2; ++i) duty.push_back(AddOnCall());
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  EXPECT_EQ(Get(caller, id).asked, options.on_call_at_once);
  std::vector<MemberId> first;
  for (const MemberId& one : duty) {
    if (!AsksOf(one).empty()) first.push_back(one);
  }
  EXPECT_THAT(first, SizeIs(static_cast<size_t>(options.on_call_at_once)));
  Pass(options.on_call_time);
  EXPECT_EQ(Get(caller, id).asked, options.on_call_at_once + 2);
  // Another caller's first round begins with those whose turn is longest ago.
  ASSERT_TRUE(store.Cancel(env.As(caller), env.clock.Now(), id).ok());
  env.clock.Advance(absl::Minutes(1));
  const MemberId other = env.AddNewcomer();
  const HelpCallId second = Called(other);
  for (const MemberId& one : first) {
    EXPECT_THAT(AsksOf(one), SizeIs(1)) << second.ToString();
  }
}

TEST_P(HelpTest, NoMoreRoundsThanTheBound) {
  const int enough = options.on_call_at_once * (options.on_call_rounds + 1);
  for (int i = 0; i < enough; ++i) AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  while (Get(caller, id).state == HelpState::kOpen) Pass(options.on_call_time);
  EXPECT_EQ(Get(caller, id).asked, options.on_call_at_once * options.on_call_rounds);
  EXPECT_EQ(Get(caller, id).state, HelpState::kUnanswered);
  EXPECT_LE(env.clock.Now() - Get(caller, id).create_time,
            options.open_time + options.on_call_time);
}

TEST_P(HelpTest, TheFirstAnswerWinsAndALaterOneIsToldKindly) {
  const MemberId one = AddOnCall();
  const MemberId two = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  EXPECT_EQ(AnsweredState(two, id), HelpAskState::kAnswered);
  EXPECT_EQ(AnsweredState(one, id), HelpAskState::kTakenCareOf);
  EXPECT_EQ(AnsweredState(two, id), HelpAskState::kAnswered) << "again";
  const HelpCall call = Get(caller, id);
  EXPECT_EQ(call.state, HelpState::kAnswered);
  EXPECT_EQ(call.answered_by, two);
  EXPECT_EQ(AsksOf(one, true)[0].member, std::nullopt);
  EXPECT_EQ(AsksOf(two, true)[0].member, caller);
}

TEST_P(HelpTest, OfManyWhoAnswerAtOnceExactlyOneIsFirst) {
  std::vector<MemberId> helpers;
  for (int i = 0; i < options.on_call_at_once; ++i) helpers.push_back(AddOnCall());
  for (int round = 0; round < 10; ++round) {
    const MemberId caller = env.AddNewcomer();
    const HelpCallId id = Called(caller);
    std::atomic<int> first = 0;
    std::atomic<int> later = 0;
    std::vector<Call> calls;
    for (const MemberId& helper : helpers) calls.push_back(env.As(helper));
    std::vector<std::thread> threads;
    for (const Call& call : calls) {
      threads.emplace_back([&, call] {
        const auto ask = store.Answer(call, env.clock.Now(), id);
        ASSERT_TRUE(ask.ok()) << ask.status();
        ++(ask->value.state == HelpAskState::kAnswered ? first : later);
        EXPECT_TRUE(ask->value.state == HelpAskState::kAnswered ||
                    ask->value.state == HelpAskState::kTakenCareOf);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(first, 1);
    EXPECT_EQ(later, options.on_call_at_once - 1);
    EXPECT_EQ(OutboxOf(id, 1), 1);
  }
}

TEST_P(HelpTest, AnAnswerOpensAContactThatClosesByItself) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  EXPECT_EQ(AnsweredState(helper, id), HelpAskState::kAnswered);
  EXPECT_EQ(OutboxOf(id, 1), 1);
  EXPECT_EQ(Get(caller, id).contact_end, env.clock.Now() + options.contact_length);
  EXPECT_EQ(env.SeatsOf(helper).TakenSeats(), 0) << "a contact takes no seat";
  // Messaging answers.
  const auto due = env.ledger->DueOutbox(kNever, env.clock.Now(), 10);
  ASSERT_TRUE(due.ok());
  ASSERT_THAT(*due, SizeIs(1));
  EXPECT_EQ((*due)[0].newcomer, caller);
  EXPECT_EQ((*due)[0].sponsor, helper);
  const ConversationId conversation = ConversationId::Random(env.random);
  const auto delivered = env.ledger->OutboxDelivered(kNever, (*due)[0], conversation);
  ASSERT_TRUE(delivered.ok());
  EXPECT_THAT(delivered->topics, UnorderedElementsAre(HelpTopicOf(id), HelpTopicOf(helper)));
  EXPECT_EQ(Get(caller, id).conversation, conversation);
  EXPECT_EQ(AsksOf(helper, true)[0].conversation, conversation);
  Pass(options.contact_length - absl::Seconds(1));
  EXPECT_EQ(OutboxOf(id, 2), 0);
  Pass(absl::Seconds(1));
  EXPECT_EQ(OutboxOf(id, 2), 1);
  Pass(absl::Seconds(1));
  EXPECT_EQ(OutboxOf(id, 2), 1);
}

TEST_P(HelpTest, TwoWhoHaveAPairingTalkWhereTheyAlwaysDo) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  const auto due = env.ledger->DueOutbox(kNever, env.clock.Now(), 10);
  ASSERT_TRUE(due.ok() && due->size() == 1);
  const ConversationId conversation = ConversationId::Random(env.random);
  ASSERT_TRUE(env.ledger->OutboxDelivered(kNever, (*due)[0], conversation).ok());
  const HelpCallId id = Called(pairing.newcomer);
  EXPECT_EQ(AnsweredState(sponsor, id), HelpAskState::kAnswered);
  const HelpCall call = Get(pairing.newcomer, id);
  EXPECT_EQ(call.conversation, conversation);
  EXPECT_EQ(call.contact_end, std::nullopt);
  EXPECT_EQ(OutboxOf(id, 1), 0);
}

TEST_P(HelpTest, NobodyWhoIsBlockedEitherWayIsAskedSeesOrAnswers) {
  const MemberId blocked = AddOnCall();
  const MemberId blocker = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  Block(caller, blocked);
  Block(blocker, caller);
  const Reached reached = Reach(caller);
  EXPECT_EQ(reached.outcome, ReachOutcome::kNobody);
  for (const MemberId& helper : {blocked, blocker}) {
    EXPECT_THAT(AsksOf(helper, true), IsEmpty());
    EXPECT_TRUE(absl::IsNotFound(Answer(helper, reached.call->id).status()));
  }
}

TEST_P(HelpTest, ABlockDuringTheCallTakesTheAskAway) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  ASSERT_THAT(AsksOf(helper), SizeIs(1));
  Block(helper, caller);
  EXPECT_THAT(AsksOf(helper, true), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(Answer(helper, id).status()));
  EXPECT_EQ(Get(caller, id).state, HelpState::kOpen) << "the caller does not learn of it";
}

TEST_P(HelpTest, ABlockClosesTheContactAtOnce) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  ASSERT_EQ(AnsweredState(helper, id), HelpAskState::kAnswered);
  Block(caller, helper);
  EXPECT_EQ(OutboxOf(id, 2), 1);
  EXPECT_EQ(Get(caller, id).contact_end, env.clock.Now());
}

TEST_P(HelpTest, WhoIsSuspendedOrWithdrewConsentIsNotAskedAndCannotAnswer) {
  const MemberId suspended = AddOnCall();
  const MemberId without = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  EXPECT_EQ(Get(caller, id).asked, 2);
  MemberTraits one = env.Sponsor(suspended, 2);
  one.standing = Standing::kSuspended;
  Apply(one);
  MemberTraits two = env.Sponsor(without, 2);
  two.consents_to_matching = false;
  Apply(two);
  for (const MemberId& helper : {suspended, without}) {
    EXPECT_FALSE(Answer(helper, id).ok());
    EXPECT_THAT(AsksOf(helper), IsEmpty());
  }
  EXPECT_EQ(Reach(env.AddNewcomer()).outcome, ReachOutcome::kNobody) << "off call with it";
  EXPECT_TRUE(
      HasReason(store.SetOnCall(env.As(suspended), env.clock.Now(), absl::Hours(1)).status(),
                reason::kMemberSuspended));
  EXPECT_TRUE(HasReason(store.SetOnCall(env.As(without), env.clock.Now(), absl::Hours(1)).status(),
                        reason::kConsentRequired));
  EXPECT_TRUE(store.SetOnCall(env.As(without), env.clock.Now(), absl::ZeroDuration()).ok())
      << "going off call needs no consent";
}

TEST_P(HelpTest, ACallerWithoutConsentOrSuspendedIsToldAndNobodyIsAsked) {
  const MemberId helper = AddOnCall();
  const MemberId caller = MemberId::Random(env.random);
  EXPECT_EQ(Reach(caller).outcome, ReachOutcome::kUnavailable)
      << "neither we nor profiles, which is down, know the caller";
  MemberTraits member = env.Newcomer(caller, 1);
  member.consents_to_health_data = false;
  Apply(member);
  EXPECT_EQ(Reach(caller, "same").outcome, ReachOutcome::kConsentRequired);
  member = env.Newcomer(caller, 2);
  member.standing = Standing::kSuspended;
  Apply(member);
  EXPECT_EQ(Reach(caller, "same").outcome, ReachOutcome::kSuspended);
  EXPECT_THAT(AsksOf(helper), IsEmpty());
  Apply(env.Newcomer(caller, 3));
  EXPECT_EQ(Reach(caller, "same").outcome, ReachOutcome::kAsking)
      << "a refusal is not kept under the request id";
}

TEST_P(HelpTest, WhenTheCallerMayNoLongerAskTheCallIsOver) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  MemberTraits member = env.Newcomer(caller, 2);
  member.consents_to_matching = false;
  Apply(member);
  EXPECT_EQ(Get(caller, id).state, HelpState::kCancelled);
  EXPECT_THAT(AsksOf(helper), IsEmpty());
  EXPECT_FALSE(Answer(helper, id).ok());
}

TEST_P(HelpTest, AnErasedMemberLeavesNoTrace) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId answered = Called(caller);
  ASSERT_EQ(AnsweredState(helper, answered), HelpAskState::kAnswered);
  MemberTraits gone = env.Newcomer(caller, 2);
  gone.standing = Standing::kErased;
  Apply(gone);
  EXPECT_EQ(OutboxOf(answered, 2), 1) << "the contact is closed";
  EXPECT_THAT(AsksOf(helper, true), IsEmpty());
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM help_calls"), 0);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM help_asks"), 0);

  const MemberId other = env.AddNewcomer();
  const HelpCallId second = Called(other);
  ASSERT_EQ(AnsweredState(helper, second), HelpAskState::kAnswered);
  gone = env.Sponsor(helper, 2);
  gone.standing = Standing::kErased;
  Apply(gone);
  EXPECT_EQ(OutboxOf(second, 2), 1);
  EXPECT_EQ(Get(other, second).state, HelpState::kAnswered);
  EXPECT_EQ(Get(other, second).answered_by, std::nullopt);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM on_call"), 0);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM help_asks"), 0);
}

TEST_P(HelpTest, ASecondReachGivesTheOpenCall) {
  AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  EXPECT_EQ(Called(caller), id);
  const Reached first = Reach(caller, "same");
  env.clock.Advance(absl::Minutes(1));
  EXPECT_EQ(Reach(caller, "same").call->id, first.call->id);
  Call other = env.As(caller, "same");
  other.request_hash = "another";
  EXPECT_TRUE(HasReason(desk.Reach(other).status(), reason::kRequestIdReused));
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM help_calls"), 1);
}

TEST_P(HelpTest, CallsAnHourAreLimitedForAWhile) {
  const MemberId caller = env.AddNewcomer();
  for (int i = 0; i < options.calls_per_hour; ++i) {
    const HelpCallId id = Called(caller);
    ASSERT_TRUE(store.Cancel(env.As(caller), env.clock.Now(), id).ok());
  }
  EXPECT_EQ(Reach(caller).outcome, ReachOutcome::kLimited);
  env.clock.Advance(absl::Hours(1));
  EXPECT_EQ(Reach(caller).outcome, ReachOutcome::kNobody);
}

TEST_P(HelpTest, ACallIsTakenBackAndAContactEndsBeforeItsTime) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  HelpCallId id = Called(caller);
  const auto cancelled = store.Cancel(env.As(caller), env.clock.Now(), id);
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ(cancelled->value.state, HelpState::kCancelled);
  EXPECT_THAT(cancelled->effects.topics, Contains(HelpTopicOf(helper)));
  EXPECT_EQ(AnsweredState(helper, id), HelpAskState::kOver);
  EXPECT_TRUE(store.Cancel(env.As(caller), env.clock.Now(), id).ok()) << "twice";
  EXPECT_TRUE(
      absl::IsNotFound(store.Cancel(env.As(env.AddNewcomer()), env.clock.Now(), id).status()));
  // By the caller, then by the helper.
  id = Called(caller);
  ASSERT_EQ(AnsweredState(helper, id), HelpAskState::kAnswered);
  ASSERT_TRUE(store.Cancel(env.As(caller), env.clock.Now(), id).ok());
  EXPECT_EQ(Get(caller, id).state, HelpState::kAnswered);
  EXPECT_EQ(OutboxOf(id, 2), 1);
  id = Called(caller);
  ASSERT_EQ(AnsweredState(helper, id), HelpAskState::kAnswered);
  ASSERT_TRUE(store.Pass(env.As(helper), env.clock.Now(), id, HelpStore::Again::kYes).ok());
  EXPECT_EQ(OutboxOf(id, 2), 1);
  EXPECT_EQ(AnsweredState(helper, id), HelpAskState::kAnswered);
}

TEST_P(HelpTest, WhoPassesIsLeftInPeaceAndMayStillChangeTheirMind) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  const auto passed = store.Pass(env.As(helper), env.clock.Now(), id, HelpStore::Again::kYes);
  ASSERT_TRUE(passed.ok());
  EXPECT_EQ(passed->value.state, HelpAskState::kPassed);
  EXPECT_THAT(AsksOf(helper), IsEmpty());
  Pass(options.on_call_time);
  EXPECT_THAT(AsksOf(helper), IsEmpty()) << "nobody is asked twice";
  EXPECT_EQ(AnsweredState(helper, id), HelpAskState::kAnswered);
}

TEST_P(HelpTest, BackupsArePeopleOneHasOrHadAPairingWith) {
  const MemberId sponsor = env.AddSponsor(2);
  const MemberId caller = env.Pair(sponsor).newcomer;
  const MemberId stranger = env.AddSponsor(1);
  const auto set = [&](std::vector<MemberId> backups) {
    return store.SetBackups(env.As(caller), env.clock.Now(), backups);
  };
  for (const MemberId& none : {stranger, caller, MemberId::Random(env.random)}) {
    EXPECT_TRUE(HasReason(set({sponsor, none}).status(), reason::kBackupNotPossible));
  }
  EXPECT_THAT(*store.GetBackups(env.As(caller)), IsEmpty()) << "all or none";
  ASSERT_TRUE(set({sponsor}).ok());
  EXPECT_THAT(*store.GetBackups(env.As(caller)), ElementsAre(sponsor));
  // A sponsor who asks not to be one is no backup any more, whoever names them again.
  const HelpCallId id = Called(caller);
  ASSERT_TRUE(store.Pass(env.As(sponsor), env.clock.Now(), id, HelpStore::Again::kNo).ok());
  EXPECT_THAT(*store.GetBackups(env.As(caller)), IsEmpty());
  EXPECT_TRUE(HasReason(set({sponsor}).status(), reason::kBackupNotPossible));
  ASSERT_TRUE(set({}).ok());
  EXPECT_TRUE(HasReason(set({sponsor}).status(), reason::kBackupNotPossible)) << "it is kept";
}

TEST_P(HelpTest, WhosePairingEndedForSafetyIsNeverAskedAgain) {
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  ASSERT_TRUE(store.SetBackups(env.As(pairing.newcomer), env.clock.Now(), {&sponsor, 1}).ok());
  ASSERT_TRUE(store.SetOnCall(env.As(sponsor), env.clock.Now(), absl::Hours(2)).ok());
  ASSERT_TRUE(
      env.ledger
          ->EndPairing(env.As(pairing.newcomer), env.clock.Now(), pairing.id, EndReason::kSafety)
          .ok());
  EXPECT_EQ(Reach(pairing.newcomer).outcome, ReachOutcome::kNobody);
  EXPECT_THAT(AsksOf(sponsor, true), IsEmpty());
}

TEST_P(HelpTest, AnEndForSafetyClosesTheContactOfTheTwoAndAnOpenAsk) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId answered = Called(caller);
  ASSERT_EQ(AnsweredState(helper, answered), HelpAskState::kAnswered);
  const auto ticket = env.Open(env.As(caller));
  const auto offer = env.MakeOffer(ticket->value, helper);
  ASSERT_TRUE(offer.ok()) << offer.status();
  const auto pairing = env.ledger->AcceptOffer(env.As(helper), env.clock.Now(), offer->value.id);
  ASSERT_TRUE(pairing.ok()) << pairing.status();
  const HelpCallId open = Called(caller);
  ASSERT_THAT(AsksOf(helper), SizeIs(1));
  EXPECT_EQ(OutboxOf(answered, 2), 0);
  const auto ended = env.ledger->EndPairing(env.As(caller), env.clock.Now(), pairing->value.id,
                                            EndReason::kBoundary);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(OutboxOf(answered, 2), 1) << "messaging closes the conversation";
  EXPECT_EQ(Get(caller, answered).contact_end, env.clock.Now());
  EXPECT_THAT(ended->effects.topics, Contains(HelpTopicOf(answered)));
  EXPECT_THAT(ended->effects.topics, Contains(HelpTopicOf(helper)));
  // The other one sees the two ends as ordinary ones (help_privacy_conformance_test.cc).
  EXPECT_THAT(AsksOf(helper), IsEmpty());
  ASSERT_THAT(AsksOf(helper, true), SizeIs(2));
  for (const HelpAsk& ask : AsksOf(helper, true)) {
    EXPECT_EQ(ask.state, ask.call == open ? HelpAskState::kOver : HelpAskState::kAnswered);
  }
  EXPECT_EQ(AnsweredState(helper, open), HelpAskState::kOver);
  EXPECT_EQ(Get(caller, open).state, HelpState::kOpen);
  EXPECT_EQ(Get(caller, open).answered_by, std::nullopt);
}

TEST_P(HelpTest, AnEndForAnotherReasonLeavesTheContactOfTheTwo) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  ASSERT_EQ(AnsweredState(helper, id), HelpAskState::kAnswered);
  const auto ticket = env.Open(env.As(caller));
  const auto offer = env.MakeOffer(ticket->value, helper);
  ASSERT_TRUE(offer.ok()) << offer.status();
  const auto pairing = env.ledger->AcceptOffer(env.As(helper), env.clock.Now(), offer->value.id);
  ASSERT_TRUE(pairing.ok()) << pairing.status();
  ASSERT_TRUE(
      env.ledger->EndPairing(env.As(caller), env.clock.Now(), pairing->value.id, EndReason::kTime)
          .ok());
  EXPECT_EQ(OutboxOf(id, 2), 0);
}

TEST_P(HelpTest, OnCallEndsByItselfAndNeedsAFreshAttestation) {
  const MemberId helper = env.AddSponsor(1);
  ASSERT_TRUE(store.SetOnCall(env.As(helper), env.clock.Now(), absl::Hours(2)).ok());
  EXPECT_EQ(store.GetOnCall(env.As(helper), env.clock.Now())->end_time,
            env.clock.Now() + absl::Hours(2));
  env.clock.Advance(absl::Hours(2));
  EXPECT_EQ(store.GetOnCall(env.As(helper), env.clock.Now())->end_time, std::nullopt);
  EXPECT_EQ(Reach(env.AddNewcomer()).outcome, ReachOutcome::kNobody);
  env.clock.Advance(options.attestation_lifetime);
  ASSERT_TRUE(store.SetOnCall(env.As(helper), env.clock.Now(), absl::Hours(2)).ok());
  EXPECT_EQ(Reach(env.AddNewcomer()).outcome, ReachOutcome::kNobody) << "the attestation lapsed";
  EXPECT_TRUE(HasReason(
      store.SetOnCall(env.As(env.AddNewcomer()), env.clock.Now(), absl::Hours(1)).status(),
      reason::kSponsorProfileRequired));
  EXPECT_TRUE(HasReason(store.ListAsks(env.As(env.AddNewcomer()), true, 5, {}).status(),
                        reason::kSponsorProfileRequired));
}

TEST_P(HelpTest, TwoReplicasThatSweepAtOnceAskOnce) {
  for (int i = 0; i < options.on_call_at_once * 2; ++i) AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  env.clock.Advance(options.on_call_time);
  std::thread other([this] { desk.Sweep(); });
  SqlHelpStore second_store(*env.database, env.vault, env.pools, env.random, BuiltInPrograms(),
                            options);
  HelpDesk second(
      second_store, *env.ledger, BuiltInPrograms(), env.clock, env.random, HelpDesk::Options(),
      [](absl::Time, const MemberId&) { return absl::OkStatus(); }, [](const Effects&) {});
  second.Sweep();
  other.join();
  EXPECT_EQ(Get(caller, id).rounds, 2);
  EXPECT_EQ(Get(caller, id).asked, options.on_call_at_once * 2);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM help_asks"), options.on_call_at_once * 2);
}

TEST_P(HelpTest, WhatIsOverIsForgottenAfterAMonth) {
  const MemberId helper = AddOnCall();
  const MemberId caller = env.AddNewcomer();
  ASSERT_EQ(AnsweredState(helper, Called(caller)), HelpAskState::kAnswered);
  Pass(options.contact_length);
  env.clock.Advance(options.kept - options.contact_length - absl::Seconds(1));
  EXPECT_EQ(*store.Forget(kNever, env.clock.Now() - options.kept, 10), 0);
  env.clock.Advance(absl::Seconds(2));
  EXPECT_EQ(*store.Forget(kNever, env.clock.Now() - options.kept, 10), 1);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM help_calls"), 0);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM help_asks"), 0);
}

TEST_P(HelpTest, NotYoursAndNotThereAreTheSame) {
  AddOnCall();
  const MemberId caller = env.AddNewcomer();
  const HelpCallId id = Called(caller);
  const MemberId stranger = env.AddSponsor(1);
  const HelpCallId nowhere = HelpCallId::Random(env.random);
  EXPECT_EQ(store.GetCall(env.As(stranger), id).status(),
            store.GetCall(env.As(stranger), nowhere).status());
  EXPECT_EQ(Answer(stranger, id).status(), Answer(stranger, nowhere).status());
  EXPECT_TRUE(absl::IsNotFound(Answer(stranger, id).status()));
}

INSTANTIATE_TEST_SUITE_P(Backends, HelpTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

// ---- With every store down ----

// A database that answers nothing, in one of the ways in which databases do.
class DownDatabase final : public storage::Database {
 public:
  explicit DownDatabase(absl::Status fault) : fault_(std::move(fault)) {}
  absl::string_view BackendName() const override { return "postgres"; }
  storage::DatabaseStats Stats() const override { return {}; }

 private:
  absl::Status DoWrite(absl::Time, Work) override { return fault_; }
  void DoWriteAsync(absl::Time, AsyncWork, Done done) override { done(fault_); }
  absl::Status DoRead(absl::Time, Work) override { return fault_; }
  absl::Status DoMigrate(absl::Span<const storage::Migration>) override { return fault_; }
  absl::StatusOr<absl::Time> DoNow(absl::Time) override { return fault_; }
  const absl::Status fault_;
};

TEST(HelpDownTest, ReachIsAnOutcomeWhateverTheDatabaseSays) {
  LedgerTestEnv env(storage::TestBackend::kSqliteMemory);
  const std::vector<absl::Status> faults = {
      UnavailableError(reason::kDatabaseUnavailable, "down"),
      UnavailableError(reason::kOutcomeUnknown, "cut"),
      Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded).ToStatus(),
      Error(absl::StatusCode::kResourceExhausted, reason::kDatabaseFull).ToStatus(),
      Error(absl::StatusCode::kAborted, reason::kDatabaseConflict).ToStatus(),
      Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt).ToStatus(),
      Error(absl::StatusCode::kFailedPrecondition, reason::kConstraintViolated).ToStatus(),
      absl::InternalError("a bug")};
  for (const absl::Status& fault : faults) {
    DownDatabase down(fault);
    SqlLedger ledger(down, env.vault, env.pools, env.random, BuiltInPrograms(), LedgerOptions());
    SqlHelpStore store(down, env.vault, env.pools, env.random, BuiltInPrograms(), HelpOptions());
    HelpDesk desk(
        store, ledger, BuiltInPrograms(), env.clock, env.random, HelpDesk::Options(),
        [&fault](absl::Time, const MemberId&) { return fault; },
        [](const Effects&) { ADD_FAILURE() << "nothing happened"; });
    const auto reached = desk.Reach(env.As(MemberId::Random(env.random)));
    ASSERT_TRUE(reached.ok()) << reached.status();
    EXPECT_EQ(reached->outcome, ReachOutcome::kUnavailable) << fault;
    EXPECT_FALSE(reached->call.has_value());
    EXPECT_EQ(desk.CountOf(ReachOutcome::kUnavailable), 1);
    desk.Sweep();  // goes on
  }
}

}  // namespace
}  // namespace handrail::matching
