#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "services/matching/adapters/engine_test_env.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/match_index.h"
#include "services/matching/domain/member_sync.h"
#include "services/matching/domain/outbox.h"
#include "services/matching/domain/ticket_desk.h"

// The engine over a real ledger and a real Redis, moved round by round.
namespace handrail::matching {
namespace {

using EngineTest = EngineTestBase;

TEST_F(EngineTest, ANewTicketFindsASponsorAndAFreedSeatATicket) {
  const MemberId sponsor = Offer(1);
  const Ticket first = Ask();
  matcher_->RunRoundForTest();
  EXPECT_EQ(StateOf(first), TicketState::kOffered);
  env_.clock.Advance(absl::Seconds(1));
  const Ticket second = Ask();
  matcher_->RunRoundForTest();
  EXPECT_EQ(StateOf(second), TicketState::kWaiting);
  EXPECT_EQ(Depth().waiting, 1);
  EXPECT_EQ(Depth().available, 0);
  EXPECT_EQ(Depth().claimed, 0);
  const auto declined =
      env_.ledger->DeclineOffer(env_.As(sponsor), env_.clock.Now(), OpenOfferOf(sponsor));
  ASSERT_TRUE(declined.ok());
  matcher_->Notify(declined->effects);
  matcher_->RunRoundForTest();
  EXPECT_EQ(StateOf(first), TicketState::kWaiting);
  EXPECT_EQ(StateOf(second), TicketState::kOffered);
  EXPECT_EQ(Depth().waiting, 1);
  env_.ExpectWhole();
}

TEST_F(EngineTest, ManyPeopleAreMatchedWithinCapacityInRounds) {
  std::vector<MemberId> sponsors;
  for (int i = 0; i < 20; ++i) sponsors.push_back(Offer(3));
  std::vector<Ticket> tickets;
  for (int i = 0; i < 100; ++i) {
    tickets.push_back(Ask());
    env_.clock.Advance(absl::Milliseconds(1));
  }
  matcher_->RunRoundForTest();
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM offers WHERE state = 1"), 60);
  EXPECT_EQ(Depth().waiting, 40);
  EXPECT_EQ(Depth().available, 0);
  EXPECT_EQ(Depth().claimed, 0);
  env_.ExpectWhole();
}

TEST_F(EngineTest, ATimeoutCascadesToTheNextSponsorAndTheAgeIsKept) {
  const MemberId a = Offer(1);
  const Ticket ticket = Ask();
  matcher_->RunRoundForTest();
  ASSERT_EQ(StateOf(ticket), TicketState::kOffered);
  const MemberId b = Offer(1);
  env_.clock.Advance(absl::Hours(25));
  sweeper_->Sweep();
  matcher_->RunRoundForTest();
  const Ticket now = env_.TicketNow(ticket);
  EXPECT_EQ(now.state, TicketState::kOffered);
  EXPECT_EQ(now.offer_count, 2);
  EXPECT_EQ(now.create_time, ticket.create_time);
  EXPECT_EQ(env_.SeatsOf(a).open_offer_count, 0);
  EXPECT_EQ(env_.SeatsOf(b).open_offer_count, 1);
  env_.ExpectWhole();
}

TEST_F(EngineTest, AfterAFlushTheQueuesAreBuiltAgain) {
  for (int i = 0; i < 7; ++i) Ask();
  matcher_->RunRoundForTest();
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  const int64_t before = reconciler_->RebuildCount();
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  EXPECT_EQ(reconciler_->RebuildCount(), before);
  EXPECT_EQ(Depth().waiting, 7);
  server_.FlushAll();
  EXPECT_EQ(Depth().waiting, 0);
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  EXPECT_EQ(reconciler_->RebuildCount(), before + 1);
  EXPECT_EQ(Depth().waiting, 7);
  Offer(2);
  matcher_->RunRoundForTest();
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM offers WHERE state = 1"), 2);
}

TEST_F(EngineTest, AServerThatRestartedIsFilledAgain) {
  Offer(1);
  Ask();
  Ask();
  matcher_->RunRoundForTest();
  ASSERT_TRUE(reconciler_->Reconcile().ok());
  server_.Kill();
  server_.Start();
  AwaitRedis(true);
  const absl::Time give_up = SystemClock().Now() + absl::Seconds(10);
  while (!reconciler_->Reconcile().ok() && SystemClock().Now() < give_up) {
  }
  EXPECT_EQ(Depth().waiting, 1);
}

TEST_F(EngineTest, WithoutRedisMatchingGoesOnFromSql) {
  matcher_->RunRoundForTest();
  server_.Stop();
  AwaitRedis(false);
  const MemberId sponsor = Offer(2);
  const Ticket first = Ask();
  const Ticket second = Ask();
  const Ticket third = Ask();
  matcher_->RunRoundForTest();
  EXPECT_EQ(env_.SeatsOf(sponsor).open_offer_count, 2);
  EXPECT_FALSE(matcher_->Stats().redis_up);
  server_.Start();
  AwaitRedis(true);
  env_.clock.Advance(absl::Seconds(4));
  sweeper_->Sweep();  // the marks are sent again
  matcher_->RunRoundForTest();
  EXPECT_EQ(Depth().waiting, 1);
  EXPECT_EQ(Depth().available, 0);
  env_.ExpectWhole();
}

TEST_F(EngineTest, AClaimWhoseOwnerDiedExpiresAndIsSwept) {
  const Ticket ticket = Ask();
  matcher_->RunRoundForTest();
  const MemberId sponsor = env_.AddSponsor(1);
  const QueueSponsor seats =
      QueueSponsorOf(env_.ledger->LoadSponsors(absl::InfiniteFuture(), {&sponsor, 1})->front());
  const absl::Time soon = env_.clock.Now() + absl::Seconds(10);
  ASSERT_TRUE(queue_->PutSponsors(soon, pool_, {&seats, 1}, Announce::kNo).ok());
  const Claim claim{ticket.id, 1, sponsor, 1};
  ASSERT_EQ(queue_->TakeClaims(soon, pool_, env_.clock.Now(), {&claim, 1})->front(),
            ClaimResult::kClaimed);
  // The owner dies here. Others cannot have the ticket until the claim has expired.
  Effects effects;
  effects.sponsors = {sponsor};
  matcher_->Notify(effects);
  matcher_->RunRoundForTest();
  EXPECT_EQ(StateOf(ticket), TicketState::kWaiting);
  env_.clock.Advance(Queue::kClaimLifetime);
  sweeper_->Sweep();
  EXPECT_EQ(Depth().claimed, 0);
  matcher_->RunRoundForTest();
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
  EXPECT_EQ(Depth().claimed, 0);
}

TEST_F(EngineTest, AStaleHeadIsRefusedOnceAndGone) {
  const Ticket stale = Ask();
  env_.clock.Advance(absl::Seconds(1));
  const Ticket next = Ask();
  matcher_->RunRoundForTest();
  ASSERT_EQ(Depth().waiting, 2);
  // Another replica cancels it, and every hint of that is lost.
  ASSERT_TRUE(env_.ledger->CancelTicket(env_.As(stale.newcomer), env_.clock.Now(), stale.id).ok());
  Offer(1);
  matcher_->RunRoundForTest();
  EXPECT_EQ(matcher_->Stats().offers_refused, 1);
  EXPECT_EQ(Depth().waiting, 1);
  EXPECT_EQ(Depth().claimed, 0);
  env_.clock.Advance(absl::Seconds(10));  // the scrub comes by, and the seat looks again
  matcher_->RunRoundForTest();
  EXPECT_EQ(matcher_->Stats().offers_refused, 1);
  EXPECT_EQ(StateOf(next), TicketState::kOffered);
  env_.ExpectWhole();
}

TEST_F(EngineTest, ASeatThatOneTicketMayNotHaveGoesToTheNextAtOnce) {
  const MemberId sponsor = Offer(1);
  Ask();
  matcher_->RunRoundForTest();
  ASSERT_EQ(env_.Count("SELECT COUNT(*) FROM offers WHERE state = 1"), 1);
  const Ticket blocked = Ask();
  env_.clock.Advance(absl::Hours(1));
  const Ticket next = Ask();
  matcher_->RunRoundForTest();
  // The index has not heard of the block when a seat becomes free.
  ASSERT_TRUE(env_.ledger
                  ->ApplyBlock(absl::InfiniteFuture(), env_.clock.Now(),
                               BlockId::Random(env_.random), sponsor, blocked.newcomer)
                  .ok());
  const auto more = env_.ledger->SetAvailability(env_.As(sponsor), env_.clock.Now(), 2, true);
  ASSERT_TRUE(more.ok()) << more.status();
  matcher_->Notify(more->effects);
  matcher_->RunRoundForTest();
  EXPECT_EQ(matcher_->Stats().offers_refused, 1) << "the longest waiting was tried first";
  EXPECT_EQ(StateOf(blocked), TicketState::kWaiting);
  EXPECT_EQ(StateOf(next), TicketState::kOffered);
}

TEST_F(EngineTest, TwoMatchersOnOneLedgerAreHarmless) {
  auto other = NewMatcher();
  std::vector<Effects> all;
  for (int i = 0; i < 10; ++i) {
    const MemberId sponsor = env_.AddSponsor(1);
    all.push_back({});
    all.back().sponsors = {sponsor};
  }
  for (int i = 0; i < 30; ++i) {
    const auto ticket = env_.Open(env_.As(env_.AddNewcomer()));
    all.push_back(ticket->effects);
  }
  matcher_->Start();
  other->Start();
  for (const Effects& effects : all) {
    matcher_->Notify(effects);
    other->Notify(effects);
  }
  const absl::Time give_up = SystemClock().Now() + absl::Seconds(20);
  while (env_.Count("SELECT COUNT(*) FROM offers WHERE state = 1") < 10 &&
         SystemClock().Now() < give_up) {
    env_.clock.Advance(absl::Milliseconds(20));
  }
  matcher_->Stop();
  other->Stop();
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM offers WHERE state = 1"), 10);
  env_.ExpectWhole();
}

TEST_F(EngineTest, WhatAnotherReplicaDidComesOverTheStream) {
  Offer(1);
  matcher_->RunRoundForTest();  // takes the lease and the cursor
  matcher_->RunRoundForTest();
  // Opened elsewhere: that replica's matcher has no lease and sends the hint only.
  auto other = NewMatcher();
  const auto ticket = env_.Open(env_.As(env_.AddNewcomer()));
  other->Notify(ticket->effects);
  other->RunRoundForTest();
  EXPECT_EQ(StateOf(ticket->value), TicketState::kWaiting);
  env_.clock.Advance(absl::Seconds(1));
  matcher_->RunRoundForTest();
  EXPECT_EQ(StateOf(ticket->value), TicketState::kOffered);
}

TEST_F(EngineTest, WhatTheLedgerDidNotAnswerIsReadFromTheStreamAgain) {
  Offer(2);
  matcher_->RunRoundForTest();
  auto other = NewMatcher();
  const auto ticket = env_.Open(env_.As(env_.AddNewcomer()));
  other->Notify(ticket->effects);
  other->RunRoundForTest();
  env_.Execute("ALTER TABLE tickets RENAME TO elsewhere");
  env_.clock.Advance(absl::Seconds(1));
  matcher_->RunRoundForTest();
  env_.Execute("ALTER TABLE elsewhere RENAME TO tickets");
  EXPECT_EQ(StateOf(ticket->value), TicketState::kWaiting);
  env_.clock.Advance(absl::Seconds(1));
  matcher_->RunRoundForTest();
  EXPECT_EQ(StateOf(ticket->value), TicketState::kOffered);
}

TEST_F(EngineTest, WhoLeadsAgainAfterAFlushReadsWhatWasSaidBefore) {
  MatcherOptions options;
  options.scrub = absl::Hours(1);
  auto leader = NewMatcher(options);
  const MemberId sponsor = env_.AddSponsor(1);
  Effects effects;
  effects.sponsors = {sponsor};
  leader->Notify(effects);
  leader->RunRoundForTest();
  const auto ticket = env_.Open(env_.As(env_.AddNewcomer()));
  matcher_->Notify(ticket->effects);
  matcher_->RunRoundForTest();
  // The leader knows that there is another, and has not yet read what that one said.
  env_.clock.Advance(options.lease_renewal);
  ASSERT_TRUE(
      queue_->Replicas(absl::InfiniteFuture(), env_.clock.Now(), "another", absl::Minutes(1)).ok());
  server_.FlushAll();
  ASSERT_TRUE(
      queue_->Replicas(absl::InfiniteFuture(), env_.clock.Now(), "another", absl::Minutes(1)).ok());
  EXPECT_EQ(StateOf(ticket->value), TicketState::kWaiting);
  leader->RunRoundForTest();
  EXPECT_EQ(leader->Stats().pools_led, 1);
  env_.clock.Advance(MatcherOptions().claim_rest * 2);  // the queue had lost it
  leader->RunRoundForTest();
  EXPECT_EQ(StateOf(ticket->value), TicketState::kOffered);
}

TEST_F(EngineTest, ALeaderSaysNothingAndSaysItAllWhenItLeadsNoMore) {
  const MemberId sponsor = Offer(1);
  Ask();
  matcher_->RunRoundForTest();
  // The lease is lost with everything, and another takes it before this one looks.
  server_.FlushAll();
  auto other = NewMatcher();
  other->RunRoundForTest();
  ASSERT_EQ(other->Stats().pools_led, 1);
  const auto stream = [&](const std::string& cursor) {
    const auto events = queue_->ReadEvents(env_.clock.Now() + absl::Seconds(10), pool_, cursor, 99);
    EXPECT_TRUE(events.ok()) << events.status();
    return events.value_or(QueueEvents());
  };
  const std::string before = stream("").cursor;
  const Ticket ticket = Ask();
  matcher_->RunRoundForTest();
  EXPECT_EQ(stream("").cursor, before) << "who else would have to know?";
  // The other has a free seat now, and knows of nobody who waits.
  Effects more;
  more.sponsors = {sponsor};
  ASSERT_TRUE(env_.ledger->SetAvailability(env_.As(sponsor), env_.clock.Now(), 2, true).ok());
  other->Notify(more);
  other->RunRoundForTest();
  EXPECT_EQ(StateOf(ticket), TicketState::kWaiting);
  env_.clock.Advance(MatcherOptions().lease_renewal);
  matcher_->RunRoundForTest();
  EXPECT_EQ(matcher_->Stats().pools_led, 0);
  EXPECT_THAT(stream(before).tickets,
              ::testing::Contains(std::pair(ticket.id, env_.TicketNow(ticket).version)));
  other->RunRoundForTest();
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
  env_.ExpectWhole();
}

TEST_F(EngineTest, ChangedTraitsRescindAnOfferThatTheyForbid) {
  const MemberId sponsor = Offer(1);
  const Ticket ticket = Ask();
  matcher_->RunRoundForTest();
  ASSERT_EQ(StateOf(ticket), TicketState::kOffered);
  MemberSync sync(*env_.ledger, members_, BuiltInPrograms(), rules_, env_.clock,
                  [this](const Effects& effects) { matcher_->Notify(effects); });
  MemberTraits changed = env_.Sponsor(sponsor, 2);
  ASSERT_TRUE(sync.ApplyMember(absl::InfiniteFuture(), changed).ok());
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
  changed.version = 3;
  changed.sponsor->person.languages = {Language::FromTag("de")};
  ASSERT_TRUE(sync.ApplyMember(absl::InfiniteFuture(), changed).ok());
  EXPECT_EQ(StateOf(ticket), TicketState::kWaiting);
  matcher_->RunRoundForTest();
  EXPECT_EQ(StateOf(ticket), TicketState::kWaiting);
  env_.ExpectWhole();
}

class FakeConversations final : public Conversations {
 public:
  absl::StatusOr<ConversationId> Open(absl::Time, const OutboxEntry& entry) override {
    MutexLock lock(mutex_);
    log.push_back("open");
    if (failures-- > 0) return UnavailableError(reason::kPeerUnavailable, "down");
    return ConversationId::FromBytes(entry.pairing.Bytes());
  }
  absl::Status Close(absl::Time, const OutboxEntry&) override {
    MutexLock lock(mutex_);
    log.push_back("close");
    return absl::OkStatus();
  }
  Mutex mutex_;
  std::vector<std::string> log;
  int failures = 0;
};

TEST_F(EngineTest, TheOutboxHealsAndKeepsTheOrder) {
  const MemberId sponsor = env_.AddSponsor(1);
  const Pairing pairing = env_.Pair(sponsor);
  ASSERT_TRUE(
      env_.ledger
          ->EndPairing(env_.As(sponsor), env_.clock.Now(), pairing.id, EndReason::kUnspecified)
          .ok());
  FakeConversations messaging;
  messaging.failures = 2;
  OutboxSender sender(*env_.ledger, messaging, env_.clock, env_.random, OutboxOptions(),
                      [](const Effects&) {});
  for (int i = 0; i < 6; ++i) {
    sender.SendDue();
    env_.clock.Advance(absl::Seconds(2));
  }
  EXPECT_EQ(messaging.log, (std::vector<std::string>{"open", "open", "open", "close"}));
  EXPECT_TRUE(env_.ledger->GetPairing(env_.As(sponsor), pairing.id)->conversation.has_value());
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM outbox"), 0);
}

// Messaging that does not answer for one pairing until it may.
class StuckConversations final : public Conversations {
 public:
  explicit StuckConversations(const PairingId& stuck) : stuck_(stuck) {}
  absl::StatusOr<ConversationId> Open(absl::Time, const OutboxEntry& entry) override {
    MutexLock lock(mutex_);
    ++asked_[entry.pairing];
    while (entry.pairing == stuck_ && !released_) changed_.Wait(mutex_);
    ++opened_;
    changed_.SignalAll();
    return ConversationId::FromBytes(entry.pairing.Bytes());
  }
  absl::Status Close(absl::Time, const OutboxEntry&) override { return absl::OkStatus(); }

