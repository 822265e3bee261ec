// Every message that ts-mls and core-crypto make is read for what it is. What is expected is what
// the walk that made it knows of it, and nothing that was read from its bytes.
#include "services/messaging/testing/made_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/messaging/domain/mls_framing.h"

namespace handrail::messaging {
namespace {

constexpr uint16_t kSuite = 1;  // MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519

void ExpectFrame(const MadeMessage& made, MlsContentType content, MlsSender sender) {
  const bool is_public = made.Text("wire") == "public";
  const auto frame = ParseMlsFrame(made.bytes);
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ(frame->wire_format,
            is_public ? MlsWireFormat::kPublicMessage : MlsWireFormat::kPrivateMessage);
  EXPECT_EQ(frame->group_id, made.Bytes("group"));
  uint64_t epoch = 0;
  ASSERT_TRUE(absl::SimpleAtoi(made.Text("epoch"), &epoch));
  EXPECT_EQ(frame->epoch, epoch);
  EXPECT_EQ(frame->content_type, content);
  EXPECT_EQ(frame->sender, is_public ? sender : MlsSender::kHidden);
  EXPECT_EQ(frame->authenticated_data, made.Bytes("authenticated_data"));
}

void ExpectKeyPackage(const MadeMessage& made) {
  const auto package = ParseMlsKeyPackage(made.bytes);
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(package->cipher_suite, kSuite);
  EXPECT_EQ(package->init_key.size(), 32u);
  EXPECT_EQ(package->identity, made.Bytes("identity"));
  EXPECT_EQ(package->signature_key, made.Bytes("signature_key"));
  EXPECT_EQ(crypto::Sha256(KeyPackageRefInput(package->body)), made.Bytes("reference"));
}

// In whichever order a library names them.
void ExpectWelcome(const MadeMessage& made) {
  const auto welcome = ParseMlsWelcome(made.bytes);
  ASSERT_TRUE(welcome.ok()) << welcome.status();
  EXPECT_EQ(welcome->cipher_suite, kSuite);
  std::vector<std::string> expected;
  for (const absl::string_view part : absl::StrSplit(made.Text("recipients"), ',')) {
    expected.push_back(absl::HexStringToBytes(part));
  }
  EXPECT_THAT(welcome->recipients, ::testing::UnorderedElementsAreArray(expected));
}

// Which of the readers take it.
std::string ReadersOf(const MadeMessage& made) {
  std::vector<std::string> readers;
  if (ParseMlsFrame(made.bytes).ok()) readers.emplace_back("frame");
  if (ParseMlsWelcome(made.bytes).ok()) readers.emplace_back("welcome");
  if (ParseMlsKeyPackage(made.bytes).ok()) readers.emplace_back("key_package");
  return absl::StrJoin(readers, ",");
}

void ExpectWhatItIs(const MadeMessage& made) {
  if (made.what == "key_package") {
    EXPECT_EQ(ReadersOf(made), "key_package");
    ExpectKeyPackage(made);
  } else if (made.what == "welcome") {
    EXPECT_EQ(ReadersOf(made), "welcome");
    ExpectWelcome(made);
  } else if (made.what == "group_info") {
    // It goes beside a commit and is never a message.
    EXPECT_EQ(ReadersOf(made), "");
    EXPECT_FALSE(ParseMlsWireFormat(made.bytes).ok());
  } else {
    EXPECT_EQ(ReadersOf(made), "frame");
    if (made.what == "commit") {
      ExpectFrame(made, MlsContentType::kCommit, MlsSender::kMember);
    } else if (made.what == "external_commit") {
      ExpectFrame(made, MlsContentType::kCommit, MlsSender::kNewMemberCommit);
    } else if (made.what == "application") {
      ExpectFrame(made, MlsContentType::kApplication, MlsSender::kHidden);
    } else {
      ADD_FAILURE() << "nobody knows what this is";
    }
  }
}

TEST(MadeMessages, AreReadForWhatTheyAre) {
  std::set<std::string> kinds;
  int number = 0;
  for (const MadeMessage& made : ReadMadeMessages()) {
    SCOPED_TRACE(absl::StrCat("line ", ++number, ": ", made.maker, " ", made.what));
    ExpectWhatItIs(made);
    const auto wire = made.fields.find("wire");
    kinds.insert(absl::StrCat(made.maker, " ", made.what,
                              wire == made.fields.end() ? "" : " " + wire->second));
  }
  RecordProperty("messages", number);
  // Each library makes all of these; core-crypto makes no commit that is a PrivateMessage.
  EXPECT_THAT(kinds,
              ::testing::UnorderedElementsAre(
                  "core-crypto application private", "core-crypto commit public",
                  "core-crypto external_commit public", "core-crypto group_info",
                  "core-crypto key_package", "core-crypto welcome", "ts-mls application private",
                  "ts-mls commit private", "ts-mls commit public", "ts-mls external_commit public",
                  "ts-mls group_info", "ts-mls key_package", "ts-mls welcome"));
}

// A message that is cut anywhere is another's start and nobody's whole, except where the server
// reads no further: what is left of a PublicMessage and of a leaf node is for members to verify.
TEST(MadeMessages, AreRefusedWhenTheyAreCut) {
  for (const MadeMessage& made : ReadMadeMessages()) {
    const bool is_whole_read = made.what == "welcome" || made.what == "application" ||
                               (made.what == "commit" && made.Text("wire") == "private");
    if (!is_whole_read) continue;
    for (size_t size = 0; size < made.bytes.size(); size += 1 + size / 64) {
      MadeMessage cut = made;
      cut.bytes.resize(size);
      ASSERT_EQ(ReadersOf(cut), "") << made.maker << " " << made.what << " of " << size;
    }
  }
}

}  // namespace
}  // namespace handrail::messaging
