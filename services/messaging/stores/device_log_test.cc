// Every sentence of DeviceLogStore and of how entries get there, over every database.
#include "services/messaging/stores/device_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/crypto/hash.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/stores/schema.h"
#include "services/messaging/stores/store_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// What a client keeps of a log, and how it finds one that was changed: as in device_logs.ts.
class Watcher {
 public:
  explicit Watcher(const MemberId& member) : member_(member) {}
  // False when the log does not continue what was seen.
  bool Continues(const DeviceLogPage& page) {
    if (page.head_index < index_) return false;
    for (const DeviceLogEntry& entry : page.entries) {
      if (entry.index != index_ + 1 || entry.previous_hash != hash_) return false;
      if (entry.hash != crypto::Sha256(DeviceLogHashInput(member_, entry))) return false;
      index_ = entry.index;
      hash_ = entry.hash;
    }
    return page.head_index != index_ || page.head_hash == hash_;
  }
  int64_t index() const { return index_; }

 private:
  const MemberId member_;
  int64_t index_ = 0;
  std::string hash_ = std::string(kDeviceLogHashBytes, '\0');
};

class DeviceLogTest : public StoreTest {
 protected:
  void SetUp() override {
    Tell(ann_, {ann_phone_});
    Tell(bob_, {bob_phone_});
    id_ = Open(pairing_);
  }

  static std::string PublicKeyOf(const DeviceId& device) {
    return absl::StrCat(device.Bytes(), device.Bytes());
  }
  // Applies the next snapshot of a member, with the keys of all of its devices.
  void Tell(const MemberId& member, std::vector<DeviceId> devices,
            Standing standing = Standing::kGood) {
    TellVersion(member, ++version_, std::move(devices), standing);
  }
  void TellVersion(const MemberId& member, int64_t version, std::vector<DeviceId> devices,
                   Standing standing = Standing::kGood) {
    MemberSnapshot snapshot{member, version, standing, std::move(devices)};
    for (const DeviceId& device : snapshot.devices)
      snapshot.device_keys[device] = PublicKeyOf(device);
    const auto applied = store_->ApplyMembers(kForever, clock_.Now(), {&snapshot, 1});
    ASSERT_TRUE(applied.ok()) << applied.status();
  }
  absl::StatusOr<DeviceLogPage> List(const MemberId& of, int64_t after = 0, int64_t limit = 100) {
    return SqlDeviceLogStore(*database_).List(kForever, ann_, ann_phone_, of, after, limit);
  }
  // "+" or "-" and the place of the device among `devices`, entry by entry.
  std::vector<std::string> Story(const MemberId& of, const std::vector<DeviceId>& devices) {
    std::vector<std::string> story;
    const auto page = List(of);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) return story;
    for (const DeviceLogEntry& entry : page->entries) {
      const auto at = std::find(devices.begin(), devices.end(), entry.device) - devices.begin();
      story.push_back(absl::StrCat(entry.kind == DeviceLogKind::kAdded ? "+" : "-", at));
      EXPECT_EQ(entry.public_key, PublicKeyOf(entry.device));
    }
    EXPECT_EQ(page->head_index, static_cast<int64_t>(page->entries.size()));
    return story;
  }

  ConversationId id_;
};

TEST_P(DeviceLogTest, SaysWhatBecameOfDevices) {
  const DeviceId next = DeviceId::Random(random_);
  const std::vector<DeviceId> devices = {bob_phone_, next};
  EXPECT_THAT(Story(bob_, devices), ElementsAre("+0"));
  Tell(bob_, {bob_phone_, next});
  EXPECT_THAT(Story(bob_, devices), ElementsAre("+0", "+1"));
  Tell(bob_, {next});
  EXPECT_THAT(Story(bob_, devices), ElementsAre("+0", "+1", "-0"));
  Tell(bob_, {bob_phone_});
  EXPECT_THAT(Story(bob_, devices), ElementsAre("+0", "+1", "-0", "-1", "+0"))
      << "in one step those that went come first";
  Tell(bob_, {bob_phone_}, Standing::kSuspended);
  EXPECT_THAT(Story(bob_, devices), SizeIs(5)) << "no device came or went";
}

TEST_P(DeviceLogTest, AnEntryHoldsTheHashOfTheOneBefore) {
  clock_.Advance(absl::Microseconds(1234));
  Tell(bob_, {});
  const auto page = List(bob_);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_THAT(page->entries, SizeIs(2));
  const DeviceLogEntry& first = page->entries[0];
  const DeviceLogEntry& second = page->entries[1];
  EXPECT_EQ(first.previous_hash, std::string(32, '\0'));
  EXPECT_EQ(first.hash, crypto::Sha256(DeviceLogHashInput(bob_, first)));
  EXPECT_EQ(second.previous_hash, first.hash);
  EXPECT_EQ(second.hash, crypto::Sha256(DeviceLogHashInput(bob_, second)));
  EXPECT_EQ(second.create_time, clock_.Now());
  EXPECT_EQ(page->head_hash, second.hash);
  EXPECT_FALSE(page->incomplete);
}

