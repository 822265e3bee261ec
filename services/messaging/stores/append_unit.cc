#include "services/messaging/stores/append_unit.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/domain/groups.h"
#include "services/messaging/stores/refusals.h"
#include "services/messaging/stores/room.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Args;
using storage::Blob;
using storage::Row;
using storage::Rows;
using storage::Transaction;

// A conversation that is empty of messages is looked at by retention this long after its first one.
constexpr absl::Duration kFirstRetentionLook = absl::Hours(1);

absl::Status NotFound() {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message("no such conversation");
}

struct DeviceRow {
  DeviceId device;
  MemberId member;
  bool can_send = false;
  int64_t reached = 0;  // acknowledged, or given up
};

struct ConversationRow {
  ConversationId id;
  bool open = false;
  int64_t head = 0;
  int64_t stored_head = 0;
  int64_t first = 1;
  int64_t kept_bytes = 0;
  bool was_empty = false;
  absl::Time retention_at;
  int64_t epoch = 0;
  std::string group_id;               // empty when there is no group
  std::string commitment;             // of the last stamped message; empty when there is none
  std::vector<DeviceRow> devices;     // that read now
  std::optional<int64_t> room_until;  // the last sequence that every counting device has room for
  CommittedMessages committed;
};

// A message that is stored already, or about to be.
struct Known {
  int64_t conversation_key = 0;
  int64_t sequence = 0;
  absl::Time create_time;
  std::string stored_payload;  // when it was stored before
  EnvelopePtr fresh;           // when it is of this batch

  absl::string_view payload() const {
    return fresh == nullptr ? absl::string_view(stored_payload) : fresh->payload;
  }
};

using KnownKey = std::pair<MessageId, int64_t>;  // message, sender

class AppendRun {
 public:
  AppendRun(Transaction& tx, const Limits& limits, const Franker* franker, absl::Time now,
            absl::Span<const Append* const> appends, AppendOutcome& outcome)
      : tx_(tx),
        limits_(limits),
        franker_(franker),
        now_(now),
        appends_(appends),
        outcome_(outcome) {}

  absl::Status Run() {
    outcome_ = AppendOutcome();
    RETURN_IF_ERROR(Load());
    for (const Append* append : appends_) {
      ASSIGN_OR_RETURN(auto result, Decide(*append));
      outcome_.results.push_back(std::move(result));
    }
    RETURN_IF_ERROR(InsertMessages());
    RETURN_IF_ERROR(RaiseHeads());
    for (auto& [key, conversation] : conversations_) {
      if (conversation.committed.envelopes.empty()) continue;
      outcome_.committed.push_back(std::move(conversation.committed));
    }
    return absl::OkStatus();
  }

 private:
  // Locks the conversations, and reads them, their devices, and which messages are there already.
  absl::Status Load();
  void ReadConversations(const Rows& rows);
  void ReadDevices(const Rows& rows);
  void ReadKnown(const Rows& rows);
  // A Status is a failed statement; the inner one is this append's own answer.
  absl::StatusOr<absl::StatusOr<Appended>> Decide(const Append& append);
  absl::StatusOr<absl::Status> Permission(const Append& append,
                                          const ConversationRow& conversation);
  absl::StatusOr<absl::Status> WhyNotLive(const DeviceId& device,
                                          const ConversationRow& conversation);
  // Stamps an envelope that has its place, after the one before it in the conversation.
  void Stamp(absl::string_view commitment, ConversationRow& conversation, Envelope& envelope) const;
  absl::StatusOr<int64_t> RoomUntil(ConversationRow& conversation);
  absl::StatusOr<bool> IsSilent(const DeviceId& device);
  absl::Status InsertMessages();
  absl::Status RaiseHeads();

  // The keys of the batch's conversations, padded by repeating the last.
  Args PaddedKeys() const;

  Transaction& tx_;
  const Limits& limits_;
  const Franker* const franker_;
  const absl::Time now_;
  const absl::Span<const Append* const> appends_;
  AppendOutcome& outcome_;
  std::map<int64_t, ConversationRow> conversations_;  // in key order
  absl::flat_hash_map<KnownKey, Known> known_;
  std::vector<std::pair<int64_t, EnvelopePtr>> fresh_;
};

// One text for each padded size, made once.
using MakeText = std::string(size_t);
template <MakeText& make>
const std::string& TextOfSize(size_t size) {
  static const auto* const texts = [] {
    auto* made = new std::map<size_t, std::string>;
    for (size_t n = 1; n <= 1024; n *= 2) made->emplace(n, make(n));
    return made;
  }();
  return texts->at(size);
}

