// The domain over the real store on SQLite in memory: sends and what streams deliver, with two
// processes that share a database and a bus that can fail.
#include "services/messaging/domain/messaging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "common/base/status.h"
#include "common/storage/database.h"
#include "common/testing/seeded_random.h"
#include "common/testing/simulated_clock.h"
#include "services/messaging/stores/invariants.h"
#include "services/messaging/stores/sql_key_package_store.h"
#include "services/messaging/stores/sql_message_store.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Time kForever = absl::InfiniteFuture();

// Delivers to every listener, unless it is down.
class FakeBus {
 public:
  class Port final : public WakeUpBus {
   public:
    explicit Port(FakeBus& bus) : bus_(bus) {}
    void Publish(const WakeUp& wake_up) override {
      bus_.ForEach([&](WakeUpListener& listener) { listener.OnWakeUp(wake_up); });
    }
    void PublishGeneration(const DeviceId& device, int64_t generation) override {
      bus_.ForEach([&](WakeUpListener& listener) { listener.OnGeneration(device, generation); });
    }
    void Listen(const DeviceId&) override {}
    void Unlisten(const DeviceId&) override {}
    bool WaitUntilListening(const DeviceId&, absl::Time) override { return bus_.up; }
    bool IsUp() const override { return bus_.up; }

   private:
    FakeBus& bus_;
  };

  // A visit is over when Leave returns.
  void Join(WakeUpListener* listener) {
    MutexLock lock(mutex_);
    listeners_.push_back(listener);
  }
  void Leave(WakeUpListener* listener) {
    MutexLock lock(mutex_);
    std::erase(listeners_, listener);
  }
  template <typename Visit>
  void ForEach(Visit visit) {
    if (!up) return;
    MutexLock lock(mutex_);
    for (WakeUpListener* listener : listeners_) visit(*listener);
  }
  std::atomic<bool> up{true};

 private:
  Mutex mutex_;
  std::vector<WakeUpListener*> listeners_ ABSL_GUARDED_BY(mutex_);
};

// Answers what was put in; counts the questions.
class FakeDirectory final : public MemberDirectory {
 public:
  absl::StatusOr<Answer> Get(absl::Time, const MemberId& member) override {
    MutexLock lock(mutex_);
    ++questions;
    if (down) return UnavailableError(reason::kPeerUnavailable, "down");
    const auto found = answers.find(member);
    if (found == answers.end()) {
      return Error(absl::StatusCode::kNotFound, reason::kNotFound).ToStatus();
    }
    return found->second;
  }
  std::map<MemberId, Answer> answers;
  bool down = false;
  int questions = 0;

 private:
  Mutex mutex_;
};

// Counts wake-ups and lets a test wait for events.
class Client {
 public:
  void Wake() {
    MutexLock lock(mutex_);
    ++wakes_;
    changed_.SignalAll();
  }
  // Takes events until `enough` says so; false after 10 s.
  bool TakeUntil(const std::function<bool()>& enough) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!enough()) {
      if (std::chrono::steady_clock::now() > end) return false;
      int64_t seen = 0;
      {
        MutexLock lock(mutex_);
        seen = wakes_;
      }
      for (Event& event : session->Take(16, 1 << 20)) Note(std::move(event));
      if (enough()) return true;
      MutexLock lock(mutex_);
      if (wakes_ == seen) changed_.WaitFor(mutex_, absl::Milliseconds(20));
    }
    return true;
  }
  bool AwaitSequence(int64_t last) {
    return TakeUntil([&] { return !sequences.empty() && sequences.back() >= last; });
  }
  bool AwaitClosing() {
    return TakeUntil([&] { return closing.has_value(); });
  }
  bool AwaitCaughtUp() {
    return TakeUntil([&] { return caught_up > 0; });
  }

  std::shared_ptr<StreamSession> session;
  int started = 0;
  int caught_up = 0;
  int told_low = 0;
  std::vector<int64_t> sequences;
  std::vector<Gap> gaps;
  std::vector<Conversation> changed;
  std::optional<ClosingCause> closing;

 private:
  void Note(Event event) {
    EXPECT_FALSE(closing.has_value()) << "nothing comes after Closing";
    if (std::holds_alternative<Started>(event)) ++started;
    if (std::holds_alternative<CaughtUp>(event)) ++caught_up;
    if (std::holds_alternative<KeyPackagesLow>(event)) ++told_low;
    if (const auto* envelope = std::get_if<EnvelopePtr>(&event)) {
      sequences.push_back((*envelope)->sequence);
    }
    if (const auto* gap = std::get_if<Gap>(&event)) gaps.push_back(*gap);
    if (const auto* now = std::get_if<ConversationChanged>(&event)) {
      changed.push_back(now->conversation);
    }
    if (const auto* end = std::get_if<Closing>(&event)) closing = end->cause;
  }

  Mutex mutex_;
  CondVar changed_;
  int64_t wakes_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One process of the service.
