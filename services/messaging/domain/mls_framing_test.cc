#include "services/messaging/domain/mls_framing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"

// The expected bytes are written down from RFC 9420's structures, by hand, so that a wrong reading
// of the standard here and in the parser would have to be made twice. Messages made by two MLS
// libraries are read in made_messages_test.cc.
namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;

std::string Bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}

std::string Vec(absl::string_view bytes) {  // for fewer than 64 bytes
  return Bytes({static_cast<int>(bytes.size())}) + std::string(bytes);
}

const std::string kEpoch7 = Bytes({0, 0, 0, 0, 0, 0, 0, 7});

std::string Private(int content_type, absl::string_view group = "group") {
  return Bytes({0, 1, 0, 2}) + Vec(group) + kEpoch7 + Bytes({content_type}) + Vec("aad") +
         Vec("sender") + Vec("ciphertext");
}

std::string Public(int sender_type, int content_type) {
  const bool has_index = sender_type == 1 || sender_type == 2;
  return Bytes({0, 1, 0, 1}) + Vec("group") + kEpoch7 + Bytes({sender_type}) +
         (has_index ? Bytes({0, 0, 0, 3}) : "") + Vec("aad") + Bytes({content_type}) + "the rest";
}

// versions, cipher_suites, extensions, proposals and credentials.
const std::string kCapabilities = Bytes({2, 0, 1, 2, 0, 1, 0, 0, 2, 0, 1});

// encryption_key, signature_key, a basic credential, capabilities and a lifetime, as far as a leaf
// node is read.
std::string Leaf(absl::string_view identity = "devices/one", int credential_type = 1) {
  return Vec("hpke") + Vec("sign") + Bytes({0, credential_type}) + Vec(identity) + kCapabilities +
         Bytes({1}) + Bytes({0, 0, 0, 0, 0, 0, 1, 2}) + Bytes({0, 0, 0, 1, 0, 0, 0, 0}) + "rest";
}

std::string Secret(absl::string_view reference) {
  return Vec(reference) + Vec("kem") + Vec("secret");
}

std::string Welcome(absl::string_view secrets) {
  return Bytes({0, 1, 0, 3, 0, 1}) + Vec(secrets) + Vec("group info");
}

bool IsRefused(const absl::Status& status) {
  return status.code() == absl::StatusCode::kInvalidArgument &&
         HasReason(status, reason::kFieldInvalid);
}

TEST(MlsFrame, ReadsThePrivateMessagesOfEveryContent) {
  for (const int type : {1, 2, 3}) {
    const std::string message = Private(type);
    const auto frame = ParseMlsFrame(message);
    ASSERT_TRUE(frame.ok()) << frame.status();
    EXPECT_EQ(frame->wire_format, MlsWireFormat::kPrivateMessage);
    EXPECT_EQ(frame->group_id, "group");
    EXPECT_EQ(frame->epoch, 7u);
    EXPECT_EQ(static_cast<int>(frame->content_type), type);
    EXPECT_EQ(frame->sender, MlsSender::kHidden);
    EXPECT_EQ(frame->authenticated_data, "aad");
  }
  EXPECT_TRUE(IsRefused(ParseMlsFrame(Private(0)).status()));
  EXPECT_TRUE(IsRefused(ParseMlsFrame(Private(4)).status()));
}

// RFC 9420 §6: every pair of a sender and a content, as a whole table.
TEST(MlsFrame, ReadsPublicMessagesOnlyFromWhomTheyMayCome) {
  const bool allowed[6][5] = {
      // content:  0      1      2      3      4
      {false, false, false, false, false},  // no sender 0
      {false, false, true, true, false},    // member
      {false, false, true, false, false},   // external
      {false, false, true, false, false},   // new_member_proposal
      {false, false, false, true, false},   // new_member_commit
      {false, false, false, false, false},  // no sender 5
  };
  for (int sender = 0; sender < 6; ++sender) {
    for (int type = 0; type < 5; ++type) {
      const std::string message = Public(sender, type);
      const auto frame = ParseMlsFrame(message);
      ASSERT_EQ(frame.ok(), allowed[sender][type]) << sender << ", " << type;
      if (frame.ok()) {
        EXPECT_EQ(static_cast<int>(frame->sender), sender);
        EXPECT_EQ(static_cast<int>(frame->content_type), type);
        EXPECT_EQ(frame->authenticated_data, "aad");
      } else {
        EXPECT_TRUE(IsRefused(frame.status()));
      }
    }
  }
}

