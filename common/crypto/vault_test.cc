#include "common/crypto/vault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/stat.h>

#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "common/testing/seeded_random.h"
#include "common/testing/temporary_directory.h"

namespace handrail::crypto {
namespace {

constexpr char kHexA[] = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
constexpr char kHexB[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
constexpr char kHexI[] = "1111111111111111111111111111111111111111111111111111111111111111";

KeyRing Ring(bool rotated = false) {
  return *KeyRing::Parse(absl::StrCat("# keys\n\nindex ", kHexI, "\nk1 ", kHexA, "\n",
                                      rotated ? absl::StrCat("k2\t", kHexB) : ""));
}

bool IsCorrupt(const absl::Status& status) {
  return status.code() == absl::StatusCode::kDataLoss && HasReason(status, reason::kDataCorrupt);
}

class VaultTest : public ::testing::Test {
 protected:
  testing::SeededRandom random_{17};
  MemberKey key_ = MemberKey::Generate(random_);
  SealContext place_{"profiles", "about", "row-1"};
  MemberId member_ = MemberId::Random(random_);
};

TEST_F(VaultTest, SealedTextsOpen) {
  for (const std::string& text : {std::string(), std::string("I am Ana"), std::string("a\0\xff", 3),
                                  std::string(100000, 'x')}) {
    const std::string sealed = Seal(key_, place_, text, random_);
    EXPECT_EQ(sealed.size(), 1 + 24 + text.size() + 16);
    EXPECT_EQ(sealed[0], 1);
    if (text.size() > 4) {
      EXPECT_EQ(sealed.find(text), std::string::npos);
    }
    const auto opened = Open(key_, place_, sealed);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(opened->Reveal(), text);
  }
}

TEST_F(VaultTest, EqualTextsDifferWhenSealed) {
  std::set<std::string> nonces;
  for (int i = 0; i < 1000; ++i) {
    nonces.insert(Seal(key_, place_, "same", random_).substr(1, 24));
  }
  EXPECT_EQ(nonces.size(), 1000u);
}

// The stored form, opened by hand: whoever changes it must raise the version and keep this one.
TEST_F(VaultTest, TheFormIsThatOfVersion1) {
  const std::string sealed = Seal(key_, place_, "text", random_);
  std::string associated;
  for (const char* field : {"handrail/column/v1", "profiles", "about", "row-1"}) {
    AppendField(associated, field);
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(sealed.data());
  unsigned char text[4];
  unsigned long long size = 0;
  ASSERT_EQ(crypto_aead_xchacha20poly1305_ietf_decrypt(
                text, &size, nullptr, bytes + 25, sealed.size() - 25,
                reinterpret_cast<const unsigned char*>(associated.data()), associated.size(),
                bytes + 1, reinterpret_cast<const unsigned char*>(key_.Reveal().data())),
            0);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(text), size), "text");
}

TEST_F(VaultTest, EveryBitCounts) {
  const std::string sealed = Seal(key_, place_, "text", random_);
  for (size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
    std::string changed = sealed;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_TRUE(IsCorrupt(Open(key_, place_, changed).status())) << bit;
  }
  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_TRUE(IsCorrupt(Open(key_, place_, sealed.substr(0, size)).status())) << size;
  }
  EXPECT_TRUE(IsCorrupt(Open(key_, place_, sealed + "x").status()));
}

TEST_F(VaultTest, OpensOnlyInItsPlaceAndWithItsKey) {
  const std::string sealed = Seal(key_, place_, "text", random_);
  const SealContext elsewhere[] = {{"profile", "about", "row-1"},  {"profiles", "name", "row-1"},
                                   {"profiles", "about", "row-2"}, {"profilesa", "bout", "row-1"},
                                   {"profiles", "aboutr", "ow-1"}, {"", "", ""}};
  for (const SealContext& place : elsewhere) {
    EXPECT_TRUE(IsCorrupt(Open(key_, place, sealed).status()));
  }
  EXPECT_TRUE(IsCorrupt(Open(MemberKey::Generate(random_), place_, sealed).status()));
}

TEST_F(VaultTest, WrappedKeysUnwrap) {
  const KeyRing ring = Ring();
  const std::string wrapped = ring.Wrap(member_, key_, random_);
  EXPECT_EQ(wrapped.find(std::string(key_.Reveal())), std::string::npos);
  const auto unwrapped = ring.Unwrap(member_, wrapped);
  ASSERT_TRUE(unwrapped.ok()) << unwrapped.status();
  EXPECT_EQ(unwrapped->Reveal(), key_.Reveal());
  EXPECT_TRUE(IsCorrupt(ring.Unwrap(MemberId::Random(random_), wrapped).status()))
      << "one member's key must not pass for another's";
}

TEST_F(VaultTest, EveryBitOfAWrappedKeyCounts) {
  const KeyRing ring = Ring(/*rotated=*/true);
  const std::string wrapped = ring.Wrap(member_, key_, random_);
  for (size_t bit = 0; bit < 8 * wrapped.size(); ++bit) {
    std::string changed = wrapped;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(ring.Unwrap(member_, changed).ok()) << bit;
  }
  for (size_t size = 0; size < wrapped.size(); ++size) {
    EXPECT_TRUE(IsCorrupt(ring.Unwrap(member_, wrapped.substr(0, size)).status()));
  }
}

TEST_F(VaultTest, KeysRotate) {
  const KeyRing before = Ring();
  const KeyRing after = Ring(/*rotated=*/true);
  const std::string old_wrapped = before.Wrap(member_, key_, random_);
  EXPECT_FALSE(before.NeedsRewrap(old_wrapped));
  EXPECT_TRUE(after.NeedsRewrap(old_wrapped));
  EXPECT_EQ(after.newest_key_id(), "k2");
  ASSERT_TRUE(after.Unwrap(member_, old_wrapped).ok());

  const auto new_wrapped = after.Rewrap(member_, old_wrapped, random_);
  ASSERT_TRUE(new_wrapped.ok()) << new_wrapped.status();
  EXPECT_FALSE(after.NeedsRewrap(*new_wrapped));
  EXPECT_EQ(after.Unwrap(member_, *new_wrapped)->Reveal(), key_.Reveal());
  // Without the new key: not a damage of the data but of the configuration.
  const absl::Status missing = before.Unwrap(member_, *new_wrapped).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(HasReason(missing, reason::kConfigurationInvalid));
  EXPECT_TRUE(after.NeedsRewrap("nonsense"));
}

TEST_F(VaultTest, RefusesBadRingsWithoutQuotingThem) {
  const std::string index = absl::StrCat("index ", kHexI, "\n");
  const std::string bad[] = {"",
                             "# nothing\n",
                             index,
                             absl::StrCat("k1 ", kHexA),
                             index + "k1",
                             index + "k1 00",
                             absl::StrCat(index, "k1 ", kHexA, "00"),
                             absl::StrCat(index, "k1 ", kHexA, " more"),
                             absl::StrCat(index, "k1 ", std::string(64, 'g')),
                             absl::StrCat(index, "k/1 ", kHexA),
                             absl::StrCat(index, "k1 ", kHexA, "\nk1 ", kHexB),
                             absl::StrCat(index, "k1 ", kHexA, "\nk2 ", kHexA),
                             absl::StrCat(index, "k1 ", kHexI),
                             absl::StrCat(index, index, "k1 ", kHexA),
                             absl::StrCat(index, std::string(65, 'k'), " ", kHexA)};
  for (const std::string& text : bad) {
    const absl::Status status = KeyRing::Parse(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid)) << text;
    EXPECT_THAT(status.ToString(), ::testing::Not(::testing::HasSubstr("00112233")));
  }
}

