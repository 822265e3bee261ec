#include "common/base/ids.h"

#include <string>
#include <type_traits>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"

namespace handrail {
namespace {

using ::handrail::testing::SeededRandom;

static_assert(!std::is_convertible_v<MemberId, DeviceId>, "ids of two kinds must not mix");
static_assert(!std::is_convertible_v<std::string, MemberId>, "a text is not an id");

TEST(IdTest, ComesBackFromEveryForm) {
  SeededRandom random(1);
  for (int i = 0; i < 100; ++i) {
    const MemberId id = MemberId::Random(random);
    EXPECT_FALSE(id.IsZero());
    EXPECT_EQ(id.Bytes().size(), RawId::kBytes);
    EXPECT_EQ(id.ToString().size(), 32u);
    EXPECT_EQ(id.Name(), absl::StrCat("members/", id.ToString()));
    EXPECT_EQ(*MemberId::FromBytes(id.Bytes()), id);
    EXPECT_EQ(*MemberId::Parse(id.ToString()), id);
    EXPECT_EQ(*MemberId::FromName(id.Name()), id);
  }
}

TEST(IdTest, OneKnownSpelling) {
  const std::string bytes("\x00\x01\x7f\x80\xff\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xbc", 16);
  const auto id = TicketId::FromBytes(bytes);
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(id->Name(), "tickets/00017f80ff102030405060708090a0bc");
}

TEST(IdTest, ADefaultIdIsZero) {
  EXPECT_TRUE(PairingId().IsZero());
  EXPECT_EQ(PairingId().ToString(), std::string(32, '0'));
}

TEST(IdTest, RefusesWrongNames) {
  const std::string digits = "0123456789abcdef0123456789abcdef";
  ASSERT_TRUE(MemberId::FromName("members/" + digits).ok());
  for (const std::string& name :
       {std::string(), std::string("members"), std::string("members/"), digits, "tickets/" + digits,
        "member/" + digits, "memberss/" + digits, "Members/" + digits, "/members/" + digits,
        "members//" + digits, "members/" + digits + "/", "members/" + digits + "0",
        "members/" + digits.substr(1), "members/ " + digits.substr(1),
        "members/" + digits.substr(1) + "G", "members/" + digits.substr(1) + "F",
        "members/-" + digits.substr(1), "members/" + digits.substr(1) + std::string(1, '\0'),
        "members/" + digits.substr(2) + "\xc3\xa9"}) {
    const auto id = MemberId::FromName(name);
    ASSERT_FALSE(id.ok()) << name;
    EXPECT_EQ(id.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_TRUE(HasReason(id.status(), reason::kResourceNameInvalid)) << name;
  }
}

TEST(IdTest, TheErrorDoesNotRepeatTheInput) {
  const auto id = MemberId::FromName("members/somebody@example.org");
  EXPECT_EQ(std::string(id.status().message()).find("somebody"), std::string::npos);
}

TEST(IdTest, BytesOfAnotherLengthAreCorruption) {
  for (const size_t size : {0u, 1u, 15u, 17u, 32u}) {
    const auto id = MemberId::FromBytes(std::string(size, 'x'));
    ASSERT_FALSE(id.ok()) << size;
    EXPECT_EQ(id.status().code(), absl::StatusCode::kDataLoss) << size;
  }
}

TEST(IdTest, TimeOrderedIdsAreVersionSevenAndSortByTime) {
  SeededRandom random(2);
  absl::Time now = absl::FromUnixMillis(0x0123456789ab);
  OutboxId last;
  for (int i = 0; i < 100; ++i) {
    const OutboxId id = OutboxId::TimeOrdered(now, random);
    EXPECT_EQ(id.ToString()[12], '7');
    EXPECT_NE(std::string("89ab").find(id.ToString()[16]), std::string::npos);
    EXPECT_LT(last, id);
    last = id;
    now += absl::Milliseconds(1);
  }
  EXPECT_EQ(
      OutboxId::TimeOrdered(absl::FromUnixMillis(0x0123456789ab), random).ToString().substr(0, 12),
      "0123456789ab");
}

TEST(IdTest, RandomIdsDoNotRepeat) {
  SeededRandom random(3);
  absl::flat_hash_set<DeviceId> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(DeviceId::Random(random)).second);
}

}  // namespace
}  // namespace handrail
