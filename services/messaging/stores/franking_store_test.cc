// What the stamps of stored messages promise (C7), on every database; and stamps that promise less,
// each of which the same look finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/messaging/stores/group_test_util.h"
#include "services/messaging/testing/franked.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// Of each message what was committed to; empty for one that commits to nothing.
using Contents = std::map<MessageId, std::string>;

// Whatever a reader could hold against the stamps of a conversation, in order from its first
// message.
std::vector<std::string> FaultsOf(const Franker& franker, const std::vector<EnvelopePtr>& envelopes,
                                  const Contents& contents) {
  std::vector<std::string> faults;
  std::string previous = NoCommitment();
  for (const EnvelopePtr& envelope : envelopes) {
    const auto add = [&](absl::string_view fault) {
      faults.push_back(absl::StrCat(envelope->sequence, ": ", fault));
    };
    const auto content = contents.find(envelope->message_id);
    if (content == contents.end()) {
      if (envelope->franking.has_value()) add("stamped, but commits to nothing");
      continue;
    }
    if (!envelope->franking.has_value()) {
      add("not stamped");
      continue;
    }
    const ReportedMessage shown = ShownOf(*envelope, content->second);
    const auto verifies = [&](const StampedMessage& stamped) {
      return franker.IsStampOf(stamped, shown.key_id, shown.stamp);
    };
    if (!verifies(shown.stamped)) add("does not verify");
    if (shown.stamped.previous_commitment != previous) add("does not follow the one before");
    previous = shown.stamped.commitment;
    StampedMessage other = shown.stamped;
    ++other.sequence;
    if (verifies(other)) add("holds for another place");
    other = shown.stamped;
    other.previous_commitment = std::string(kCommitmentBytes, 'x');
    if (verifies(other)) add("holds after another message");
    other = shown.stamped;
    other.create_time += absl::Seconds(1);
    if (verifies(other)) add("holds for another time");
  }
  return faults;
}

class FrankingStoreTest : public GroupTest {
 protected:
  FrankingStoreTest() {
    MakeGroup();
    UseFranker(&franker_);
  }
  void UseFranker(const Franker* franker) {
    options_.franker = franker;
    OpenStore();
  }

  Append Franked(const std::string& content, const DeviceId& device) {
    Append append = MakeAppend(id_, FrankedBytes(content));
    append.member = MemberOf(device);
    append.device = device;
    contents_[append.message_id] = content;
    return append;
  }
  int64_t SayFranked(const std::string& content, const DeviceId& device) {
    const auto sent = Send(Franked(content, device));
    EXPECT_TRUE(sent.ok()) << sent.status();
    return sent.ok() ? sent->sequence : 0;
  }
  std::vector<EnvelopePtr> ReadByBob() {
    const auto page = FetchAs(bob_, bob_phone_, id_);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? page->envelopes : std::vector<EnvelopePtr>();
  }
  std::vector<std::string> Faults() { return FaultsOf(franker_, ReadByBob(), contents_); }
  // Some from each side, and some that commit to nothing between them.
  void Talk() {
    SayFranked("one", ann_phone_);
    SayFranked("two", bob_phone_);
    EXPECT_TRUE(SayIn(1, ann_phone_).ok());
    clock_.Advance(absl::Seconds(3));
    SayFranked("three", bob_phone_);
    SayFranked("four", bob_phone_);
  }

  const HmacFranker franker_ = FrankerOf({"k1"});
  Contents contents_;
};

TEST_P(FrankingStoreTest, EachStampSaysWhoWhereWhenAndAfterWhat) {
  Talk();
  EXPECT_THAT(Faults(), IsEmpty());
  EXPECT_EQ(ReadByBob().back()->franking->previous_commitment, CommitmentTo("three"));
}

