#include "common/crypto/key_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/crypto/base64url.h"
#include "common/testing/seeded_random.h"

namespace handrail::crypto {
namespace {

// RFC 8037 appendix A.2.
constexpr char kRfc8037X[] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

std::string OneKey(absl::string_view members) {
  return absl::StrCat(R"({"keys":[{)", members, "}]}");
}
std::string Good() {
  return absl::StrCat(R"("kty":"OKP","crv":"Ed25519","kid":"k1","x":")", kRfc8037X, R"(")");
}

TEST(KeySetTest, ComesBack) {
  testing::SeededRandom random(3);
  KeySet keys;
  for (int i = 0; i < 5; ++i) {
    const SigningKey key = SigningKey::Generate(random);
    keys.emplace(KeyIdOf(key.verify_key()), key.verify_key());
  }
  const auto parsed = ParseKeySet(EncodeKeySet(keys));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, keys);
  EXPECT_EQ(EncodeKeySet({}), R"({"keys":[]})");
}

TEST(KeySetTest, ThumbprintOfRfc8037) {
  const auto key = VerifyKey::FromBytes(*Base64UrlDecode(kRfc8037X));
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(KeyIdOf(*key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

TEST(KeySetTest, SkipsKeysOfOtherKinds) {
  const auto keys = ParseKeySet(absl::StrCat(
      R"({"keys":[{"kty":"RSA","kid":"r","n":"AQ","e":"AQAB"},{"kty":"OKP","crv":"X25519","x":"a"},{)",
      Good(), R"(,"extra":[1,{"a":null}]}],"more":1})"));
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->size(), 1u);
  EXPECT_TRUE(keys->contains("k1"));
}

TEST(KeySetTest, RefusesBadSets) {
  ASSERT_TRUE(ParseKeySet(OneKey(Good())).ok());
  const std::string bad[] = {
      "",
      "{",
      "[]",
      "null",
      "1",
      R"({"keys":{}})",
      R"({"keys":[1]})",
      R"({})",
      "\xff\xfe",
      OneKey(absl::StrCat(Good(), R"(,"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")")),
      OneKey(R"("kty":"oct","kid":"s","k":"c2VjcmV0")"),
      OneKey(R"("crv":"Ed25519","kid":"k1")"),
      OneKey(absl::StrCat(Good(), R"(,"use":"enc")")),
      OneKey(absl::StrCat(Good(), R"(,"alg":"none")")),
      OneKey(absl::StrCat(Good(), R"(,"alg":1)")),
      OneKey(absl::StrReplaceAll(Good(), {{"\"k1\"", "\"\""}})),
      OneKey(absl::StrReplaceAll(Good(), {{"\"k1\"", "\"../k\""}})),
      OneKey(absl::StrReplaceAll(Good(), {{"\"k1\"", "7"}})),
      OneKey(absl::StrReplaceAll(Good(), {{kRfc8037X, absl::StrCat(kRfc8037X, "=")}})),
      OneKey(absl::StrReplaceAll(Good(), {{kRfc8037X, "AQ"}})),
      OneKey(absl::StrReplaceAll(Good(), {{kRfc8037X, std::string(43, 'A')}})),
      absl::StrCat(R"({"keys":[{)", Good(), "},{", Good(), "}]}"),
      std::string(60000, '['),
      std::string((64 << 10) + 1, ' ')};
  for (const std::string& json : bad) {
    const auto keys = ParseKeySet(json);
    EXPECT_TRUE(HasReason(keys.status(), reason::kConfigurationInvalid))
        << json.substr(0, 200) << keys.status();
    EXPECT_THAT(keys.status().ToString(), ::testing::Not(::testing::HasSubstr("nWGx")));
  }
  std::string many = R"({"keys":[)";
  for (int i = 0; i < 65; ++i) absl::StrAppend(&many, i ? "," : "", R"({"kty":"RSA"})");
  EXPECT_FALSE(ParseKeySet(many + "]}").ok());
}

}  // namespace
}  // namespace handrail::crypto
