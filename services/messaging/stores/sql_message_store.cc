#include "services/messaging/stores/sql_message_store.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/stores/device_view.h"
#include "services/messaging/stores/devices.h"
#include "services/messaging/stores/key_package_count.h"
#include "services/messaging/stores/refusals.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using storage::Args;
using storage::Row;
using storage::Rows;
using storage::Transaction;

constexpr int64_t kPageBytes = 1 << 20;
// More positions than this are read as "everything" and picked from.
constexpr size_t kPositionsByKey = 8;

absl::Status NotFound() {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message("no such conversation");
}

AppendBatcher::Options AppendOptions(const SqlMessageStore::Options& options) {
  AppendBatcher::Options append = options.append;
  append.limits = options.limits;
  append.franker = options.franker;
  return append;
}

// The view of one conversation for a member's device. A device that has no row of its own reads
// nothing; one that was never heard of is DEVICE_UNKNOWN, so that the domain asks profiles.
absl::StatusOr<DeviceView> LoadView(Transaction& tx, const MemberId& member, const DeviceId& device,
                                    const ConversationId& conversation) {
  const std::vector<int64_t> keys = {KeyOf(conversation)};
  ASSIGN_OR_RETURN(std::vector<DeviceView> views, LoadDeviceViews(tx, device, &keys));
  for (DeviceView& view : views) {
    if (view.conversation.id == conversation && view.member == member) return std::move(view);
  }
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT 1 FROM devices WHERE device_id = $1", {device}));
  if (!rows.empty()) return NotFound();
  return Error(StatusCode::kNotFound, kDeviceUnknown).Message("no such conversation");
}

absl::StatusOr<WelcomePtr> LoadWelcome(Transaction& tx, const DeviceView& view,
                                       const DeviceId& device) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT sequence, epoch, created_at, message FROM group_welcomes"
                            " WHERE conversation_key = $1 AND device_id = $2",
                            {view.key, device}));
  if (rows.empty()) return absl::InternalError("a Welcome went within one snapshot");
  const Row& row = rows.front();
  return std::make_shared<Welcome>(Welcome{view.conversation.id, row.Int(0), row.Int(1),
                                           std::string(row.Bytes(3)), row.Time(2)});
}

// What one snapshot may still hold.
struct StreamRoom {
  int64_t messages = 0;
  int64_t bytes = 0;
};

// What a stream at `from` should be given of one conversation. Uses up the view.
absl::Status ReadConversation(Transaction& tx, const DeviceId& device, int64_t from,
                              int64_t welcomed, StreamRoom& room, DeviceView& view,
                              StreamConversation& stream) {
  stream.revision = view.revision;
  stream.deliverable = view.Deliverable();
  stream.start_sequence = view.start_sequence;
  stream.readable_to = view.readable_to;
  stream.silenced = view.silenced;
  const std::optional<Gap> gap = view.GapAt(from);
  // Without its Welcome a device could not read what comes after it. But what is left of a group
  // that has ended comes before the Welcome to the one after it: who has joined that one could not
  // read it any more.
  bool welcome_waits = view.Deliverable() && view.welcome_sequence > welcomed;
  const bool old_first =
      view.conversation.generation > 0 && view.FirstReadable(from) < view.welcome_sequence;
  if (welcome_waits && old_first) {
    view.readable_to = std::min(view.readable_to, view.welcome_sequence - 1);
    stream.has_more = true;
    welcome_waits = false;
  }
  if (welcome_waits && room.bytes <= 0) {
    stream.has_more = true;
    stream.conversation = std::move(view.conversation);
    return absl::OkStatus();
  }
  if (welcome_waits) {
    ASSIGN_OR_RETURN(stream.welcome, LoadWelcome(tx, view, device));
    room.bytes -= static_cast<int64_t>(stream.welcome->message.size());
  }
  stream.gap = gap;
  ASSIGN_OR_RETURN(const bool complete,
                   LoadEnvelopes(tx, view, view.FirstReadable(from),
                                 room.bytes > 0 ? room.messages : 0, room.bytes, stream.envelopes));
  room.messages -= static_cast<int64_t>(stream.envelopes.size());
  stream.has_more |= !complete;
  stream.conversation = std::move(view.conversation);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqlMessageStore>> SqlMessageStore::Create(
    storage::Database& database, const Clock& clock, Random& random, const Options& options) {
  RETURN_IF_ERROR(database.Migrate(Migrations()));
  return absl::WrapUnique(new SqlMessageStore(database, clock, random, options));
}

SqlMessageStore::SqlMessageStore(storage::Database& database, const Clock& clock, Random& random,
                                 const Options& options)
    : database_(database),
      clock_(clock),
      random_(random),
      options_(options),
      appends_(database, clock, AppendOptions(options), nullptr),
      acks_(database, clock, options.limits, options.ack) {}

void SqlMessageStore::AppendAsync(Append append, std::shared_ptr<Wakeable> wake_after,
                                  AppendDone done) {
  appends_.Add(std::move(append), std::move(wake_after), std::move(done));
}

void SqlMessageStore::AckAsync(const DeviceId& device, std::vector<Cursor> cursors, AckDone done) {
  acks_.Add(device, cursors, std::move(done));
}

absl::Status SqlMessageStore::CheckCursors(absl::Time deadline, const MemberId& member,
                                           const DeviceId& device,
                                           absl::Span<const Cursor> cursors) {
  return database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    for (size_t i = 0; i < cursors.size(); ++i) {
      ASSIGN_OR_RETURN(const DeviceView view,
                       LoadView(tx, member, device, cursors[i].conversation));
      // After a block, or for who has left, there is nothing to read any more, but acknowledging
      // stays harmless.
      const bool to_head = view.live || view.departed;
      const int64_t last = to_head ? view.conversation.head_sequence : view.readable_to;
      if (cursors[i].sequence <= last) continue;
      return Error(StatusCode::kInvalidArgument, reason::kSequenceInvalid)
          .Message("this sequence is beyond the newest message")
          .Field(absl::StrCat("cursors[", i, "].after_sequence"), "beyond the newest message");
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<MessagePage> SqlMessageStore::Fetch(absl::Time deadline, const MemberId& member,
                                                   const DeviceId& device,
                                                   const ConversationId& conversation,
                                                   int64_t after_sequence, int64_t limit) {
  MessagePage page;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    page = MessagePage();
    ASSIGN_OR_RETURN(const DeviceView view, LoadView(tx, member, device, conversation));
    if (after_sequence >= view.readable_to) return absl::OkStatus();
    page.gap = view.GapAt(after_sequence + 1);
    int64_t bytes_left = kPageBytes;
    ASSIGN_OR_RETURN(const bool complete,
                     LoadEnvelopes(tx, view, view.FirstReadable(after_sequence + 1), limit,
                                   bytes_left, page.envelopes));
    page.has_more = !complete;
    return absl::OkStatus();
  }));
  return page;
}