TEST(MlsFrame, IsRefusedWhenAnyByteIsMissing) {
  for (const std::string& whole : {Private(3), Welcome(Secret("reference")),
                                   Bytes({0, 1, 0, 5, 0, 1, 0, 1}) + Vec("init") + Leaf()}) {
    const MlsWireFormat format = *ParseMlsWireFormat(whole);
    for (size_t size = 0; size < whole.size(); ++size) {
      const absl::string_view cut = absl::string_view(whole).substr(0, size);
      if (format == MlsWireFormat::kPrivateMessage) {
        EXPECT_FALSE(ParseMlsFrame(cut).ok()) << size;
      } else if (format == MlsWireFormat::kWelcome) {
        EXPECT_FALSE(ParseMlsWelcome(cut).ok()) << size;
      } else if (size <= whole.size() - 4) {  // what follows the lifetime is not read
        EXPECT_FALSE(ParseMlsKeyPackage(cut).ok()) << size;
      }
    }
  }
}

TEST(MlsFrame, IsRefusedWithBytesBehindItsEnd) {
  EXPECT_TRUE(IsRefused(ParseMlsFrame(Private(1) + "x").status()));
  EXPECT_TRUE(IsRefused(ParseMlsWelcome(Welcome(Secret("reference")) + "x").status()));
}

TEST(MlsFrame, IsRefusedInAnotherVersionOrWireFormat) {
  for (const int format : {0, 4, 6, 255}) {
    EXPECT_TRUE(IsRefused(ParseMlsWireFormat(Bytes({0, 1, 0, format})).status())) << format;
  }
  EXPECT_TRUE(IsRefused(ParseMlsWireFormat(Bytes({0, 2, 0, 1})).status()));
  EXPECT_TRUE(IsRefused(ParseMlsWireFormat("").status()));
  EXPECT_TRUE(IsRefused(ParseMlsFrame(Welcome(Secret("reference"))).status()));
  EXPECT_TRUE(IsRefused(ParseMlsWelcome(Private(1)).status()));
  EXPECT_TRUE(IsRefused(ParseMlsKeyPackage(Private(1)).status()));
}

TEST(MlsFrame, BoundsTheGroupIdAndTheAuthenticatedData) {
  EXPECT_TRUE(IsRefused(ParseMlsFrame(Private(1, "")).status()));
  const auto with = [](size_t group_bytes) {
    return Bytes({0, 1, 0, 2, 0x40, static_cast<int>(group_bytes)}) +
           std::string(group_bytes, 'g') + kEpoch7 + Bytes({1}) + Vec("") + Vec("s") + Vec("c");
  };
  EXPECT_TRUE(ParseMlsFrame(with(64)).ok());
  EXPECT_TRUE(IsRefused(ParseMlsFrame(with(65)).status()));
  const auto data = [](int size) {
    return Bytes({0, 1, 0, 2}) + Vec("g") + kEpoch7 + Bytes({1, 0x40 | size >> 8, size & 255}) +
           std::string(static_cast<size_t>(size), 'a') + Vec("s") + Vec("c");
  };
  EXPECT_TRUE(ParseMlsFrame(data(1024)).ok());
  EXPECT_TRUE(IsRefused(ParseMlsFrame(data(1025)).status()));
}

TEST(MlsFrame, AcceptsOnlyTheShortestLengths) {
  const auto with = [](const std::string& length, size_t size) {
    return Bytes({0, 1, 0, 2}) + Vec("g") + kEpoch7 + Bytes({1}) + Vec("") + Vec("s") + length +
           std::string(size, 'c');
  };
  EXPECT_TRUE(ParseMlsFrame(with(Bytes({63}), 63)).ok());
  EXPECT_TRUE(ParseMlsFrame(with(Bytes({0x40, 64}), 64)).ok());
  EXPECT_TRUE(ParseMlsFrame(with(Bytes({0x7f, 0xff}), 16383)).ok());
  EXPECT_TRUE(ParseMlsFrame(with(Bytes({0x80, 0, 0x40, 0}), 16384)).ok());
  EXPECT_TRUE(IsRefused(ParseMlsFrame(with(Bytes({0x40, 63}), 63)).status()));
  EXPECT_TRUE(IsRefused(ParseMlsFrame(with(Bytes({0x80, 0, 0x3f, 0xff}), 16383)).status()));
  EXPECT_TRUE(IsRefused(ParseMlsFrame(with(Bytes({0xc0, 0, 0, 0, 0, 0, 0, 1}), 1)).status()));
  EXPECT_TRUE(IsRefused(ParseMlsFrame(with(Bytes({0xbf, 0xff, 0xff, 0xff}), 1)).status()));
}

TEST(MlsWelcome, ListsWhomItIsFor) {
  const std::string message = Welcome(Secret("one") + Secret("two"));
  const auto welcome = ParseMlsWelcome(message);
  ASSERT_TRUE(welcome.ok()) << welcome.status();
  EXPECT_EQ(welcome->cipher_suite, 1);
  EXPECT_THAT(welcome->recipients, ElementsAre("one", "two"));
}

