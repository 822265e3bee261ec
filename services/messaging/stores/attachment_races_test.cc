// Steps on one attachment that meet, over two replicas of one database; and two seeded bugs that
// the same look finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/messaging/stores/attachment_test_util.h"
#include "services/messaging/stores/watched_database.h"

namespace handrail::messaging {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

constexpr char kContent[] = "0123456789";

class AttachmentRacesTest : public AttachmentTest {
 protected:
  AttachmentRacesTest() {
    if (backend_.IsPostgres()) own_ = backend_.Open();
    replica_ = std::make_unique<SqlAttachmentStore>(own_ == nullptr ? *database_ : *own_,
                                                    attachment_limits_);
  }
  static void Together(const std::function<void()>& one, const std::function<void()>& other) {
    std::atomic<int> ready = 0;
    const auto run = [&ready](const std::function<void()>& step) {
      ++ready;
      while (ready < 2) std::this_thread::yield();
      step();
    };
    std::thread first([&] { run(one); });
    std::thread second([&] { run(other); });
    first.join();
    second.join();
  }
  AttachmentId Uploaded(const std::string& content = kContent) {
    const NewAttachment announced = Announce(content);
    EXPECT_TRUE(Begin(announced).ok());
    PutAll(announced.id, content);
    return announced.id;
  }
  // All of it, or nothing.
  void ExpectWholeOrGone(const AttachmentId& id, bool finished) {
    for (int64_t index = 0; index < 3; ++index) {
      const auto chunk = FetchChunkAs(bob_phone_, id, index);
      EXPECT_EQ(chunk.ok(), finished) << index << chunk.status();
    }
  }