TEST_P(FrankingStoreTest, TheChainGoesOnOverRestartsAndKeysThatRotate) {
  Talk();
  const HmacFranker rotated = FrankerOf({"k1", "k2"});
  UseFranker(&rotated);
  SayFranked("five", ann_phone_);
  EXPECT_THAT(FaultsOf(rotated, ReadByBob(), contents_), IsEmpty());
  EXPECT_EQ(ReadByBob().front()->franking->key_id, "k1");
  EXPECT_EQ(ReadByBob().back()->franking->key_id, "k2");
}

TEST_P(FrankingStoreTest, ARepeatedSendHasTheStampOfTheFirst) {
  const Append append = Franked("one", ann_phone_);
  ASSERT_TRUE(Send(append).ok());
  const Franking first = *ReadByBob().back()->franking;
  SayFranked("two", bob_phone_);
  clock_.Advance(absl::Seconds(60));
  const auto again = Send(append);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->sequence, 2);
  EXPECT_EQ(ReadByBob().front()->franking, first);
  SayFranked("three", bob_phone_);
  EXPECT_THAT(Faults(), IsEmpty());
}

TEST_P(FrankingStoreTest, OnlyWhatIsExactlyOursIsStamped) {
  for (const std::string& data :
       {std::string(), absl::StrCat("\2", CommitmentTo("x")), AuthenticatedDataFor("x") + "y"}) {
    const auto sent = Send(
        MakeAppend(id_, MlsPrivateBytes(MlsContentType::kApplication, "group", 1, "secret", data)));
    EXPECT_TRUE(sent.ok()) << sent.status();
  }
  SayFranked("one", ann_phone_);
  EXPECT_THAT(Faults(), IsEmpty());
  EXPECT_EQ(ReadByBob().back()->franking->previous_commitment, NoCommitment());
}

TEST_P(FrankingStoreTest, WithoutAKeyMessagesAreTakenAndNotStamped) {
  UseFranker(nullptr);
  SayFranked("one", ann_phone_);
  EXPECT_EQ(ReadByBob().back()->franking, std::nullopt);
  UseFranker(&franker_);
  contents_.clear();
  SayFranked("two", ann_phone_);
  EXPECT_THAT(Faults(), IsEmpty());
}

TEST_P(FrankingStoreTest, TwoConversationsAreTwoChains) {
  Talk();
  const ConversationId first = id_;
  id_ = Open(PairingId::Random(random_));
  MakeGroup();
  SayFranked("elsewhere", ann_phone_);
  EXPECT_EQ(ReadByBob().back()->franking->previous_commitment, NoCommitment());
  id_ = first;
  SayFranked("five", ann_phone_);
  EXPECT_EQ(ReadByBob().back()->franking->previous_commitment, CommitmentTo("four"));
}

// Hears what streams are given.
class Hearing : public CommitListener {
 public:
  void OnCommitted(absl::Span<const CommittedMessages> commit) override {
    MutexLock lock(mutex_);
    ++commits_;
    for (const CommittedMessages& messages : commit) {
      for (const EnvelopePtr& envelope : messages.envelopes) heard_.push_back(envelope);
    }
  }
  std::vector<EnvelopePtr> heard() {
    MutexLock lock(mutex_);
    return heard_;
  }
  int commits() {
    MutexLock lock(mutex_);
    return commits_;
  }

