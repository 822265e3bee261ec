#include "common/crypto/base64url.h"

#include <gtest/gtest.h>

#include "common/testing/seeded_random.h"

namespace handrail::crypto {
namespace {

TEST(Base64UrlTest, Rfc4648Examples) {
  EXPECT_EQ(Base64UrlEncode(""), "");
  EXPECT_EQ(Base64UrlEncode("f"), "Zg");
  EXPECT_EQ(Base64UrlEncode("fo"), "Zm8");
  EXPECT_EQ(Base64UrlEncode("foo"), "Zm9v");
  EXPECT_EQ(Base64UrlEncode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64UrlEncode("\xfb\xff\xbf"), "-_-_");
}

TEST(Base64UrlTest, ComesBack) {
  testing::SeededRandom random(1);
  for (size_t size = 0; size < 200; ++size) {
    std::string bytes(size, '\0');
    random.Fill(bytes.data(), size);
    EXPECT_EQ(Base64UrlDecode(Base64UrlEncode(bytes)), bytes);
  }
}

TEST(Base64UrlTest, RefusesWhatIsNotCanonical) {
  for (const char* text :
       {"Zg==", "Zg=", "Z", "Zm9vY", "Zm9v\n", " Zm9v", "Zm+v", "Zm/v", "Zm.v", "\xc3\xa4zz"}) {
    EXPECT_FALSE(Base64UrlDecode(text).has_value()) << text;
  }
  EXPECT_FALSE(Base64UrlDecode(absl::string_view("Zm\0v", 4)).has_value());
}

// One text for one value: of all that a last letter can be, one in 16 (or 4) is accepted.
TEST(Base64UrlTest, RefusesLooseBits) {
  int accepted_one_byte = 0;
  int accepted_two_bytes = 0;
  for (int c = 0; c < 256; ++c) {
    accepted_one_byte += Base64UrlDecode(std::string("Z") + static_cast<char>(c)).has_value();
    accepted_two_bytes += Base64UrlDecode(std::string("Zm") + static_cast<char>(c)).has_value();
  }
  EXPECT_EQ(accepted_one_byte, 4);
  EXPECT_EQ(accepted_two_bytes, 16);
}

}  // namespace
}  // namespace handrail::crypto
