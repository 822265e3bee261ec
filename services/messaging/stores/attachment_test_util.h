#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_ATTACHMENT_TEST_UTIL_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_ATTACHMENT_TEST_UTIL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/crypto/hash.h"
#include "services/messaging/stores/group_test_util.h"
#include "services/messaging/stores/sql_attachment_store.h"

namespace handrail::messaging {

// A GroupTest with a store of attachments of a few bytes. Ann's phone uploads.
class AttachmentTest : public GroupTest {
 protected:
  AttachmentTest() { OpenAttachments(SmallLimits()); }

  // Chunks of 4 bytes.
  static AttachmentLimits SmallLimits() {
    AttachmentLimits limits;
    limits.chunk_bytes = 4;
    limits.bytes = 400;
    return limits;
  }
  void OpenAttachments(const AttachmentLimits& limits) {
    attachment_limits_ = limits;
    attachments_ = std::make_unique<SqlAttachmentStore>(*database_, limits);
  }

  AttachmentCaller As(const DeviceId& device) const { return {MemberOf(device), device}; }
  NewAttachment Announce(const std::string& content) {
    return {AttachmentId::Random(random_), id_, static_cast<int64_t>(content.size()),
            crypto::Sha256(content)};
  }
  absl::StatusOr<Attachment> Begin(const NewAttachment& attachment) {
    return attachments_->Begin(kForever, clock_.Now(), As(ann_phone_), attachment);
  }
  absl::Status Put(const AttachmentId& id, int64_t index, const std::string& bytes) {
    return attachments_->PutChunk(kForever, clock_.Now(), As(ann_phone_), id, index, bytes);
  }
  // Puts every chunk of `content`, whatever was announced.
  void PutAll(const AttachmentId& id, const std::string& content) {
    const auto step = static_cast<size_t>(attachment_limits_.chunk_bytes);
    for (size_t at = 0; at < content.size(); at += step) {
      const absl::Status put = Put(id, static_cast<int64_t>(at / step), content.substr(at, step));
      ASSERT_TRUE(put.ok()) << put;
    }
  }
  absl::StatusOr<Attachment> Finish(const AttachmentId& id) {
    return attachments_->Finish(kForever, clock_.Now(), As(ann_phone_), id);
  }
  absl::StatusOr<Attachment> GetAs(const DeviceId& device, const AttachmentId& id) {
    return attachments_->Get(kForever, clock_.Now(), As(device), id);
  }
  absl::Status DeleteAs(const DeviceId& device, const AttachmentId& id) {
    return attachments_->Delete(kForever, As(device), id);
  }
  absl::StatusOr<std::string> FetchChunkAs(const DeviceId& device, const AttachmentId& id,
                                           int64_t index = 0) {
    return attachments_->FetchChunk(kForever, clock_.Now(), As(device), id, index);
  }
  // A finished attachment of Ann's.
  AttachmentId Upload(const std::string& content) {
    const NewAttachment announced = Announce(content);
    const auto begun = Begin(announced);
    EXPECT_TRUE(begun.ok()) << begun.status();
    PutAll(announced.id, content);
    const auto finished = Finish(announced.id);
    EXPECT_TRUE(finished.ok()) << finished.status();
    return announced.id;
  }
  // Sweeps until nothing is left to do; the number of attachments that went.
  int64_t SweepAll() {
    int64_t swept = 0;
    for (int i = 0; i < 1000; ++i) {
      const auto sweep = attachments_->SweepSome(kForever, clock_.Now());
      EXPECT_TRUE(sweep.ok()) << sweep.status();
      if (!sweep.ok()) break;
      swept += sweep->attachments;
      if (!sweep->more) break;
    }
    return swept;
  }

  AttachmentLimits attachment_limits_;
  std::unique_ptr<SqlAttachmentStore> attachments_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_ATTACHMENT_TEST_UTIL_H_
