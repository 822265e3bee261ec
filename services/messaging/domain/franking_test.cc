#include "services/messaging/domain/franking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/testing/seeded_random.h"
#include "services/messaging/domain/groups.h"
#include "services/messaging/testing/franked.h"
#include "services/messaging/testing/mls_bytes.h"

namespace handrail::messaging {
namespace {

class FrankingTest : public ::testing::Test {
 protected:
  StampedMessage Message() {
    return {std::string(32, 'c'),
            MemberId::Random(random_),
            DeviceId::Random(random_),
            ConversationId::Random(random_),
            7,
            absl::FromUnixMicros(1'700'000'000'123'456),
            std::string(32, 'p')};
  }
  testing::SeededRandom random_{3};
};

TEST_F(FrankingTest, OnlyTheExactFormatIsACommitment) {
  const std::string commitment(32, 'c');
  EXPECT_EQ(CommitmentIn(absl::StrCat("\1", commitment)), commitment);
  const std::string second_version = absl::StrCat("\2", commitment);
  const std::string zeroth_version = std::string(1, '\0') + commitment;
  for (const std::string& other :
       {std::string(), std::string("\1"), commitment, absl::StrCat("\1", commitment, "x"),
        absl::StrCat("\1", commitment.substr(1)), second_version, zeroth_version}) {
    EXPECT_EQ(CommitmentIn(other), "") << other.size();
  }
}

TEST_F(FrankingTest, ACommitmentIsReadWithTheFramingOfApplicationMessagesAlone) {
  const GroupPlace place{"group", 1, 5};
  const std::string data = AuthenticatedDataFor("hello");
  const std::string said =
      MlsPrivateBytes(MlsContentType::kApplication, "group", 1, "secret", data);
  const auto message = AdmitGroupMessage(said, place, GroupLimits());
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->commitment, CommitmentTo("hello"));
  const std::string proposed =
      MlsPrivateBytes(MlsContentType::kProposal, "group", 1, "secret", data);
  const auto proposal = AdmitGroupMessage(proposed, place, GroupLimits());
  ASSERT_TRUE(proposal.ok()) << proposal.status();
  EXPECT_EQ(proposal->commitment, "");
}

TEST_F(FrankingTest, WhatIsStampedIsOfOneWidthAndSaysEverything) {
  const StampedMessage message = Message();
  const std::string input = StampInput(message);
  EXPECT_EQ(input.size(),
            std::string("handrail/franking-stamp/v1").size() + 32 + 3 * 16 + 8 + 8 + 32);
  EXPECT_TRUE(absl::StartsWith(input, absl::StrCat("handrail/franking-stamp/v1", message.commitment,
                                                   message.sender.Bytes())));
  EXPECT_TRUE(absl::EndsWith(input, message.previous_commitment));
}

TEST_F(FrankingTest, EachFieldChangesTheStamp) {
  const HmacFranker franker = FrankerOf({"k1"});
  const StampedMessage message = Message();
  std::set<std::string> stamps = {franker.Stamp(message).stamp};
  const auto add = [&](auto change) {
    StampedMessage other = message;
    change(other);
    EXPECT_TRUE(stamps.insert(franker.Stamp(other).stamp).second);
    EXPECT_FALSE(franker.IsStampOf(other, "k1", franker.Stamp(message).stamp));
  };
  add([](StampedMessage& m) { Flip(m.commitment[31]); });
  add([this](StampedMessage& m) { m.sender = MemberId::Random(random_); });
  add([this](StampedMessage& m) { m.sender_device = DeviceId::Random(random_); });
  add([this](StampedMessage& m) { m.conversation = ConversationId::Random(random_); });
  add([](StampedMessage& m) { ++m.sequence; });
  add([](StampedMessage& m) { m.create_time += absl::Microseconds(1); });
  add([](StampedMessage& m) { Flip(m.previous_commitment[0]); });
}

TEST_F(FrankingTest, TheNewestKeyStampsAndAllVerify) {
  const StampedMessage message = Message();
  const Franking old = FrankerOf({"k1"}).Stamp(message);
  const HmacFranker rotated = FrankerOf({"k1", "k2"});
  const Franking fresh = rotated.Stamp(message);
  EXPECT_EQ(old.key_id, "k1");
  EXPECT_EQ(fresh.key_id, "k2");
  EXPECT_NE(old.stamp, fresh.stamp);
  EXPECT_TRUE(rotated.IsStampOf(message, "k1", old.stamp));
  EXPECT_TRUE(rotated.IsStampOf(message, "k2", fresh.stamp));
  EXPECT_FALSE(rotated.IsStampOf(message, "k2", old.stamp));
  EXPECT_FALSE(rotated.IsStampOf(message, "k3", fresh.stamp));
  EXPECT_FALSE(FrankerOf({"k2"}).IsStampOf(message, "k1", old.stamp));
}

TEST_F(FrankingTest, NoWidthCanBeShifted) {
  const HmacFranker franker = FrankerOf({"k1"});
  const StampedMessage message = Message();
  StampedMessage shifted = message;
  shifted.commitment += message.sender.Bytes()[0];
  EXPECT_FALSE(franker.IsStampOf(shifted, "k1", franker.Stamp(shifted).stamp));
  shifted = message;
  shifted.previous_commitment.pop_back();
  EXPECT_FALSE(franker.IsStampOf(shifted, "k1", franker.Stamp(shifted).stamp));
}

TEST_F(FrankingTest, ACommitmentOpensWithItsOwnKeyAndContentAlone) {
  const HmacFranker franker = FrankerOf({"k1"});
  const std::string commitment = CommitmentTo("hello");
  const std::string key = FrankingKeyOf("hello");
  EXPECT_TRUE(franker.Opens(commitment, key, "hello"));
  EXPECT_FALSE(franker.Opens(commitment, key, "hello!"));
  EXPECT_FALSE(franker.Opens(commitment, key, ""));
  EXPECT_FALSE(franker.Opens(commitment, FrankingKeyOf("other"), "hello"));
  EXPECT_FALSE(franker.Opens(CommitmentTo("other"), key, "hello"));
  EXPECT_FALSE(franker.Opens(commitment.substr(0, 31), key, "hello"));
  // HMAC takes a key with zeros behind it for the same key.
  const std::string short_key = key.substr(0, 31);
  const std::string padded = short_key + std::string(1, '\0');
  EXPECT_EQ(crypto::HmacSha256(short_key, "hello"), crypto::HmacSha256(padded, "hello"));
  EXPECT_FALSE(franker.Opens(crypto::HmacSha256(short_key, "hello"), short_key, "hello"));
  EXPECT_TRUE(franker.Opens(crypto::HmacSha256(padded, "hello"), padded, "hello"));
}

}  // namespace
}  // namespace handrail::messaging