struct Replica {
  Replica(storage::Database& database, FakeBus& shared, FakeDirectory& directory,
          testing::SimulatedClock& clock, testing::SeededRandom& random,
          const DeliveryHub::Options& hub_options)
      : bus_of_all(shared),
        bus(shared),
        store(*SqlMessageStore::Create(database, clock, random, {})) {
    hub = std::make_unique<DeliveryHub>(*store, bus, clock, hub_options);
    messaging = std::make_unique<Messaging>(*store, directory, *hub, clock, Messaging::Options());
    store->SetListener(hub.get());
    bus_of_all.Join(hub.get());
  }
  ~Replica() {
    messaging->Stop();
    store->SetListener(nullptr);
    bus_of_all.Leave(hub.get());
    hub->Stop();
  }
  FakeBus& bus_of_all;
  FakeBus::Port bus;
  std::unique_ptr<SqlMessageStore> store;
  std::unique_ptr<DeliveryHub> hub;
  std::unique_ptr<Messaging> messaging;
};

class MessagingTest : public ::testing::Test {
 protected:
  MessagingTest() {
    storage::DatabaseOptions options;
    options.url = "sqlite::memory:";
    options.clock = &clock_;
    database_ = *storage::OpenDatabase(options);
    DeliveryHub::Options hub;
    hub.stream.window = 8;
    here_ = std::make_unique<Replica>(*database_, bus_, directory_, clock_, random_, hub);
    there_ = std::make_unique<Replica>(*database_, bus_, directory_, clock_, random_, hub);
    directory_.answers[ann_] = {{ann_, 1, Standing::kGood, {ann_phone_}}, {}};
    directory_.answers[bob_] = {{bob_, 1, Standing::kGood, {bob_phone_, bob_tablet_}}, {}};
    id_ = *here_->messaging->OpenConversation(ServiceCall(), pairing_, {ann_, bob_});
  }
  ~MessagingTest() override {
    for (const auto& client : clients_) {
      if (client->session != nullptr) here_->messaging->CloseStream(client->session);
      client->session = nullptr;  // which holds the client through its wake-up
    }
    const auto violations = CheckMessages(*database_, kForever);
    EXPECT_TRUE(violations.ok() && violations->empty());
  }

  Call CallOf(const MemberId& member, const DeviceId& device) const {
    Call call;
    call.who.kind = Principal::Kind::kMember;
    call.who.member = member;
    call.who.device = device;
    call.deadline = kForever;
    return call;
  }
  Call Ann() const { return CallOf(ann_, ann_phone_); }
  Call Bob() const { return CallOf(bob_, bob_phone_); }
  static Call ServiceCall() {
    Call call;
    call.who.kind = Principal::Kind::kService;
    return call;
  }
  absl::StatusOr<Appended> Send(Replica& replica, const Call& call, std::string payload) {
    Mutex mutex;
    CondVar signal;
    std::optional<absl::StatusOr<Appended>> result;
    replica.messaging->Send(call, {id_, MessageId::Random(random_), std::move(payload)}, nullptr,
                            [&](absl::StatusOr<Appended> appended) {
                              MutexLock lock(mutex);
                              result = std::move(appended);
                              signal.SignalAll();
                            });
    MutexLock lock(mutex);
    while (!result.has_value()) signal.Wait(mutex);
    return *std::move(result);
  }
  void SendMany(Replica& replica, int count) {
    for (int i = 0; i < count; ++i) {
      const auto sent = Send(replica, Ann(), "hello");
      ASSERT_TRUE(sent.ok()) << sent.status();
    }
  }
  Client& Subscribe(Replica& replica, const Call& call, std::vector<Cursor> cursors = {}) {
    auto client = std::make_shared<Client>();
    clients_.push_back(client);
    auto session = replica.messaging->OpenStream(call, cursors, [client] { client->Wake(); });
    EXPECT_TRUE(session.ok()) << session.status();
    client->session = *session;
    return *client;
  }
  void AckAll(Client& client) {
    const Cursor cursor{id_, client.sequences.empty() ? 0 : client.sequences.back()};
    client.session->Acknowledge({&cursor, 1});
  }
  static std::vector<int64_t> Range(int64_t first, int64_t last) {
    std::vector<int64_t> range;
    for (int64_t i = first; i <= last; ++i) range.push_back(i);
    return range;
  }