 private:
  Mutex mutex_;
  std::vector<EnvelopePtr> heard_ ABSL_GUARDED_BY(mutex_);
  int commits_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_P(FrankingStoreTest, InABatchAndOneByOneLiveAndFromDiskItIsTheSame) {
  constexpr int kMessages = 40;
  Hearing hearing;
  store_->SetListener(&hearing);
  for (int i = 0; i < kMessages; ++i) {
    store_->AppendAsync(
        Franked(absl::StrCat("said ", i), i % 3 == 0 ? bob_phone_ : ann_phone_), nullptr,
        [](absl::StatusOr<Appended> sent) { EXPECT_TRUE(sent.ok()) << sent.status(); });
  }
  store_->WaitUntilIdle();
  store_->SetListener(nullptr);
  EXPECT_LT(hearing.commits(), kMessages);  // there were batches
  EXPECT_THAT(Faults(), IsEmpty());
  EXPECT_THAT(FaultsOf(franker_, hearing.heard(), contents_), IsEmpty());
  const auto stored = ReadByBob();
  ASSERT_EQ(stored.size(), hearing.heard().size());
  for (size_t i = 0; i < hearing.heard().size(); ++i) {
    EXPECT_EQ(stored[i]->franking, hearing.heard()[i]->franking) << i;
  }
  // What the store does in a batch it does one by one, too.
  for (size_t i = 0; i < 5; ++i) SayFranked(absl::StrCat("then ", i), ann_phone_);
  EXPECT_THAT(Faults(), IsEmpty());
}

// A stamp over less than it should be over.
class BuggyFranker final : public Franker {
 public:
  using Bug = std::function<void(StampedMessage&)>;
  explicit BuggyFranker(Bug bug) : bug_(std::move(bug)) {}

  Franking Stamp(const StampedMessage& message) const override {
    Franking franking = real_.Stamp(Bugged(message));
    franking.previous_commitment = message.previous_commitment;
    return franking;
  }
  bool IsStampOf(const StampedMessage& message, absl::string_view key_id,
                 absl::string_view stamp) const override {
    return real_.IsStampOf(Bugged(message), key_id, stamp);
  }
  bool Opens(absl::string_view commitment, absl::string_view franking_key,
             absl::string_view content) const override {
    return real_.Opens(commitment, franking_key, content);
  }

 private:
  StampedMessage Bugged(StampedMessage message) const {
    bug_(message);
    return message;
  }
  const HmacFranker real_ = FrankerOf({"k1"});
  const Bug bug_;
};

TEST_P(FrankingStoreTest, SeededBugsAreFound) {
  const BuggyFranker without_sequence([](StampedMessage& m) { m.sequence = 0; });
  const BuggyFranker without_previous(
      [](StampedMessage& m) { m.previous_commitment = NoCommitment(); });
  const BuggyFranker without_time([](StampedMessage& m) { m.create_time = absl::UnixEpoch(); });
  for (const BuggyFranker* bug : {&without_sequence, &without_previous, &without_time}) {
    UseFranker(bug);
    contents_.clear();
    Plant("UPDATE conversations SET last_commitment = NULL");
    Plant("UPDATE messages SET franking = NULL");
    Talk();
    EXPECT_THAT(FaultsOf(*bug, ReadByBob(), contents_), Not(IsEmpty()));
  }
}

// Stamps before the message has its place, as if that were clear.
class StampingTooEarly final : public Franker {
 public:
  Franking Stamp(const StampedMessage& message) const override {
    StampedMessage early = message;
    --early.sequence;
    return real_.Stamp(early);
  }
  bool IsStampOf(const StampedMessage& message, absl::string_view key_id,
                 absl::string_view stamp) const override {
    return real_.IsStampOf(message, key_id, stamp);
  }
  bool Opens(absl::string_view commitment, absl::string_view franking_key,
             absl::string_view content) const override {
    return real_.Opens(commitment, franking_key, content);
  }

 private:
  const HmacFranker real_ = FrankerOf({"k1"});
};

TEST_P(FrankingStoreTest, AStampThatIsMadeBeforeTheSequenceIsFound) {
  const StampingTooEarly early;
  UseFranker(&early);
  Talk();
  EXPECT_THAT(Faults(), Not(IsEmpty()));
}

TEST_P(FrankingStoreTest, AChainThatForgetsIsFound) {
  SayFranked("one", ann_phone_);
  Plant("UPDATE conversations SET last_commitment = NULL");
  SayFranked("two", ann_phone_);
  EXPECT_THAT(Faults(), ElementsAre("3: does not follow the one before"));
}

INSTANTIATE_TEST_SUITE_P(Backends, FrankingStoreTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