TEST_P(DeviceLogTest, WhatIsToldAgainOrLateAddsNothing) {
  const DeviceId next = DeviceId::Random(random_);
  Tell(bob_, {bob_phone_, next});
  TellVersion(bob_, version_, {bob_phone_, next});
  TellVersion(bob_, version_ - 1, {bob_phone_});
  EXPECT_THAT(Story(bob_, {bob_phone_, next}), ElementsAre("+0", "+1"));
}

TEST_P(DeviceLogTest, ADeviceIsThereOnceItsKeyIsKnown) {
  Apply(bob_, {bob_phone_, ann_tablet_});  // without keys, as before there was a log
  EXPECT_TRUE(List(bob_)->incomplete);
  EXPECT_THAT(List(bob_)->entries, SizeIs(1));
  TellVersion(bob_, version_, {bob_phone_, ann_tablet_});
  EXPECT_FALSE(List(bob_)->incomplete);
  EXPECT_THAT(Story(bob_, {bob_phone_, ann_tablet_}), ElementsAre("+0", "+1"));
  // One that goes before its key was said was never there.
  const DeviceId brief = DeviceId::Random(random_);
  Apply(bob_, {bob_phone_, ann_tablet_, brief});
  Apply(bob_, {bob_phone_, ann_tablet_});
  EXPECT_THAT(List(bob_)->entries, SizeIs(2));
  EXPECT_FALSE(List(bob_)->incomplete);
}

TEST_P(DeviceLogTest, WhatAProcessOfBeforeAppliedIsAddedLater) {
  Tell(bob_, {});
  Tell(bob_, {bob_phone_});
  Plant("UPDATE devices SET revoked = 1 WHERE device_id = $1", {bob_phone_});
  EXPECT_TRUE(List(bob_)->incomplete);
  TellVersion(bob_, version_, {});
  EXPECT_FALSE(List(bob_)->incomplete);
  EXPECT_THAT(Story(bob_, {bob_phone_}), ElementsAre("+0", "-0", "+0", "-0"));
  check_invariants_ = false;  // no process revokes a device in this way
}

TEST_P(DeviceLogTest, WhoIsForgottenHasNone) {
  Tell(bob_, {}, Standing::kErased);
  const auto count = [&] {
    int64_t rows_left = -1;
    EXPECT_TRUE(database_
                    ->Read(kForever,
                           [&](storage::Transaction& tx) -> absl::Status {
                             ASSIGN_OR_RETURN(const storage::Rows rows,
                                              tx.Query("SELECT COUNT(*) FROM device_log"
                                                       " WHERE member_id = $1",
                                                       {bob_}));
                             rows_left = rows.front().Int(0);
                             return absl::OkStatus();
                           })
                    .ok());
    return rows_left;
  };
  EXPECT_EQ(count(), 0);
  TellVersion(bob_, version_, {}, Standing::kErased);
  EXPECT_EQ(count(), 0);
}

TEST_P(DeviceLogTest, IsReadInPages) {
  for (int i = 0; i < 3; ++i) {
    Tell(bob_, {});
    Tell(bob_, {bob_phone_});
  }
  Watcher watcher(bob_);
  for (const int64_t expected : {3, 6, 7, 7}) {
    const auto page = List(bob_, watcher.index(), 3);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(page->head_index, 7);
    EXPECT_TRUE(watcher.Continues(*page));
    EXPECT_EQ(watcher.index(), expected);
  }
  EXPECT_THAT(List(bob_, std::numeric_limits<int64_t>::max())->entries, IsEmpty());
  EXPECT_EQ(List(bob_, std::numeric_limits<int64_t>::max())->head_index, 7);
}

TEST_P(DeviceLogTest, IsForOneselfAndWhoOneTalksTo) {
  const MemberId carol = MemberId::Random(random_);
  Tell(carol, {DeviceId::Random(random_)});
  EXPECT_TRUE(List(ann_).ok());
  EXPECT_TRUE(List(bob_).ok());
  EXPECT_TRUE(HasReason(List(carol).status(), reason::kNotFound));
  EXPECT_EQ(List(MemberId::Random(random_)).status(), List(carol).status());
  CloseIt();
  EXPECT_EQ(List(bob_).status(), List(carol).status());
  EXPECT_TRUE(List(ann_).ok());
}

TEST_P(DeviceLogTest, EndsWithABlock) {
  BlockThem();
  EXPECT_TRUE(HasReason(List(bob_).status(), reason::kNotFound));
}