  testing::SimulatedClock clock_;
  testing::SeededRandom random_{7};
  const MemberId ann_ = MemberId::Random(random_);
  const MemberId bob_ = MemberId::Random(random_);
  const DeviceId ann_phone_ = DeviceId::Random(random_);
  const DeviceId bob_phone_ = DeviceId::Random(random_);
  const DeviceId bob_tablet_ = DeviceId::Random(random_);
  const PairingId pairing_ = PairingId::Random(random_);
  FakeBus bus_;
  FakeDirectory directory_;
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<Replica> here_;
  std::unique_ptr<Replica> there_;
  std::vector<std::shared_ptr<Client>> clients_;
  ConversationId id_;
};

TEST_F(MessagingTest, AStreamGetsWhatIsStoredThenWhatComes) {
  SendMany(*here_, 3);
  Client& bob = Subscribe(*here_, Bob());
  ASSERT_TRUE(bob.AwaitCaughtUp());
  EXPECT_THAT(bob.sequences, ElementsAre(1, 2, 3));
  EXPECT_EQ(bob.started, 1);
  SendMany(*here_, 2);
  ASSERT_TRUE(bob.AwaitSequence(5));
  EXPECT_EQ(bob.sequences, Range(1, 5));
  EXPECT_EQ(bob.caught_up, 1);
}

TEST_F(MessagingTest, EveryDeviceGetsEveryMessageItsSendersIncluded) {
  Client& ann = Subscribe(*here_, Ann());
  Client& phone = Subscribe(*here_, Bob());
  Client& tablet = Subscribe(*there_, CallOf(bob_, bob_tablet_));
  SendMany(*here_, 3);
  for (Client* client : {&ann, &phone, &tablet}) {
    ASSERT_TRUE(client->AwaitSequence(3));
    EXPECT_THAT(client->sequences, ElementsAre(1, 2, 3));
  }
}

TEST_F(MessagingTest, AnotherProcessIsWokenThroughTheBus) {
  Client& bob = Subscribe(*there_, Bob());
  ASSERT_TRUE(bob.AwaitCaughtUp());
  SendMany(*here_, 3);
  ASSERT_TRUE(bob.AwaitSequence(3));
  EXPECT_THAT(bob.sequences, ElementsAre(1, 2, 3));
}

TEST_F(MessagingTest, WithoutTheBusTheSweepDelivers) {
  Client& bob = Subscribe(*there_, Bob());
  ASSERT_TRUE(bob.AwaitCaughtUp());
  bus_.up = false;
  SendMany(*here_, 3);
  EXPECT_THAT(bob.session->Take(10, 1000), IsEmpty());
  there_->hub->Sweep();
  ASSERT_TRUE(bob.AwaitSequence(3));
}

TEST_F(MessagingTest, TheWindowHoldsBackAndLosesNothing) {
  Client& bob = Subscribe(*here_, Bob());
  SendMany(*here_, 30);
  ASSERT_TRUE(bob.AwaitSequence(8));
  there_->hub->Sweep();
  here_->hub->Sweep();
  EXPECT_THAT(bob.session->Take(100, 1 << 20), IsEmpty()) << "8 are not acknowledged";
  while (bob.sequences.size() < 30) {
    AckAll(bob);
    ASSERT_TRUE(bob.AwaitSequence(std::min<int64_t>(30, bob.sequences.back() + 8)));
  }
  EXPECT_EQ(bob.sequences, Range(1, 30));
}

TEST_F(MessagingTest, AcknowledgementsByAnotherProcessOpenTheWindow) {
  Client& bob = Subscribe(*here_, Bob());
  SendMany(*here_, 16);
  ASSERT_TRUE(bob.AwaitSequence(8));
  ASSERT_TRUE(there_->messaging->Acknowledge(Bob(), {{id_, 8}}).ok());
  ASSERT_TRUE(bob.AwaitSequence(16));
  EXPECT_EQ(bob.sequences, Range(1, 16));
}