std::string LockText(size_t n) {
  return absl::StrCat(
      "SELECT conversation_key, conversation_id, state, head_sequence, first_sequence,"
      " retention_at, epoch, group_id, kept_bytes, last_commitment FROM conversations"
      " WHERE conversation_key IN (",
      Parameters(1, n), ") ORDER BY conversation_key {for_update}");
}

std::string DevicesText(size_t n) {
  return absl::StrCat(
      "SELECT conversation_key, device_id, member_id, can_send, acked_sequence, skipped_sequence"
      " FROM conversation_devices WHERE conversation_key IN (",
      Parameters(1, n), ") AND end_sequence IS NULL");
}

std::string KnownText(size_t n) {
  return absl::StrCat(
      "SELECT message_id, sender_key, conversation_key, sequence, created_at, payload"
      " FROM messages WHERE message_id IN (",
      Parameters(1, n), ")");
}

constexpr size_t kMessageColumns = 8;

std::string InsertText(size_t n) {
  std::string text =
      "INSERT INTO messages (conversation_key, sequence, sender_key, sender_device, message_id,"
      " created_at, payload, franking) VALUES ";
  for (size_t i = 0; i < n; ++i) {
    absl::StrAppend(&text, i == 0 ? "(" : ", (",
                    Parameters(1 + i * kMessageColumns, kMessageColumns), ")");
  }
  return text;
}

std::string RaiseText(size_t n) {
  std::string text =
      "UPDATE conversations SET head_sequence = v.column2, retention_at = v.column3,"
      " kept_bytes = v.column4, last_commitment = v.column5 FROM (VALUES ";
  for (size_t i = 0; i < n; ++i) {
    const size_t p = 1 + i * 5;
    absl::StrAppend(&text, i == 0 ? "(" : ", (");
    for (size_t column = 0; column < 4; ++column) {
      absl::StrAppend(&text, "CAST($", p + column, " AS {int}), ");
    }
    absl::StrAppend(&text, "CAST($", p + 4, " AS {blob}))");
  }
  return absl::StrCat(text, ") AS v WHERE conversation_key = v.column1");
}

Args AppendRun::PaddedKeys() const {
  Args keys;
  for (const auto& [key, conversation] : conversations_) keys.emplace_back(key);
  const storage::Value last = keys.back();
  keys.resize(PaddedCount(keys.size()), last);
  return keys;
}

absl::Status AppendRun::Load() {
  for (const Append* append : appends_) conversations_.try_emplace(KeyOf(append->conversation));
  const Args keys = PaddedKeys();
  Args ids;
  for (const Append* append : appends_) ids.emplace_back(append->message_id);
  const storage::Value last = ids.back();
  ids.resize(PaddedCount(ids.size()), last);
  // Each sees what was committed before it began, so the second and third see nothing from before
  // the locks of the first.
  ASSIGN_OR_RETURN(const std::vector<Rows> answers,
                   tx_.QueryAll({{TextOfSize<LockText>(keys.size()), keys},
                                 {TextOfSize<DevicesText>(keys.size()), keys},
                                 {TextOfSize<KnownText>(ids.size()), ids}}));
  ReadConversations(answers[0]);
  ReadDevices(answers[1]);
  ReadKnown(answers[2]);
  return absl::OkStatus();
}

void AppendRun::ReadConversations(const Rows& rows) {
  for (const Row& row : rows) {
    ConversationRow& conversation = conversations_[row.Int(0)];
    conversation.id = row.Id<ConversationId>(1);
    conversation.open = row.Int(2) == static_cast<int64_t>(ConversationState::kOpen);
    conversation.head = conversation.stored_head = row.Int(3);
    conversation.first = row.Int(4);
    conversation.was_empty = row.Int(4) > row.Int(3);
    conversation.retention_at = row.Time(5);
    conversation.epoch = row.Int(6);
    if (!row.IsNull(7)) conversation.group_id = std::string(row.Bytes(7));
    conversation.kept_bytes = row.Int(8);
    if (!row.IsNull(9)) conversation.commitment = std::string(row.Bytes(9));
  }
}

void AppendRun::ReadDevices(const Rows& rows) {
  for (const Row& row : rows) {
    ConversationRow& conversation = conversations_[row.Int(0)];
    DeviceRow& device = conversation.devices.emplace_back();
    device.device = row.Id<DeviceId>(1);
    device.member = row.Id<MemberId>(2);
    device.can_send = row.Bool(3);
    device.reached = std::max(row.Int(4), row.Int(5));
    conversation.committed.recipients.push_back(device.device);
  }
}

void AppendRun::ReadKnown(const Rows& rows) {
  for (const Row& row : rows) {
    known_[KnownKey(row.Id<MessageId>(0), row.Int(1))] =
        Known{row.Int(2), row.Int(3), row.Time(4), std::string(row.Bytes(5)), nullptr};
  }
}

