#include "services/profiles/stores/schema.h"

#include <vector>

#include "common/storage/request_log.h"

namespace handrail::profiles {
namespace {

storage::Migration Members() {
  return {"profiles_0001_members",
          {
              "CREATE TABLE members ("
              "member_id {blob} NOT NULL PRIMARY KEY CHECK (length(member_id) = 16), "
              "version {int} NOT NULL, "
              "standing {int} NOT NULL, "
              "created_at {int} NOT NULL) {strict}",

              // Apart from the members, so that erasure is the end of one small row.
              "CREATE TABLE member_keys ("
              "member_id {blob} NOT NULL PRIMARY KEY REFERENCES members (member_id), "
              "wrapped_key {blob} NOT NULL) {strict}",

              "CREATE TABLE devices ("
              "device_id {blob} NOT NULL PRIMARY KEY CHECK (length(device_id) = 16), "
              "member_id {blob} NOT NULL REFERENCES members (member_id), "
              "key_index {blob} NOT NULL UNIQUE, "
              "sealed_public_key {blob} NOT NULL, "
              "created_at {int} NOT NULL, "
              "revoked_at {int}) {strict}",
              "CREATE INDEX devices_by_member ON devices (member_id, created_at, device_id)",
              "CREATE INDEX devices_by_revocation ON devices (revoked_at, device_id) "
              "WHERE revoked_at IS NOT NULL",

              "CREATE TABLE used_challenges ("
              "challenge {blob} NOT NULL PRIMARY KEY, "
              "expires_at {int} NOT NULL) {strict}",
              "CREATE INDEX used_challenges_by_expiry ON used_challenges (expires_at)",
          }};
}

storage::Migration Profiles() {
  return {"profiles_0002_profiles",
          {
              "CREATE TABLE profiles ("
              "member_id {blob} NOT NULL PRIMARY KEY REFERENCES members (member_id), "
              "sealed_pseudonym {blob} NOT NULL, "
              "sealed_newcomer {blob}, "
              "sealed_sponsor {blob}, "
              "sealed_audiences {blob} NOT NULL, "
              "attested_at {int}, "
              "revision {int} NOT NULL, "
              "updated_at {int} NOT NULL) {strict}",

              "CREATE TABLE consent_receipts ("
              "receipt_id {blob} NOT NULL PRIMARY KEY CHECK (length(receipt_id) = 16), "
              "member_id {blob} NOT NULL REFERENCES members (member_id), "
              "purpose {int} NOT NULL, "
              "notice_version TEXT NOT NULL, "
              "sealed_notice_language {blob} NOT NULL, "
              "granted_at {int} NOT NULL, "
              "withdrawn_at {int}) {strict}",
              "CREATE INDEX consent_receipts_by_member "
              "ON consent_receipts (member_id, granted_at, receipt_id)",
              "CREATE UNIQUE INDEX consent_receipts_standing "
              "ON consent_receipts (member_id, purpose) WHERE withdrawn_at IS NULL",
          }};
}

storage::Migration Safety() {
  return {"profiles_0003_safety",
          {
              "CREATE TABLE blocks ("
              "block_id {blob} NOT NULL PRIMARY KEY CHECK (length(block_id) = 16), "
              "blocker {blob} NOT NULL REFERENCES members (member_id), "
              "blocked {blob} NOT NULL REFERENCES members (member_id), "
              "created_at {int} NOT NULL, "
              "UNIQUE (blocker, blocked), CHECK (blocker <> blocked)) {strict}",
              "CREATE INDEX blocks_by_blocker ON blocks (blocker, created_at, block_id)",
              "CREATE INDEX blocks_by_blocked ON blocks (blocked, created_at, block_id)",

              // One row a receiver and subject: a newer change of a member takes the place of an
              // older one that was not sent. created_at is of the oldest change not yet sent.
              "CREATE TABLE outbox ("
              "receiver {int} NOT NULL, "
              "kind {int} NOT NULL, "
              "subject {blob} NOT NULL, "
              "version {int} NOT NULL, "
              "created_at {int} NOT NULL, "
              "due_at {int} NOT NULL, "
              "attempts {int} NOT NULL, "
              "PRIMARY KEY (receiver, kind, subject)) {strict}",
              "CREATE INDEX outbox_by_due ON outbox (receiver, kind, due_at, subject)",
              "CREATE INDEX outbox_by_age ON outbox (receiver, created_at)",
          }};
}

storage::Migration Avoided() {
  return {"profiles_0004_avoided",
          {
              "CREATE TABLE avoided ("
              "member_id {blob} NOT NULL REFERENCES members (member_id), "
              "other_id {blob} NOT NULL REFERENCES members (member_id), "
              "sealed_relation {blob} NOT NULL, "
              "created_at {int} NOT NULL, "
              "PRIMARY KEY (member_id, other_id), CHECK (member_id <> other_id)) {strict}",
              "CREATE INDEX avoided_by_member ON avoided (member_id, created_at, other_id)",
              "CREATE INDEX avoided_by_other ON avoided (other_id)",
          }};
}

storage::Migration Cases() {
  return {"profiles_0005_cases",
          {
              "CREATE TABLE cases ("
              "case_id {blob} NOT NULL PRIMARY KEY CHECK (length(case_id) = 16), "
              "reporter {blob} NOT NULL REFERENCES members (member_id), "
              "sealed_evidence {blob} NOT NULL, "
              "reported_at {int} NOT NULL, "
              "opened_at {int} NOT NULL) {strict}",
              "CREATE INDEX cases_by_age ON cases (opened_at, case_id)",
              "CREATE INDEX cases_by_reporter ON cases (reporter)",
          }};
}

}  // namespace

absl::Span<const storage::Migration> ProfilesMigrations() {
  static const auto* const migrations = new std::vector<storage::Migration>{
      storage::RequestLogMigration(), Members(), Profiles(), Safety(), Avoided(), Cases()};
  return *migrations;
}

}  // namespace handrail::profiles