TEST_F(MessagingTest, AStreamAcknowledgesItsOwnConversationsOnly) {
  const ConversationId elsewhere = ConversationId::Random(random_);
  Client& bob = Subscribe(*here_, Bob(), {{elsewhere, 3}});  // named by the client, not known to us
  SendMany(*here_, 2);
  ASSERT_TRUE(bob.AwaitSequence(2));
  const std::vector<Cursor> named = {
      {elsewhere, 7}, {ConversationId::Random(random_), 1}, {id_, 2}};
  const std::vector<Cursor> kept = bob.session->Acknowledge(named);
  ASSERT_EQ(kept.size(), 1);
  EXPECT_EQ(kept[0].conversation, id_);
}

TEST_F(MessagingTest, AnAcknowledgementThatComesBeforeTheFirstReadIsKept) {
  SendMany(*here_, 3);
  StreamSession session(
      bob_phone_, {}, StreamSession::Options(), [] {}, [] {});
  session.Start(1);
  const Cursor early{id_, 2};
  EXPECT_TRUE(session.Acknowledge({&early, 1}).empty());
  EXPECT_TRUE(session.TakeEarly().empty());
  const StreamSession::ReadPlan plan = session.NextRead();
  StreamSnapshot snapshot;
  snapshot.device_known = true;
  snapshot.generation = 1;
  StreamConversation& read = snapshot.conversations.emplace_back();
  read.conversation.id = id_;
  read.conversation.head_sequence = 3;
  read.readable_to = 3;
  session.OnRead(plan, snapshot);
  const std::vector<Cursor> found = session.TakeEarly();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].conversation, id_);
  EXPECT_EQ(found[0].sequence, 2);
  EXPECT_TRUE(session.TakeEarly().empty());
}

TEST_F(MessagingTest, ANewConversationIsReadAloneAndNotAllTheOthers) {
  StreamSession session(
      bob_phone_, {}, StreamSession::Options(), [] {}, [] {});
  session.Start(1);
  const StreamSession::ReadPlan first = session.NextRead();
  EXPECT_TRUE(first.everything);
  StreamSnapshot snapshot;
  snapshot.device_known = true;
  snapshot.generation = 1;
  StreamConversation& old = snapshot.conversations.emplace_back();
  old.conversation.id = id_;
  session.OnRead(first, snapshot);
  EXPECT_FALSE(session.NextRead().wanted);

  const ConversationId fresh = ConversationId::Random(random_);
  session.OnWakeUp(fresh);
  const StreamSession::ReadPlan next = session.NextRead();
  EXPECT_TRUE(next.wanted);
  EXPECT_FALSE(next.everything);
  ASSERT_EQ(next.positions.size(), 1);
  EXPECT_EQ(next.positions[0].conversation, fresh);
  EXPECT_EQ(next.positions[0].next_sequence, 0);
  // A read that failed is wanted again, whole.
  session.OnRead(next, absl::UnavailableError("down"));
  session.OnWakeUp(id_);
  EXPECT_EQ(session.NextRead().positions.size(), 2);
}

TEST_F(MessagingTest, AStreamThatMovedIsFoundAtItsNewPlace) {
  Client& before = Subscribe(*here_, Bob());
  ASSERT_TRUE(before.AwaitCaughtUp());
  Client& after = Subscribe(*there_, Bob());
  ASSERT_TRUE(after.AwaitCaughtUp());
  ASSERT_TRUE(before.AwaitClosing());
  SendMany(*here_, 3);  // where the ended stream is still on the books
  ASSERT_TRUE(after.AwaitSequence(3));
  EXPECT_EQ(after.sequences, Range(1, 3));
}

TEST_F(MessagingTest, ASlowReaderDoesNotHoldUpAnother) {
  Client& slow = Subscribe(*here_, Bob());
  Client& fast = Subscribe(*here_, CallOf(bob_, bob_tablet_));
  for (int i = 1; i <= 40; ++i) {
    SendMany(*here_, 1);
    ASSERT_TRUE(fast.AwaitSequence(i));
    AckAll(fast);
  }
  EXPECT_EQ(fast.sequences, Range(1, 40));
  ASSERT_TRUE(slow.AwaitSequence(8));
  while (slow.sequences.size() < 40) {
    AckAll(slow);
    ASSERT_TRUE(slow.AwaitSequence(std::min<int64_t>(40, slow.sequences.back() + 1)));
  }
  EXPECT_EQ(slow.sequences, Range(1, 40));
}

