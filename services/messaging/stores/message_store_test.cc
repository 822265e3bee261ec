// Every sentence of domain/message_store.h, over every database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "services/messaging/stores/store_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class MessageStoreTest : public StoreTest {};

TEST_P(MessageStoreTest, SequencesStartAtOneAndAreDense) {
  const ConversationId id = OpenBetweenKnown();
  for (int64_t i = 1; i <= 5; ++i) {
    const auto sent = Say(id, "hello");
    ASSERT_TRUE(sent.ok()) << sent.status();
    EXPECT_EQ(sent->sequence, i);
    EXPECT_EQ(sent->create_time, clock_.Now());
  }
  const auto page = FetchAs(bob_, bob_phone_, id);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(Sequences(*page), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_FALSE(page->has_more);
  EXPECT_FALSE(page->gap.has_value());
  EXPECT_EQ(page->envelopes.front()->payload, "hello");
  EXPECT_EQ(page->envelopes.front()->sender, ann_);
  EXPECT_EQ(page->envelopes.front()->sender_device, ann_phone_);
}

TEST_P(MessageStoreTest, ARepeatedSendGetsItsFirstAnswer) {
  const ConversationId id = OpenBetweenKnown();
  const Append append = MakeAppend(id, "once");
  const auto first = Send(append);
  ASSERT_TRUE(first.ok()) << first.status();
  SayMany(id, 2);
  clock_.Advance(absl::Hours(1));
  const auto again = Send(append);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->sequence, first->sequence);
  EXPECT_EQ(again->create_time, first->create_time);
  CloseIt();
  EXPECT_EQ(Send(append)->sequence, first->sequence) << "even when the conversation closed since";
}

TEST_P(MessageStoreTest, AMessageIdCannotMeanTwoMessages) {
  const ConversationId id = OpenBetweenKnown();
  Append append = MakeAppend(id, "once");
  ASSERT_TRUE(Send(append).ok());
  append.payload = "other bytes";
  EXPECT_TRUE(HasReason(Send(append).status(), reason::kRequestIdReused));
  append.payload = "once";
  append.conversation = Open(PairingId::Random(random_));
  EXPECT_TRUE(HasReason(Send(append).status(), reason::kRequestIdReused));
  // Another member's ids are another room of names.
  Append theirs = MakeAppend(id, "mine");
  theirs.member = bob_;
  theirs.device = bob_phone_;
  theirs.message_id = append.message_id;
  EXPECT_TRUE(Send(theirs).ok());
}

TEST_P(MessageStoreTest, RepeatsWithinOneBatchAreOneMessage) {
  const ConversationId id = OpenBetweenKnown();
  const Append append = MakeAppend(id, "once");
  Mutex mutex;
  CondVar signal;
  std::vector<int64_t> sequences;
  for (int i = 0; i < 50; ++i) {
    store_->AppendAsync(append, nullptr, [&](absl::StatusOr<Appended> appended) {
      MutexLock lock(mutex);
      sequences.push_back(appended.ok() ? appended->sequence : -1);
      signal.SignalAll();
    });
  }
  MutexLock lock(mutex);
  while (sequences.size() < 50) signal.Wait(mutex);
  EXPECT_THAT(std::set<int64_t>(sequences.begin(), sequences.end()), ElementsAre(1));
}

