#include "services/profiles/domain/byte_codec.h"

#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"

namespace handrail::profiles {
namespace {

::handrail::testing::SeededRandom random{3};

template <typename T>
void ExpectRoundTrip(const T& value) {
  const std::string bytes = Encode(value);
  T decoded;
  ASSERT_TRUE(Decode(bytes, decoded).ok());
  EXPECT_EQ(decoded, value);
  // Every shorter text is refused, and so is a longer one.
  for (size_t size = 0; size < bytes.size(); ++size) {
    T ignored;
    EXPECT_EQ(Decode(absl::string_view(bytes).substr(0, size), ignored).code(),
              absl::StatusCode::kDataLoss);
  }
  T ignored;
  EXPECT_FALSE(Decode(bytes + "x", ignored).ok());
}

TEST(ByteCodecTest, Devices) {
  Device device{DeviceId::Random(random), MemberId::Random(random), std::string(32, '\0'),
                absl::FromUnixMicros(123456789), std::nullopt};
  ExpectRoundTrip(device);
  device.revoke_time = absl::FromUnixMicros(-5);
  ExpectRoundTrip(device);
}

TEST(ByteCodecTest, Profiles) {
  Profile profile;
  profile.member = MemberId::Random(random);
  ExpectRoundTrip(profile);
  profile.pseudonym = "Sparrow";
  profile.newcomer = "";
  profile.sponsor = std::string("a\0b", 3);
  profile.audiences = {{"pseudonym", Audience::kCandidate}, {"sponsor", Audience::kNobody}};
  profile.attest_time = absl::FromUnixMicros(1);
  profile.revision = 7;
  profile.update_time = absl::FromUnixMicros(2);
  ExpectRoundTrip(profile);
}

TEST(ByteCodecTest, ReceiptsAndBlocks) {
  ExpectRoundTrip(ConsentReceipt{ReceiptId::Random(random), MemberId::Random(random),
                                 ConsentPurpose::kHealthData, "2026-01", "pt-BR",
                                 absl::FromUnixMicros(1), absl::FromUnixMicros(2)});
  ExpectRoundTrip(Block{BlockId::Random(random), MemberId::Random(random), MemberId::Random(random),
                        absl::FromUnixMicros(1)});
}

TEST(ByteCodecTest, OneTypeIsNotReadAsAnother) {
  const std::string block = Encode(Block{});
  Device device;
  EXPECT_FALSE(Decode(block, device).ok());
}

}  // namespace
}  // namespace handrail::profiles