absl::StatusOr<absl::Status> AppendRun::Permission(const Append& append,
                                                   const ConversationRow& conversation) {
  if (conversation.id != append.conversation) return NotFound();
  for (const DeviceRow& device : conversation.devices) {
    if (device.device != append.device) continue;
    if (device.member != append.member) return NotFound();
    if (!device.can_send) {
      return Error(StatusCode::kFailedPrecondition, reason::kMemberSuspended)
          .Message("sending is suspended for this member")
          .ToStatus();
    }
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Rows once, tx_.Query("SELECT member_id FROM conversation_devices"
                                              " WHERE conversation_key = $1 AND device_id = $2",
                                              {KeyOf(conversation.id), append.device}));
  if (!once.empty() && once.front().Id<MemberId>(0) == append.member) {
    return WhyNotLive(append.device, conversation);
  }
  ASSIGN_OR_RETURN(const Rows rows,
                   tx_.Query("SELECT 1 FROM devices WHERE device_id = $1", {append.device}));
  if (!rows.empty()) return NotFound();
  return Error(StatusCode::kNotFound, kDeviceUnknown).Message("no such conversation").ToStatus();
}

absl::StatusOr<absl::Status> AppendRun::WhyNotLive(const DeviceId& device,
                                                   const ConversationRow& conversation) {
  ASSIGN_OR_RETURN(const Rows left, tx_.Query("SELECT 1 FROM conversation_devices"
                                              " WHERE conversation_key = $1 AND device_id = $2"
                                              " AND departed = 1",
                                              {KeyOf(conversation.id), device}));
  if (!left.empty()) return ConversationIsClosed();
  if (!conversation.group_id.empty()) {
    ASSIGN_OR_RETURN(
        const Rows rows,
        tx_.Query("SELECT 1 FROM devices WHERE device_id = $1 AND revoked = 0", {device}));
    if (!rows.empty()) {
      return DeviceNotInGroup();
    }
  }
  return DeviceRemoved();
}

absl::StatusOr<absl::StatusOr<Appended>> AppendRun::Decide(const Append& append) {
  using Result = absl::StatusOr<Appended>;
  const int64_t key = KeyOf(append.conversation);
  const int64_t sender_key = KeyOf(append.member);
  ConversationRow& conversation = conversations_[key];
  ASSIGN_OR_RETURN(const absl::Status permission, Permission(append, conversation));
  // A repeated send gets its first answer whatever has become of the conversation since.
  const KnownKey known_key(append.message_id, sender_key);
  if (const auto known = known_.find(known_key); known != known_.end()) {
    if (!permission.ok() && absl::IsNotFound(permission)) return Result(permission);
    if (known->second.conversation_key == key && known->second.payload() == append.payload) {
      return Result(Appended{known->second.sequence, known->second.create_time});
    }
    return Result(Error(StatusCode::kFailedPrecondition, reason::kRequestIdReused)
                      .Message("this message_id was used with another message"));
  }
  if (!permission.ok()) return Result(permission);
  if (!conversation.open) {
    return Result(ConversationIsClosed());
  }
  auto message = GroupMessage{EnvelopeKind::kOpaque, 0, {}};
  if (!conversation.group_id.empty()) {
    const GroupPlace place{conversation.group_id, conversation.epoch, conversation.head};
    const auto admitted = AdmitGroupMessage(append.payload, place, GroupLimits());
    if (!admitted.ok()) return Result(admitted.status());
    message = *admitted;
  }
  const Kept kept{conversation.head + 1 - conversation.first, conversation.kept_bytes};
  if (IsKeptFull(limits_, kept, append.payload)) return Result(KeptFull());
  if (!conversation.room_until.has_value()) {
    ASSIGN_OR_RETURN(conversation.room_until, RoomUntil(conversation));
  }
  if (conversation.head + 1 > *conversation.room_until) {
    return Result(BacklogFull());
  }
  auto envelope = std::make_shared<Envelope>();
  envelope->conversation = append.conversation;
  envelope->sequence = ++conversation.head;
  envelope->sender = append.member;
  envelope->sender_device = append.device;
  envelope->message_id = append.message_id;
  envelope->payload = append.payload;
  envelope->create_time = now_;
  envelope->kind = message.kind;
  envelope->epoch = message.epoch;
  conversation.kept_bytes += static_cast<int64_t>(append.payload.size());
  Stamp(message.commitment, conversation, *envelope);
  known_[known_key] = Known{key, envelope->sequence, now_, std::string(), envelope};
  conversation.committed.conversation = append.conversation;
  conversation.committed.envelopes.push_back(envelope);
  const Appended appended{envelope->sequence, now_};
  fresh_.emplace_back(key, std::move(envelope));
  return Result(appended);
}

