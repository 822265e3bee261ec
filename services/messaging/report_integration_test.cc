// ReportService as its main builds it, over real gRPC.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "services/messaging/testing/franked.h"
#include "services/messaging/testing/group_service.h"

namespace handrail::messaging {
namespace {

class ReportServiceTest : public GroupServiceTest {
 protected:
  void SetUp() override {
    GroupServiceTest::SetUp();
    const grpc::Status made = Commit(ann_phone_, Adding(0, bob_phone_));
    ASSERT_TRUE(made.ok()) << made.error_message();
  }

  // What Ann says, as Bob receives it.
  v1::Envelope Say(const std::string& content) {
    int64_t sequence = 0;
    const grpc::Status status = Send(Message(FrankedBytes(content)), &sequence);
    EXPECT_TRUE(status.ok()) << status.error_message();
    v1::FetchMessagesRequest request;
    request.set_conversation(conversation_);
    request.set_after_sequence(sequence - 1);
    v1::FetchMessagesResponse page;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), Bob());
    EXPECT_TRUE(stub_->FetchMessages(context.get(), request, &page).ok());
    return page.envelopes_size() == 1 ? page.envelopes(0) : v1::Envelope();
  }
  static handrail::common::v1::ReportedMessage Shown(const v1::Envelope& envelope,
                                                     const std::string& content) {
    handrail::common::v1::ReportedMessage message;
    message.set_sequence(envelope.sequence());
    message.set_sender(envelope.sender());
    message.set_sender_device(envelope.sender_device());
    *message.mutable_create_time() = envelope.create_time();
    message.set_content(content);
    message.set_franking_key(FrankingKeyOf(content));
    message.set_commitment(CommitmentTo(content));
    message.set_previous_commitment(envelope.franking().previous_commitment());
    message.set_stamp(envelope.franking().stamp());
    message.set_key_id(envelope.franking().key_id());
    return message;
  }
  v1::ReportMessagesRequest Request(const std::string& request_id) {
    v1::ReportMessagesRequest request;
    request.set_conversation(conversation_);
    request.set_reason(handrail::common::v1::REPORT_REASON_HARASSMENT);
    request.set_request_id(request_id);
    return request;
  }
  grpc::Status Report(const v1::ReportMessagesRequest& request, const std::string& token,
                      std::string* name = nullptr) {
    v1::ReportMessagesResponse response;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), token);
    const grpc::Status status =
        server_->Reports()->ReportMessages(context.get(), request, &response);
    if (name != nullptr) *name = response.report();
    return status;
  }
  // With the same keys and the same ledger.
  void Restart() {
    // What holds a connection would make the next one wait.
    groups_.reset();
    keys_.reset();
    StartServer();
  }
  double Waiting() { return server_->Metric("handrail_outbox_entries{receiver=\"profiles\"}"); }
};

TEST_F(ReportServiceTest, IsTakenOnceAndWaitsForProfiles) {
  auto request = Request("one");
  *request.add_messages() = Shown(Say("first"), "first");
  *request.add_messages() = Shown(Say("second"), "second");
  std::string name;
  const grpc::Status status = Report(request, Bob(), &name);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(name.substr(0, 8), "reports/");
  std::string again;
  ASSERT_TRUE(Report(request, Bob(), &again).ok());
  EXPECT_EQ(again, name);
  EXPECT_EQ(Waiting(), 1);
  Restart();
  EXPECT_EQ(Waiting(), 1);
  ASSERT_TRUE(Report(request, Bob(), &again).ok());
  EXPECT_EQ(again, name);
}

TEST_F(ReportServiceTest, WithoutProfilesItSaysAtTheStartThatReportsWait) {
  Mutex mutex;
  std::string lines;
  SetLogSinkForTest([&](absl::string_view line) {
    MutexLock lock(mutex);
    absl::StrAppend(&lines, line);
  });
  Restart();
  SetLogSinkForTest({});
  MutexLock lock(mutex);
  EXPECT_THAT(lines, ::testing::HasSubstr("profiles_not_configured"));
}

TEST_F(ReportServiceTest, TheStampOutlivesARestartAndTheMessage) {
  const v1::Envelope envelope = Say("first");
  Restart();
  auto request = Request("one");
  *request.add_messages() = Shown(envelope, "first");
  EXPECT_TRUE(Report(request, Bob()).ok());
}

TEST_F(ReportServiceTest, WhatIsForgedOrOnesOwnOrASecondTimeIsRefused) {
  using Message = handrail::common::v1::ReportedMessage;
  const Message first = Shown(Say("first"), "first");
  const Message second = Shown(Say("second"), "second");
  const std::vector<std::function<void(v1::ReportMessagesRequest&)>> faults = {
      [](auto& r) { r.mutable_messages(1)->set_content("never said"); },
      [](auto& r) { r.mutable_messages(1)->set_sequence(99); },
      [](auto& r) { r.mutable_messages(1)->mutable_create_time()->set_nanos(1); },
      [](auto& r) { r.mutable_messages(1)->set_franking_key("short"); },
      [](auto& r) { r.mutable_messages()->SwapElements(0, 1); },
      [&](auto& r) { *r.add_messages() = second; },
      [](auto& r) { r.clear_messages(); },
      [](auto& r) { r.clear_reason(); },
      [](auto& r) { r.set_reason(static_cast<handrail::common::v1::ReportReason>(77)); },
      [](auto& r) { r.set_note(std::string(2001, 'x')); },
  };
  for (size_t i = 0; i < faults.size(); ++i) {
    auto request = Request(absl::StrCat("request-", i));
    *request.add_messages() = first;
    *request.add_messages() = second;
    faults[i](request);
    EXPECT_EQ(Report(request, Bob()).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << i;
  }
  auto own = Request("own");
  *own.add_messages() = first;
  EXPECT_EQ(Report(own, Token(ann_, ann_phone_)).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Waiting(), 0);
}

}  // namespace
}  // namespace handrail::messaging
