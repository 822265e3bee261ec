#include "services/messaging/stores/sql_attachment_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/sha256_stream.h"
#include "services/messaging/domain/messages.h"
#include "services/messaging/stores/attachment_access.h"
#include "services/messaging/stores/membership.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Blob;
using storage::Row;
using storage::Rows;
using storage::Transaction;

constexpr int kUploading = static_cast<int>(AttachmentState::kUploading);
constexpr absl::string_view kNoConversation = "no such conversation";
constexpr absl::string_view kNoAttachment = "no such attachment";

// About 1 MiB.
constexpr int64_t kChunksAtOnce = 16;
constexpr int64_t kSweptChunks = 64;
constexpr int64_t kSweptAttachments = 32;
// Room comes back by the day; what was deleted is gone within minutes.
constexpr absl::Duration kRetryWhenFull = absl::Minutes(10);

absl::Status NotFound() {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message(kNoAttachment);
}

absl::Status Reused(absl::string_view text) {
  return Error(StatusCode::kFailedPrecondition, reason::kRequestIdReused).Message(text);
}

absl::Status Full(absl::string_view limit) {
  return Error(StatusCode::kResourceExhausted, reason::kAttachmentsFull)
      .Message("too many attachments are kept: delete some, or wait until older ones are gone")
      .Detail("limit", limit)
      .RetryAfter(kRetryWhenFull);
}

absl::Status Incomplete(int64_t first_missing) {
  return Error(StatusCode::kFailedPrecondition, reason::kAttachmentIncomplete)
      .Message("chunks of this attachment are missing")
      .Detail("first_missing", absl::StrCat(first_missing));
}

struct Stored {
  int64_t conversation_key = 0;
  MemberId member;
  Attachment attachment;
};

constexpr absl::string_view kSelectAttachment =
    "SELECT a.conversation_key, c.conversation_id, a.member_id, a.size, a.digest, a.state,"
    " a.expires_at FROM attachments a JOIN conversations c"
    " ON c.conversation_key = a.conversation_key"
    " WHERE a.attachment_key = $1 AND a.attachment_id = $2";

// What is there of this id, however old.
absl::StatusOr<std::optional<Stored>> Load(Transaction& tx, const AttachmentId& id) {
  ASSIGN_OR_RETURN(const Rows rows, tx.Query(kSelectAttachment, {KeyOf(id), id}));
  if (rows.empty()) return std::optional<Stored>();
  const Row& row = rows.front();
  Stored stored;
  stored.conversation_key = row.Int(0);
  stored.member = row.Id<MemberId>(2);
  stored.attachment.id = id;
  stored.attachment.conversation = row.Id<ConversationId>(1);
  stored.attachment.size = row.Int(3);
  stored.attachment.digest = std::string(row.Bytes(4));
  stored.attachment.state = static_cast<AttachmentState>(row.Int(5));
  stored.attachment.expire_time = row.Time(6);
  return std::optional<Stored>(std::move(stored));
}

// NOT_FOUND when there is none, or its time is over.
absl::StatusOr<Stored> LoadLive(Transaction& tx, absl::Time now, const AttachmentId& id) {
  ASSIGN_OR_RETURN(std::optional<Stored> stored, Load(tx, id));
  if (!stored.has_value() || stored->attachment.expire_time <= now) return NotFound();
  return *std::move(stored);
}

// The same of the caller's own, for somebody who may send.
absl::StatusOr<Stored> LoadOwn(Transaction& tx, absl::Time now, const AttachmentCaller& caller,
                               const AttachmentId& id) {
  ASSIGN_OR_RETURN(Stored stored, LoadLive(tx, now, id));
  if (stored.member != caller.member) return NotFound();
  RETURN_IF_ERROR(CheckMaySend(tx, caller, stored.conversation_key, kNoAttachment));
  return stored;
}

// The same for somebody who reads the conversation, and is not blocked with whose it is (M5). Of a
// group conversation the other has left then, and the attachment stays for the rest.
absl::StatusOr<Stored> LoadReadable(Transaction& tx, absl::Time now, const AttachmentCaller& caller,
                                    const AttachmentId& id) {
  ASSIGN_OR_RETURN(Stored stored, LoadLive(tx, now, id));
  const bool ready = stored.attachment.state == AttachmentState::kReady;
  if (!ready && stored.member != caller.member) return NotFound();
  RETURN_IF_ERROR(CheckMayRead(tx, caller, stored.conversation_key, kNoAttachment));
  ASSIGN_OR_RETURN(const bool blocked, AreBlocked(tx, stored.member, caller.member));
  if (blocked) return NotFound();
  return stored;
}

