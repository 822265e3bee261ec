// AttachmentService over real gRPC: an upload that goes on after the service was killed, who
// fetches what, and what the edge lets through.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/crypto/hash.h"
#include "common/rpc/status_conversion.h"
#include "services/messaging/testing/running_messaging.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;

class AttachmentServiceTest : public MessagingIntegrationTest {
 protected:
  void SetUp() override { attachments_ = server_->Attachments(); }
  std::string Ann() { return Token(ann_, ann_phone_); }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::AttachmentService::Stub::*method)(grpc::ClientContext*,
                                                                        const Request&, Response*),
                    const std::string& token, const Request& request, Response* response) {
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), token);
    return ((*attachments_).*method)(context.get(), request, response);
  }
  v1::BeginAttachmentRequest Announce(const std::string& content) {
    v1::BeginAttachmentRequest request;
    request.set_conversation(conversation_);
    request.set_attachment_id(AttachmentId::Random(random_).ToString());
    request.set_size_bytes(static_cast<int64_t>(content.size()));
    request.set_digest(crypto::Sha256(content));
    return request;
  }
  grpc::Status Begin(const v1::BeginAttachmentRequest& request, v1::Attachment* attachment) {
    return Call(&v1::AttachmentService::Stub::BeginAttachment, Ann(), request, attachment);
  }
  grpc::Status Put(const std::string& name, int32_t index, const std::string& data) {
    v1::PutAttachmentChunkRequest request;
    request.set_attachment(name);
    request.set_index(index);
    request.set_data(data);
    v1::PutAttachmentChunkResponse response;
    return Call(&v1::AttachmentService::Stub::PutAttachmentChunk, Ann(), request, &response);
  }
  grpc::Status Finish(const std::string& name, v1::Attachment* attachment) {
    v1::FinishAttachmentRequest request;
    request.set_name(name);
    return Call(&v1::AttachmentService::Stub::FinishAttachment, Ann(), request, attachment);
  }
  grpc::Status Fetch(const std::string& token, const std::string& name, int32_t index,
                     std::string* data) {
    v1::FetchAttachmentChunkRequest request;
    request.set_attachment(name);
    request.set_index(index);
    v1::FetchAttachmentChunkResponse response;
    const grpc::Status status =
        Call(&v1::AttachmentService::Stub::FetchAttachmentChunk, token, request, &response);
    *data = response.data();
    return status;
  }
  static std::string Reason(const grpc::Status& status) {
    return ReasonOf(rpc::FromGrpcStatus(status));
  }

  std::unique_ptr<v1::AttachmentService::Stub> attachments_;
};

