#include "common/crypto/ed25519.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "common/testing/seeded_random.h"

namespace handrail::crypto {
namespace {

std::string Bytes(absl::string_view hex) { return absl::HexStringToBytes(hex); }

struct Vector {
  const char* seed;
  const char* public_key;
  const char* message;
  const char* signature;
};

// RFC 8032 §7.1, tests 1 to 3.
const Vector kVectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"}};

TEST(Ed25519Test, Rfc8032Vectors) {
  for (const Vector& v : kVectors) {
    const auto key = SigningKey::FromSeed(Bytes(v.seed));
    ASSERT_TRUE(key.ok());
    EXPECT_EQ(absl::BytesToHexString(key->verify_key().bytes()), v.public_key);
    EXPECT_EQ(absl::BytesToHexString(key->Sign(Bytes(v.message))), v.signature);
    EXPECT_EQ(absl::BytesToHexString(key->RevealSeed()), v.seed);
    const auto verify = VerifyKey::FromBytes(Bytes(v.public_key));
    ASSERT_TRUE(verify.ok());
    EXPECT_TRUE(verify->Verify(Bytes(v.message), Bytes(v.signature)));
    EXPECT_FALSE(verify->Verify(Bytes(v.message) + "x", Bytes(v.signature)));
  }
}

TEST(Ed25519Test, EveryBitOfASignatureCounts) {
  testing::SeededRandom random(7);
  const SigningKey key = SigningKey::Generate(random);
  const std::string message = "a message";
  const std::string signature = key.Sign(message);
  ASSERT_TRUE(key.verify_key().Verify(message, signature));
  for (size_t bit = 0; bit < 8 * signature.size(); ++bit) {
    std::string changed = signature;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(key.verify_key().Verify(message, changed)) << bit;
  }
  for (const size_t size : {0u, 1u, 63u}) {
    EXPECT_FALSE(key.verify_key().Verify(message, signature.substr(0, size)));
  }
  EXPECT_FALSE(key.verify_key().Verify(message, signature + '\0'));
  EXPECT_FALSE(SigningKey::Generate(random).verify_key().Verify(message, signature));
}

// S + L passes the equation too; RFC 8032 §5.1.7 wants it refused, or signatures were malleable.
TEST(Ed25519Test, RefusesASignatureWhoseScalarIsNotReduced) {
  const auto key = VerifyKey::FromBytes(Bytes(kVectors[1].public_key));
  std::string signature = Bytes(kVectors[1].signature);
  const std::string order =
      Bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  int carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    const int sum = static_cast<unsigned char>(signature[32 + i]) +
                    static_cast<unsigned char>(order[i]) + carry;
    signature[32 + i] = static_cast<char>(sum & 0xff);
    carry = sum >> 8;
  }
  ASSERT_EQ(carry, 0);
  EXPECT_FALSE(key->Verify(Bytes(kVectors[1].message), signature));
}

TEST(Ed25519Test, RefusesKeysOfAnotherLength) {
  for (const size_t size : {0u, 1u, 31u, 33u, 64u}) {
    const auto key = VerifyKey::FromBytes(std::string(size, '\x01'));
    EXPECT_EQ(key.status().code(), absl::StatusCode::kInvalidArgument) << size;
    EXPECT_TRUE(HasReason(key.status(), reason::kFieldInvalid));
    EXPECT_FALSE(SigningKey::FromSeed(std::string(size, '\x01')).ok()) << size;
  }
}

TEST(Ed25519Test, RefusesPointsOfSmallOrderAndOtherNonsense) {
  const char* const bad[] = {
      // The points of order 1, 2, 4 and 8, and encodings of them that are not canonical.
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0000000000000000000000000000000000000000000000000000000000000080",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
      "0100000000000000000000000000000000000000000000000000000000000080",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      // Not on the curve.
      "0200000000000000000000000000000000000000000000000000000000000000"};
  for (const char* hex : bad) EXPECT_FALSE(VerifyKey::FromBytes(Bytes(hex)).ok()) << hex;
}

}  // namespace
}  // namespace handrail::crypto