// And locked, so that the sweep and another finish come before or after.
absl::StatusOr<Stored> LockOwn(Transaction& tx, absl::Time now, const AttachmentCaller& caller,
                               const AttachmentId& id) {
  RETURN_IF_ERROR(
      tx.Query("SELECT state FROM attachments WHERE attachment_key = $1 {for_update}", {KeyOf(id)})
          .status());
  return LoadOwn(tx, now, caller, id);
}

absl::Status LoadStoredChunks(Transaction& tx, Attachment& attachment) {
  if (attachment.state == AttachmentState::kReady) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT chunk_index FROM attachment_chunks WHERE attachment_key = $1"
                            " ORDER BY chunk_index",
                            {KeyOf(attachment.id)}));
  for (const Row& row : rows) attachment.stored.push_back(row.Int(0));
  return absl::OkStatus();
}

// Makes room, or gives what was made before.
class BeginStep {
 public:
  BeginStep(Transaction& tx, absl::Time now, const AttachmentLimits& limits,
            const AttachmentCaller& caller, const NewAttachment& wanted)
      : tx_(tx), now_(now), limits_(limits), caller_(caller), wanted_(wanted) {}

  absl::StatusOr<Attachment> Run() {
    const int64_t conversation_key = KeyOf(wanted_.conversation);
    // Two that count the same bytes do it one after the other.
    RETURN_IF_ERROR(
        tx_.Query("SELECT version FROM members WHERE member_id = $1 {for_update}", {caller_.member})
            .status());
    ASSIGN_OR_RETURN(const Rows conversation, tx_.Query("SELECT conversation_id FROM conversations"
                                                        " WHERE conversation_key = $1 {for_update}",
                                                        {conversation_key}));
    RETURN_IF_ERROR(CheckMaySend(tx_, caller_, conversation_key, kNoConversation));
    if (conversation.front().Id<ConversationId>(0) != wanted_.conversation) {
      return Error(StatusCode::kNotFound, reason::kNotFound).Message(kNoConversation);
    }
    ASSIGN_OR_RETURN(std::optional<Stored> known, Load(tx_, wanted_.id));
    if (known.has_value()) return Repeat(*std::move(known));
    RETURN_IF_ERROR(CheckRoom());
    return Insert();
  }

 private:
  absl::StatusOr<Attachment> Repeat(Stored known) {
    Attachment& attachment = known.attachment;
    if (known.member != caller_.member || attachment.conversation != wanted_.conversation ||
        attachment.size != wanted_.size || attachment.digest != wanted_.digest) {
      return Reused("this attachment_id was used for another attachment");
    }
    if (attachment.expire_time <= now_) return Reused("the attachment of this id is gone");
    RETURN_IF_ERROR(LoadStoredChunks(tx_, attachment));
    return std::move(attachment);
  }