TEST_F(VaultTest, FilesAreForTheirOwnerOnly) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.File("keys");
  ASSERT_TRUE(KeyRing::Generate(path, "k1", random_).ok());
  struct stat status = {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const auto ring = KeyRing::Load(path);
  ASSERT_TRUE(ring.ok()) << ring.status();
  EXPECT_EQ(ring->newest_key_id(), "k1");
  EXPECT_EQ(KeyRing::Generate(path, "k2", random_).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(KeyRing::Load(path)->newest_key_id(), "k1");

  for (const mode_t mode : {0604u, 0640u, 0660u, 0644u, 0666u, 0602u}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    const absl::Status refused = KeyRing::Load(path).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << std::oct << mode;
    EXPECT_TRUE(HasReason(refused, reason::kConfigurationInvalid));
    EXPECT_EQ(KeyRing::Load(path, KeyFilePolicy::kGroupMayRead).ok(), mode == 0640u) << mode;
  }
}

TEST_F(VaultTest, RotatesByAppendingALine) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.File("keys");
  ASSERT_TRUE(KeyRing::Generate(path, "k1", random_).ok());
  const std::string wrapped = KeyRing::Load(path)->Wrap(member_, key_, random_);
  std::ofstream(path, std::ios::app) << KeyRing::GenerateLine("k2", random_).Reveal();
  const auto ring = KeyRing::Load(path);
  ASSERT_TRUE(ring.ok()) << ring.status();
  EXPECT_EQ(ring->newest_key_id(), "k2");
  EXPECT_EQ(ring->Unwrap(member_, wrapped)->Reveal(), key_.Reveal());
}

TEST_F(VaultTest, RefusesWhatIsNoFile) {
  const testing::TemporaryDirectory directory;
  const std::string big = directory.File("big");
  std::ofstream(big) << std::string((64 << 10) + 1, '#');
  ASSERT_EQ(chmod(big.c_str(), 0600), 0);
  for (const std::string& path : {directory.File("none"), directory.path(), big}) {
    EXPECT_EQ(KeyRing::Load(path).status().code(), absl::StatusCode::kFailedPrecondition) << path;
  }
  EXPECT_FALSE(KeyRing::Generate(directory.File("no/such/folder"), "k1", random_).ok());
  EXPECT_FALSE(KeyRing::Generate(directory.File("keys"), "index", random_).ok());
  EXPECT_FALSE(KeyRing::Generate(directory.File("keys"), "a b", random_).ok());
}

TEST_F(VaultTest, BlindIndexesAreEqualForEqualValuesOfOneColumn) {
  const KeyRing ring = Ring();
  const std::string index = BlindIndex(ring.index_key(), "profiles.phone", "+1 555");
  EXPECT_EQ(index.size(), 32u);
  EXPECT_EQ(index, BlindIndex(Ring(true).index_key(), "profiles.phone", "+1 555"))
      << "a rotation must not change the indexes";
  EXPECT_NE(index, BlindIndex(ring.index_key(), "profiles.phone", "+1 556"));
  EXPECT_NE(index, BlindIndex(ring.index_key(), "profiles.email", "+1 555"));
  EXPECT_NE(index, BlindIndex(ring.index_key(), "profiles.phone+", "1 555"));
  EXPECT_NE(index, BlindIndex(SecretKey::Generate(random_), "profiles.phone", "+1 555"));
}

}  // namespace
}  // namespace handrail::crypto
