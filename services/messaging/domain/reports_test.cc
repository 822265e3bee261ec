#include "services/messaging/domain/reports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/testing/seeded_random.h"
#include "services/messaging/testing/franked.h"

namespace handrail::messaging {
namespace {

class ReportsTest : public ::testing::Test {
 protected:
  // What `sender` said at this place, as the server stamped it.
  ReportedMessage Said(int64_t sequence, absl::string_view content, const MemberId& sender) {
    Envelope envelope;
    envelope.conversation = conversation_;
    envelope.sequence = sequence;
    envelope.sender = sender;
    envelope.sender_device = device_;
    envelope.create_time = opened_ + absl::Seconds(sequence);
    ReportedMessage message = ShownOf(envelope, content);
    message.stamped.previous_commitment = previous_;
    const Franking franking = franker_.Stamp(message.stamped);
    message.stamp = franking.stamp;
    message.key_id = franking.key_id;
    previous_ = message.stamped.commitment;
    return message;
  }
  Report ReportOf(std::vector<ReportedMessage> messages) const {
    return {conversation_, std::move(messages), "evidence"};
  }
  absl::Status Verify(const Report& report) const {
    return VerifyReport(report, bob_, readable_, franker_, limits_);
  }
  // The field that a refusal names, and what it says of it.
  static std::string Fault(const absl::Status& status) {
    EXPECT_TRUE(HasReason(status, reason::kFieldInvalid)) << status;
    const ErrorDetails details = DetailsOf(status);
    if (details.field_violations.size() != 1) return "";
    const auto& [path, description] = details.field_violations.front();
    return absl::StrCat(path, " ", description);
  }

