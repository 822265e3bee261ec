// C6 over every database: nothing acknowledged goes silently.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/messaging/stores/store_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

SqlMessageStore::Options SmallBacklog() {
  SqlMessageStore::Options options;
  options.limits.backlog_messages = 20;
  options.trim_messages = 7;
  options.trim_conversations = 2;
  return options;
}

class BacklogTest : public StoreTest {
 protected:
  BacklogTest() : StoreTest(SmallBacklog()) {}
  void AckBoth(const ConversationId& id, int64_t sequence) {
    ASSERT_TRUE(Ack(ann_phone_, id, sequence).ok());
    ASSERT_TRUE(Ack(bob_phone_, id, sequence).ok());
  }
};

TEST_P(BacklogTest, AFullBacklogRefusesTheSenderAndHeals) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 20);
  ASSERT_TRUE(Ack(ann_phone_, id, 20).ok());
  const absl::Status full = Say(id, "one more").status();
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_TRUE(HasReason(full, reason::kQueueFull));
  EXPECT_TRUE(DetailsOf(full).retry_after.has_value());
  EXPECT_THAT(FetchAs(bob_, bob_phone_, id)->envelopes, SizeIs(20)) << "nothing was dropped";
  ASSERT_TRUE(Ack(bob_phone_, id, 1).ok());
  EXPECT_TRUE(Say(id, "one more").ok());
  EXPECT_TRUE(HasReason(Say(id, "two more").status(), reason::kQueueFull));
}

TEST_P(BacklogTest, AFullBacklogRefusesWithinABatchToo) {
  const ConversationId id = OpenBetweenKnown();
  Mutex mutex;
  CondVar signal;
  int stored = 0;
  int refused = 0;
  for (int i = 0; i < 50; ++i) {
    store_->AppendAsync(MakeAppend(id, "x"), nullptr, [&](absl::StatusOr<Appended> appended) {
      MutexLock lock(mutex);
      ++(appended.ok() ? stored : refused);
      signal.SignalAll();
    });
  }
  MutexLock lock(mutex);
  while (stored + refused < 50) signal.Wait(mutex);
  EXPECT_EQ(stored, 20);
}

TEST_P(BacklogTest, OneFullConversationDoesNotSilenceAnother) {
  const ConversationId id = OpenBetweenKnown();
  const ConversationId other = Open(PairingId::Random(random_));
  SayMany(id, 20);
  EXPECT_FALSE(Say(id, "full").ok());
  EXPECT_TRUE(Say(other, "hello").ok());
}

TEST_P(BacklogTest, ASilentDeviceNoLongerCountsAndFindsAGap) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 20);
  ASSERT_TRUE(Ack(ann_phone_, id, 20).ok());
  clock_.Advance(absl::Hours(7 * 24 - 1));
  EXPECT_TRUE(HasReason(Say(id, "hello").status(), reason::kQueueFull));
  ASSERT_TRUE(Ack(ann_phone_, id, 20).ok());
  clock_.Advance(absl::Hours(1));
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Say(id, "hello").ok());
    ASSERT_TRUE(Ack(ann_phone_, id, 21 + i).ok());
  }
  // The lost phone is found: what is beyond the backlog is a Gap, the rest is there.
  ASSERT_TRUE(store_->StartStream(kForever, clock_.Now(), bob_, bob_phone_).ok());
  const auto page = FetchAs(bob_, bob_phone_, id);
  EXPECT_EQ(page->gap, (Gap{id, 1, 10}));
  EXPECT_EQ(Sequences(*page).front(), 11);
  EXPECT_THAT(page->envelopes, SizeIs(20));
  EXPECT_TRUE(HasReason(Say(id, "hello").status(), reason::kQueueFull)) << "it counts again";
  ASSERT_TRUE(Ack(bob_phone_, id, 30).ok());
  EXPECT_TRUE(Say(id, "hello").ok());
  EXPECT_FALSE(FetchAs(bob_, bob_phone_, id, 30)->gap.has_value());
}

TEST_P(BacklogTest, MessagesGoADayAfterAllAcknowledged) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 15);
  AckBoth(id, 10);
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(TrimAll(), 0);  // takes note
  clock_.Advance(absl::Hours(23));
  EXPECT_EQ(TrimAll(), 0);
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(TrimAll(), 10);
  EXPECT_EQ(store_->GetConversation(kForever, bob_, bob_phone_, id)->first_sequence, 11);
  const auto page = FetchAs(bob_, bob_phone_, id);
  EXPECT_EQ(page->gap, (Gap{id, 1, 10}));
  EXPECT_THAT(Sequences(*page), ElementsAre(11, 12, 13, 14, 15));
  AckBoth(id, 15);
  clock_.Advance(absl::Hours(25));
  TrimAll();
  clock_.Advance(absl::Hours(25));
  EXPECT_EQ(TrimAll(), 5);
  EXPECT_EQ(store_->GetConversation(kForever, bob_, bob_phone_, id)->first_sequence, 16);
  EXPECT_THAT(FetchAs(bob_, bob_phone_, id, 15)->envelopes, IsEmpty());
  EXPECT_EQ(Say(id, "on we go")->sequence, 16);
}

TEST_P(BacklogTest, WhatNobodyAcknowledgedIsKeptForThirtyDays) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 3);
  clock_.Advance(absl::Hours(30 * 24 - 1));
  ASSERT_TRUE(Ack(ann_phone_, id, 3).ok());
  EXPECT_EQ(TrimAll(), 0) << "somebody's only phone may be in a locker for weeks";
  clock_.Advance(absl::Hours(25));
  EXPECT_EQ(TrimAll(), 3);
  ASSERT_TRUE(store_->StartStream(kForever, clock_.Now(), bob_, bob_phone_).ok());
  const auto page = FetchAs(bob_, bob_phone_, id);
  EXPECT_EQ(page->gap, (Gap{id, 1, 3}));
  const auto stream = store_->ReadStream(kForever, clock_.Now(), bob_phone_, {}, true, 100);
  EXPECT_EQ(stream->conversations[0].gap, (Gap{id, 1, 3}));
}

TEST_P(BacklogTest, ASilentSecondDeviceDoesNotKeepMessages) {
  Apply(ann_, {ann_phone_});
  const DeviceId bob_tablet = DeviceId::Random(random_);
  Apply(bob_, {bob_phone_, bob_tablet});
  const ConversationId id = Open(pairing_);
  clock_.Advance(absl::Hours(7 * 24));
  ASSERT_TRUE(Ack(bob_phone_, id, 0).ok());
  SayMany(id, 5);
  AckBoth(id, 5);
  clock_.Advance(absl::Hours(2));
  TrimAll();
  ASSERT_TRUE(Ack(bob_phone_, id, 5).ok());
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(TrimAll(), 5);
  EXPECT_EQ(FetchAs(bob_, bob_tablet, id)->gap, (Gap{id, 1, 5}));
}

TEST_P(BacklogTest, RetentionWorksInBoundedSteps) {
  OpenBetweenKnown();
  std::vector<ConversationId> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(Open(PairingId::Random(random_)));
    SayMany(ids.back(), 20);
  }
  clock_.Advance(absl::Hours(31 * 24));
  const auto step = store_->TrimSome(kForever, clock_.Now());
  EXPECT_EQ(step->conversations_examined, 2);
  EXPECT_EQ(step->messages_trimmed, 14);
  EXPECT_TRUE(step->more);
  EXPECT_EQ(TrimAll(), 86);
}

INSTANTIATE_TEST_SUITE_P(Backends, BacklogTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
