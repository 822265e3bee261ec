#include "services/messaging/stores/invariants.h"

#include "absl/strings/str_cat.h"
#include "common/base/macros.h"
#include "services/messaging/stores/device_log.h"

namespace handrail::messaging {
namespace {

using storage::Args;
using storage::Rows;
using storage::Transaction;

// A promise, and a query for the number of rows that break it. Every query takes, in this order,
// the silence after which a device no longer counts and the longest time a message is kept, both in
// microseconds; each query uses both or neither.
struct Invariant {
  const char* text;
  const char* sql;
  bool takes_limits = false;
  // False for what may not hold beside replicas of the version before: nothing to wake anybody for.
  bool watched = true;
};

constexpr Invariant kInvariants[] = {
    {"C1: a sender's message id is stored more than once",
     "SELECT COUNT(*) FROM (SELECT 1 AS one FROM messages GROUP BY message_id, sender_key"
     " HAVING COUNT(*) > 1) AS t"},
    {"C1: a message belongs to no conversation",
     "SELECT COUNT(*) FROM messages m WHERE NOT EXISTS (SELECT 1 FROM conversations c"
     " WHERE c.conversation_key = m.conversation_key)"},
    {"C2: a sequence is taken more than once",
     "SELECT COUNT(*) FROM (SELECT 1 AS one FROM messages GROUP BY conversation_key, sequence"
     " HAVING COUNT(*) > 1) AS t"},
    {"C2: the kept sequences of a conversation are not exactly first to head",
     "SELECT COUNT(*) FROM conversations c LEFT JOIN"
     " (SELECT conversation_key AS k, MIN(sequence) AS low, MAX(sequence) AS high,"
     "  COUNT(DISTINCT sequence) AS n FROM messages GROUP BY conversation_key) AS t"
     " ON t.k = c.conversation_key"
     " WHERE COALESCE(t.n, 0) <> c.head_sequence - c.first_sequence + 1"
     " OR (t.n > 0 AND (t.low <> c.first_sequence OR t.high <> c.head_sequence))"},
    {"C3: an epoch has two commits",
     "SELECT COUNT(*) FROM (SELECT 1 AS one FROM group_commits GROUP BY conversation_key,"
     " generation, epoch HAVING COUNT(*) > 1) AS t"},
    {"C3: a group is not in the epoch that its last commit began",
     "SELECT COUNT(*) FROM conversations c JOIN (SELECT conversation_key AS k, generation AS g,"
     " MAX(epoch) AS newest FROM group_commits GROUP BY conversation_key, generation) AS t"
     " ON t.k = c.conversation_key AND t.g = c.generation WHERE c.epoch <> t.newest + 1"},
    {"C3: a commit is of a group that is still to come, or of one whose id came back",
     "SELECT COUNT(*) FROM conversations c WHERE EXISTS (SELECT 1 FROM group_commits g"
     " WHERE g.conversation_key = c.conversation_key AND g.generation > c.generation)"
     " OR EXISTS (SELECT 1 FROM ended_groups e WHERE e.conversation_key = c.conversation_key"
     " AND (e.group_id = c.group_id OR e.generation >= c.generation))"},
    {"C3: a commit is not among the conversation's messages",
     "SELECT COUNT(*) FROM group_commits g WHERE NOT EXISTS (SELECT 1 FROM messages m"
     " WHERE m.conversation_key = g.conversation_key AND m.sequence = g.sequence)"},
    {"C3: a Welcome is of a commit that took no epoch",
     "SELECT COUNT(*) FROM group_welcomes w JOIN conversations c"
     " ON c.conversation_key = w.conversation_key WHERE w.epoch > c.epoch"
     " OR (w.sequence >= c.first_sequence AND NOT EXISTS (SELECT 1 FROM group_commits g"
     "  WHERE g.conversation_key = w.conversation_key AND g.sequence = w.sequence"
     "  AND g.generation = c.generation AND g.epoch = w.epoch - 1))"},
    {"C3: a Welcome waits for a device that is not in the group",
     "SELECT COUNT(*) FROM group_welcomes w WHERE NOT EXISTS (SELECT 1"
     " FROM conversation_devices d WHERE d.conversation_key = w.conversation_key"
     " AND d.device_id = w.device_id AND d.in_group = 1 AND d.end_sequence IS NULL)"},
    {"C3: something to join the group of a closed, empty conversation by is kept",
     "SELECT COUNT(*) FROM conversations c WHERE c.state = 2"
     " AND c.first_sequence > c.head_sequence AND (EXISTS (SELECT 1 FROM group_infos i"
     "  WHERE i.conversation_key = c.conversation_key) OR EXISTS (SELECT 1 FROM group_welcomes w"
     "  WHERE w.conversation_key = c.conversation_key))"},
    {"C3: a commit is reported that is not kept",
     "SELECT COUNT(*) FROM invalid_commits r WHERE NOT EXISTS (SELECT 1 FROM group_commits g"
     " WHERE g.conversation_key = r.conversation_key AND g.sequence = r.sequence"
     " AND g.epoch = r.epoch)"},
    {"C4: a key package was handed out more than once",
     "SELECT COUNT(*) FROM (SELECT 1 AS one FROM key_claim_items WHERE last_resort = 0"
     " AND reference IS NOT NULL GROUP BY reference HAVING COUNT(*) > 1) AS t"},
    {"C4: a key package that was handed out can be handed out again",
     "SELECT COUNT(*) FROM key_claim_items i JOIN key_packages p ON p.reference = i.reference"
     " WHERE i.last_resort = 0 AND p.state <> 2"},
    {"C5: a message was sent by somebody who is no member",
     "SELECT COUNT(*) FROM messages m WHERE NOT EXISTS (SELECT 1 FROM conversation_members p"
     " WHERE p.conversation_key = m.conversation_key AND p.member_key = m.sender_key)"},
    {"C5: a message was sent by a device that is none of its sender's",
     "SELECT COUNT(*) FROM messages m WHERE NOT EXISTS (SELECT 1 FROM conversation_devices d"
     " JOIN conversation_members p ON p.conversation_key = d.conversation_key"
     " AND p.member_id = d.member_id"
     " WHERE d.conversation_key = m.conversation_key AND d.device_id = m.sender_device"
     " AND p.member_key = m.sender_key)"},
    {"C5: a device reads a conversation whose member its owner is not",
     "SELECT COUNT(*) FROM conversation_devices d WHERE NOT EXISTS (SELECT 1"
     " FROM conversation_members p WHERE p.conversation_key = d.conversation_key"
     " AND p.member_id = d.member_id) OR NOT EXISTS (SELECT 1 FROM devices v"
     " WHERE v.device_id = d.device_id AND v.member_id = d.member_id)"},
    {"C5: a removed device still reads",
     "SELECT COUNT(*) FROM conversation_devices d JOIN devices v ON v.device_id = d.device_id"
     " WHERE v.revoked = 1 AND d.end_sequence IS NULL"},
    {"C5: a removed device still has a push token",
     "SELECT COUNT(*) FROM push_devices p WHERE NOT EXISTS (SELECT 1 FROM devices v"
     " WHERE v.device_id = p.device_id AND v.revoked = 0)"},
    {"C5: a device reads on that is not in the conversation's group",
     "SELECT COUNT(*) FROM conversation_devices d JOIN conversations c"
     " ON c.conversation_key = d.conversation_key WHERE c.group_id IS NOT NULL"
     " AND d.in_group = 0 AND d.end_sequence IS NULL"},
    {"C5: a device reads beyond the newest message",
     "SELECT COUNT(*) FROM conversation_devices d JOIN conversations c"
     " ON c.conversation_key = d.conversation_key"
     " WHERE d.end_sequence > c.head_sequence OR d.start_sequence > c.head_sequence + 1"},
    {"C5: a device once read beyond the newest message, or is none of the conversation's",
     "SELECT COUNT(*) FROM reading_spans s WHERE NOT EXISTS (SELECT 1 FROM conversation_devices d"
     " JOIN conversations c ON c.conversation_key = d.conversation_key"
     " WHERE d.conversation_key = s.conversation_key AND d.device_id = s.device_id"
     " AND c.head_sequence >= s.last_sequence)"},
    {"C5: a conversation has less than two members",
     "SELECT COUNT(*) FROM conversations c WHERE (SELECT COUNT(*) FROM conversation_members p"
     " WHERE p.conversation_key = c.conversation_key) < CASE WHEN c.kind = 1 THEN 2 ELSE 1 END"},
    {"C5: more than 8 take part in a conversation",
     "SELECT COUNT(*) FROM (SELECT 1 AS one FROM conversation_members WHERE left_at IS NULL"
     " GROUP BY conversation_key HAVING COUNT(*) > 8) AS t"},
    {"C5: an invitation has let in more than one",
     "SELECT COUNT(*) FROM (SELECT 1 AS one FROM conversation_members"
     " WHERE invitation_id IS NOT NULL GROUP BY invitation_id HAVING COUNT(*) > 1) AS t"},
    // Who began a group conversation is the one member without an invitation; those that are over
    // are forgotten, so what they say counts while they are there.
    {"C5: somebody came into a conversation by neither a pairing nor an invitation of theirs",
     "SELECT COUNT(*) FROM conversations c WHERE (SELECT COUNT(*) FROM conversation_members p"
     " WHERE p.conversation_key = c.conversation_key AND p.invitation_id IS NULL)"
     " > CASE WHEN c.kind = 1 THEN 2 ELSE 1 END"
     " OR EXISTS (SELECT 1 FROM conversation_members p LEFT JOIN invitations i"
     "  ON i.invitation_id = p.invitation_id WHERE p.conversation_key = c.conversation_key"
     "  AND p.invitation_id IS NOT NULL AND (c.kind = 1 OR i.state <> 2"
     "   OR i.accepted_by <> p.member_id OR i.conversation_key <> p.conversation_key))"},
    {"C5: a device of somebody who has left reads on",
     "SELECT COUNT(*) FROM conversation_devices d JOIN conversation_members p"
     " ON p.conversation_key = d.conversation_key AND p.member_id = d.member_id"
     " WHERE p.left_at IS NOT NULL AND (d.end_sequence IS NULL OR d.departed = 0)"},
    {"C5: a conversation is open in which too few take part",
     "SELECT COUNT(*) FROM conversations c WHERE c.state = 1 AND (SELECT COUNT(*)"
     " FROM conversation_members p WHERE p.conversation_key = c.conversation_key"
     " AND p.left_at IS NULL) < CASE WHEN c.kind = 1 THEN 2 ELSE 1 END"},
    {"C6: the bytes that are kept of a conversation are not those that are counted",
     "SELECT COUNT(*) FROM conversations c WHERE c.kept_bytes <> (SELECT"
     " COALESCE(SUM(length(m.payload)), 0) FROM messages m"
     " WHERE m.conversation_key = c.conversation_key)",
     false, false},
    {"C5: the indexes of a device log are not dense",
     "SELECT COUNT(*) FROM (SELECT 1 AS one FROM device_log GROUP BY member_id"
     " HAVING MIN(entry_index) <> 1 OR MAX(entry_index) <> COUNT(*)) AS t"},
    {"C5: an entry of a device log does not hold the hash of the one before",
     "SELECT COUNT(*) FROM device_log e LEFT JOIN device_log p ON p.member_id = e.member_id"
     " AND p.entry_index = e.entry_index - 1"
     " WHERE e.entry_index > 1 AND (p.hash IS NULL OR p.hash <> e.previous_hash)"},
    {"C5: a device log does not say what became of a device",
     "SELECT COUNT(*) FROM devices v WHERE v.logged <>"
     " COALESCE((SELECT CASE e.kind WHEN 1 THEN 1 ELSE 0 END FROM device_log e"
     "  WHERE e.member_id = v.member_id AND e.device_id = v.device_id"
     "  ORDER BY e.entry_index DESC LIMIT 1), 0)"},
    {"C6: a device acknowledged what was never sent",
     "SELECT COUNT(*) FROM conversation_devices d JOIN conversations c"
     " ON c.conversation_key = d.conversation_key WHERE d.acked_sequence > c.head_sequence"},
    {"C6: a message was trimmed before its time",
     "SELECT COUNT(*) FROM conversation_devices d JOIN conversations c"
     " ON c.conversation_key = d.conversation_key JOIN devices v ON v.device_id = d.device_id"
     " WHERE d.end_sequence IS NULL AND d.start_sequence < c.first_sequence"
     " AND d.acked_sequence < c.first_sequence - 1 AND d.skipped_sequence < c.first_sequence - 1"
     " AND v.last_seen_at > c.trimmed_at - $1 AND v.last_seen_at <= c.trimmed_at"
     " AND c.trimmed_newest_at > c.trimmed_at - $2",
     true},
    {"C1: a finished attachment does not have all of its bytes",
     "SELECT COUNT(*) FROM attachments a WHERE a.state = 2 AND a.expires_at > 0 AND a.size <>"
     " (SELECT COALESCE(SUM(length(k.bytes)), 0) FROM attachment_chunks k"
     "  WHERE k.attachment_key = a.attachment_key)"},
    {"C1: a chunk belongs to no attachment",
     "SELECT COUNT(*) FROM attachment_chunks k WHERE NOT EXISTS (SELECT 1 FROM attachments a"
     " WHERE a.attachment_key = k.attachment_key)"},
    {"C5: an attachment of a closed conversation is kept",
     "SELECT COUNT(*) FROM attachments a JOIN conversations c"
     " ON c.conversation_key = a.conversation_key WHERE c.state = 2 AND a.expires_at > 0"},
    {"C7: a stamped message is of a conversation that knows of none",
     "SELECT COUNT(*) FROM messages m JOIN conversations c"
     " ON c.conversation_key = m.conversation_key"
     " WHERE m.franking IS NOT NULL AND c.last_commitment IS NULL"},
    {"M5: a conversation of two who are blocked is open to them",
     "SELECT COUNT(*) FROM blocks b JOIN conversation_members p ON p.member_id = b.low_member_id"
     " JOIN conversation_members q ON q.member_id = b.high_member_id"
     " AND q.conversation_key = p.conversation_key"
     " JOIN conversations c ON c.conversation_key = p.conversation_key"
     " WHERE (c.kind = 1 AND c.blocked = 0)"
     " OR (c.kind = 2 AND p.left_at IS NULL AND q.left_at IS NULL)"},
    {"M3: a pairing was closed and its conversation is open",
     "SELECT COUNT(*) FROM pairings r JOIN conversations c ON c.pairing_id = r.pairing_id"
     " WHERE r.closed_at IS NOT NULL AND c.state = 1"},
};

// No query computes a hash.
constexpr absl::string_view kBrokenLog = "C5: the hash of an entry of a device log is not its own";

}  // namespace

std::vector<storage::InvariantQuery> MessageInvariants(const Limits& limits) {
  std::vector<storage::InvariantQuery> queries;
  for (const Invariant& invariant : kInvariants) {
    if (!invariant.watched) continue;
    const absl::string_view text = invariant.text;
    const size_t colon = text.find(": ");
    storage::InvariantQuery& query = queries.emplace_back();
    query.name = std::string(text.substr(0, colon));
    query.text = std::string(text.substr(colon + 2));
    query.sql = invariant.sql;
    if (!invariant.takes_limits) continue;
    query.args = [limits](absl::Time) {
      return Args{absl::ToInt64Microseconds(limits.silent_after),
                  absl::ToInt64Microseconds(limits.keep_at_most)};
    };
  }
  return queries;
}

absl::StatusOr<std::vector<std::string>> CheckMessages(storage::Database& database,
                                                       absl::Time deadline, const Limits& limits) {
  std::vector<std::string> violations;
  RETURN_IF_ERROR(database.Read(deadline, [&](Transaction& tx) -> absl::Status {
    violations.clear();
    for (const Invariant& invariant : kInvariants) {
      Args args;
      if (invariant.takes_limits) {
        args = {absl::ToInt64Microseconds(limits.silent_after),
                absl::ToInt64Microseconds(limits.keep_at_most)};
      }
      ASSIGN_OR_RETURN(const Rows rows, tx.Query(invariant.sql, args));
      const int64_t count = rows.front().Int(0);
      if (count > 0) violations.push_back(absl::StrCat(invariant.text, " (", count, ")"));
    }
    ASSIGN_OR_RETURN(const int64_t broken, CountBrokenDeviceLogEntries(tx));
    if (broken > 0) violations.push_back(absl::StrCat(kBrokenLog, " (", broken, ")"));
    return absl::OkStatus();
  }));
  return violations;
}

}  // namespace handrail::messaging
