#include "common/crypto/derived_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"

namespace handrail::crypto {
namespace {

std::string Line(absl::string_view id, char digit) {
  return absl::StrCat(id, " ", std::string(64, digit), "\n");
}

const std::string kRing =
    absl::StrCat(Line("index", '1'), "# why\n", Line("old", '2'), "\n", Line("new", '3'));

TEST(DerivedKeysTest, ThereIsOneForEachKeyAndTheNewestIsTheLast) {
  const auto keys = ParseDerivedKeys(kRing, "tests/one");
  ASSERT_TRUE(keys.ok()) << keys.status();
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[0].id, "old");
  EXPECT_EQ((*keys)[1].id, "new");
  EXPECT_EQ((*keys)[1].key.Reveal(),
            HmacSha256(std::string(32, '\x33'), "handrail-derived-key-v1\ntests/one"));
}

TEST(DerivedKeysTest, AnotherPurposeHasOtherKeysAndTheSameOneTheSame) {
  const auto one = ParseDerivedKeys(kRing, "tests/one");
  const auto again = ParseDerivedKeys(kRing, "tests/one");
  const auto other = ParseDerivedKeys(kRing, "tests/other");
  ASSERT_TRUE(one.ok() && again.ok() && other.ok());
  EXPECT_EQ((*one)[0].key.Reveal(), (*again)[0].key.Reveal());
  EXPECT_NE((*one)[0].key.Reveal(), (*other)[0].key.Reveal());
  EXPECT_NE((*one)[0].key.Reveal(), (*one)[1].key.Reveal());
}

TEST(DerivedKeysTest, WhatIsNoKeyRingIsRefused) {
  for (const std::string& text :
       {std::string(), Line("first", '2'), Line("index", '1'), absl::StrCat(kRing, "third 12\n"),
        absl::StrCat(kRing, Line("new", '4'))}) {
    const auto keys = ParseDerivedKeys(text, "tests/one");
    EXPECT_TRUE(HasReason(keys.status(), reason::kConfigurationInvalid)) << text;
  }
  EXPECT_EQ(LoadDerivedKeys("/nowhere/at/all", "tests/one").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace handrail::crypto