void AppendRun::Stamp(absl::string_view commitment, ConversationRow& conversation,
                      Envelope& envelope) const {
  if (franker_ == nullptr || commitment.empty()) return;
  StampedMessage message;
  message.commitment = std::string(commitment);
  message.sender = envelope.sender;
  message.sender_device = envelope.sender_device;
  message.conversation = envelope.conversation;
  message.sequence = envelope.sequence;
  message.create_time = envelope.create_time;
  message.previous_commitment =
      conversation.commitment.empty() ? NoCommitment() : conversation.commitment;
  envelope.franking = franker_->Stamp(message);
  conversation.commitment = std::move(message.commitment);
}

absl::StatusOr<int64_t> AppendRun::RoomUntil(ConversationRow& conversation) {
  int64_t room_until = std::numeric_limits<int64_t>::max();
  for (const DeviceRow& device : conversation.devices) {
    const int64_t last = device.reached + limits_.backlog_messages;
    if (last >= room_until) continue;
    // Only a device that is (nearly) full is worth the question whether it still counts.
    if (last < conversation.head + static_cast<int64_t>(appends_.size())) {
      ASSIGN_OR_RETURN(const bool silent, IsSilent(device.device));
      if (silent) continue;
    }
    room_until = last;
  }
  return room_until;
}

absl::StatusOr<bool> AppendRun::IsSilent(const DeviceId& device) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx_.Query("SELECT last_seen_at FROM devices WHERE device_id = $1", {device}));
  return rows.empty() || rows.front().Time(0) <= now_ - limits_.silent_after;
}

absl::Status AppendRun::InsertMessages() {
  constexpr size_t kLargestChunk = 64;
  size_t done = 0;
  while (done < fresh_.size()) {
    size_t count = kLargestChunk;
    while (count > fresh_.size() - done) count /= 2;
    Args args;
    args.reserve(count * kMessageColumns);
    for (size_t i = done; i < done + count; ++i) {
      const auto& [key, envelope] = fresh_[i];
      args.emplace_back(key);
      args.emplace_back(envelope->sequence);
      args.emplace_back(KeyOf(envelope->sender));
      args.emplace_back(envelope->sender_device);
      args.emplace_back(envelope->message_id);
      args.emplace_back(envelope->create_time);
      args.emplace_back(Blob{envelope->payload});
      args.emplace_back(envelope->franking.has_value()
                            ? storage::Value(Blob{EncodeFranking(*envelope->franking)})
                            : storage::Value(storage::Null()));
    }
    RETURN_IF_ERROR(tx_.Later(TextOfSize<InsertText>(count), args));
    done += count;
  }
  return absl::OkStatus();
}

absl::Status AppendRun::RaiseHeads() {
  std::vector<std::pair<int64_t, const ConversationRow*>> raised;
  for (const auto& [key, conversation] : conversations_) {
    if (conversation.head > conversation.stored_head) raised.emplace_back(key, &conversation);
  }
  if (raised.empty()) return absl::OkStatus();
  raised.resize(PaddedCount(raised.size()), raised.back());
  Args args;
  for (const auto& [key, conversation] : raised) {
    args.emplace_back(key);
    args.emplace_back(conversation->head);
    args.emplace_back(conversation->was_empty
                          ? std::min(conversation->retention_at, now_ + kFirstRetentionLook)
                          : conversation->retention_at);
    args.emplace_back(conversation->kept_bytes);
    args.emplace_back(conversation->commitment.empty()
                          ? storage::Value(storage::Null())
                          : storage::Value(Blob{conversation->commitment}));
  }
  return tx_.Later(TextOfSize<RaiseText>(raised.size()), args);
}

}  // namespace

absl::Status RunAppends(Transaction& tx, const Limits& limits, const Franker* franker,
                        absl::Time now, absl::Span<const Append* const> appends,
                        AppendOutcome& outcome) {
  return AppendRun(tx, limits, franker, now, appends, outcome).Run();
}

std::string EncodeFranking(const Franking& franking) {
  return absl::StrCat(franking.stamp, franking.previous_commitment, franking.key_id);
}

Franking DecodeFranking(absl::string_view bytes) {
  constexpr size_t kStampBytes = 32;
  return {std::string(bytes.substr(0, kStampBytes)),
          std::string(bytes.substr(kStampBytes, kCommitmentBytes)),
          std::string(bytes.substr(kStampBytes + kCommitmentBytes))};
}

}  // namespace handrail::messaging