absl::StatusOr<Conversation> SqlMessageStore::GetConversation(absl::Time deadline,
                                                              const MemberId& member,
                                                              const DeviceId& device,
                                                              const ConversationId& id) {
  Conversation conversation;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(DeviceView view, LoadView(tx, member, device, id));
    conversation = std::move(view.conversation);
    return absl::OkStatus();
  }));
  return conversation;
}

absl::StatusOr<std::vector<Conversation>> SqlMessageStore::ListConversations(
    absl::Time deadline, const MemberId& member, const DeviceId& device,
    const std::optional<ListPosition>& after, int64_t limit) {
  std::vector<Conversation> conversations;
  std::string text =
      "SELECT c.conversation_key, c.conversation_id, c.state, m.created_at, c.head_sequence,"
      " c.first_sequence, COALESCE(d.acked_sequence, 0), c.group_id, c.epoch, m.left_at,"
      " COALESCE(d.end_sequence, 0), c.generation"
      " FROM conversation_members m"
      " JOIN conversations c ON c.conversation_key = m.conversation_key"
      " LEFT JOIN conversation_devices d ON d.conversation_key = m.conversation_key"
      " AND d.device_id = $2 WHERE m.member_id = $1";
  Args args = {member, device, limit};
  if (after.has_value()) {
    absl::StrAppend(&text, " AND (m.created_at, m.conversation_key) < ($4, $5)");
    args.emplace_back(after->create_time);
    args.emplace_back(KeyOf(after->conversation));
  }
  absl::StrAppend(&text, " ORDER BY m.created_at DESC, m.conversation_key DESC LIMIT $3");
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    conversations.clear();
    ASSIGN_OR_RETURN(const Rows rows, tx.Query(text, args));
    for (const Row& row : rows) {
      Conversation& conversation = conversations.emplace_back();
      conversation.id = row.Id<ConversationId>(1);
      conversation.state = static_cast<ConversationState>(row.Int(2));
      conversation.create_time = row.Time(3);
      conversation.head_sequence = row.Int(4);
      conversation.first_sequence = row.Int(5);
      conversation.acked_sequence = row.Int(6);
      if (!row.IsNull(7)) conversation.group_id = std::string(row.Bytes(7));
      conversation.epoch = row.Int(8);
      conversation.generation = row.Int(11);
      if (!row.IsNull(9)) ShowAsLeft(row.Int(10), conversation);
      RETURN_IF_ERROR(LoadMembers(tx, row.Int(0), member, conversation));
    }
    return absl::OkStatus();
  }));
  return conversations;
}