  testing::SeededRandom random_{11};
  const MemberId ann_ = MemberId::Random(random_);
  const MemberId bob_ = MemberId::Random(random_);
  const DeviceId device_ = DeviceId::Random(random_);
  const ConversationId conversation_ = ConversationId::Random(random_);
  const absl::Time opened_ = absl::FromUnixSeconds(1'700'000'000);
  std::vector<ReadingSpan> readable_ = {ReadingSpan()};
  ReportLimits limits_;
  const HmacFranker franker_ = FrankerOf({"k1", "k2"});
  std::string previous_ = NoCommitment();
};

TEST_F(ReportsTest, WhatWasSaidInOrderIsVerified) {
  EXPECT_TRUE(Verify(ReportOf({Said(3, "one", ann_)})).ok());
  const auto two = Said(4, "two", ann_);
  Said(5, "my own", bob_);
  const auto three = Said(6, "three", ann_);
  const absl::Status verified = Verify(ReportOf({two, three}));
  EXPECT_TRUE(verified.ok()) << verified;
}

TEST_F(ReportsTest, WhatIsForgedInAnyFieldIsRefusedInTheSameWords) {
  using Change = std::function<void(ReportedMessage&)>;
  const std::vector<Change> forgeries = {
      [](ReportedMessage& m) { m.content += "!"; },
      [](ReportedMessage& m) { m.content = "one"; },
      [](ReportedMessage& m) { Flip(m.franking_key[0]); },
      [](ReportedMessage& m) { m.franking_key.pop_back(); },
      [](ReportedMessage& m) { m.franking_key.push_back('\0'); },
      [](ReportedMessage& m) { Flip(m.stamped.commitment[0]); },
      // A commitment that opens, to what was never said.
      [](ReportedMessage& m) {
        m.content = "never said";
        m.franking_key = FrankingKeyOf(m.content);
        m.stamped.commitment = CommitmentTo(m.content);
      },
      [this](ReportedMessage& m) { m.stamped.sender = MemberId::Random(random_); },
      [this](ReportedMessage& m) { m.stamped.sender_device = DeviceId::Random(random_); },
      [this](ReportedMessage& m) { m.stamped.conversation = ConversationId::Random(random_); },
      [](ReportedMessage& m) { ++m.stamped.sequence; },
      [](ReportedMessage& m) { m.stamped.create_time += absl::Microseconds(1); },
      [](ReportedMessage& m) { Flip(m.stamped.previous_commitment[5]); },
      [](ReportedMessage& m) { m.stamped.previous_commitment = NoCommitment(); },
      [](ReportedMessage& m) { Flip(m.stamp[31]); },
      [](ReportedMessage& m) { m.stamp.pop_back(); },
      [](ReportedMessage& m) { m.stamp.clear(); },
      [](ReportedMessage& m) { m.key_id = "k1"; },
      [](ReportedMessage& m) { m.key_id = "unknown"; },
      [](ReportedMessage& m) { m.key_id.clear(); },
  };
  const auto one = Said(1, "one", ann_);
  const auto good = Said(2, "two", ann_);
  for (size_t i = 0; i < forgeries.size(); ++i) {
    ReportedMessage forged = good;
    forgeries[i](forged);
    EXPECT_EQ(Fault(Verify(ReportOf({one, forged}))), "messages[1] cannot be verified") << i;
  }
  EXPECT_TRUE(Verify(ReportOf({one, good})).ok());
}

TEST_F(ReportsTest, OfAnotherConversationNothingIsTaken) {
  const auto said = Said(1, "one", ann_);
  Report report = ReportOf({said});
  report.conversation = ConversationId::Random(random_);
  EXPECT_EQ(Fault(Verify(report)), "messages[0] cannot be verified");
}

TEST_F(ReportsTest, WhatTheReporterSaidIsNotTheirsToReport) {
  const auto theirs = Said(1, "one", ann_);
  const auto own = Said(2, "mine", bob_);
  EXPECT_EQ(Fault(Verify(ReportOf({theirs, own}))), "messages[1] is not the caller's to report");
}

TEST_F(ReportsTest, OnlyWhatADeviceOfTheReporterCouldReadIsTheirs) {
  const auto said = Said(10, "one", ann_);
  const std::vector<std::vector<ReadingSpan>> without = {{}, {{11}}, {{1, 9}}, {{12, 20}, {3, 9}}};
  for (size_t i = 0; i < without.size(); ++i) {
    readable_ = without[i];
    EXPECT_EQ(Fault(Verify(ReportOf({said}))), "messages[0] is not the caller's to report") << i;
  }
  const std::vector<std::vector<ReadingSpan>> with = {{{10}}, {{1, 10}}, {{12, 20}, {9, 11}}};
  for (size_t i = 0; i < with.size(); ++i) {
    readable_ = with[i];
    EXPECT_TRUE(Verify(ReportOf({said})).ok()) << i;
  }
}

TEST_F(ReportsTest, MessagesComeInOrderAndOnce) {
  const auto one = Said(1, "one", ann_);
  const auto two = Said(2, "two", ann_);
  const std::string fault = "messages[1] does not come after the message before it";
  EXPECT_EQ(Fault(Verify(ReportOf({two, one}))), fault);
  EXPECT_EQ(Fault(Verify(ReportOf({one, one}))), fault);
  // A server that stamped two chains: nobody can make these but who has the key.
  previous_ = std::string(32, 'x');
  const auto apart = Said(2, "two", ann_);
  EXPECT_EQ(Fault(Verify(ReportOf({one, apart}))), fault);
}

TEST_F(ReportsTest, AReportIsBounded) {
  limits_.content_bytes = 10;
  const auto one = Said(1, "123456", ann_);
  const auto two = Said(2, "1234", ann_);
  const auto three = Said(3, "5", ann_);
  EXPECT_TRUE(Verify(ReportOf({one, two})).ok());
  EXPECT_EQ(Fault(Verify(ReportOf({one, two, three}))),
            "messages[2] makes the report longer than 10 bytes: report it apart");
  EXPECT_EQ(Fault(Verify(ReportOf({}))), "messages must not be empty");
}

}  // namespace
}  // namespace handrail::messaging