TEST_P(DeviceLogTest, EndsWithLeavingOnBothSides) {
  // Of three, so that the conversation stays open.
  const MemberId carol = MemberId::Random(random_);
  const DeviceId carol_phone = DeviceId::Random(random_);
  Tell(carol, {carol_phone});
  Plant(
      "INSERT INTO conversation_members (conversation_key, member_key, member_id, created_at)"
      " SELECT conversation_key, $2, $1, created_at FROM conversation_members"
      " WHERE member_id = $3",
      {carol, KeyOf(carol), ann_});
  EXPECT_TRUE(List(carol).ok());
  Plant("UPDATE conversation_members SET left_at = 1 WHERE member_id = $1", {carol});
  EXPECT_TRUE(HasReason(List(carol).status(), reason::kNotFound));
  Plant("UPDATE conversation_members SET left_at = NULL WHERE member_id = $1", {carol});
  Plant("UPDATE conversation_members SET left_at = 1 WHERE member_id = $1", {ann_});
  EXPECT_TRUE(HasReason(List(carol).status(), reason::kNotFound));
  EXPECT_TRUE(HasReason(List(bob_).status(), reason::kNotFound));
  check_invariants_ = false;  // nobody leaves like that
}

TEST_P(DeviceLogTest, OnlyALiveDeviceAsks) {
  SqlDeviceLogStore logs(*database_);
  const auto as = [&](const MemberId& member, const DeviceId& device) {
    return logs.List(kForever, member, device, member, 0, 1).status();
  };
  EXPECT_TRUE(HasReason(as(ann_, DeviceId::Random(random_)), kDeviceUnknown));
  EXPECT_TRUE(HasReason(as(ann_, bob_phone_), kDeviceUnknown));
  Tell(ann_, {ann_tablet_});
  EXPECT_TRUE(HasReason(as(ann_, ann_phone_), reason::kDeviceRevoked));
  EXPECT_TRUE(as(ann_, ann_tablet_).ok());
}

// Replicas that are told the same at once add it once.
TEST_P(DeviceLogTest, SnapshotsAtOnceAddEachEntryOnce) {
  std::vector<DeviceId> devices;
  for (int i = 0; i < 8; ++i) devices.push_back(DeviceId::Random(random_));
  const int64_t first = version_;
  std::vector<std::thread> tellers;
  for (int t = 0; t < 4; ++t) {
    tellers.emplace_back([&] {
      for (int64_t i = 1; i <= 8; ++i) {
        TellVersion(bob_, first + i, {devices.begin(), devices.begin() + i});
      }
    });
  }
  for (std::thread& teller : tellers) teller.join();
  version_ += 8;
  std::vector<DeviceId> all = {bob_phone_};
  all.insert(all.end(), devices.begin(), devices.end());
  std::vector<std::string> story = Story(bob_, all);
  EXPECT_THAT(story, SizeIs(10));  // the phone came and went, eight came
  std::sort(story.begin(), story.end());
  EXPECT_EQ(std::unique(story.begin(), story.end()), story.end());
}

// What somebody with the database could do, and what a client that has read before sees of it.
TEST_P(DeviceLogTest, ALogThatWasChangedDoesNotContinue) {
  const DeviceId next = DeviceId::Random(random_);
  Tell(bob_, {bob_phone_, next});
  Tell(bob_, {bob_phone_});
  Watcher seen(bob_);
  ASSERT_TRUE(seen.Continues(*List(bob_)));
  ASSERT_EQ(seen.index(), 3);
  check_invariants_ = false;
  const auto look = [&] {
    Watcher watcher = seen;
    return watcher.Continues(*List(bob_, watcher.index()));
  };
  const auto look_anew = [&] { return Watcher(bob_).Continues(*List(bob_)); };
  EXPECT_TRUE(look() && look_anew());
  // An entry of another device in an old place: who reads all sees it, the hash is not its own.
  Plant("UPDATE device_log SET device_id = $1 WHERE member_id = $2 AND entry_index = 2",
        {ann_tablet_, bob_});
  EXPECT_FALSE(look_anew());
  EXPECT_THAT(*CheckMessages(*database_, kForever), ::testing::Not(IsEmpty()));
  // The end taken away.
  Plant("DELETE FROM device_log WHERE member_id = $1 AND entry_index = 3", {bob_});
  EXPECT_FALSE(look());
  // Written anew, each hash its own: who knew the one before sees another.
  Plant("DELETE FROM device_log WHERE member_id = $1", {bob_});
  Plant("UPDATE devices SET logged = 0 WHERE member_id = $1", {bob_});
  Tell(bob_, {bob_phone_});
  clock_.Advance(absl::Seconds(1));
  Tell(bob_, {bob_phone_, next});
  EXPECT_FALSE(look()) << "shorter";
  Tell(bob_, {bob_phone_});
  EXPECT_TRUE(look_anew()) << "nobody else can tell";
  EXPECT_FALSE(look()) << "as long, with another hash";
  Tell(bob_, {bob_phone_, next});
  EXPECT_FALSE(look()) << "longer, and not on top of what was there";
}

INSTANTIATE_TEST_SUITE_P(Backends, DeviceLogTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
