#include "services/matching/stores/help_schema.h"

namespace handrail::matching {
namespace {

constexpr char kHelpCalls[] =
    "CREATE TABLE help_calls ("
    "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
    "member {blob} NOT NULL CHECK (length(member) = 16), "
    "state {int} NOT NULL CHECK (state BETWEEN 1 AND 4), "
    "stage {int} NOT NULL CHECK (stage BETWEEN 1 AND 3), "
    "rounds {int} NOT NULL, "  // of members on call
    "asked {int} NOT NULL, "
    "created_at {int} NOT NULL, "
    "due_at {int} NOT NULL, "      // while open: when more are asked, or it ends
    "changed_at {int} NOT NULL, "  // of the state
    "answered_by {blob}, "         // NULL too when that person was erased
    "answered_at {int} NOT NULL, "
    "pairing {blob}, "       // that the two had when it was answered
    "conversation {blob}, "  // opened for this call; NULL for the seconds until messaging answered
    "contact_end {int} NOT NULL, "
    "contact_open {int} NOT NULL, "
    "version {int} NOT NULL, "
    "CHECK ((state = 2) = (answered_at > 0)), "
    "CHECK (state = 2 OR (answered_by IS NULL AND contact_open = 0)), "
    "CHECK (contact_open = 0 OR answered_by IS NOT NULL)) {strict}";

constexpr char kHelpAsks[] =
    "CREATE TABLE help_asks ("
    "help_call {blob} NOT NULL CHECK (length(help_call) = 16), "
    "member {blob} NOT NULL CHECK (length(member) = 16), "
    "asked_as {int} NOT NULL CHECK (asked_as BETWEEN 1 AND 3), "
    "passed {int} NOT NULL, "
    "asked_at {int} NOT NULL, "
    "PRIMARY KEY (help_call, member)) {strict}";

constexpr char kHelpBackups[] =
    "CREATE TABLE help_backups ("
    "member {blob} NOT NULL CHECK (length(member) = 16), "
    "backup {blob} NOT NULL CHECK (length(backup) = 16), "
    "place {int} NOT NULL, "
    "unwilling {int} NOT NULL, "  // the backup asked not to be one: it stays, to be honoured
    "PRIMARY KEY (member, backup)) {strict}";

constexpr char kOnCall[] =
    "CREATE TABLE on_call ("
    "member {blob} NOT NULL PRIMARY KEY CHECK (length(member) = 16), "
    "until {int} NOT NULL, "
    "last_asked_at {int} NOT NULL) {strict}";

}  // namespace

const storage::Migration& HelpMigration() {
  static const auto* const migration = new storage::Migration{
      "0003_help",
      {
          kHelpCalls,
          "CREATE UNIQUE INDEX help_calls_open ON help_calls (member) WHERE state = 1",
          "CREATE INDEX help_calls_by_member ON help_calls (member, created_at)",
          "CREATE INDEX help_calls_due ON help_calls (due_at) WHERE state = 1",
          "CREATE INDEX help_calls_contacts ON help_calls (contact_end) WHERE contact_open = 1",
          "CREATE INDEX help_calls_by_answer ON help_calls (answered_by) "
          "WHERE answered_by IS NOT NULL",
          "CREATE INDEX help_calls_over ON help_calls (changed_at) WHERE state > 1",
          kHelpAsks,
          "CREATE INDEX help_asks_by_member ON help_asks (member, asked_at)",
          kHelpBackups,
          "CREATE INDEX help_backups_by_backup ON help_backups (backup)",
          kOnCall,
          "CREATE INDEX on_call_by_turn ON on_call (last_asked_at, member)",
      }};
  return *migration;
}

const storage::Migration& HelpAsksOverMigration() {
  static const auto* const migration = new storage::Migration{
      "0011_help_asks_over",
      {
          // What this person sees as the call's version from when the two were kept apart; 0 while
          // they see the call as it is.
          "ALTER TABLE help_asks ADD COLUMN over_version {int} NOT NULL DEFAULT 0",
      }};
  return *migration;
}

}  // namespace handrail::matching
