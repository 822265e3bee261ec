// What processes of an older version left beside the new schema goes, on every database.
#include "services/messaging/stores/remains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/messaging/stores/report_test_util.h"

namespace handrail::messaging {
namespace {

class RemainsTest : public ReportTest {
 protected:
  // An older process takes a device back: it knows of neither tokens nor logs.
  void RevokeAsBefore(const DeviceId& device) {
    Plant("UPDATE devices SET revoked = 1 WHERE device_id = $1", {device});
    Plant(
        "UPDATE conversation_devices SET end_sequence = COALESCE(end_sequence, 0)"
        " WHERE device_id = $1",
        {device});
  }
  void LeaveToken(const DeviceId& device) {
    Plant("INSERT INTO push_devices (device_id, token) VALUES ($1, 'token')", {device});
  }
  // Somebody with a device log, and devices of their own.
  MemberId MakeLogged() {
    const MemberId member = MemberId::Random(random_);
    MemberSnapshot snapshot{member, ++version_, Standing::kGood, {DeviceId::Random(random_)}};
    snapshot.device_keys[snapshot.devices[0]] = std::string(32, 'k');
    EXPECT_TRUE(store_->ApplyMembers(kForever, clock_.Now(), {&snapshot, 1}).ok());
    return member;
  }
  void EraseAsBefore(const MemberId& member) {
    Plant("UPDATE members SET standing = $2 WHERE member_id = $1",
          {member, static_cast<int>(Standing::kErased)});
    Plant("UPDATE devices SET revoked = 1 WHERE member_id = $1", {member});
  }
  // As often as there is more to look at.
  RemainsTrim TrimAll(int batch) {
    SqlRemainsStore remains(*database_, batch);
    RemainsTrim all;
    for (int step = 0; step < 100; ++step) {
      const auto trim = remains.TrimRemains(kForever);
      EXPECT_TRUE(trim.ok()) << trim.status();
      if (!trim.ok()) break;
      all.tokens += trim->tokens;
      all.members += trim->members;
      if (!trim->more) break;
    }
    return all;
  }
};

TEST_P(RemainsTest, TokensOfDevicesThatAreRevokedOrGoneAreForgotten) {
  LeaveToken(ann_phone_);
  LeaveToken(bob_phone_);
  LeaveToken(DeviceId::Random(random_));
  RevokeAsBefore(bob_phone_);
  EXPECT_EQ(TrimAll(SqlRemainsStore::kBatch).tokens, 2);
  EXPECT_EQ(CountIn("push_devices"), 1);
  EXPECT_EQ(CountIn("push_devices p JOIN devices v ON v.device_id = p.device_id"
                    " AND v.revoked = 0"),
            1);
}

TEST_P(RemainsTest, LogsAndReportsOfWhoIsErasedAreForgotten) {
  const MemberId stays = MakeLogged();
  const MemberId goes = MakeLogged();
  ASSERT_TRUE(File("one", "evidence").ok());
  EXPECT_EQ(CountIn("device_log"), 2);
  EraseAsBefore(goes);
  EXPECT_EQ(TrimAll(SqlRemainsStore::kBatch).members, 1);
  EXPECT_EQ(CountIn("device_log"), 1);
  EXPECT_EQ(CountIn("report_queue"), 1);
  Plant("UPDATE report_queue SET reporter = $1", {goes});
  EXPECT_EQ(TrimAll(SqlRemainsStore::kBatch).members, 1);
  EXPECT_EQ(CountIn("report_queue"), 0);
  EraseAsBefore(stays);
  EXPECT_EQ(TrimAll(SqlRemainsStore::kBatch).members, 1);
  EXPECT_EQ(CountIn("device_log"), 0);
}

TEST_P(RemainsTest, AStepIsBoundedAndTheWalkComesToTheEnd) {
  std::vector<MemberId> members;
  for (int i = 0; i < 7; ++i) {
    members.push_back(MakeLogged());
    LeaveToken(DeviceId::Random(random_));
  }
  for (const MemberId& member : members) EraseAsBefore(member);
  SqlRemainsStore remains(*database_, 3);
  const auto step = remains.TrimRemains(kForever);
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_EQ(step->tokens, 3);
  EXPECT_EQ(step->members, 3);
  EXPECT_TRUE(step->more);
  const RemainsTrim rest = TrimAll(3);
  EXPECT_EQ(rest.tokens, 4);
  EXPECT_EQ(rest.members, 4);
}

TEST_P(RemainsTest, TheRetentionJobDoesIt) {
  EraseAsBefore(MakeLogged());
  LeaveToken(DeviceId::Random(random_));
  SqlRemainsStore remains(*database_);
  RetentionJob job(*store_, *keys_, remains, clock_, {});
  job.RunOnce();
  EXPECT_EQ(CountIn("device_log") + CountIn("push_devices"), 0);
}

TEST_P(RemainsTest, NothingElseGoes) {
  MakeLogged();
  LeaveToken(ann_phone_);
  ASSERT_TRUE(File("one", "evidence").ok());
  for (int round = 0; round < 3; ++round) {
    const RemainsTrim trim = TrimAll(1);
    EXPECT_EQ(trim.tokens + trim.members, 0);
  }
  EXPECT_EQ(CountIn("push_devices") + CountIn("device_log") + CountIn("report_queue"), 3);
}

INSTANTIATE_TEST_SUITE_P(Backends, RemainsTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
