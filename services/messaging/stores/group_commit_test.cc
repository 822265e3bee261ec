// What a commit reads and counts, and what it meets, on every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "services/messaging/stores/group_test_util.h"
#include "services/messaging/stores/watched_database.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;

SqlMessageStore::Options SmallBacklog() {
  SqlMessageStore::Options options;
  options.limits.backlog_messages = 3;
  return options;
}

class GroupCommitTest : public GroupTest {
 protected:
  GroupCommitTest() : GroupTest(SmallBacklog()) {}

  absl::Status CommitWatched(const CommitBundle& bundle, WatchedDatabase::OnRows on_rows) {
    WatchedDatabase watched(*database_, std::move(on_rows));
    SqlGroupStore store(watched, options_.limits, GroupLimits());
    return store.Commit(kForever, clock_.Now(), bundle).status();
  }
  CommitBundle JoiningByItself(const DeviceId& device, int64_t epoch) {
    CommitBundle bundle = MakeCommit(device, epoch);
    bundle.commit = MlsExternalCommitBytes("group", epoch);
    bundle.external = true;
    return bundle;
  }
};

TEST_P(GroupCommitTest, OfTheClaimsOfADeviceThoseOfTheWelcomesAreRead) {
  for (int i = 0; i < 20; ++i) ClaimOf(ann_phone_, bob_phone_);
  size_t most = 0;
  const auto note = [&most](absl::string_view sql, const storage::Rows& rows) {
    if (absl::StrContains(sql, "key_claim_items")) most = std::max(most, rows.size());
  };
  ASSERT_TRUE(CommitWatched(MakeCommit(ann_phone_, 0, {ann_tablet_, bob_phone_}), note).ok());
  EXPECT_EQ(most, 2u);
}

TEST_P(GroupCommitTest, ADeviceThatTheFirstCommitLeavesOutsideHasNoBacklog) {
  SayMany(id_, 3);
  ASSERT_TRUE(Ack(ann_phone_, id_, 3).ok());
  ASSERT_TRUE(Ack(bob_phone_, id_, 3).ok());
  const auto with_tablet = Commit(MakeCommit(ann_phone_, 0, {ann_tablet_, bob_phone_}));
  EXPECT_TRUE(HasReason(with_tablet.status(), reason::kQueueFull)) << with_tablet.status();
  const auto without = Commit(MakeCommit(ann_phone_, 0, {bob_phone_}));
  EXPECT_TRUE(without.ok()) << without.status();
  EXPECT_THAT(ReadableBy(ann_tablet_), ElementsAre(1, 2, 3));
}

TEST_P(GroupCommitTest, ADeviceThatJoinsByItselfAgainHasNoBacklog) {
  MakeGroup();
  for (int i = 0; i < 3; ++i) {
    const auto sent = SayIn(1, ann_phone_);
    ASSERT_TRUE(sent.ok()) << sent.status();
    ASSERT_TRUE(Ack(ann_phone_, id_, sent->sequence).ok());
  }
  const auto of_another = Commit(MakeCommit(ann_phone_, 1));
  EXPECT_TRUE(HasReason(of_another.status(), reason::kQueueFull)) << of_another.status();
  const auto joined = Commit(JoiningByItself(bob_phone_, 1));
  EXPECT_TRUE(joined.ok()) << joined.status();
}

TEST_P(GroupCommitTest, AnIdThatIsUsedElsewhereAtTheSameMomentIsFoundOnTheSecondLook) {
  const ConversationId other = Open(PairingId::Random(random_));
  const Append append = MakeAppend(other, "there");
  ASSERT_TRUE(Send(append).ok());
  CommitBundle bundle = MakeCommit(ann_phone_, 0, {bob_phone_});
  bundle.commit_id = append.message_id;
  // At the first look the message is not there yet; when the commit is stored, it is.
  int looks = 0;
  const auto too_early = [&looks](absl::string_view sql, storage::Rows& rows) {
    if (!absl::StrContains(sql, "LEFT JOIN group_commits")) return;
    if (++looks == 1) rows.clear();
  };
  const absl::Status status = CommitWatched(bundle, too_early);
  EXPECT_TRUE(HasReason(status, reason::kRequestIdReused)) << status;
  EXPECT_EQ(looks, 2);
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupCommitTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