  absl::Status CheckRoom() {
    ASSIGN_OR_RETURN(
        const Rows mine,
        tx_.Query("SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS {int}),"
                  " CAST(COALESCE(SUM(CASE WHEN state = 1 THEN 1 ELSE 0 END), 0) AS {int})"
                  " FROM attachments WHERE member_id = $1",
                  {caller_.member}));
    if (mine.front().Int(0) >= limits_.member_count) return Full("member_count");
    if (mine.front().Int(1) + wanted_.size > limits_.member_bytes) return Full("member_bytes");
    if (mine.front().Int(2) >= limits_.member_uploads) return Full("member_uploads");
    ASSIGN_OR_RETURN(const Rows all,
                     tx_.Query("SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS {int})"
                               " FROM attachments WHERE conversation_key = $1",
                               {KeyOf(wanted_.conversation)}));
    if (all.front().Int(0) >= limits_.conversation_count) return Full("conversation_count");
    if (all.front().Int(1) + wanted_.size > limits_.conversation_bytes) {
      return Full("conversation_bytes");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Attachment> Insert() {
    Attachment attachment;
    attachment.id = wanted_.id;
    attachment.conversation = wanted_.conversation;
    attachment.size = wanted_.size;
    attachment.digest = wanted_.digest;
    attachment.expire_time = now_ + limits_.keep_unfinished;
    ASSIGN_OR_RETURN(
        const int64_t inserted,
        tx_.Execute("INSERT INTO attachments (attachment_key, attachment_id, conversation_key,"
                    " member_id, size, digest, state, expires_at)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                    {KeyOf(wanted_.id), wanted_.id, KeyOf(wanted_.conversation), caller_.member,
                     wanted_.size, Blob{wanted_.digest}, kUploading, attachment.expire_time}));
    // Somebody else's at this very moment, or another id of the same key.
    if (inserted == 0) return Reused("this attachment_id was used for another attachment");
    return attachment;
  }

  Transaction& tx_;
  const absl::Time now_;
  const AttachmentLimits& limits_;
  const AttachmentCaller& caller_;
  const NewAttachment& wanted_;
};

// The lowest index of which there is no chunk; `count` when all are there.
int64_t FirstMissing(const std::vector<int64_t>& stored, int64_t count) {
  int64_t next = 0;
  for (const int64_t index : stored) {
    if (index != next) break;
    ++next;
  }
  return std::min(next, count);
}

// Removes up to `room` chunks of an attachment whose time is over, and it with the last of them.
absl::Status SweepOne(Transaction& tx, int64_t key, int64_t& room, AttachmentSweep& sweep) {
  // From here on it is gone for a replica whose clock is behind, too: it must not be finished while
  // it loses its chunks.
  RETURN_IF_ERROR(tx.Execute("UPDATE attachments SET expires_at = 0 WHERE attachment_key = $1"
                             " AND expires_at > 0",
                             {key})
                      .status());
  ASSIGN_OR_RETURN(const Rows chunks,
                   tx.Query("SELECT chunk_index FROM attachment_chunks WHERE attachment_key = $1"
                            " ORDER BY chunk_index LIMIT $2",
                            {key, room}));
  if (!chunks.empty()) {
    ASSIGN_OR_RETURN(const int64_t removed,
                     tx.Execute("DELETE FROM attachment_chunks WHERE attachment_key = $1"
                                " AND chunk_index <= $2",
                                {key, chunks.back().Int(0)}));
    sweep.chunks += removed;
  }
  const bool all = static_cast<int64_t>(chunks.size()) < room;
  room -= static_cast<int64_t>(chunks.size());
  if (!all) return absl::OkStatus();
  ++sweep.attachments;
  return tx.Execute("DELETE FROM attachments WHERE attachment_key = $1", {key}).status();
}

}  // namespace

absl::StatusOr<Attachment> SqlAttachmentStore::Begin(absl::Time deadline, absl::Time now,
                                                     const AttachmentCaller& caller,
                                                     const NewAttachment& attachment) {
  Attachment begun;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(begun, BeginStep(tx, now, limits_, caller, attachment).Run());
    return absl::OkStatus();
  }));
  return begun;
}

absl::Status SqlAttachmentStore::PutChunk(absl::Time deadline, absl::Time now,
                                          const AttachmentCaller& caller, const AttachmentId& id,
                                          int64_t index, const std::string& bytes) {
  return database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const Stored stored, LockOwn(tx, now, caller, id));
    const int64_t size = stored.attachment.size;
    if (index < 0 || index >= limits_.ChunkCount(size)) {
      return FieldError("index", "is beyond the last chunk");
    }
    const int64_t expected = limits_.ChunkSize(size, index);
    if (static_cast<int64_t>(bytes.size()) != expected) {
      return FieldError("data", absl::StrCat("must be ", expected, " bytes"));
    }
    ASSIGN_OR_RETURN(const Rows known, tx.Query("SELECT bytes FROM attachment_chunks"
                                                " WHERE attachment_key = $1 AND chunk_index = $2",
                                                {KeyOf(id), index}));
    if (!known.empty()) {
      if (known.front().Bytes(0) == absl::string_view(bytes)) return absl::OkStatus();
      return Reused("another chunk was put at this index");
    }
    return tx
        .Execute(
            "INSERT INTO attachment_chunks (attachment_key, chunk_index, bytes)"
            " VALUES ($1, $2, $3)",
            {KeyOf(id), index, Blob{bytes}})
        .status();
  });
}

absl::StatusOr<Attachment> SqlAttachmentStore::Get(absl::Time deadline, absl::Time now,
                                                   const AttachmentCaller& caller,
                                                   const AttachmentId& id) {
  Attachment attachment;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(Stored stored, LoadReadable(tx, now, caller, id));
    RETURN_IF_ERROR(LoadStoredChunks(tx, stored.attachment));
    attachment = std::move(stored.attachment);
    return absl::OkStatus();
  }));
  return attachment;
}