TEST(MlsWelcome, IsForSomebodyAndNobodyTwice) {
  EXPECT_TRUE(IsRefused(ParseMlsWelcome(Welcome("")).status()));
  EXPECT_TRUE(IsRefused(ParseMlsWelcome(Welcome(Secret("one") + Secret("one"))).status()));
  EXPECT_TRUE(IsRefused(ParseMlsWelcome(Welcome(Secret(""))).status()));
}

TEST(MlsWelcome, IsForNoMoreThanAConversationHolds) {
  const auto with = [](int count) {
    std::string secrets;
    for (int i = 0; i < count; ++i) {
      secrets += Vec(Bytes({i})) + Vec("") + Vec("");
    }
    const int size = static_cast<int>(secrets.size());
    return Bytes({0, 1, 0, 3, 0, 1, 0x40 | size >> 8, size & 255}) + secrets + Vec("info");
  };
  EXPECT_TRUE(ParseMlsWelcome(with(32)).ok());
  EXPECT_TRUE(IsRefused(ParseMlsWelcome(with(33)).status()));
}

TEST(MlsKeyPackage, KeepsWhatItsReferenceIsAHashOf) {
  const std::string body = Bytes({0, 1, 0, 1}) + Vec("init") + Leaf();
  const std::string message = Bytes({0, 1, 0, 5}) + body;
  const auto package = ParseMlsKeyPackage(message);
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(package->cipher_suite, 1);
  EXPECT_EQ(package->init_key, "init");
  EXPECT_EQ(package->signature_key, "sign");
  EXPECT_EQ(package->identity, "devices/one");
  EXPECT_EQ(package->not_before, 0x102u);
  EXPECT_EQ(package->not_after, uint64_t{1} << 32);
  EXPECT_EQ(package->body, body);
  ASSERT_GE(body.size(), 64u);
  EXPECT_EQ(
      KeyPackageRefInput(package->body),
      Vec("MLS 1.0 KeyPackage Reference") + Bytes({0x40, static_cast<int>(body.size())}) + body);
}

TEST(MlsKeyPackage, IsRefusedWithoutAKeyOrALeaf) {
  const std::string header = Bytes({0, 1, 0, 5, 0, 1, 0, 1});
  EXPECT_TRUE(IsRefused(ParseMlsKeyPackage(header + Vec("") + Leaf()).status()));
  EXPECT_TRUE(IsRefused(ParseMlsKeyPackage(header + Vec("init")).status()));
  EXPECT_TRUE(
      IsRefused(ParseMlsKeyPackage(Bytes({0, 1, 0, 5, 0, 2, 0, 1}) + Vec("i") + Leaf()).status()));
}

TEST(MlsKeyPackage, IsRefusedWithAnotherCredentialThanABasicOne) {
  const std::string header = Bytes({0, 1, 0, 5, 0, 1, 0, 1}) + Vec("init");
  EXPECT_TRUE(ParseMlsKeyPackage(header + Leaf("me", 1)).ok());
  for (const int type : {0, 2, 3}) {
    EXPECT_TRUE(IsRefused(ParseMlsKeyPackage(header + Leaf("me", type)).status())) << type;
  }
}

TEST(MlsKeyPackage, IsRefusedWithoutALifetime) {
  const std::string header =
      Bytes({0, 1, 0, 5, 0, 1, 0, 1}) + Vec("init") + Vec("hpke") + Vec("sign") + Bytes({0, 1});
  const std::string times(16, '\1');
  const auto read = [&](int source) {
    return ParseMlsKeyPackage(header + Vec("me") + kCapabilities + Bytes({source}) + times + "rest")
        .status();
  };
  EXPECT_TRUE(read(1).ok());
  for (const int source : {0, 2, 3, 255}) EXPECT_TRUE(IsRefused(read(source))) << source;
  EXPECT_TRUE(IsRefused(ParseMlsKeyPackage(header + Vec("me") + "rest").status()));
}

TEST(MlsKeyPackage, ReferenceInputHasTheShortestLengths) {
  for (const size_t size : {size_t{63}, size_t{64}, size_t{16383}, size_t{16384}}) {
    const std::string body(size, 'b');
    const std::string input = KeyPackageRefInput(body);
    const size_t length_bytes = size < 64 ? 1 : size < 16384 ? 2 : 4;
    ASSERT_EQ(input.size(), 29 + length_bytes + size);
    const auto top = static_cast<uint8_t>(input[29]);
    EXPECT_EQ(top >> 6, length_bytes == 4 ? 2 : length_bytes - 1);
  }
}

TEST(MlsFrame, ErrorsQuoteNothing) {
  const absl::Status status = ParseMlsFrame(Private(9, "secret-group")).status();
  EXPECT_THAT(std::string(status.message()), ::testing::Not(::testing::HasSubstr("secret")));
}

}  // namespace
}  // namespace handrail::messaging
