// What an entry's hash is of, and when profiles is asked. The store is a mock: which calls it gets
// is the point.
#include "services/messaging/domain/device_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "common/testing/seeded_random.h"
#include "services/messaging/domain/message_store.h"

namespace handrail::messaging {
namespace {

using ::testing::_;
using ::testing::Return;

std::string Counting(int first, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(first + i));
  return bytes;
}
MemberId TheMember() { return *MemberId::Parse("000102030405060708090a0b0c0d0e0f"); }
DeviceLogEntry TheEntry() {
  DeviceLogEntry entry;
  entry.index = 1;
  entry.device = *DeviceId::Parse("101112131415161718191a1b1c1d1e1f");
  entry.public_key = Counting(32, 32);
  entry.create_time = absl::FromUnixMicros(1'767'225'600'123'456);
  entry.previous_hash = std::string(32, '\0');
  return entry;
}
std::string HashOf(const DeviceLogEntry& entry, const MemberId& member = TheMember()) {
  return absl::BytesToHexString(crypto::Sha256(DeviceLogHashInput(member, entry)));
}

// The same vectors stand in the client's tests (device_logs.test.ts).
TEST(DeviceLogHash, IsWhatClientsCompute) {
  DeviceLogEntry entry = TheEntry();
  EXPECT_EQ(HashOf(entry), "aea335f8183d9e4f1b38c05cfbfcb954344d631982fdc9d0fb92949f09ba0497");
  entry.previous_hash = crypto::Sha256(DeviceLogHashInput(TheMember(), entry));
  entry.index = 2;
  entry.kind = DeviceLogKind::kRevoked;
  entry.create_time = absl::FromUnixMicros(1'767'225'601'000'000);
  EXPECT_EQ(HashOf(entry), "901c0dd77fff127cce28961d44913bbf902883f63de28b697c1ff6e596109b77");
}

TEST(DeviceLogHash, IsAnotherWhenAnythingIs) {
  std::set<std::string> hashes;
  const auto add = [&](const DeviceLogEntry& entry, const MemberId& member) {
    EXPECT_TRUE(hashes.insert(HashOf(entry, member)).second);
  };
  const auto changed = [&](auto change) {
    DeviceLogEntry entry = TheEntry();
    change(entry);
    add(entry, TheMember());
  };
  changed([](DeviceLogEntry&) {});
  changed([](DeviceLogEntry& entry) { entry.index = 2; });
  changed([](DeviceLogEntry& entry) { entry.kind = DeviceLogKind::kRevoked; });
  changed([](DeviceLogEntry& entry) { entry.device = DeviceId(); });
  changed([](DeviceLogEntry& entry) { entry.public_key[31] ^= 1; });
  changed([](DeviceLogEntry& entry) { entry.create_time += absl::Microseconds(1); });
  changed([](DeviceLogEntry& entry) { entry.previous_hash[0] ^= 1; });
  add(TheEntry(), MemberId());
}

class MockStore : public DeviceLogStore {
 public:
  MOCK_METHOD(absl::StatusOr<DeviceLogPage>, List,
              (absl::Time, const MemberId&, const DeviceId&, const MemberId&, int64_t, int64_t),
              (override));
};

class DeviceLogsTest : public ::testing::Test {
 protected:
  DeviceLogsTest() {
    call_.who.member = MemberId::Random(random_);
    call_.who.device = DeviceId::Random(random_);
  }
  static DeviceLogPage Page(int64_t head, bool incomplete) {
    DeviceLogPage page;
    page.head_index = head;
    page.incomplete = incomplete;
    return page;
  }

  testing::SeededRandom random_{7};
  ::testing::StrictMock<MockStore> store_;
  std::vector<MemberId> learned_;
  absl::Status learning_ = absl::OkStatus();
  DeviceLogs logs_{store_,
                   [this](const Call&, const MemberId& member) {
                     learned_.push_back(member);
                     return learning_;
                   },
                   {}};
  const MemberId other_ = MemberId::Random(random_);
  Call call_;
};

TEST_F(DeviceLogsTest, BoundsAPage) {
  EXPECT_CALL(store_, List(_, call_.who.member, call_.who.device, other_, 7, 100))
      .WillOnce(Return(Page(9, false)));
  EXPECT_CALL(store_, List(_, _, _, other_, 7, 200)).WillOnce(Return(Page(9, false)));
  EXPECT_EQ(logs_.List(call_, other_, 7, 0)->head_index, 9);
  EXPECT_EQ(logs_.List(call_, other_, 7, 1000)->head_index, 9);
  EXPECT_THAT(learned_, ::testing::IsEmpty());
}

TEST_F(DeviceLogsTest, AsksProfilesForKeysThatAreMissing) {
  EXPECT_CALL(store_, List(_, _, _, other_, 0, 100))
      .WillOnce(Return(Page(0, true)))
      .WillOnce(Return(Page(2, false)));
  EXPECT_EQ(logs_.List(call_, other_, 0, 0)->head_index, 2);
  EXPECT_THAT(learned_, ::testing::ElementsAre(other_));
}

TEST_F(DeviceLogsTest, TellsWhatThereIsWithoutProfiles) {
  learning_ = UnavailableError(reason::kPeerUnavailable, "down");
  EXPECT_CALL(store_, List(_, _, _, other_, 0, 100)).WillOnce(Return(Page(1, true)));
  EXPECT_EQ(logs_.List(call_, other_, 0, 0)->head_index, 1);
}

TEST_F(DeviceLogsTest, AsksForACallerOfWhomNobodyTold) {
  const absl::Status unknown = Error(absl::StatusCode::kNotFound, kDeviceUnknown);
  EXPECT_CALL(store_, List(_, _, _, other_, 0, 100))
      .WillOnce(Return(unknown))
      .WillOnce(Return(Page(1, false)))
      .WillRepeatedly(Return(unknown));
  EXPECT_EQ(logs_.List(call_, other_, 0, 0)->head_index, 1);
  EXPECT_THAT(learned_, ::testing::ElementsAre(call_.who.member));
  EXPECT_TRUE(HasReason(logs_.List(call_, other_, 0, 0).status(), reason::kNotFound));
}

}  // namespace
}  // namespace handrail::messaging