TEST_F(MessagingTest, AReconnectGoesOnAtItsCursor) {
  SendMany(*here_, 6);
  Client& bob = Subscribe(*here_, Bob(), {{id_, 4}});
  ASSERT_TRUE(bob.AwaitCaughtUp());
  EXPECT_THAT(bob.sequences, ElementsAre(5, 6));
  EXPECT_EQ(here_->messaging->GetConversation(Bob(), id_)->acked_sequence, 0)
      << "a cursor does not acknowledge";
  // A cursor beyond the end gets what comes.
  Client& again = Subscribe(*here_, Bob(), {{id_, 400}});
  ASSERT_TRUE(again.AwaitCaughtUp());
  SendMany(*here_, 1);
  ASSERT_TRUE(again.AwaitSequence(7));
  EXPECT_THAT(again.sequences, ElementsAre(7));
}

TEST_F(MessagingTest, ANewerStreamReplacesTheOlderHereAndThere) {
  Client& first = Subscribe(*here_, Bob());
  Client& second = Subscribe(*here_, Bob());
  ASSERT_TRUE(first.AwaitClosing());
  EXPECT_EQ(first.closing, ClosingCause::kReplaced);
  Client& third = Subscribe(*there_, Bob());
  ASSERT_TRUE(second.AwaitClosing());
  EXPECT_EQ(second.closing, ClosingCause::kReplaced);
  bus_.up = false;
  Client& fourth = Subscribe(*here_, Bob());
  there_->hub->Sweep();
  ASSERT_TRUE(third.AwaitClosing());
  EXPECT_EQ(third.closing, ClosingCause::kReplaced);
  SendMany(*here_, 1);
  ASSERT_TRUE(fourth.AwaitSequence(1));
}

TEST_F(MessagingTest, ARemovedDeviceIsCutOff) {
  Client& bob = Subscribe(*there_, Bob());
  ASSERT_TRUE(bob.AwaitCaughtUp());
  const MemberSnapshot snapshot{bob_, 2, Standing::kGood, {bob_tablet_}};
  ASSERT_TRUE(here_->messaging->ApplyMembers(ServiceCall(), {&snapshot, 1}).ok());
  ASSERT_TRUE(bob.AwaitClosing());
  EXPECT_EQ(bob.closing, ClosingCause::kRevoked);
}

TEST_F(MessagingTest, AfterABlockQueuedMessagesAreNotDelivered) {
  Client& bob = Subscribe(*here_, Bob());
  ASSERT_TRUE(bob.AwaitCaughtUp());
  SendMany(*here_, 5);  // queued, not taken
  ASSERT_TRUE(
      here_->messaging->ApplyBlock(ServiceCall(), {BlockId::Random(random_), bob_, ann_}).ok());
  ASSERT_TRUE(bob.TakeUntil([&] { return !bob.changed.empty(); }));
  EXPECT_EQ(bob.changed.back().state, ConversationState::kClosed);
  EXPECT_THAT(bob.session->Take(100, 1 << 20), IsEmpty());
  EXPECT_TRUE(HasReason(Send(*here_, Ann(), "hello").status(), reason::kConversationClosed));
}

TEST_F(MessagingTest, OpeningAndClosingAreTold) {
  Client& bob = Subscribe(*there_, Bob());
  ASSERT_TRUE(bob.AwaitCaughtUp());
  const PairingId pairing = PairingId::Random(random_);
  const auto opened = here_->messaging->OpenConversation(ServiceCall(), pairing, {ann_, bob_});
  ASSERT_TRUE(bob.TakeUntil([&] { return bob.changed.size() == 1; }));
  EXPECT_EQ(bob.changed[0].id, *opened);
  EXPECT_EQ(bob.changed[0].state, ConversationState::kOpen);
  ASSERT_TRUE(here_->messaging->CloseConversation(ServiceCall(), pairing).ok());
  ASSERT_TRUE(bob.TakeUntil([&] { return bob.changed.size() == 2; }));
  EXPECT_EQ(bob.changed[1].state, ConversationState::kClosed);
}