  bool AwaitOpened(int count) {
    MutexLock lock(mutex_);
    for (int i = 0; i < 100 && opened_ < count; ++i) changed_.WaitFor(mutex_, absl::Seconds(1));
    return opened_ >= count;
  }
  void Release() {
    MutexLock lock(mutex_);
    released_ = true;
    changed_.SignalAll();
  }
  int Asked(const PairingId& pairing) {
    MutexLock lock(mutex_);
    return asked_[pairing];
  }

 private:
  const PairingId stuck_;
  Mutex mutex_;
  CondVar changed_;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
  int opened_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<PairingId, int> asked_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(EngineTest, OneConversationThatIsSlowToOpenHoldsUpNoOther) {
  const Pairing slow = env_.Pair(env_.AddSponsor(1));
  StuckConversations messaging(slow.id);
  OutboxOptions options;
  options.batch = 4;
  options.threads = 4;
  options.interval = absl::Milliseconds(5);
  OutboxSender sender(*env_.ledger, messaging, env_.clock, env_.random, options,
                      [](const Effects&) {});
  sender.Start();
  for (int i = 0; i < 10; ++i) env_.Pair(env_.AddSponsor(1));
  EXPECT_TRUE(messaging.AwaitOpened(10));
  EXPECT_EQ(messaging.Asked(slow.id), 1) << "what is on its way is not sent again";
  messaging.Release();
  EXPECT_TRUE(messaging.AwaitOpened(11));
  sender.Stop();
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM outbox"), 0);
}

TEST_F(EngineTest, ABacklogOfTheOutboxDrainsWithoutWaitingForTheClock) {
  for (int i = 0; i < 13; ++i) env_.Pair(env_.AddSponsor(1));
  StuckConversations messaging{PairingId()};
  OutboxOptions options;
  options.batch = 4;
  options.threads = 2;
  options.interval = absl::Hours(1);
  OutboxSender sender(*env_.ledger, messaging, env_.clock, env_.random, options,
                      [](const Effects&) {});
  sender.Start();  // one look at the start, and then only what it wakes itself for
  sender.Wake();
  EXPECT_TRUE(messaging.AwaitOpened(13));
  sender.Stop();
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM outbox"), 0);
}

class FakeDirectory final : public MemberDirectory {
 public:
  absl::StatusOr<Entry> Fetch(absl::Time, const MemberId& member) override {
    ++fetches;
    if (entry.member.member != member) return absl::NotFoundError("");
    return entry;
  }
  Entry entry;
  int fetches = 0;
};

TEST_F(EngineTest, TheDeskAsksProfilesOnAMissAndChecksWhatItKnows) {
  FakeDirectory directory;
  const MemberId id = MemberId::Random(env_.random);
  directory.entry.member = env_.Newcomer(id);
  TicketDesk desk(
      *env_.ledger, directory, members_, BuiltInPrograms(), env_.clock, env_.random, 2,
      [] { return true; }, [](const Effects&) {});
  const auto ask = [&](const Call& call, RelationshipType type, Philosophy philosophy) {
    std::promise<absl::StatusOr<Ticket>> promise;
    desk.RequestMatch(call, {type, philosophy, false, {}},
                      [&](absl::StatusOr<Ticket> ticket) { promise.set_value(std::move(ticket)); });
    return promise.get_future().get();
  };
  constexpr auto kAa = Philosophy::kTwelveStepAa;
  EXPECT_TRUE(HasReason(
      ask(env_.As(MemberId::Random(env_.random)), RelationshipType::kSponsor, kAa).status(),
      reason::kProfileIncomplete));
  EXPECT_TRUE(HasReason(ask(env_.As(id), RelationshipType::kPeerCompanion, kAa).status(),
                        reason::kRelationshipNotOffered));
  EXPECT_TRUE(
      HasReason(ask(env_.As(id), RelationshipType::kSponsor, Philosophy::kTwelveStepNa).status(),
                reason::kProfileIncomplete));
  const auto ticket = ask(env_.As(id, "mine"), RelationshipType::kSponsor, kAa);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  // The copy changes behind the cache; the request is decided from the new one, and what was
  // answered before is answered again.
  MemberTraits without = env_.Newcomer(id, 2);
  without.consents_to_matching = false;
  ASSERT_TRUE(env_.ledger->ApplyMember(absl::InfiniteFuture(), env_.clock.Now(), without).ok());
  EXPECT_TRUE(HasReason(ask(env_.As(id), RelationshipType::kTemporarySponsor, kAa).status(),
                        reason::kConsentRequired));
  const auto again = ask(env_.As(id, "mine"), RelationshipType::kSponsor, kAa);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, ticket->id);
  // The consent is given again, and has not come through profiles' outbox yet.
  directory.entry.member = env_.Newcomer(id, 3);
  const auto later = ask(env_.As(id, "later"), RelationshipType::kTemporarySponsor, kAa);
  ASSERT_TRUE(later.ok()) << later.status();
  const int fetches = directory.fetches;
  EXPECT_TRUE(HasReason(ask(env_.As(id), RelationshipType::kTemporarySponsor, kAa).status(),
                        reason::kTicketAlreadyOpen));
  EXPECT_EQ(directory.fetches, fetches) << "a copy that allows the request is not asked for again";
}

// The cache of members is bounded; the index is not.
TEST_F(EngineTest, EverybodyIsIndexedAlsoBeyondWhatTheCacheHolds) {
  constexpr size_t kTickets = 300;
  std::vector<TicketId> ids;
  for (size_t i = 0; i < kTickets; ++i) {
    const auto ticket = env_.Open(env_.As(env_.AddNewcomer()));
    ASSERT_TRUE(ticket.ok()) << ticket.status();
    ids.push_back(ticket->value.id);
  }
  MemberCache few(16);
  MatchIndex index(*env_.ledger, few, chooser_, BuiltInPrograms());
  ASSERT_TRUE(
      index.RefreshTickets(env_.clock.Now() + absl::Minutes(1), env_.clock.Now(), ids, nullptr)
          .ok());
  EXPECT_EQ(index.TicketCount(), kTickets);
}

}  // namespace
}  // namespace handrail::matching
