#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_ATTACHMENTS_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_ATTACHMENTS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "services/messaging/domain/attachment_meter.h"

// Ciphertext of files, beside the messages of a conversation. What it is called and what it is,
// only the members know: that travels inside an encrypted message.
namespace handrail::messaging {

// Bounds of what is kept. Everything that is there counts, also what was deleted and not swept yet,
// so that they hold for the disk.
struct AttachmentLimits {
  int64_t bytes = 10 << 20;        // of one attachment
  int64_t chunk_bytes = 64 << 10;  // a request stays within what the edge takes
  int64_t member_bytes = 256 << 20;
  int64_t member_count = 256;
  int64_t member_uploads = 16;  // that are not finished
  int64_t conversation_bytes = 512 << 20;
  int64_t conversation_count = 512;
  // How long an upload may take, and how long a finished attachment is kept: as long as a message
  // that nobody has acknowledged.
  absl::Duration keep_unfinished = absl::Hours(24);
  absl::Duration keep_finished = absl::Hours(30 * 24);

  int64_t ChunkCount(int64_t size) const { return (size + chunk_bytes - 1) / chunk_bytes; }
  // Of the chunk at `index`, which must be below ChunkCount(size).
  int64_t ChunkSize(int64_t size, int64_t index) const {
    const int64_t left = size - index * chunk_bytes;
    return left < chunk_bytes ? left : chunk_bytes;
  }
};

enum class AttachmentState { kUploading = 1, kReady = 2 };

// What its uploader says of an attachment before the first chunk.
struct NewAttachment {
  AttachmentId id;
  ConversationId conversation;
  int64_t size = 0;    // of the ciphertext, in bytes
  std::string digest;  // SHA-256 of the ciphertext
};

struct Attachment {
  AttachmentId id;
  ConversationId conversation;
  int64_t size = 0;
  std::string digest;
  AttachmentState state = AttachmentState::kUploading;
  std::vector<int64_t> stored;  // indices of the chunks that are there, rising; empty once ready
  absl::Time expire_time;
};

// Who asks.
struct AttachmentCaller {
  MemberId member;
  DeviceId device;
};

struct AttachmentSweep {
  int64_t chunks = 0;       // that were removed
  int64_t attachments = 0;  // of which nothing is left
  bool more = false;
};

// The truth about attachments. Thread-safe. Every method may also give the errors of
// storage::Database. "Not yours" and "not there" are both NOT_FOUND / NOT_FOUND, and so is what has
// expired or was deleted, from that moment on. A caller whose device was never heard of gets
// NOT_FOUND / DEVICE_UNKNOWN; one who may not read the conversation now FAILED_PRECONDITION /
// CONVERSATION_CLOSED, DEVICE_NOT_IN_GROUP or PERMISSION_DENIED / DEVICE_REVOKED; one who must be
// able to send there, too, FAILED_PRECONDITION / MEMBER_SUSPENDED.
class AttachmentStore {
 public:
  virtual ~AttachmentStore() = default;

  // Idempotent by id. FAILED_PRECONDITION / REQUEST_ID_REUSED for another attachment, or one that
  // is gone; RESOURCE_EXHAUSTED / ATTACHMENTS_FULL with the detail `limit`.
  virtual absl::StatusOr<Attachment> Begin(absl::Time deadline, absl::Time now,
                                           const AttachmentCaller& caller,
                                           const NewAttachment& attachment) = 0;
  // OK means that the chunk is on disk. INVALID_ARGUMENT / FIELD_INVALID; FAILED_PRECONDITION /
  // REQUEST_ID_REUSED when other bytes are there.
  virtual absl::Status PutChunk(absl::Time deadline, absl::Time now, const AttachmentCaller& caller,
                                const AttachmentId& id, int64_t index,
                                const std::string& bytes) = 0;
  virtual absl::StatusOr<Attachment> Get(absl::Time deadline, absl::Time now,
                                         const AttachmentCaller& caller,
                                         const AttachmentId& id) = 0;
  // Reads all chunks, about 1 MiB at once, and compares the digest. FAILED_PRECONDITION /
  // ATTACHMENT_INCOMPLETE with the detail `first_missing`, or ATTACHMENT_DIGEST_WRONG, after which
  // the attachment is gone.
  virtual absl::StatusOr<Attachment> Finish(absl::Time deadline, absl::Time now,
                                            const AttachmentCaller& caller,
                                            const AttachmentId& id) = 0;
  virtual absl::StatusOr<std::string> FetchChunk(absl::Time deadline, absl::Time now,
                                                 const AttachmentCaller& caller,
                                                 const AttachmentId& id, int64_t index) = 0;
  virtual absl::Status Delete(absl::Time deadline, const AttachmentCaller& caller,
                              const AttachmentId& id) = 0;
  // Removes some of what nobody may have any more, at most 64 chunks.
  virtual absl::StatusOr<AttachmentSweep> SweepSome(absl::Time deadline, absl::Time now) = 0;
};

// What a device can do with attachments. Thread-safe; blocks until `call.deadline`.
class Attachments {
 public:
  // Asks profiles of the caller, of whom messaging was never told.
  using LearnCaller = std::function<absl::Status(const Call&)>;

  // All must outlive it.
  Attachments(AttachmentStore& store, const Clock& clock, const AttachmentLimits& limits,
              LearnCaller learn_caller, AttachmentMeter& meter)
      : store_(store),
        clock_(clock),
        limits_(limits),
        learn_caller_(std::move(learn_caller)),
        meter_(meter) {}

  const AttachmentLimits& limits() const { return limits_; }

  // INVALID_ARGUMENT / FIELD_INVALID for a size or digest that cannot be; and the codes of
  // AttachmentStore, here as below.
  absl::StatusOr<Attachment> Begin(const Call& call, const NewAttachment& attachment);
  absl::Status PutChunk(const Call& call, const AttachmentId& id, int64_t index,
                        const std::string& bytes);
  absl::StatusOr<Attachment> Get(const Call& call, const AttachmentId& id);
  absl::StatusOr<Attachment> Finish(const Call& call, const AttachmentId& id);
  absl::StatusOr<std::string> FetchChunk(const Call& call, const AttachmentId& id, int64_t index);
  absl::Status Delete(const Call& call, const AttachmentId& id);

 private:
  // Runs `step`; when the caller's device is unknown, asks profiles and runs it once more.
  template <typename Step>
  auto KnowingDevice(const Call& call, absl::string_view what, Step step) -> decltype(step());

  AttachmentStore& store_;
  const Clock& clock_;
  const AttachmentLimits limits_;
  const LearnCaller learn_caller_;
  AttachmentMeter& meter_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_ATTACHMENTS_H_