TEST_F(MessagingTest, ANewDeviceIsAskedOfProfilesOnce) {
  const MemberId eve = MemberId::Random(random_);
  const DeviceId phone = DeviceId::Random(random_);
  directory_.questions = 0;
  EXPECT_TRUE(HasReason(Send(*here_, CallOf(eve, phone), "hi").status(), reason::kNotFound));
  EXPECT_EQ(directory_.questions, 1);
  directory_.down = true;
  EXPECT_TRUE(absl::IsUnavailable(Send(*here_, CallOf(eve, phone), "hi").status()));
  directory_.down = false;
  // Bob signs in with a device that profiles has not pushed yet.
  const DeviceId fresh = DeviceId::Random(random_);
  directory_.answers[bob_] = {{bob_, 2, Standing::kGood, {bob_phone_, bob_tablet_, fresh}}, {}};
  EXPECT_TRUE(Send(*here_, CallOf(bob_, fresh), "hi").ok());
  Client& client = Subscribe(*here_, CallOf(bob_, fresh));
  EXPECT_TRUE(client.AwaitSequence(1));
}

TEST_F(MessagingTest, BadInputIsRefused) {
  EXPECT_TRUE(HasReason(Send(*here_, Ann(), "").status(), reason::kFieldInvalid));
  EXPECT_TRUE(HasReason(Send(*here_, Ann(), std::string((64 << 10) + 1, 'x')).status(),
                        reason::kFieldInvalid));
  EXPECT_TRUE(Send(*here_, Ann(), std::string(64 << 10, 'x')).ok());
  EXPECT_TRUE(
      HasReason(here_->messaging->Acknowledge(Bob(), {{id_, 2}}), reason::kSequenceInvalid));
  EXPECT_TRUE(
      HasReason(here_->messaging->OpenConversation(ServiceCall(), pairing_, {ann_, ann_}).status(),
                reason::kFieldInvalid));
  EXPECT_TRUE(
      HasReason(here_->messaging->ApplyBlock(ServiceCall(), {BlockId::Random(random_), ann_, ann_}),
                reason::kFieldInvalid));
}

TEST_F(MessagingTest, AClaimOnOneProcessIsToldOnAnother) {
  const KeyPackageLimits limits;
  SqlKeyPackageStore store(*database_, limits);
  KeyPackages keys(store, clock_, limits, nullptr,
                   [this](absl::Span<const WakeUp> wake_ups) { here_->hub->Spread(wake_ups); });
  std::vector<NewKeyPackage> packages;
  for (int64_t i = 0; i < limits.low_water; ++i) {
    const std::string name = std::to_string(i);
    packages.push_back({"message" + name, "body" + name});
  }
  ASSERT_TRUE(store.Publish(kForever, clock_.Now(), bob_, bob_phone_, packages, nullptr).ok());
  Client& phone = Subscribe(*there_, Bob());
  Client& tablet = Subscribe(*there_, CallOf(bob_, bob_tablet_));
  ASSERT_TRUE(phone.AwaitCaughtUp() && tablet.AwaitCaughtUp());
  ASSERT_TRUE(keys.Claim(Ann(), "one", id_, {{bob_phone_}}).ok());
  ASSERT_TRUE(phone.TakeUntil([&] { return phone.told_low > 0; }));
  ASSERT_TRUE(keys.Claim(Ann(), "two", id_, {{bob_phone_}}).ok());
  SendMany(*here_, 1);
  ASSERT_TRUE(phone.AwaitSequence(1) && tablet.AwaitSequence(1));
  EXPECT_EQ(phone.told_low, 1);
  EXPECT_EQ(tablet.told_low, 0);
}

TEST_F(MessagingTest, ManySendersOnTwoProcessesReachEveryStreamInOrder) {
  Client& here = Subscribe(*here_, Bob());
  Client& there = Subscribe(*there_, CallOf(bob_, bob_tablet_));
  std::vector<std::thread> senders;
  for (int t = 0; t < 4; ++t) {
    senders.emplace_back([&, t] { SendMany(t % 2 == 0 ? *here_ : *there_, 100); });
  }
  for (Client* client : {&here, &there}) {
    while (client->sequences.size() < 400) {
      AckAll(*client);
      const int64_t last = client->sequences.empty() ? 0 : client->sequences.back();
      ASSERT_TRUE(client->AwaitSequence(last + 1));
    }
    EXPECT_EQ(client->sequences, Range(1, 400));
  }
  for (std::thread& sender : senders) sender.join();
}

}  // namespace
}  // namespace handrail::messaging