  static constexpr int kRounds = 30;
  std::unique_ptr<storage::Database> own_;
  std::unique_ptr<SqlAttachmentStore> replica_;
};

TEST_P(AttachmentRacesTest, TwoFinishersGetTheSameAnswer) {
  for (int round = 0; round < kRounds; ++round) {
    const AttachmentId id = Uploaded();
    absl::StatusOr<Attachment> one;
    absl::StatusOr<Attachment> other;
    const absl::Time now = clock_.Now();
    Together(
        [&] { one = attachments_->Finish(kForever, now, As(ann_phone_), id); },
        [&] { other = replica_->Finish(kForever, now + absl::Seconds(1), As(ann_tablet_), id); });
    ASSERT_TRUE(one.ok()) << one.status();
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_EQ(one->expire_time, other->expire_time);
    ExpectWholeOrGone(id, true);
  }
}

TEST_P(AttachmentRacesTest, WhatIsFinishedWhileItExpiresIsWholeOrGone) {
  int finished = 0;
  for (int round = 0; round < kRounds; ++round) {
    const AttachmentId id = Uploaded();
    // One replica's clock says that there is a second left, the other's that it is over.
    const absl::Time now = clock_.Now() + absl::Hours(24);
    absl::StatusOr<Attachment> finish;
    Together(
        [&] {
          finish = attachments_->Finish(kForever, now - absl::Seconds(1), As(ann_phone_), id);
        },
        [&] { EXPECT_TRUE(replica_->SweepSome(kForever, now).ok()); });
    EXPECT_TRUE(finish.ok() || absl::IsNotFound(finish.status())) << finish.status();
    finished += finish.ok() ? 1 : 0;
    ExpectWholeOrGone(id, finish.ok());
    clock_.Advance(absl::Hours(25));
  }
  RecordProperty("finished", finished);
}

TEST_P(AttachmentRacesTest, WhatIsFinishedWhileItIsDeletedIsGone) {
  for (int round = 0; round < kRounds; ++round) {
    const AttachmentId id = Uploaded();
    absl::Status deleted;
    Together([&] { (void)Finish(id); },
             [&] { deleted = replica_->Delete(kForever, As(ann_tablet_), id); });
    ASSERT_TRUE(deleted.ok()) << deleted;
    ExpectWholeOrGone(id, false);
    SweepAll();
  }
  EXPECT_EQ(CountIn("attachment_chunks"), 0);
}

TEST_P(AttachmentRacesTest, AChunkThatComesDuringTheSweepLeavesNothingBehind) {
  for (int round = 0; round < kRounds; ++round) {
    const NewAttachment announced = Announce(kContent);
    ASSERT_TRUE(Begin(announced).ok());
    ASSERT_TRUE(Put(announced.id, 0, "0123").ok());
    const absl::Time over = clock_.Now() + absl::Hours(24);
    Together([&] { (void)Put(announced.id, 1, "4567"); },
             [&] { EXPECT_TRUE(replica_->SweepSome(kForever, over).ok()); });
  }
  clock_.Advance(absl::Hours(24));
  SweepAll();
  EXPECT_EQ(CountIn("attachment_chunks"), 0);
}

TEST_P(AttachmentRacesTest, OneOfTwoThatPutOtherBytesWins) {
  for (int round = 0; round < kRounds; ++round) {
    const NewAttachment announced = Announce(kContent);
    ASSERT_TRUE(Begin(announced).ok());
    const absl::Time now = clock_.Now();
    absl::Status right;
    absl::Status wrong;
    Together([&] { right = Put(announced.id, 0, "0123"); },
             [&] {
               wrong = replica_->PutChunk(kForever, now, As(ann_tablet_), announced.id, 0, "9999");
             });
    ASSERT_NE(right.ok(), wrong.ok()) << right << wrong;
    EXPECT_EQ(ReasonOf(right.ok() ? wrong : right), "REQUEST_ID_REUSED");
    ASSERT_TRUE(DeleteAs(ann_phone_, announced.id).ok());
    SweepAll();
  }
}

TEST_P(AttachmentRacesTest, TwoThatBeginTakeNoMoreThanTheRoomThereIs) {
  AttachmentLimits limits = SmallLimits();
  limits.member_count = 7;
  OpenAttachments(limits);
  SqlAttachmentStore other(own_ == nullptr ? *database_ : *own_, limits);
  std::vector<NewAttachment> announced;
  for (int i = 0; i < 20; ++i) announced.push_back(Announce(kContent));
  std::atomic<int> begun = 0;
  const auto begin = [&](SqlAttachmentStore& store, size_t from) {
    for (size_t i = from; i < announced.size(); i += 2) {
      if (store.Begin(kForever, clock_.Now(), As(ann_phone_), announced[i]).ok()) ++begun;
    }
  };
  Together([&] { begin(*attachments_, 0); }, [&] { begin(other, 1); });
  EXPECT_EQ(begun, 7);
  EXPECT_EQ(CountIn("attachments"), 7);
}

TEST_P(AttachmentRacesTest, NothingIsBegunInAConversationThatCloses) {
  for (int round = 0; round < kRounds; ++round) {
    const PairingId pairing = PairingId::Random(random_);
    id_ = Open(pairing);
    const NewAttachment announced = Announce(kContent);
    Together([&] { (void)replica_->Begin(kForever, clock_.Now(), As(ann_phone_), announced); },
             [&] { EXPECT_TRUE(store_->CloseConversation(kForever, clock_.Now(), pairing).ok()); });
    EXPECT_THAT(*CheckMessages(*database_, kForever), IsEmpty());
  }
}

// Seeded bugs: faults of construction that the checks must find. None is reachable from production
// code.
class AttachmentBugsTest : public AttachmentTest {
 protected:
  // What somebody who looks from outside finds wrong.
  std::vector<std::string> Faults() {
    std::vector<std::string> faults;
    NewAttachment announced = Announce(kContent);
    announced.digest = crypto::Sha256("something else");
    EXPECT_TRUE(Begin(announced).ok());
    PutAll(announced.id, kContent);
    if (Finish(announced.id).ok()) faults.emplace_back("what was not announced is given out");
    const AttachmentId id = Upload(kContent);
    const MemberId cat = MemberId::Random(random_);
    const DeviceId cat_phone = DeviceId::Random(random_);
    Apply(cat, {cat_phone});
    const AttachmentCaller caller{cat, cat_phone};
    if (attachments_->FetchChunk(kForever, clock_.Now(), caller, id, 0).ok()) {
      faults.emplace_back("somebody who is no member fetches it");
    }
    return faults;
  }
  void OpenBuggy(WatchedDatabase::OnRows bug) {
    buggy_ = std::make_unique<WatchedDatabase>(*database_, std::move(bug));
    attachments_ = std::make_unique<SqlAttachmentStore>(*buggy_, attachment_limits_);
  }
  std::unique_ptr<WatchedDatabase> buggy_;
};

TEST_P(AttachmentBugsTest, WithoutABugThereIsNoFault) { EXPECT_THAT(Faults(), IsEmpty()); }

TEST_P(AttachmentBugsTest, AFinishThatDoesNotLookAtTheDigestIsFound) {
  OpenBuggy([](absl::string_view sql, storage::Rows& rows) {
    if (!absl::StrContains(sql, "a.digest") || rows.empty()) return;
    std::vector<storage::Value> columns;
    const storage::Row& row = rows.front();
    for (const size_t column : {0, 1, 2, 3, 4, 5, 6}) {
      const bool is_id = column == 1 || column == 2;
      if (column == 4) {
        columns.emplace_back(storage::Blob{crypto::Sha256(kContent)});
      } else if (is_id) {
        columns.emplace_back(storage::Blob{std::string(row.Bytes(column))});
      } else {
        columns.emplace_back(row.Int(column));
      }
    }
    rows.front() = storage::Row(std::move(columns));
  });
  EXPECT_THAT(Faults(), Contains("what was not announced is given out"));
}

TEST_P(AttachmentBugsTest, ADownloadThatDoesNotLookAtMembershipIsFound) {
  OpenBuggy([](absl::string_view sql, storage::Rows& rows) {
    if (!absl::StrContains(sql, "v.revoked") || !rows.empty()) return;
    rows.push_back(storage::Row({0, 1, 0, storage::Null(), 1, storage::Null(), 0}));
  });
  EXPECT_THAT(Faults(), Contains("somebody who is no member fetches it"));
}

INSTANTIATE_TEST_SUITE_P(Backends, AttachmentRacesTest,
                         ::testing::ValuesIn(storage::DurableTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });
INSTANTIATE_TEST_SUITE_P(Backends, AttachmentBugsTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
