#include "services/messaging/stores/device_view.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/macros.h"
#include "services/messaging/domain/groups.h"
#include "services/messaging/stores/append_unit.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using storage::Args;
using storage::Row;
using storage::Rows;

// Rows of up to 64 KiB each: a chunk is 2 MiB at most.
constexpr int64_t kChunk = 32;

constexpr absl::string_view kSelectViews =
    "SELECT c.conversation_key, c.conversation_id, c.state, c.blocked, c.created_at,"
    " c.head_sequence, c.first_sequence, d.member_id, d.start_sequence, d.end_sequence,"
    " d.acked_sequence, d.skipped_sequence, c.group_id, c.epoch, c.group_from, w.sequence,"
    " d.departed, c.revision, c.generation, c.kind"
    " FROM conversation_devices d JOIN conversations c ON c.conversation_key = d.conversation_key"
    " LEFT JOIN group_welcomes w ON w.conversation_key = d.conversation_key"
    " AND w.device_id = d.device_id"
    " WHERE d.device_id = $1";

DeviceView ViewOf(const Row& row) {
  DeviceView view;
  view.key = row.Int(0);
  view.conversation.id = row.Id<ConversationId>(1);
  view.conversation.state = static_cast<ConversationState>(row.Int(2));
  view.blocked = row.Bool(3);
  view.conversation.create_time = row.Time(4);
  view.conversation.head_sequence = row.Int(5);
  view.conversation.first_sequence = row.Int(6);
  view.member = row.Id<MemberId>(7);
  view.start_sequence = row.Int(8);
  view.live = row.IsNull(9);
  view.readable_to = view.live ? view.conversation.head_sequence : row.Int(9);
  view.conversation.acked_sequence = row.Int(10);
  view.skipped_sequence = row.Int(11);
  if (!row.IsNull(12)) view.conversation.group_id = std::string(row.Bytes(12));
  view.conversation.epoch = row.Int(13);
  if (!row.IsNull(14)) view.group_from = row.Int(14);
  if (!row.IsNull(15)) view.welcome_sequence = row.Int(15);
  view.departed = row.Bool(16);
  view.revision = row.Int(17);
  view.conversation.generation = row.Int(18);
  view.kind = static_cast<ConversationKind>(row.Int(19));
  if (view.departed) ShowAsLeft(view.readable_to, view.conversation);
  if (!view.Deliverable()) view.readable_to = 0;
  return view;
}

MemberId MemberOfKey(const Conversation& conversation, int64_t member_key) {
  for (const MemberId& member : conversation.members) {
    if (KeyOf(member) == member_key) return member;
  }
  return MemberId();
}

}  // namespace

int64_t DeviceView::FirstReadable(int64_t next) const {
  return std::max({next, start_sequence, conversation.first_sequence, skipped_sequence + 1});
}

std::optional<Gap> DeviceView::GapAt(int64_t next) const {
  const int64_t first = std::max(next, start_sequence);
  const int64_t last = std::min(FirstReadable(next) - 1, readable_to);
  if (first > last) return std::nullopt;
  return Gap{conversation.id, first, last};
}

absl::Status LoadMembers(storage::Transaction& tx, int64_t key, const MemberId& reader,
                         Conversation& conversation) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query("SELECT member_id, left_at, joined_at, put_out FROM conversation_members"
               " WHERE conversation_key = $1",
               {key}));
  absl::Time told_from = absl::InfinitePast();
  absl::Time told_until = absl::InfiniteFuture();
  for (const Row& row : rows) {
    if (row.Id<MemberId>(0) != reader) continue;
    told_from = row.Time(2);
    if (!row.IsNull(1)) told_until = row.Time(1);
  }
  for (const Row& row : rows) {
    const bool gone_before = !row.IsNull(1) && row.Time(1) < told_from;
    if (gone_before || row.Time(2) > told_until) continue;
    conversation.members.push_back(row.Id<MemberId>(0));
    if (row.IsNull(1) || row.Time(1) > told_until) continue;
    // To who was put out it looks as if the conversation had ended.
    if (row.Bool(3) && row.Id<MemberId>(0) == reader) continue;
    conversation.members_left.push_back(row.Id<MemberId>(0));
  }
  return absl::OkStatus();
}

