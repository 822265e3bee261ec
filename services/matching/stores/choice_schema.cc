#include "services/matching/stores/choice_schema.h"

namespace handrail::matching {
namespace {

// Whom a newcomer chose, in their order. Ids only.
constexpr char kTicketChoices[] =
    "CREATE TABLE ticket_choices ("
    "ticket {blob} NOT NULL CHECK (length(ticket) = 16), "
    "place {int} NOT NULL CHECK (place BETWEEN 0 AND 4), "
    "sponsor {blob} NOT NULL CHECK (length(sponsor) = 16), "
    "state {int} NOT NULL CHECK (state BETWEEN 0 AND 1), "  // 0 to be asked, 1 done with
    "PRIMARY KEY (ticket, place), "
    "UNIQUE (ticket, sponsor)) {strict}";

// How many people a member was shown on a day. `seen` is a keyed hash of the day and the person, so
// that a row does not tell who looked at whom.
constexpr char kCandidatesSeen[] =
    "CREATE TABLE candidates_seen ("
    "member {blob} NOT NULL CHECK (length(member) = 16), "
    "day {int} NOT NULL, "  // since 1970-01-01, UTC
    "seen {blob} NOT NULL CHECK (length(seen) = 16), "
    "PRIMARY KEY (member, day, seen)) {strict}";

// What a member asked to see on a day. The answer is enciphered with the member's key; NULL when
// nobody was shown.
constexpr char kCandidateQuestions[] =
    "CREATE TABLE candidate_questions ("
    "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
    "member {blob} NOT NULL CHECK (length(member) = 16), "
    "day {int} NOT NULL, "  // since 1970-01-01, UTC
    "member_version {int} NOT NULL, "
    "importance {int} NOT NULL, "
    "relationship_type {int} NOT NULL, "
    "pool {blob} NOT NULL CHECK (length(pool) = 16), "
    "answer {blob}, "
    "UNIQUE (member, day, member_version, importance, relationship_type, pool)) {strict}";

}  // namespace

storage::Migration CandidateQuestionsMigration() {
  return {"0010_candidate_questions",
          {
              kCandidateQuestions,
              "CREATE INDEX candidate_questions_by_day ON candidate_questions (day)",
          }};
}

storage::Migration ChoiceMigration() {
  return {"0004_choice",
          {
              // Two bits a factor, 0 for the published weights.
              "ALTER TABLE tickets ADD COLUMN importance {int} NOT NULL DEFAULT 0",
              // 1: put before those only whom the newcomer chose.
              "ALTER TABLE tickets ADD COLUMN choosing {int} NOT NULL DEFAULT 0",
              // 1: when none of them takes the offer, Handrail goes on.
              "ALTER TABLE tickets ADD COLUMN then_handrail {int} NOT NULL DEFAULT 0",
              "CREATE INDEX tickets_choosing ON tickets (id) WHERE choosing = 1 AND state = 1",
              kTicketChoices,
              kCandidatesSeen,
              "CREATE INDEX candidates_seen_by_day ON candidates_seen (day)",
          }};
}

storage::Migration ChoiceToldMigration() {
  return {"0009_choice_told",
          {
              // Bits by MatchReason. 0, which older code leaves: none.
              "ALTER TABLE ticket_choices ADD COLUMN told {int} NOT NULL DEFAULT 0",
          }};
}

}  // namespace handrail::matching