TEST_P(MessageStoreTest, ManyThreadsOneConversationDenseAndOnce) {
  const ConversationId id = OpenBetweenKnown();
  constexpr int kThreads = 8;
  constexpr int kSends = 500;
  std::vector<std::thread> threads;
  std::vector<std::vector<int64_t>> sequences(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kSends; ++i) {
        const auto sent = Say(id, "hello");
        sequences[static_cast<size_t>(t)].push_back(sent.ok() ? sent->sequence : -1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<int64_t> all;
  for (const auto& of_thread : sequences) {
    EXPECT_TRUE(std::is_sorted(of_thread.begin(), of_thread.end()));
    all.insert(of_thread.begin(), of_thread.end());
  }
  EXPECT_THAT(all, SizeIs(kThreads * kSends));
  EXPECT_EQ(*all.begin(), 1);
  EXPECT_EQ(*all.rbegin(), kThreads * kSends);
}

TEST_P(MessageStoreTest, OneRefusedSendDoesNotTouchItsNeighbours) {
  const ConversationId id = OpenBetweenKnown();
  Mutex mutex;
  CondVar signal;
  int stored = 0;
  int refused = 0;
  for (int i = 0; i < 100; ++i) {
    Append append = MakeAppend(id, "hello");
    if (i % 3 == 0) append.conversation = ConversationId::Random(random_);
    store_->AppendAsync(append, nullptr, [&](absl::StatusOr<Appended> appended) {
      MutexLock lock(mutex);
      ++(appended.ok() ? stored : refused);
      signal.SignalAll();
    });
  }
  {
    MutexLock lock(mutex);
    while (stored + refused < 100) signal.Wait(mutex);
  }
  EXPECT_EQ(stored, 66);
  EXPECT_EQ(refused, 34);
}

TEST_P(MessageStoreTest, StrangersFindNothing) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 1);
  const MemberId eve = MemberId::Random(random_);
  const DeviceId eve_phone = DeviceId::Random(random_);
  Append append = MakeAppend(id, "psst");
  append.member = eve;
  append.device = eve_phone;
  EXPECT_TRUE(HasReason(Send(append).status(), kDeviceUnknown));
  Apply(eve, {eve_phone});
  EXPECT_TRUE(HasReason(Send(append).status(), reason::kNotFound));
  EXPECT_TRUE(HasReason(FetchAs(eve, eve_phone, id).status(), reason::kNotFound));
  EXPECT_TRUE(HasReason(FetchAs(eve, bob_phone_, id).status(), reason::kNotFound));
  EXPECT_TRUE(absl::IsNotFound(store_->GetConversation(kForever, eve, eve_phone, id).status()));
  const Cursor cursor{id, 1};
  EXPECT_TRUE(absl::IsNotFound(store_->CheckCursors(kForever, eve, eve_phone, {&cursor, 1})));
  append = MakeAppend(ConversationId::Random(random_), "nobody");
  EXPECT_TRUE(HasReason(Send(append).status(), reason::kNotFound));
}

TEST_P(MessageStoreTest, AcknowledgingIsCumulativeAndBounded) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 10);
  EXPECT_TRUE(Ack(bob_phone_, id, 7).ok());
  EXPECT_TRUE(Ack(bob_phone_, id, 3).ok());
  EXPECT_TRUE(Ack(bob_phone_, id, 99).ok());  // dropped: beyond the newest
  EXPECT_EQ(store_->GetConversation(kForever, bob_, bob_phone_, id)->acked_sequence, 7);
  EXPECT_EQ(store_->GetConversation(kForever, ann_, ann_phone_, id)->acked_sequence, 0);
  const Cursor beyond{id, 11};
  EXPECT_TRUE(HasReason(store_->CheckCursors(kForever, bob_, bob_phone_, {&beyond, 1}),
                        reason::kSequenceInvalid));
  const Cursor newest{id, 10};
  EXPECT_TRUE(store_->CheckCursors(kForever, bob_, bob_phone_, {&newest, 1}).ok());
}

TEST_P(MessageStoreTest, LazyAcknowledgementsAreStoredWithinTicks) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 5);
  for (int64_t i = 1; i <= 4; ++i) store_->AckAsync(bob_phone_, {{id, i}}, nullptr);
  OpenStore();  // the old store writes what it holds before it goes
  EXPECT_EQ(store_->GetConversation(kForever, bob_, bob_phone_, id)->acked_sequence, 4);
}

TEST_P(MessageStoreTest, AnAcknowledgementThatFindsNoRoomIsRefusedWhereSomebodyWaits) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 2);
  options_.ack.pending_limit = 0;
  OpenStore();
  EXPECT_TRUE(HasReason(Ack(bob_phone_, id, 2), reason::kOverloaded));
  EXPECT_EQ(store_->GetConversation(kForever, bob_, bob_phone_, id)->acked_sequence, 0);
}

TEST_P(MessageStoreTest, PagesEndAtTheirLimitAndAtOneMebibyte) {
  const ConversationId id = OpenBetweenKnown();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(Say(id, std::string(64 << 10, 'x')).ok());
  const auto small = FetchAs(bob_, bob_phone_, id, 2, 3);
  EXPECT_THAT(Sequences(*small), ElementsAre(3, 4, 5));
  EXPECT_TRUE(small->has_more);
  const auto large = FetchAs(bob_, bob_phone_, id, 0, 500);
  EXPECT_THAT(large->envelopes, SizeIs(16));
  EXPECT_TRUE(large->has_more);
  const auto end = FetchAs(bob_, bob_phone_, id, 40);
  EXPECT_THAT(end->envelopes, IsEmpty());
  EXPECT_FALSE(end->has_more);
  EXPECT_TRUE(FetchAs(bob_, bob_phone_, id, std::numeric_limits<int64_t>::max()).ok());
}

