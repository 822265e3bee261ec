#include "common/crypto/hash.h"

#include <gtest/gtest.h>

#include <numeric>

#include "absl/strings/escaping.h"

namespace handrail::crypto {
namespace {

std::string Hex(absl::string_view bytes) { return absl::BytesToHexString(bytes); }

TEST(HashTest, Sha256OfFips180Examples) {
  EXPECT_EQ(Hex(Sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(HashTest, HmacOfRfc4231) {
  struct Case {
    std::string key;
    std::string data;
    const char* mac;
  };
  std::string counting(25, '\0');
  std::iota(counting.begin(), counting.end(), '\1');
  const Case cases[] = {
      {std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {counting, std::string(50, '\xcd'),
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than block-size data. The "
       "key needs to be hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"}};
  for (const Case& c : cases) EXPECT_EQ(Hex(HmacSha256(c.key, c.data)), c.mac);
}

TEST(HashTest, ComparesWholeTexts) {
  EXPECT_TRUE(ConstantTimeEquals("", ""));
  EXPECT_TRUE(ConstantTimeEquals("same", "same"));
  EXPECT_FALSE(ConstantTimeEquals("same", "sane"));
  EXPECT_FALSE(ConstantTimeEquals("same", "sam"));
}

TEST(HashTest, FieldsDoNotRunTogether) {
  const auto hash = [](std::initializer_list<absl::string_view> fields) {
    Sha256Hasher hasher;
    for (const absl::string_view field : fields) hasher.Add(field);
    return hasher.Finish();
  };
  EXPECT_EQ(hash({"ab", "c"}), hash({"ab", "c"}));
  EXPECT_NE(hash({"ab", "c"}), hash({"a", "bc"}));
  EXPECT_NE(hash({"abc"}), hash({"abc", ""}));
  EXPECT_NE(hash({}), hash({""}));
  EXPECT_EQ(hash({}), Sha256(""));
  EXPECT_EQ(hash({"ab"}), Sha256(std::string("\0\0\0\0\0\0\0\2ab", 10)));
  EXPECT_EQ(Sha256Hasher().Add(int64_t{1}).Finish(),
            Sha256(std::string("\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0\1", 16)));
  EXPECT_NE(Sha256Hasher().Add(int64_t{1}).Finish(), Sha256Hasher().Add(int64_t{-1}).Finish());
}

}  // namespace
}  // namespace handrail::crypto