absl::StatusOr<std::string> SqlAttachmentStore::DigestOf(absl::Time deadline,
                                                         const Attachment& attachment) {
  crypto::Sha256Stream digest;
  const int64_t count = limits_.ChunkCount(attachment.size);
  for (int64_t from = 0; from < count; from += kChunksAtOnce) {
    const int64_t to = std::min(from + kChunksAtOnce, count);
    Rows rows;
    RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
      ASSIGN_OR_RETURN(rows,
                       tx.Query("SELECT bytes FROM attachment_chunks WHERE attachment_key = $1"
                                " AND chunk_index >= $2 AND chunk_index < $3 ORDER BY chunk_index",
                                {KeyOf(attachment.id), from, to}));
      return absl::OkStatus();
    }));
    // All were there before: only the sweep takes any away.
    if (static_cast<int64_t>(rows.size()) != to - from) return NotFound();
    for (const Row& row : rows) digest.Add(row.Bytes(0));
  }
  return digest.Finish();
}

absl::StatusOr<Attachment> SqlAttachmentStore::Finish(absl::Time deadline, absl::Time now,
                                                      const AttachmentCaller& caller,
                                                      const AttachmentId& id) {
  Attachment attachment;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(Stored stored, LoadOwn(tx, now, caller, id));
    attachment = std::move(stored.attachment);
    return LoadStoredChunks(tx, attachment);
  }));
  if (attachment.state == AttachmentState::kReady) return attachment;
  const int64_t count = limits_.ChunkCount(attachment.size);
  const int64_t first_missing = FirstMissing(attachment.stored, count);
  if (first_missing < count) return Incomplete(first_missing);
  // Outside of any unit of work: chunks never change, so nothing has to be held meanwhile.
  ASSIGN_OR_RETURN(const std::string digest, DigestOf(deadline, attachment));
  const bool right = digest == attachment.digest;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(Stored stored, LockOwn(tx, now, caller, id));
    attachment = std::move(stored.attachment);
    if (attachment.state == AttachmentState::kReady) return absl::OkStatus();
    attachment.expire_time = right ? now + limits_.keep_finished : absl::UnixEpoch();
    attachment.state = right ? AttachmentState::kReady : AttachmentState::kUploading;
    return tx
        .Execute("UPDATE attachments SET state = $2, expires_at = $3 WHERE attachment_key = $1",
                 {KeyOf(id), static_cast<int>(attachment.state), attachment.expire_time})
        .status();
  }));
  if (attachment.state == AttachmentState::kReady) return attachment;
  return Error(StatusCode::kFailedPrecondition, reason::kAttachmentDigestWrong)
      .Message("what was stored is not what was announced; it was thrown away");
}

absl::StatusOr<std::string> SqlAttachmentStore::FetchChunk(absl::Time deadline, absl::Time now,
                                                           const AttachmentCaller& caller,
                                                           const AttachmentId& id, int64_t index) {
  std::string bytes;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const Stored stored, LoadReadable(tx, now, caller, id));
    if (stored.attachment.state != AttachmentState::kReady) return NotFound();
    ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT bytes FROM attachment_chunks"
                                               " WHERE attachment_key = $1 AND chunk_index = $2",
                                               {KeyOf(id), index}));
    if (rows.empty()) return NotFound();
    bytes = std::string(rows.front().Bytes(0));
    return absl::OkStatus();
  }));
  return bytes;
}

absl::Status SqlAttachmentStore::Delete(absl::Time deadline, const AttachmentCaller& caller,
                                        const AttachmentId& id) {
  return database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<Stored> stored, Load(tx, id));
    if (!stored.has_value() || stored->member != caller.member) return NotFound();
    RETURN_IF_ERROR(CheckParticipant(tx, caller, stored->conversation_key, kNoAttachment));
    return tx
        .Execute(
            "UPDATE attachments SET expires_at = 0 WHERE attachment_key = $1"
            " AND expires_at > 0",
            {KeyOf(id)})
        .status();
  });
}

absl::StatusOr<AttachmentSweep> SqlAttachmentStore::SweepSome(absl::Time deadline, absl::Time now) {
  AttachmentSweep sweep;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    sweep = AttachmentSweep();
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT attachment_key FROM attachments WHERE expires_at <= $1"
                              " ORDER BY expires_at, attachment_key LIMIT $2 {skip_locked}",
                              {now, kSweptAttachments}));
    int64_t room = kSweptChunks;
    for (const Row& row : rows) {
      if (room == 0) break;
      RETURN_IF_ERROR(SweepOne(tx, row.Int(0), room, sweep));
    }
    sweep.more = room == 0 || static_cast<int64_t>(rows.size()) == kSweptAttachments;
    return absl::OkStatus();
  }));
  return sweep;
}

}  // namespace handrail::messaging