TEST_P(MessageStoreTest, AnAddedDeviceReadsFromItsStartARemovedOneToItsEnd) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 3);
  EXPECT_THAT(Apply(ann_, {ann_phone_, ann_tablet_}), SizeIs(1));
  SayMany(id, 2);
  EXPECT_THAT(Sequences(*FetchAs(ann_, ann_tablet_, id)), ElementsAre(4, 5));
  EXPECT_FALSE(FetchAs(ann_, ann_tablet_, id)->gap.has_value()) << "nothing of its own is missing";
  EXPECT_THAT(Apply(ann_, {ann_phone_}), SizeIs(1));
  SayMany(id, 1);
  EXPECT_THAT(Sequences(*FetchAs(ann_, ann_tablet_, id)), ElementsAre(4, 5));
  Append append = MakeAppend(id, "from the lost tablet");
  append.device = ann_tablet_;
  EXPECT_TRUE(HasReason(Send(append).status(), reason::kDeviceRevoked));
  EXPECT_TRUE(HasReason(store_->StartStream(kForever, clock_.Now(), ann_, ann_tablet_).status(),
                        reason::kDeviceRevoked));
}

TEST_P(MessageStoreTest, ASuspendedMemberReadsAndDoesNotSend) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 1);
  Apply(ann_, {ann_phone_}, Standing::kSuspended);
  EXPECT_TRUE(HasReason(Say(id, "hello").status(), reason::kMemberSuspended));
  EXPECT_THAT(FetchAs(ann_, ann_phone_, id)->envelopes, SizeIs(1));
  Apply(ann_, {ann_phone_}, Standing::kGood);
  EXPECT_TRUE(Say(id, "hello").ok());
}

TEST_P(MessageStoreTest, AnErasedMemberLeavesAndTheConversationCloses) {
  const ConversationId id = OpenBetweenKnown();
  Apply(ann_, {ann_phone_}, Standing::kErased);
  EXPECT_TRUE(HasReason(Say(id, "hello").status(), reason::kDeviceRevoked));
  EXPECT_EQ(store_->GetConversation(kForever, bob_, bob_phone_, id)->state,
            ConversationState::kClosed);
}

TEST_P(MessageStoreTest, OlderSnapshotsAreIgnored) {
  const ConversationId id = OpenBetweenKnown();
  ApplyVersion(ann_, 10, {ann_phone_, ann_tablet_});
  EXPECT_THAT(ApplyVersion(ann_, 9, {}), IsEmpty());
  EXPECT_THAT(ApplyVersion(ann_, 10, {}), IsEmpty());
  EXPECT_TRUE(Say(id, "hello").ok());
}

TEST_P(MessageStoreTest, DevicesThatBecomeKnownLaterMissNothing) {
  Apply(ann_, {ann_phone_});
  EXPECT_THAT(*store_->UnknownMembers(kForever, {{ann_, bob_}}), ElementsAre(bob_));
  const ConversationId id = Open(pairing_);
  EXPECT_THAT(*store_->UnknownMembers(kForever, {{ann_, bob_}}), ElementsAre(bob_));
  SayMany(id, 2);
  Apply(bob_, {bob_phone_});
  EXPECT_THAT(Sequences(*FetchAs(bob_, bob_phone_, id)), ElementsAre(1, 2));
}

TEST_P(MessageStoreTest, OnePairingHasOneConversation) {
  const ConversationId id = OpenBetweenKnown();
  EXPECT_EQ(Open(pairing_), id);
  const auto other = store_->OpenConversation(kForever, clock_.Now(), pairing_,
                                              {{ann_, MemberId::Random(random_)}});
  EXPECT_TRUE(HasReason(other.status(), reason::kRequestIdReused));
}

TEST_P(MessageStoreTest, ACloseIsFinalWhateverTheOrder) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 2);
  const auto wake_ups = store_->CloseConversation(kForever, clock_.Now(), pairing_);
  EXPECT_THAT(*wake_ups, SizeIs(2));
  EXPECT_THAT(*store_->CloseConversation(kForever, clock_.Now(), pairing_), IsEmpty());
  EXPECT_TRUE(HasReason(Say(id, "hello").status(), reason::kConversationClosed));
  EXPECT_THAT(FetchAs(bob_, bob_phone_, id)->envelopes, SizeIs(2)) << "what was said stays";
  EXPECT_EQ(Open(pairing_), id);
  EXPECT_TRUE(HasReason(Say(id, "hello").status(), reason::kConversationClosed));

  const PairingId early = PairingId::Random(random_);
  ASSERT_TRUE(store_->CloseConversation(kForever, clock_.Now(), early).ok());
  const ConversationId tombstone = Open(early);
  EXPECT_TRUE(HasReason(Say(tombstone, "hello").status(), reason::kConversationClosed));
}

