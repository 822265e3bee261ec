#include "services/matching/stores/schema.h"

#include "common/storage/request_log.h"
#include "services/matching/stores/batch_store_sql.h"
#include "services/matching/stores/care_schema.h"
#include "services/matching/stores/choice_schema.h"
#include "services/matching/stores/help_schema.h"
#include "services/matching/stores/operator_record.h"
#include "services/matching/stores/safety_schema.h"

namespace handrail::matching {
namespace {

// Our copy of what profiles tells of a member. `traits` is enciphered under the member's own key,
// which lies beside it, wrapped; erasing a member deletes both.
constexpr char kMembers[] =
    "CREATE TABLE members ("
    "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
    "version {int} NOT NULL, "
    "standing {int} NOT NULL, "   // 1 good, 2 suspended, 3 erased
    "may_match {int} NOT NULL, "  // both consents that matching needs are given
    "has_newcomer {int} NOT NULL, "
    "has_sponsor {int} NOT NULL, "
    "attested_at {int} NOT NULL, "  // the sponsor's last confirmation; 0 when none
    "wrapped_key {blob}, "
    "traits {blob}) {strict}";

constexpr char kBlocks[] =
    "CREATE TABLE blocks ("
    "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
    "blocker {blob} NOT NULL CHECK (length(blocker) = 16), "
    "blocked {blob} NOT NULL CHECK (length(blocked) = 16), "
    "created_at {int} NOT NULL, "
    "UNIQUE (blocker, blocked)) {strict}";

constexpr char kTickets[] =
    "CREATE TABLE tickets ("
    "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
    "member {blob} NOT NULL CHECK (length(member) = 16), "
    "relationship_type {int} NOT NULL, "
    "pool {blob} NOT NULL CHECK (length(pool) = 16), "
    "state {int} NOT NULL CHECK (state BETWEEN 1 AND 5), "
    "created_at {int} NOT NULL, "
    "expires_at {int} NOT NULL, "
    "boost {int} NOT NULL, "  // microseconds, bounded, by an operator
    "version {int} NOT NULL, "
    "offer_count {int} NOT NULL, "
    "index_pending {int} NOT NULL) {strict}";  // when a hint to Redis became due; 0 when none is

constexpr char kOffers[] =
    "CREATE TABLE offers ("
    "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
    "ticket {blob} NOT NULL CHECK (length(ticket) = 16), "
    "newcomer {blob} NOT NULL CHECK (length(newcomer) = 16), "
    "sponsor {blob} NOT NULL CHECK (length(sponsor) = 16), "
    "relationship_type {int} NOT NULL, "
    "pool {blob} NOT NULL CHECK (length(pool) = 16), "
    "state {int} NOT NULL CHECK (state BETWEEN 1 AND 5), "
    "created_at {int} NOT NULL, "
    "expires_at {int} NOT NULL, "
    "changed_at {int} NOT NULL, "
    "version {int} NOT NULL, "
    "exclusive {int} NOT NULL, "              // 0 when the program allows parallel offers
    "explanation {blob} NOT NULL) {strict}";  // score and codes, enciphered for the newcomer

constexpr char kPairings[] =
    "CREATE TABLE pairings ("
    "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
    "offer {blob} NOT NULL UNIQUE CHECK (length(offer) = 16), "
    "ticket {blob} NOT NULL UNIQUE CHECK (length(ticket) = 16), "
    "newcomer {blob} NOT NULL CHECK (length(newcomer) = 16), "
    "sponsor {blob} NOT NULL CHECK (length(sponsor) = 16), "
    "relationship_type {int} NOT NULL, "
    "pool {blob} NOT NULL CHECK (length(pool) = 16), "
    "state {int} NOT NULL CHECK (state BETWEEN 1 AND 5), "
    "created_at {int} NOT NULL, "
    "trial_end {int} NOT NULL, "
    "newcomer_confirmed {int} NOT NULL, "
    "sponsor_confirmed {int} NOT NULL, "
    "conversation {blob}, "        // NULL for the seconds until messaging has answered
    "ended_at {int} NOT NULL, "    // 0 while it lasts
    "end_reason {int} NOT NULL, "  // private: no call returns it
    "version {int} NOT NULL) {strict}";

// Capacity as rows, not as a counter: a seat is held or it is not. A row exists while the seat is
// held, by exactly one open offer or one pairing that has not ended.
constexpr char kSeats[] =
    "CREATE TABLE seats ("
    "sponsor {blob} NOT NULL CHECK (length(sponsor) = 16), "
    "slot {int} NOT NULL CHECK (slot BETWEEN 0 AND 9), "
    "held_by {int} NOT NULL CHECK (held_by BETWEEN 1 AND 2), "  // 1 an offer, 2 a pairing
    "holder {blob} NOT NULL UNIQUE CHECK (length(holder) = 16), "
    "PRIMARY KEY (sponsor, slot)) {strict}";

constexpr char kSponsors[] =
    "CREATE TABLE sponsors ("
    "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
    "capacity {int} NOT NULL CHECK (capacity BETWEEN 0 AND 10), "
    "accepting {int} NOT NULL, "
    "last_offer_at {int} NOT NULL, "  // 0 when there was none
    "version {int} NOT NULL, "
    "index_pending {int} NOT NULL) {strict}";

constexpr char kPairExclusions[] =
    "CREATE TABLE pair_exclusions ("
    "newcomer {blob} NOT NULL CHECK (length(newcomer) = 16), "
    "sponsor {blob} NOT NULL CHECK (length(sponsor) = 16), "
    "until {int} NOT NULL, "
    "kind {int} NOT NULL, "  // 1 timed out, 2 declined, 3 ended, 4 safety
    "PRIMARY KEY (newcomer, sponsor)) {strict}";

// What messaging must hear. A row goes when messaging has answered.
constexpr char kOutbox[] =
    "CREATE TABLE outbox ("
    "id {blob} NOT NULL PRIMARY KEY CHECK (length(id) = 16), "
    "pairing {blob} NOT NULL CHECK (length(pairing) = 16), "
    "step {int} NOT NULL CHECK (step BETWEEN 1 AND 2), "  // 1 open, 2 close: the order of a pairing
    "newcomer {blob} NOT NULL CHECK (length(newcomer) = 16), "
    "sponsor {blob} NOT NULL CHECK (length(sponsor) = 16), "
    "created_at {int} NOT NULL, "
    "due_at {int} NOT NULL, "
    "attempts {int} NOT NULL, "
    "UNIQUE (pairing, step)) {strict}";

}  // namespace

const std::vector<storage::Migration>& LedgerMigrations() {
  static const auto* const migrations = new std::vector<storage::Migration>{
      storage::RequestLogMigration(),
      {"0001_ledger",
       {
           kMembers,
           kBlocks,
           "CREATE INDEX blocks_by_blocked ON blocks (blocked)",
           kTickets,
           "CREATE UNIQUE INDEX tickets_open ON tickets (member, relationship_type) "
           "WHERE state IN (1, 2)",
           "CREATE INDEX tickets_by_member ON tickets (member, created_at)",
           "CREATE INDEX tickets_waiting ON tickets (pool, created_at) WHERE state = 1",
           "CREATE INDEX tickets_pending ON tickets (index_pending) WHERE index_pending > 0",
           kOffers,
           "CREATE UNIQUE INDEX offers_open_ticket ON offers (ticket) "
           "WHERE state = 1 AND exclusive = 1",
           "CREATE UNIQUE INDEX offers_open_pair ON offers (ticket, sponsor) WHERE state = 1",
           "CREATE INDEX offers_by_sponsor ON offers (sponsor, created_at)",
           "CREATE INDEX offers_by_newcomer ON offers (newcomer) WHERE state = 1",
           "CREATE INDEX offers_by_deadline ON offers (expires_at) WHERE state = 1",
           kPairings,
           "CREATE INDEX pairings_by_newcomer ON pairings (newcomer, created_at)",
           "CREATE INDEX pairings_by_sponsor ON pairings (sponsor, created_at)",
           "CREATE INDEX pairings_in_trial ON pairings (trial_end) WHERE state IN (1, 2)",
           kSeats,
           kSponsors,
           "CREATE INDEX sponsors_pending ON sponsors (index_pending) WHERE index_pending > 0",
           kPairExclusions,
           kOutbox,
           "CREATE INDEX outbox_due ON outbox (due_at)",
       }},
      // What a watch of offers reads at every wake-up must not grow with the sponsor's history.
      {"0002_offers_by_change",
       {
           "CREATE INDEX offers_by_sponsor_open ON offers (sponsor) WHERE state = 1",
           "CREATE INDEX offers_by_sponsor_change ON offers (sponsor, changed_at)",
       }},
      HelpMigration(),
      ChoiceMigration(),
      CareMigration(),
      OperatorMigration(),
      // A pairing that ended for safety was forbidden again one way only.
      {"0007_exclusions_both_ways",
       {
           "INSERT INTO pair_exclusions (newcomer, sponsor, until, kind) "
           "SELECT e.sponsor, e.newcomer, e.until, e.kind FROM pair_exclusions e "
           "WHERE e.kind = 4 "
           "ON CONFLICT (newcomer, sponsor) DO UPDATE SET until = excluded.until, "
           "kind = excluded.kind",
       }},
      // Whoever is erased goes from the choices of others too.
      {"0008_choices_by_sponsor",
       {"CREATE INDEX ticket_choices_by_sponsor ON ticket_choices (sponsor)"}},
      ChoiceToldMigration(),
      CandidateQuestionsMigration(),
      HelpAsksOverMigration(),
      SafetyWordsMigration(),
      // How soon a sponsor tends to answer, in millionths; -1 when that is not known.
      {"0013_responsiveness",
       {"ALTER TABLE sponsors ADD COLUMN responsiveness {int} NOT NULL DEFAULT -1"}},
      // What may have one more offer is queued and loaded like what waits.
      {"0014_offers_side_by_side",
       {"CREATE INDEX offers_side_by_side ON offers (pool, ticket) "
        "WHERE state = 1 AND exclusive = 0"}},
      AvoidedMigration(),
      OperatorTrimMigration(),
      BatchMigration(),
  };
  return *migrations;
}

}  // namespace handrail::matching
