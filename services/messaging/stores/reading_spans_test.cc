// What somebody may report is what their devices could ever receive, on every database.
#include "services/messaging/stores/reading_spans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "services/messaging/stores/invitation_test_util.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReadingSpansTest : public InvitationTest {
 protected:
  // Ann's phone and Bob's are in a group: sequence 1, epoch 1. Carol is somebody else.
  void SetUp() override {
    LetIn(bob_phone_);
    MakeGroup();
    others_[carol_phone_] = carol_;
    Apply(carol_, {carol_phone_});
  }
  void Add(int64_t epoch, const DeviceId& device) {
    const auto added = Commit(MakeCommit(ann_phone_, epoch, {device}));
    ASSERT_TRUE(added.ok()) << added.status();
  }
  void AddAgain(int64_t epoch, const DeviceId& device) {
    const auto added = Commit(MakeCommit(ann_phone_, epoch, {device}, {device}));
    ASSERT_TRUE(added.ok()) << added.status();
  }
  void Remove(int64_t epoch, const DeviceId& device) {
    const auto removed = Commit(MakeCommit(ann_phone_, epoch, {}, {device}));
    ASSERT_TRUE(removed.ok()) << removed.status();
  }
  void Say(int64_t epoch) { ASSERT_TRUE(SayIn(epoch, ann_phone_).ok()); }
  std::vector<ReadingSpan> SpansOf(const MemberId& member) {
    std::vector<ReadingSpan> spans;
    const absl::Status status =
        database_->Read(kForever, [&](storage::Transaction& tx) -> absl::Status {
          ASSIGN_OR_RETURN(spans, ReadingSpansOf(tx, KeyOf(id_), member));
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    std::sort(spans.begin(), spans.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    return spans;
  }
};

TEST_P(ReadingSpansTest, WhoComesByInvitationHasNothingOfBefore) {
  Say(1);  // 2
  EXPECT_THAT(SpansOf(carol_), IsEmpty());
  LetIn(carol_phone_);
  Say(1);  // 3
  EXPECT_THAT(SpansOf(carol_), IsEmpty()) << "nothing until a commit adds her device";
  Add(1, carol_phone_);  // 4
  EXPECT_THAT(SpansOf(carol_), ElementsAre(ReadingSpan{5}));
  EXPECT_THAT(SpansOf(bob_), ElementsAre(ReadingSpan{2}));
}

TEST_P(ReadingSpansTest, WhoComesBackHasBothTimesAndNothingBetween) {
  LetIn(carol_phone_);
  Add(1, carol_phone_);  // 2
  Say(2);                // 3, unread
  ASSERT_TRUE(Leave(carol_phone_).ok());
  EXPECT_THAT(SpansOf(carol_), ElementsAre(ReadingSpan{3, 3}));
  Say(2);  // 4
  LetIn(carol_phone_);
  EXPECT_THAT(SpansOf(carol_), ElementsAre(ReadingSpan{3, 3}));
  AddAgain(2, carol_phone_);  // 5
  Say(3);                     // 6
  EXPECT_THAT(SpansOf(carol_), ElementsAre(ReadingSpan{3, 3}, ReadingSpan{6}));
  ASSERT_TRUE(Leave(carol_phone_).ok());
  EXPECT_THAT(SpansOf(carol_), ElementsAre(ReadingSpan{3, 3}, ReadingSpan{6, 6}));
}

TEST_P(ReadingSpansTest, WhoHadReadAllAndComesBackHasBothTimesToo) {
  LetIn(carol_phone_);
  Add(1, carol_phone_);  // 2
  Say(2);                // 3
  ASSERT_TRUE(Ack(carol_phone_, id_, 3).ok());
  ASSERT_TRUE(Leave(carol_phone_).ok());
  Remove(2, carol_phone_);  // 4
  Say(3);                   // 5
  LetIn(carol_phone_);
  Add(3, carol_phone_);  // 6
  EXPECT_THAT(SpansOf(carol_), ElementsAre(ReadingSpan{3, 3}, ReadingSpan{7}));
}

TEST_P(ReadingSpansTest, ADeviceThatIsGoneCountsForItsMember) {
  const DeviceId tablet = DeviceId::Random(random_);
  others_[tablet] = carol_;
  LetIn(carol_phone_);
  Add(1, carol_phone_);  // 2
  Say(2);                // 3
  Apply(carol_, {tablet});
  Say(2);          // 4
  Add(2, tablet);  // 5
  EXPECT_THAT(SpansOf(carol_), ElementsAre(ReadingSpan{3, 3}, ReadingSpan{6}));
}

TEST_P(ReadingSpansTest, WithoutAGroupASpanEndsAndBeginsWithItsMember) {
  id_ = Begin(ann_phone_);
  ASSERT_TRUE(SayAs(ann_phone_, "one").ok());  // 1
  LetIn(carol_phone_);
  ASSERT_TRUE(SayAs(ann_phone_, "two").ok());  // 2
  ASSERT_TRUE(Leave(carol_phone_).ok());
  ASSERT_TRUE(SayAs(ann_phone_, "three").ok());  // 3
  LetIn(carol_phone_);
  EXPECT_THAT(SpansOf(carol_), ElementsAre(ReadingSpan{2, 2}, ReadingSpan{4}));
}

TEST_P(ReadingSpansTest, SpansThatAreOverAreBounded) {
  LetIn(carol_phone_);
  Add(1, carol_phone_);  // 2
  for (int64_t i = 0; i < kReadingSpansKept + 3; ++i) {
    Say(2 + i);
    AddAgain(2 + i, carol_phone_);
  }
  const auto spans = SpansOf(carol_);
  ASSERT_THAT(spans, SizeIs(static_cast<size_t>(kReadingSpansKept) + 1));
  EXPECT_EQ(spans.front().first, 3);
  EXPECT_EQ(spans.back().last, ReadingSpan().last);
  EXPECT_GE(spans[spans.size() - 2].last, spans.back().first - 2) << "none is lost";
}

INSTANTIATE_TEST_SUITE_P(Backends, ReadingSpansTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

// A ledger of before knows where devices read now, and nothing of what was before that.
class ReadingSpansMigrationTest : public ::testing::TestWithParam<storage::TestBackend> {};

TEST_P(ReadingSpansMigrationTest, WhoWasThereFromTheBeginningCouldReadAllOfIt) {
  testing::SimulatedClock clock;
  testing::SeededRandom random{7};
  storage::TestDatabase backend(GetParam());
  backend.options.clock = &clock;
  const auto database = backend.Open();
  const auto all = Migrations();
  const auto before = std::find_if(all.begin(), all.end(), [](const storage::Migration& migration) {
    return migration.name == "0020_reading_spans";
  });
  ASSERT_TRUE(database->Migrate(all.first(before - all.begin())).ok());
  const MemberId ann = MemberId::Random(random);
  const MemberId carol = MemberId::Random(random);
  ASSERT_TRUE(
      database
          ->Write(
              absl::InfiniteFuture(),
              [&](storage::Transaction& tx) -> absl::Status {
                for (const auto& [member, joined] : {std::pair(ann, 0), std::pair(carol, 9)}) {
                  RETURN_IF_ERROR(tx.Execute("INSERT INTO conversation_members (conversation_key,"
                                             " member_key, member_id, created_at, joined_at)"
                                             " VALUES (1, $1, $2, 0, $3)",
                                             {KeyOf(member), member, joined})
                                      .status());
                  RETURN_IF_ERROR(tx.Execute("INSERT INTO conversation_devices (conversation_key,"
                                             " device_id, member_id, start_sequence,"
                                             " acked_sequence, skipped_sequence, can_send)"
                                             " VALUES (1, $1, $2, 5, 4, 0, 1)",
                                             {DeviceId::Random(random), member})
                                      .status());
                }
                return absl::OkStatus();
              })
          .ok());
  ASSERT_TRUE(database->Migrate(all).ok());
  std::vector<ReadingSpan> of_ann;
  std::vector<ReadingSpan> of_carol;
  ASSERT_TRUE(database
                  ->Read(absl::InfiniteFuture(),
                         [&](storage::Transaction& tx) -> absl::Status {
                           ASSIGN_OR_RETURN(of_ann, ReadingSpansOf(tx, 1, ann));
                           ASSIGN_OR_RETURN(of_carol, ReadingSpansOf(tx, 1, carol));
                           return absl::OkStatus();
                         })
                  .ok());
  EXPECT_THAT(of_ann, ElementsAre(ReadingSpan{5}, ReadingSpan{1, 4}));
  EXPECT_THAT(of_carol, ElementsAre(ReadingSpan{5}));
}

INSTANTIATE_TEST_SUITE_P(Backends, ReadingSpansMigrationTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