TEST_F(AttachmentServiceTest, AnUploadGoesOnAfterARestartAndIsFetched) {
  std::string content;
  for (int i = 0; i < 150'000; ++i) content.push_back(static_cast<char>(i * 17 >> 3));
  v1::Attachment attachment;
  const v1::BeginAttachmentRequest announced = Announce(content);
  grpc::Status status = Begin(announced, &attachment);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(attachment.name(), "attachments/" + announced.attachment_id());
  EXPECT_EQ(attachment.state(), v1::ATTACHMENT_STATE_UPLOADING);
  ASSERT_EQ(attachment.chunk_bytes(), 65536);
  ASSERT_EQ(attachment.chunk_count(), 3);
  ASSERT_TRUE(Put(attachment.name(), 0, content.substr(0, 65536)).ok());
  ASSERT_TRUE(Put(attachment.name(), 2, content.substr(131072)).ok());

  StartServer();
  attachments_ = server_->Attachments();
  ASSERT_TRUE(Begin(announced, &attachment).ok());
  EXPECT_THAT(attachment.stored_chunks(), ElementsAre(0, 2));
  EXPECT_EQ(Reason(Finish(attachment.name(), &attachment)), "ATTACHMENT_INCOMPLETE");
  ASSERT_TRUE(
      Put("attachments/" + announced.attachment_id(), 1, content.substr(65536, 65536)).ok());
  std::string data;
  const std::string name = "attachments/" + announced.attachment_id();
  EXPECT_EQ(Reason(Fetch(Bob(), name, 0, &data)), "NOT_FOUND");
  ASSERT_TRUE(Finish(name, &attachment).ok());
  EXPECT_EQ(attachment.state(), v1::ATTACHMENT_STATE_READY);

  std::string fetched;
  for (int32_t index = 0; index < 3; ++index) {
    status = Fetch(Bob(), name, index, &data);
    ASSERT_TRUE(status.ok()) << status.error_message();
    fetched += data;
  }
  EXPECT_EQ(fetched, content);
  EXPECT_EQ(server_->Metric("handrail_messaging_attachments_finished_total{reason=\"OK\"}"), 1);
  EXPECT_EQ(server_->Metric("handrail_messaging_attachment_bytes_stored_total"), 65536);
  EXPECT_EQ(server_->Metric("handrail_messaging_attachment_bytes_fetched_total"), 150'000);
}

TEST_F(AttachmentServiceTest, AFullChunkPassesAndALargerOneDoesNot) {
  v1::Attachment attachment;
  ASSERT_TRUE(Begin(Announce(std::string(10 << 20, 'x')), &attachment).ok());
  EXPECT_EQ(attachment.chunk_count(), 160);
  const std::string full(65536, 'x');
  EXPECT_TRUE(Put(attachment.name(), 159, full).ok());
  EXPECT_EQ(Reason(Put(attachment.name(), 0, full + "x")), "FIELD_INVALID");
  EXPECT_EQ(Reason(Put(attachment.name(), 0, full.substr(1))), "FIELD_INVALID");
  EXPECT_EQ(Reason(Put(attachment.name(), 160, full)), "FIELD_INVALID");
  EXPECT_EQ(Reason(Put(attachment.name(), -1, full)), "FIELD_INVALID");
}

TEST_F(AttachmentServiceTest, WhatCannotBeIsRefusedAtOnce) {
  v1::Attachment attachment;
  v1::BeginAttachmentRequest request = Announce("x");
  request.set_size_bytes((10 << 20) + 1);
  EXPECT_EQ(Reason(Begin(request, &attachment)), "FIELD_INVALID");
  request.set_size_bytes(1);
  request.set_digest(std::string(31, 'x'));
  EXPECT_EQ(Reason(Begin(request, &attachment)), "FIELD_INVALID");
  request = Announce("x");
  request.set_attachment_id(std::string(32, 'G'));
  EXPECT_EQ(Reason(Begin(request, &attachment)), "FIELD_INVALID");
}

TEST_F(AttachmentServiceTest, AStrangerFindsNothingAndTheUploaderTakesItBack) {
  v1::Attachment attachment;
  ASSERT_TRUE(Begin(Announce("hello"), &attachment).ok());
  const std::string name = attachment.name();
  ASSERT_TRUE(Put(name, 0, "hello").ok());
  ASSERT_TRUE(Finish(name, &attachment).ok());
  const MemberId cat = MemberId::Random(random_);
  const DeviceId cat_phone = DeviceId::Random(random_);
  ApplyMember(cat, {cat_phone}, 1);
  std::string data;
  EXPECT_EQ(Reason(Fetch(Token(cat, cat_phone), name, 0, &data)), "NOT_FOUND");
  // Of this one profiles is asked, and has nothing to say here.
  const grpc::Status unknown = Fetch(Token(cat, DeviceId::Random(random_)), name, 0, &data);
  EXPECT_FALSE(unknown.ok());
  EXPECT_TRUE(data.empty());

  v1::DeleteAttachmentRequest remove;
  remove.set_name(name);
  v1::DeleteAttachmentResponse removed;
  const auto delete_method = &v1::AttachmentService::Stub::DeleteAttachment;
  EXPECT_EQ(Reason(Call(delete_method, Bob(), remove, &removed)), "NOT_FOUND");
  ASSERT_TRUE(Fetch(Bob(), name, 0, &data).ok());
  EXPECT_EQ(data, "hello");
  ASSERT_TRUE(Call(delete_method, Ann(), remove, &removed).ok());
  EXPECT_EQ(Reason(Fetch(Bob(), name, 0, &data)), "NOT_FOUND");
}

}  // namespace
}  // namespace handrail::messaging