absl::Status LoadSilenced(storage::Transaction& tx, DeviceView& view) {
  // Of two who are blocked at most one takes part; the other has left.
  const bool nobody = view.conversation.members_left.empty() || !view.Deliverable();
  if (view.kind == ConversationKind::kPairing || nobody) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query("SELECT m.member_id FROM conversation_members m WHERE m.conversation_key = $1"
               " AND m.left_at IS NOT NULL AND (EXISTS (SELECT 1 FROM blocks b"
               "  WHERE b.low_member_id = m.member_id AND b.high_member_id = $2)"
               " OR EXISTS (SELECT 1 FROM blocks b"
               "  WHERE b.low_member_id = $2 AND b.high_member_id = m.member_id))",
               {view.key, view.member}));
  for (const Row& row : rows) view.silenced.push_back(row.Id<MemberId>(0));
  return absl::OkStatus();
}

void ShowAsLeft(int64_t end, Conversation& conversation) {
  conversation.state = ConversationState::kClosed;
  conversation.head_sequence = end;
  conversation.first_sequence = std::min(conversation.first_sequence, end + 1);
  conversation.group_id.clear();
  conversation.epoch = conversation.generation = 0;
}

absl::StatusOr<std::vector<DeviceView>> LoadDeviceViews(storage::Transaction& tx,
                                                        const DeviceId& device,
                                                        const std::vector<int64_t>* keys) {
  std::vector<DeviceView> views;
  std::string text(kSelectViews);
  Args args = {device};
  if (keys != nullptr) {
    if (keys->empty()) return views;
    const size_t count = PaddedCount(keys->size());
    absl::StrAppend(&text, " AND d.conversation_key IN (", Parameters(2, count), ")");
    for (size_t i = 0; i < count; ++i) args.emplace_back((*keys)[std::min(i, keys->size() - 1)]);
  }
  ASSIGN_OR_RETURN(const Rows rows, tx.Query(text, args));
  for (const Row& row : rows) {
    views.push_back(ViewOf(row));
    DeviceView& view = views.back();
    RETURN_IF_ERROR(LoadMembers(tx, view.key, view.member, view.conversation));
    RETURN_IF_ERROR(LoadSilenced(tx, view));
  }
  return views;
}

absl::StatusOr<bool> LoadEnvelopes(storage::Transaction& tx, const DeviceView& view, int64_t from,
                                   int64_t limit, int64_t& bytes_left,
                                   std::vector<EnvelopePtr>& envelopes) {
  while (from <= view.readable_to) {
    const int64_t chunk = std::min(kChunk, limit);
    if (chunk <= 0) return false;
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT sequence, sender_key, sender_device, message_id, created_at,"
                              " payload, franking FROM messages WHERE conversation_key = $1"
                              " AND sequence >= $2 AND sequence <= $3 ORDER BY sequence LIMIT $4",
                              {view.key, from, view.readable_to, chunk}));
    for (const Row& row : rows) {
      auto envelope = std::make_shared<Envelope>();
      envelope->conversation = view.conversation.id;
      envelope->sequence = row.Int(0);
      envelope->sender = MemberOfKey(view.conversation, row.Int(1));
      envelope->sender_device = row.Id<DeviceId>(2);
      envelope->message_id = row.Id<MessageId>(3);
      envelope->create_time = row.Time(4);
      envelope->payload = std::string(row.Bytes(5));
      if (view.group_from > 0 && envelope->sequence >= view.group_from) ReadFraming(*envelope);
      if (!row.IsNull(6)) envelope->franking = DecodeFranking(row.Bytes(6));
      if (IsSilenced(*envelope, view.silenced)) {
        envelope->payload.clear();
        envelope->franking.reset();
      }
      const auto size = static_cast<int64_t>(envelope->payload.size());
      if (size > bytes_left && !envelopes.empty()) return false;
      bytes_left -= size;
      --limit;
      from = envelope->sequence + 1;
      envelopes.push_back(std::move(envelope));
    }
    if (static_cast<int64_t>(rows.size()) < chunk) break;
  }
  return from > view.readable_to;
}

}  // namespace handrail::messaging
