#include "services/messaging/stores/schema.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/storage/request_log.h"

namespace handrail::messaging {
namespace {

using storage::Migration;

// Conversations, who is in them, and what they said.
//
// `messages` is append-only and has no primary key: a clustered one would move rows about on SQLite
// (measured: × 1.5 to 1.8 slower). Its two unique indexes are C1 (the sender's id, once) and C2
// (the place in the conversation, once).
std::vector<std::string> ConversationTables() {
  return {
      // One row a pairing that was opened or closed; taken first by both, so that a close that
      // comes
      // before its open leaves a tombstone and cannot cross it.
      "CREATE TABLE pairings ("
      " pairing_id {blob} NOT NULL PRIMARY KEY CHECK (length(pairing_id) = 16),"
      " closed_at {int}) {strict}",

      "CREATE TABLE conversations ("
      " conversation_key {int} NOT NULL PRIMARY KEY,"
      " conversation_id {blob} NOT NULL UNIQUE CHECK (length(conversation_id) = 16),"
      " pairing_id {blob} NOT NULL UNIQUE CHECK (length(pairing_id) = 16),"
      " state {int} NOT NULL CHECK (state IN (1, 2)),"
      " blocked {int} NOT NULL CHECK (blocked IN (0, 1) AND (blocked = 0 OR state = 2)),"
      " created_at {int} NOT NULL,"
      " closed_at {int} CHECK ((closed_at IS NULL) = (state = 1)),"
      " head_sequence {int} NOT NULL CHECK (head_sequence >= 0),"
      " first_sequence {int} NOT NULL"
      "  CHECK (first_sequence >= 1 AND first_sequence <= head_sequence + 1),"
      // When retention looks next; and what every counting device had acknowledged when it looked.
      " retention_at {int} NOT NULL,"
      " marked_sequence {int} NOT NULL,"
      " marked_at {int} NOT NULL,"
      // When retention last trimmed, and how old the youngest message was that went.
      " trimmed_at {int} NOT NULL,"
      " trimmed_newest_at {int} NOT NULL) {strict}",
      "CREATE INDEX conversations_by_retention ON conversations (retention_at)",

      "CREATE TABLE conversation_members ("
      " conversation_key {int} NOT NULL,"
      " member_key {int} NOT NULL,"
      " member_id {blob} NOT NULL CHECK (length(member_id) = 16),"
      " created_at {int} NOT NULL,"
      " PRIMARY KEY (conversation_key, member_key)) {strict}",
      "CREATE INDEX conversation_members_by_member"
      " ON conversation_members (member_id, created_at, conversation_key)",

      "CREATE TABLE messages ("
      " conversation_key {int} NOT NULL,"
      " sequence {int} NOT NULL CHECK (sequence >= 1),"
      " sender_key {int} NOT NULL,"
      " sender_device {blob} NOT NULL,"
      " message_id {blob} NOT NULL,"
      " created_at {int} NOT NULL,"
      " payload {blob} NOT NULL) {strict}",
      "CREATE UNIQUE INDEX messages_by_place ON messages (conversation_key, sequence)",
      "CREATE UNIQUE INDEX messages_by_id ON messages (message_id, sender_key)",
  };
}

// Messaging's copy of who people are, and what each of their devices has.
std::vector<std::string> MemberTables() {
  return {
      // Version 0: named by a conversation, but profiles has not told us of them yet.
      "CREATE TABLE members ("
      " member_id {blob} NOT NULL PRIMARY KEY CHECK (length(member_id) = 16),"
      " version {int} NOT NULL CHECK (version >= 0),"
      " standing {int} NOT NULL CHECK (standing IN (1, 2, 3)),"
      " updated_at {int} NOT NULL) {strict}",

      "CREATE TABLE devices ("
      " device_id {blob} NOT NULL PRIMARY KEY CHECK (length(device_id) = 16),"
      " member_id {blob} NOT NULL CHECK (length(member_id) = 16),"
      " revoked {int} NOT NULL CHECK (revoked IN (0, 1)),"
      " generation {int} NOT NULL,"
      " last_seen_at {int} NOT NULL) {strict}",
      "CREATE INDEX devices_by_member ON devices (member_id)",

      // What a device may read (start_sequence to end_sequence, open while null) and what it has.
      // Everything up to skipped_sequence is not for it any more: given up after a long silence, or
      // before the commit that took it into the group again. It never becomes less.
      "CREATE TABLE conversation_devices ("
      " conversation_key {int} NOT NULL,"
      " device_id {blob} NOT NULL CHECK (length(device_id) = 16),"
      " member_id {blob} NOT NULL CHECK (length(member_id) = 16),"
      " start_sequence {int} NOT NULL CHECK (start_sequence >= 1),"
      " end_sequence {int},"
      " acked_sequence {int} NOT NULL CHECK (acked_sequence >= start_sequence - 1),"
      " skipped_sequence {int} NOT NULL CHECK (skipped_sequence >= 0),"
      " can_send {int} NOT NULL CHECK (can_send IN (0, 1)),"
      " PRIMARY KEY (conversation_key, device_id)) {strict}",
      "CREATE INDEX conversation_devices_by_device ON conversation_devices (device_id)",

      // Symmetric: the lower id first. Whose block it is, is none of messaging's business.
      "CREATE TABLE blocks ("
      " low_member_id {blob} NOT NULL,"
      " high_member_id {blob} NOT NULL,"
      " created_at {int} NOT NULL,"
      " PRIMARY KEY (low_member_id, high_member_id),"
      " CHECK (low_member_id < high_member_id)) {strict}",
  };
}

// Key packages. A row stays after its package was claimed, so that the same one is never handed out
// again; its bytes go when the claim can no longer be repeated.
std::vector<std::string> KeyPackageTables() {
  return {
      "CREATE TABLE key_packages ("
      " reference {blob} NOT NULL PRIMARY KEY CHECK (length(reference) = 32),"
      " device_id {blob} NOT NULL CHECK (length(device_id) = 16),"
      // The order in which a device published them; the last-resort one stands outside it.
      " place {int} NOT NULL,"
      // 1 free, 2 claimed, 3 the last resort, 4 a last resort that was replaced, or what ran out.
      " state {int} NOT NULL CHECK (state BETWEEN 1 AND 4),"
      " changed_at {int} NOT NULL,"
      " message {blob} CHECK (message IS NOT NULL OR state IN (2, 4))) {strict}",
      "CREATE INDEX key_packages_free ON key_packages (device_id, place) WHERE state = 1",
      "CREATE UNIQUE INDEX key_packages_last_resort ON key_packages (device_id) WHERE state = 3",
      "CREATE INDEX key_packages_by_device ON key_packages (device_id)",
      "CREATE INDEX key_packages_spent ON key_packages (changed_at) WHERE state IN (2, 4)",

      "CREATE TABLE key_claims ("
      " device_id {blob} NOT NULL CHECK (length(device_id) = 16),"  // who claimed
      " claim_id TEXT NOT NULL,"
      " member_id {blob} NOT NULL CHECK (length(member_id) = 16),"
      " conversation_key {int} NOT NULL,"
      " wanted {blob} NOT NULL,"  // the devices that were named, 16 bytes each
      " created_at {int} NOT NULL,"
      " PRIMARY KEY (device_id, claim_id)) {strict}",
      "CREATE INDEX key_claims_by_time ON key_claims (created_at)",

      // What a claim gave; without a reference the device had published none.
      "CREATE TABLE key_claim_items ("
      " device_id {blob} NOT NULL,"
      " claim_id TEXT NOT NULL,"
      " target_device {blob} NOT NULL CHECK (length(target_device) = 16),"
      " target_member {blob} NOT NULL CHECK (length(target_member) = 16),"
      " claimer {blob} NOT NULL CHECK (length(claimer) = 16),"  // the member who claimed
      " created_at {int} NOT NULL,"
      " reference {blob},"
      " last_resort {int} NOT NULL CHECK (last_resort IN (0, 1)),"
      " PRIMARY KEY (device_id, claim_id, target_device)) {strict}",
      // C4: a package is handed out once.
      "CREATE UNIQUE INDEX key_claim_items_once ON key_claim_items (reference)"
      " WHERE reference IS NOT NULL AND last_resort = 0",
      "CREATE INDEX key_claim_items_by_pair ON key_claim_items (claimer, target_member, "
      "created_at)",
  };
}

// The MLS group of a conversation. `epoch` is what a commit must be of; group_id and group_from,
// the place of the first commit, are there once there is a group. Everything from group_from on is
// an MLSMessage of the group.
std::vector<std::string> GroupTables() {
  return {
      "ALTER TABLE conversations ADD COLUMN epoch {int} NOT NULL DEFAULT 0 CHECK (epoch >= 0)",
      "ALTER TABLE conversations ADD COLUMN group_id {blob}",
      "ALTER TABLE conversations ADD COLUMN group_from {int}",
      // A leaf of the group's tree is this device's. It reads while it was not revoked, too.
      "ALTER TABLE conversation_devices ADD COLUMN in_group {int} NOT NULL DEFAULT 0"
      " CHECK (in_group IN (0, 1))",

      // The commits that are kept, with a hash of all that came with each.
      "CREATE TABLE group_commits ("
      " conversation_key {int} NOT NULL,"
      " sequence {int} NOT NULL,"
      " epoch {int} NOT NULL,"  // that it ended
      " digest {blob} NOT NULL,"
      " PRIMARY KEY (conversation_key, sequence)) {strict}",
      // C3: an epoch has one commit.
      "CREATE UNIQUE INDEX group_commits_once ON group_commits (conversation_key, epoch)",

      // The newest Welcome of a device, until it is acknowledged.
      "CREATE TABLE group_welcomes ("
      " conversation_key {int} NOT NULL,"
      " device_id {blob} NOT NULL CHECK (length(device_id) = 16),"
      " sequence {int} NOT NULL,"  // of the commit that added the device
      " epoch {int} NOT NULL,"     // after it
      " created_at {int} NOT NULL,"
      " message {blob} NOT NULL,"
      " PRIMARY KEY (conversation_key, device_id)) {strict}",
      "CREATE INDEX group_welcomes_by_device ON group_welcomes (device_id, created_at)",

      // The GroupInfo of the current epoch.
      "CREATE TABLE group_infos ("
      " conversation_key {int} NOT NULL PRIMARY KEY,"
      " epoch {int} NOT NULL,"
      " message {blob} NOT NULL) {strict}",
  };
}

// What a conversation that was closed after its last message had gone still had kept.
std::vector<std::string> ForgetGroupsThatAreOver() {
  std::vector<std::string> statements;
  for (const char* table : {"group_welcomes", "group_infos"}) {
    statements.push_back(absl::StrCat("DELETE FROM ", table,
                                      " WHERE conversation_key IN (SELECT conversation_key"
                                      " FROM conversations WHERE state = 2"
                                      " AND first_sequence > head_sequence)"));
  }
  return statements;
}

// Ciphertext beside the messages. An attachment is there until expires_at; 0 is for one that was
// deleted. No name, no type, no key: the server has no use for them.
std::vector<std::string> AttachmentTables() {
  return {
      "CREATE TABLE attachments ("
      " attachment_key {int} NOT NULL PRIMARY KEY,"
      " attachment_id {blob} NOT NULL UNIQUE CHECK (length(attachment_id) = 16),"
      " conversation_key {int} NOT NULL,"
      " member_id {blob} NOT NULL CHECK (length(member_id) = 16),"  // who uploads it
      " size {int} NOT NULL CHECK (size >= 1),"
      " digest {blob} NOT NULL CHECK (length(digest) = 32),"
      // 1 uploading, 2 ready.
      " state {int} NOT NULL CHECK (state IN (1, 2)),"
      " expires_at {int} NOT NULL) {strict}",
      "CREATE INDEX attachments_by_conversation ON attachments (conversation_key)",
      "CREATE INDEX attachments_by_member ON attachments (member_id)",
      "CREATE INDEX attachments_by_expiry ON attachments (expires_at)",

      // Append-only, as messages are; a chunk is never changed.
      "CREATE TABLE attachment_chunks ("
      " attachment_key {int} NOT NULL,"
      " chunk_index {int} NOT NULL CHECK (chunk_index >= 0),"
      " bytes {blob} NOT NULL) {strict}",
      "CREATE UNIQUE INDEX attachment_chunks_by_place"
      " ON attachment_chunks (attachment_key, chunk_index)",
  };
}

// Who has left, and what streams compare to learn of it.
std::vector<std::string> LeavingColumns() {
  return {
      // Null while they take part.
      "ALTER TABLE conversation_members ADD COLUMN left_at {int}",
      // Of a member who has left: nothing more is delivered, whatever it has not read.
      "ALTER TABLE conversation_devices ADD COLUMN departed {int} NOT NULL DEFAULT 0"
      " CHECK (departed IN (0, 1))",
      // Rises with every change that the devices of the conversation should be told of, besides its
      // being closed.
      "ALTER TABLE conversations ADD COLUMN revision {int} NOT NULL DEFAULT 0",
  };
}

// A group that was started anew: the conversation's group has a generation, and an epoch is one of
// its generation.
std::vector<std::string> ResettingTables() {
  return {
      "ALTER TABLE conversations ADD COLUMN generation {int} NOT NULL DEFAULT 0"
      " CHECK (generation >= 0)",
      "ALTER TABLE group_commits ADD COLUMN generation {int} NOT NULL DEFAULT 0",
      "DROP INDEX group_commits_once",
      // C3: an epoch has one commit.
      "CREATE UNIQUE INDEX group_commits_once ON group_commits (conversation_key, generation,"
      " epoch)",
      // The groups that have ended, the newest of them, so that no id comes back.
      "CREATE TABLE ended_groups ("
      " conversation_key {int} NOT NULL,"
      " generation {int} NOT NULL,"
      " group_id {blob} NOT NULL,"
      " epoch {int} NOT NULL,"           // in which it ended
      " ended_sequence {int} NOT NULL,"  // its last place
      " ended_at {int} NOT NULL,"
      " PRIMARY KEY (conversation_key, generation)) {strict}",
  };
}

// Of each device the newest commit that it could not follow. No content.
std::vector<std::string> InvalidCommitTables() {
  return {
      "CREATE TABLE invalid_commits ("
      " conversation_key {int} NOT NULL,"
      " device_id {blob} NOT NULL CHECK (length(device_id) = 16),"
      " member_id {blob} NOT NULL CHECK (length(member_id) = 16),"
      " sequence {int} NOT NULL,"
      " epoch {int} NOT NULL,"
      " digest {blob} NOT NULL CHECK (length(digest) = 32),"
      " created_at {int} NOT NULL,"
      " PRIMARY KEY (conversation_key, device_id)) {strict}",
  };
}

// The server's stamps on messages that commit to their content.
std::vector<std::string> FrankingColumns() {
  return {
      // Stamp (32 bytes), the commitment before (32 bytes), the id of the stamp's key.
      "ALTER TABLE messages ADD COLUMN franking {blob}"
      " CHECK (franking IS NULL OR length(franking) BETWEEN 65 AND 128)",
      // Of the last message that was stamped; the next stamp is over it, too.
      "ALTER TABLE conversations ADD COLUMN last_commitment {blob}"
      " CHECK (last_commitment IS NULL OR length(last_commitment) = 32)",
  };
}

// How much of each conversation is kept, in bytes of payload.
std::vector<std::string> KeptBytes() {
  return {
      "ALTER TABLE conversations ADD COLUMN kept_bytes {int} NOT NULL DEFAULT 0"
      " CHECK (kept_bytes >= 0)",
      "UPDATE conversations SET kept_bytes = (SELECT COALESCE(SUM(length(payload)), 0)"
      " FROM messages m WHERE m.conversation_key = conversations.conversation_key)",
  };
}

// Conversations of more than two, into which people come by invitation.
std::vector<std::string> InvitationTables() {
  return {
      // 1 of a pairing; 2 of a group, whose pairing_id is its own id: nobody was paired.
      "ALTER TABLE conversations ADD COLUMN kind {int} NOT NULL DEFAULT 1 CHECK (kind IN (1, 2))",
      // When they came, last; 0 for those who were there from the beginning.
      "ALTER TABLE conversation_members ADD COLUMN joined_at {int} NOT NULL DEFAULT 0",
      // A block has put them out: they are not told that they left.
      "ALTER TABLE conversation_members ADD COLUMN put_out {int} NOT NULL DEFAULT 0"
      " CHECK (put_out IN (0, 1))",
      // By which invitation; null for who was paired, or began.
      "ALTER TABLE conversation_members ADD COLUMN invitation_id {blob}",
      // One lets one person in, also when its own row is long gone.
      "CREATE UNIQUE INDEX conversation_members_by_invitation"
      " ON conversation_members (invitation_id) WHERE invitation_id IS NOT NULL",

      "CREATE TABLE invitations ("
      " invitation_id {blob} NOT NULL PRIMARY KEY CHECK (length(invitation_id) = 16),"
      " conversation_key {int} NOT NULL,"
      " inviter {blob} NOT NULL CHECK (length(inviter) = 16),"
      " secret_digest {blob} NOT NULL CHECK (length(secret_digest) = 32),"
      // 1 open until expires_at, 2 accepted, 3 revoked.
      " state {int} NOT NULL CHECK (state IN (1, 2, 3)),"
      " accepted_by {blob} CHECK ((accepted_by IS NULL) = (state <> 2)),"
      " created_at {int} NOT NULL,"
      " expires_at {int} NOT NULL) {strict}",
      "CREATE INDEX invitations_by_conversation ON invitations (conversation_key)",
      "CREATE INDEX invitations_by_expiry ON invitations (expires_at)",
  };
}

// When key packages run out.
std::vector<std::string> KeyPackageEnds() {
  return {
      // Null for a package of before: kKeyPackageEnd knows when that ends.
      "ALTER TABLE key_packages ADD COLUMN expires_at {int}",
      absl::StrCat("CREATE INDEX key_packages_by_end ON key_packages (", kKeyPackageEnd,
                   ") WHERE state IN (1, 3)"),
  };
}

// Append-only. Devices of before are added to it with the next snapshot of their member, or when
// somebody asks for the log: profiles has to say their keys.
std::vector<std::string> DeviceLogTables() {
  return {
      "CREATE TABLE device_log ("
      " member_id {blob} NOT NULL CHECK (length(member_id) = 16),"
      " entry_index {int} NOT NULL CHECK (entry_index >= 1),"
      " kind {int} NOT NULL CHECK (kind IN (1, 2)),"  // 1 added, 2 revoked
      " device_id {blob} NOT NULL CHECK (length(device_id) = 16),"
      " public_key {blob} NOT NULL CHECK (length(public_key) = 32),"
      " created_at {int} NOT NULL,"
      " previous_hash {blob} NOT NULL CHECK (length(previous_hash) = 32),"
      " hash {blob} NOT NULL CHECK (length(hash) = 32),"
      " PRIMARY KEY (member_id, entry_index)) {strict}",
      // The last word of the log of it is that it was added.
      "ALTER TABLE devices ADD COLUMN logged {int} NOT NULL DEFAULT 0 CHECK (logged IN (0, 1))",
  };
}

// Reports until profiles has them. What they show of people is sealed.
std::vector<std::string> ReportTables() {
  return {
      "CREATE TABLE report_queue ("
      " report_id {blob} NOT NULL PRIMARY KEY CHECK (length(report_id) = 16),"
      " reporter {blob} NOT NULL CHECK (length(reporter) = 16),"
      " wrapped_key {blob} NOT NULL,"
      " sealed_evidence {blob} NOT NULL,"
      " created_at {int} NOT NULL,"
      " due_at {int} NOT NULL,"
      " attempts {int} NOT NULL) {strict}",
      "CREATE INDEX report_queue_by_due ON report_queue (due_at, report_id)",
  };
}

// Who wants to be told by the push gateway, and who was.
std::vector<std::string> PushTables() {
  return {
      // Where the device's stream is, if that replica is alive.
      "ALTER TABLE devices ADD COLUMN stream_replica {blob}",
      "CREATE TABLE replicas ("
      " replica_id {blob} NOT NULL PRIMARY KEY CHECK (length(replica_id) = 16),"
      " renewed_at {int} NOT NULL) {strict}",
      "CREATE TABLE push_devices ("
      " device_id {blob} NOT NULL PRIMARY KEY CHECK (length(device_id) = 16),"
      // Null once it is forgotten.
      " token TEXT CHECK (length(token) BETWEEN 1 AND 1024),"
      // The push that is tried, and the absence that it is for.
      " push_id {blob},"
      " push_generation {int} NOT NULL DEFAULT 0,"
      " push_acked {int} NOT NULL DEFAULT 0,"
      " claimed_until {int} NOT NULL DEFAULT 0,"
      // The last one that the gateway took.
      " pushed_at {int},"
      " pushed_generation {int} NOT NULL DEFAULT 0,"
      " pushed_acked {int} NOT NULL DEFAULT 0,"
      " pushed_head {int} NOT NULL DEFAULT 0,"
      " budget_at {int} NOT NULL DEFAULT 0,"
      " refused_until {int} NOT NULL DEFAULT 0) {strict}",
  };
}

// What devices could read before they began anew.
std::vector<std::string> ReadingSpanTables() {
  return {
      // Where the span that it reads now begins, when that is after start_sequence: what it had not
      // acknowledged before is a Gap, and was never to be read.
      "ALTER TABLE conversation_devices ADD COLUMN read_from {int} NOT NULL DEFAULT 0",
      // The spans that are over.
      "CREATE TABLE reading_spans ("
      " conversation_key {int} NOT NULL,"
      " device_id {blob} NOT NULL CHECK (length(device_id) = 16),"
      " first_sequence {int} NOT NULL CHECK (first_sequence >= 1),"
      " last_sequence {int} NOT NULL CHECK (last_sequence >= first_sequence),"
      " PRIMARY KEY (conversation_key, device_id, first_sequence)) {strict}",
      // Nobody wrote down what devices of before could read before they began anew. Who was there
      // from the beginning, and never left, could read all of it.
      "INSERT INTO reading_spans (conversation_key, device_id, first_sequence, last_sequence)"
      " SELECT d.conversation_key, d.device_id, 1, d.start_sequence - 1"
      " FROM conversation_devices d JOIN conversation_members m"
      " ON m.conversation_key = d.conversation_key AND m.member_id = d.member_id"
      " WHERE m.joined_at = 0 AND d.start_sequence > 1",
  };
}

}  // namespace

absl::Span<const Migration> Migrations() {
  static const auto* const migrations = new std::vector<Migration>{
      {"0001_conversations", ConversationTables()},
      {"0002_members", MemberTables()},
      // What the replicas of a deployment share.
      {"0003_settings",
       {"CREATE TABLE settings (name TEXT NOT NULL PRIMARY KEY, value {blob} NOT NULL) {strict}"}},
      {"0004_key_packages", KeyPackageTables()},
      {"0005_groups", GroupTables()},
      {"0006_groups_that_are_over", ForgetGroupsThatAreOver()},
      // For the references that a Welcome names.
      {"0007_key_claim_items_by_reference",
       {"CREATE INDEX key_claim_items_by_reference ON key_claim_items (device_id, reference)"
        " WHERE reference IS NOT NULL"}},
      storage::RequestLogMigration(),
      {"0008_leaving", LeavingColumns()},
      {"0009_resetting", ResettingTables()},
      {"0010_invalid_commits", InvalidCommitTables()},
      {"0011_attachments", AttachmentTables()},
      // Who sends asks for whoever reads now, however many devices came and went before.
      {"0012_devices_that_read",
       {"CREATE INDEX conversation_devices_that_read ON conversation_devices (conversation_key)"
        " WHERE end_sequence IS NULL"}},
      {"0013_franking", FrankingColumns()},
      {"0014_invitations", InvitationTables()},
      {"0015_key_package_ends", KeyPackageEnds()},
      {"0016_device_log", DeviceLogTables()},
      {"0017_kept_bytes", KeptBytes()},
      {"0018_reports", ReportTables()},
      {"0019_push", PushTables()},
      {"0020_reading_spans", ReadingSpanTables()},
  };
  return *migrations;
}

int64_t KeyOf(const RawId& id) {
  uint64_t key = 0;
  for (size_t i = 0; i < sizeof(key); ++i) {
    key = (key << 8) | static_cast<unsigned char>(id.Bytes()[i]);
  }
  return static_cast<int64_t>(key >> 1);
}

std::string Parameters(size_t first, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) absl::StrAppend(&text, i == 0 ? "$" : ", $", first + i);
  return text;
}

size_t PaddedCount(size_t count) {
  size_t padded = 1;
  while (padded < count) padded *= 2;
  return padded;
}

}  // namespace handrail::messaging
