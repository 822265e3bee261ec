#include "services/messaging/domain/attachments.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/domain/known_device.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;

constexpr size_t kDigestBytes = 32;
// What a caller is told of who asks for something that they cannot have.
constexpr absl::string_view kConversation = "no such conversation";
constexpr absl::string_view kAttachment = "no such attachment";

}  // namespace

template <typename Step>
auto Attachments::KnowingDevice(const Call& call, absl::string_view what, Step step)
    -> decltype(step()) {
  return WithKnownDevice([&] { return learn_caller_(call); },
                         Error(StatusCode::kNotFound, reason::kNotFound).Message(what), step);
}

absl::StatusOr<Attachment> Attachments::Begin(const Call& call, const NewAttachment& attachment) {
  if (attachment.size < 1 || attachment.size > limits_.bytes) {
    return FieldError("size_bytes", absl::StrCat("must be 1 to ", limits_.bytes));
  }
  if (attachment.digest.size() != kDigestBytes) {
    return FieldError("digest", "must be the 32 bytes of a SHA-256");
  }
  auto begun = KnowingDevice(call, kConversation, [&] {
    return store_.Begin(call.deadline, clock_.Now(), {call.who.member, call.who.device},
                        attachment);
  });
  meter_.OnBegun(begun.status());
  return begun;
}

absl::Status Attachments::PutChunk(const Call& call, const AttachmentId& id, int64_t index,
                                   const std::string& bytes) {
  const absl::Status put = KnowingDevice(call, kAttachment, [&] {
    return store_.PutChunk(call.deadline, clock_.Now(), {call.who.member, call.who.device}, id,
                           index, bytes);
  });
  if (put.ok()) meter_.OnStored(static_cast<int64_t>(bytes.size()));
  return put;
}

absl::StatusOr<Attachment> Attachments::Get(const Call& call, const AttachmentId& id) {
  return KnowingDevice(call, kAttachment, [&] {
    return store_.Get(call.deadline, clock_.Now(), {call.who.member, call.who.device}, id);
  });
}

absl::StatusOr<Attachment> Attachments::Finish(const Call& call, const AttachmentId& id) {
  auto finished = KnowingDevice(call, kAttachment, [&] {
    return store_.Finish(call.deadline, clock_.Now(), {call.who.member, call.who.device}, id);
  });
  meter_.OnFinished(finished.status());
  return finished;
}

absl::StatusOr<std::string> Attachments::FetchChunk(const Call& call, const AttachmentId& id,
                                                    int64_t index) {
  auto bytes = KnowingDevice(call, kAttachment, [&] {
    return store_.FetchChunk(call.deadline, clock_.Now(), {call.who.member, call.who.device}, id,
                             index);
  });
  if (bytes.ok()) meter_.OnFetched(static_cast<int64_t>(bytes->size()));
  return bytes;
}

absl::Status Attachments::Delete(const Call& call, const AttachmentId& id) {
  return KnowingDevice(call, kAttachment, [&] {
    return store_.Delete(call.deadline, {call.who.member, call.who.device}, id);
  });
}

}  // namespace handrail::messaging