absl::StatusOr<int64_t> SqlMessageStore::StartStream(absl::Time deadline, absl::Time now,
                                                     const MemberId& member,
                                                     const DeviceId& device) {
  int64_t generation = 0;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT member_id, revoked, generation FROM devices"
                                               " WHERE device_id = $1 {for_update}",
                                               {device}));
    if (rows.empty() || rows.front().Id<MemberId>(0) != member) {
      return Error(StatusCode::kNotFound, kDeviceUnknown).Message("this device is not known");
    }
    if (rows.front().Bool(1)) {
      return DeviceRemoved();
    }
    RETURN_IF_ERROR(TouchDevice(tx, options_.limits, now, device));
    generation = rows.front().Int(2) + 1;
    return tx
        .Execute("UPDATE devices SET generation = $2, stream_replica = $3 WHERE device_id = $1",
                 {device, generation,
                  options_.replica.IsZero() ? storage::Value(storage::Null())
                                            : storage::Value(options_.replica)})
        .status();
  }));
  return generation;
}

absl::StatusOr<StreamSnapshot> SqlMessageStore::ReadStream(
    absl::Time deadline, absl::Time now, const DeviceId& device,
    absl::Span<const StreamPosition> positions, bool everything, int64_t limit) {
  absl::flat_hash_map<ConversationId, StreamPosition> next;
  std::vector<int64_t> keys;
  for (const StreamPosition& position : positions) {
    next[position.conversation] = position;
    keys.push_back(KeyOf(position.conversation));
  }
  const bool by_key = !everything && positions.size() <= kPositionsByKey;
  StreamSnapshot snapshot;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    snapshot = StreamSnapshot();
    ASSIGN_OR_RETURN(
        const Rows rows,
        tx.Query("SELECT revoked, generation FROM devices WHERE device_id = $1", {device}));
    if (rows.empty()) return absl::OkStatus();
    snapshot.device_known = true;
    snapshot.device_revoked = rows.front().Bool(0);
    snapshot.generation = rows.front().Int(1);
    ASSIGN_OR_RETURN(std::vector<DeviceView> views,
                     LoadDeviceViews(tx, device, by_key ? &keys : nullptr));
    if (everything) {
      ASSIGN_OR_RETURN(snapshot.key_packages,
                       FindKeyPackageCount(tx, now, options_.key_packages, device));
    }
    StreamRoom room{limit, kPageBytes};
    for (DeviceView& view : views) {
      const auto asked = next.find(view.conversation.id);
      if (asked == next.end() && !everything) continue;
      const bool anew = asked == next.end() || asked->second.next_sequence == 0;
      const int64_t from =
          anew ? view.conversation.acked_sequence + 1 : asked->second.next_sequence;
      const int64_t welcomed = asked == next.end() ? 0 : asked->second.welcomed_sequence;
      RETURN_IF_ERROR(ReadConversation(tx, device, from, welcomed, room, view,
                                       snapshot.conversations.emplace_back()));
    }
    return absl::OkStatus();
  }));
  return snapshot;
}

absl::StatusOr<std::vector<StreamHeads>> SqlMessageStore::ReadHeads(
    absl::Time deadline, absl::Span<const DeviceId> devices) {
  std::vector<StreamHeads> all;
  if (devices.empty()) return all;
  const size_t count = PaddedCount(devices.size());
  Args args;
  for (size_t i = 0; i < count; ++i) args.emplace_back(devices[std::min(i, devices.size() - 1)]);
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    all.clear();
    absl::flat_hash_map<DeviceId, size_t> places;
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query(absl::StrCat("SELECT device_id, revoked, generation FROM devices"
                                           " WHERE device_id IN (",
                                           Parameters(1, count), ")"),
                              args));
    for (const Row& row : rows) {
      places[row.Id<DeviceId>(0)] = all.size();
      all.push_back(StreamHeads{row.Id<DeviceId>(0), row.Bool(1), row.Int(2), {}});
    }
    ASSIGN_OR_RETURN(
        const Rows heads,
        tx.Query(absl::StrCat("SELECT d.device_id, c.conversation_id, c.head_sequence,"
                              " d.end_sequence, c.state, c.blocked, d.departed, c.revision"
                              " FROM conversation_devices d"
                              " JOIN conversations c ON c.conversation_key = d.conversation_key"
                              " WHERE d.device_id IN (",
                              Parameters(1, count), ")"),
                 args));
    for (const Row& row : heads) {
      const auto place = places.find(row.Id<DeviceId>(0));
      if (place == places.end()) continue;
      const bool departed = row.Bool(6);
      const auto state = static_cast<ConversationState>(row.Int(4));
      all[place->second].heads.push_back(
          {row.Id<ConversationId>(1), row.IsNull(3) ? row.Int(2) : row.Int(3),
           departed ? ConversationState::kClosed : state, row.Int(7), !row.Bool(5) && !departed});
    }
    return absl::OkStatus();
  }));
  return all;
}

absl::Status SqlMessageStore::TouchDevices(absl::Time deadline, absl::Time now,
                                           absl::Span<const DeviceId> devices) {
  return database_.Write(deadline, [&](Transaction& tx) {
    return messaging::TouchDevices(tx, options_.limits, now, devices);
  });
}

}  // namespace handrail::messaging