TEST_P(MessageStoreTest, AfterABlockNothingIsAcceptedOrDelivered) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 2);
  EXPECT_THAT(BlockThem(), SizeIs(2));
  EXPECT_THAT(BlockThem(), IsEmpty());
  EXPECT_TRUE(HasReason(Say(id, "hello").status(), reason::kConversationClosed));
  EXPECT_THAT(FetchAs(bob_, bob_phone_, id)->envelopes, IsEmpty());
  const auto stream = store_->ReadStream(kForever, clock_.Now(), bob_phone_, {}, true, 100);
  ASSERT_THAT(stream->conversations, SizeIs(1));
  EXPECT_FALSE(stream->conversations[0].deliverable);
  EXPECT_THAT(stream->conversations[0].envelopes, IsEmpty());
  // Whatever comes later between the two is born closed.
  const ConversationId later = Open(PairingId::Random(random_));
  EXPECT_TRUE(HasReason(Say(later, "hello").status(), reason::kConversationClosed));
}

TEST_P(MessageStoreTest, SendsThatRaceACloseAreBeforeOrAfterIt) {
  const ConversationId id = OpenBetweenKnown();
  std::vector<int64_t> accepted;
  std::thread sender([&] {
    for (int i = 0; i < 2000; ++i) {
      const auto sent = Say(id, "hello");
      if (!sent.ok()) break;
      accepted.push_back(sent->sequence);
    }
  });
  BlockThem();
  const int64_t head = store_->GetConversation(kForever, bob_, bob_phone_, id)->head_sequence;
  sender.join();
  EXPECT_EQ(store_->GetConversation(kForever, bob_, bob_phone_, id)->head_sequence, head);
  EXPECT_EQ(accepted.empty() ? 0 : accepted.back(), head);
}

TEST_P(MessageStoreTest, ListsNewestFirstInPages) {
  Apply(ann_, {ann_phone_});
  std::vector<ConversationId> opened;
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(absl::Seconds(i == 2 ? 0 : 1));  // two of the same time
    opened.push_back(Open(PairingId::Random(random_)));
  }
  std::vector<ConversationId> listed;
  std::optional<MessageStore::ListPosition> after;
  for (int i = 0; i < 4; ++i) {
    const auto page = store_->ListConversations(kForever, ann_, ann_phone_, after, 2);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const Conversation& conversation : *page) {
      EXPECT_THAT(conversation.members, UnorderedElementsAre(ann_, bob_));
      listed.push_back(conversation.id);
      after = MessageStore::ListPosition{conversation.create_time, conversation.id};
    }
  }
  EXPECT_EQ(listed.front(), opened.back());
  EXPECT_THAT(listed, ::testing::UnorderedElementsAreArray(opened));
  EXPECT_THAT(*store_->ListConversations(kForever, MemberId::Random(random_), ann_phone_, {}, 10),
              IsEmpty());
}

TEST_P(MessageStoreTest, AStreamRaisesTheGenerationAndReadsFromWhereItStands) {
  const ConversationId id = OpenBetweenKnown();
  SayMany(id, 10);
  ASSERT_TRUE(Ack(bob_phone_, id, 4).ok());
  EXPECT_EQ(*store_->StartStream(kForever, clock_.Now(), bob_, bob_phone_), 1);
  EXPECT_EQ(*store_->StartStream(kForever, clock_.Now(), bob_, bob_phone_), 2);
  EXPECT_TRUE(HasReason(store_->StartStream(kForever, clock_.Now(), bob_, ann_phone_).status(),
                        kDeviceUnknown));
  const auto all = store_->ReadStream(kForever, clock_.Now(), bob_phone_, {}, true, 3);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->generation, 2);
  ASSERT_THAT(all->conversations, SizeIs(1));
  EXPECT_THAT(all->conversations[0].envelopes, SizeIs(3));
  EXPECT_EQ(all->conversations[0].envelopes.front()->sequence, 5);
  EXPECT_TRUE(all->conversations[0].has_more);
  const StreamPosition position{id, 9};
  const auto some =
      store_->ReadStream(kForever, clock_.Now(), bob_phone_, {&position, 1}, false, 100);
  ASSERT_THAT(some->conversations, SizeIs(1));
  EXPECT_THAT(some->conversations[0].envelopes, SizeIs(2));
  EXPECT_FALSE(some->conversations[0].has_more);
  const auto heads = store_->ReadHeads(kForever, {{bob_phone_, ann_phone_}});
  ASSERT_THAT(*heads, SizeIs(2));
  EXPECT_FALSE(store_->ReadStream(kForever, clock_.Now(), DeviceId::Random(random_), {}, true, 1)
                   ->device_known);
}

INSTANTIATE_TEST_SUITE_P(Backends, MessageStoreTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
