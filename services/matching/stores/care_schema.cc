#include "services/matching/stores/care_schema.h"

namespace handrail::matching {
namespace {

// A notice has no content: what it is about is a name, and the words are the app's.
constexpr char kNotices[] =
    "CREATE TABLE notices ("
    "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
    "member {blob} NOT NULL CHECK (length(member) = 16), "
    "kind {int} NOT NULL CHECK (kind BETWEEN 1 AND 13), "
    "subject {blob} NOT NULL CHECK (length(subject) = 16), "
    "step {int} NOT NULL, "  // the day of a check-in, the hours of a wait; else 0
    "once {int} NOT NULL, "  // tells apart what may come up again for the same subject
    "created_at {int} NOT NULL, "
    "due_at {int} NOT NULL, "      // the time it speaks of; 0 when none
    "useless_at {int} NOT NULL, "  // from then on nobody is told, and it goes
    "read_at {int} NOT NULL, "     // 0 while unread
    "UNIQUE (member, kind, subject, step, once)) {strict}";

// One row for each person and day that is due. The answer is enciphered under the key of who gave
// it.
constexpr char kCheckIns[] =
    "CREATE TABLE check_ins ("
    "pairing {blob} NOT NULL CHECK (length(pairing) = 16), "
    "member {blob} NOT NULL CHECK (length(member) = 16), "
    "day {int} NOT NULL, "
    "due_at {int} NOT NULL, "
    "answered_at {int} NOT NULL, "  // 0 while it was not
    "answer {blob}, "
    "PRIMARY KEY (pairing, member, day)) {strict}";

// A pairing leads to one new request at most.
constexpr char kRematches[] =
    "CREATE TABLE rematches ("
    "pairing {blob} NOT NULL PRIMARY KEY CHECK (length(pairing) = 16), "
    "ticket {blob} NOT NULL UNIQUE CHECK (length(ticket) = 16), "
    "created_at {int} NOT NULL) {strict}";

}  // namespace

const storage::Migration& CareMigration() {
  static const auto* const migration = new storage::Migration{
      "0005_care",
      {
          kNotices,
          "CREATE INDEX notices_by_member ON notices (member, created_at)",
          "CREATE INDEX notices_by_end ON notices (useless_at)",
          kCheckIns,
          "CREATE INDEX check_ins_by_member ON check_ins (member)",
          kRematches,
          "ALTER TABLE offers ADD COLUMN care_at {int} NOT NULL DEFAULT 0",
          "CREATE INDEX offers_by_care ON offers (care_at) WHERE state = 1",
          "ALTER TABLE pairings ADD COLUMN care_at {int} NOT NULL DEFAULT 0",
          "CREATE INDEX pairings_by_care ON pairings (care_at) WHERE state <> 5",
          "CREATE INDEX pairings_by_pool ON pairings (pool, created_at)",
          // When the wait began; 0 means created_at, which is older than the wait after a rematch.
          "ALTER TABLE tickets ADD COLUMN asked_at {int} NOT NULL DEFAULT 0",
          "ALTER TABLE tickets ADD COLUMN care_at {int} NOT NULL DEFAULT 0",
          // How many of the bounds 24 h, 48 h and 72 h the wait has passed.
          "ALTER TABLE tickets ADD COLUMN wait_band {int} NOT NULL DEFAULT 0",
          // 0 a temporary contact is to be offered, 1 to be asked for, 2 neither any more.
          "ALTER TABLE tickets ADD COLUMN contact {int} NOT NULL DEFAULT 0",
          "ALTER TABLE tickets ADD COLUMN expiry_told {int} NOT NULL DEFAULT 0",
          "CREATE INDEX tickets_by_care ON tickets (wait_band, care_at) WHERE state IN (1, 2)",
          "ALTER TABLE sponsors ADD COLUMN care_at {int} NOT NULL DEFAULT 0",
          "CREATE INDEX sponsors_by_care ON sponsors (care_at)",
          "ALTER TABLE sponsors ADD COLUMN missed_offers {int} NOT NULL DEFAULT 0",
          "ALTER TABLE sponsors ADD COLUMN pause_reason {int} NOT NULL DEFAULT 0",
          "ALTER TABLE sponsors ADD COLUMN resume_at {int} NOT NULL DEFAULT 0",  // 0: not by itself
          // Who was there before this is new no longer.
          "ALTER TABLE sponsors ADD COLUMN first_available_at {int} NOT NULL DEFAULT 1",
          "ALTER TABLE sponsors ADD COLUMN seat_limit {int} NOT NULL DEFAULT 10",
          "ALTER TABLE sponsors ADD COLUMN probation_end {int} NOT NULL DEFAULT 0",
      }};
  return *migration;
}

}  // namespace handrail::matching
