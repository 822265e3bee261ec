#include "services/matching/stores/invariants.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "services/matching/adapters/program_table.h"
#include "services/matching/stores/help_sql.h"
#include "services/matching/stores/ledger_test_env.h"

namespace handrail::matching {
namespace {

// A ledger in which each kind of row exists, and statements that break one invariant each.
struct Damage {
  std::string text;  // of the invariant that must be reported
  std::vector<std::string> statements;
};

const std::vector<Damage>& AllDamage() {
  static const auto* const all = new std::vector<Damage>{
      {"a newcomer has two open tickets for one relationship type",
       {"DROP INDEX tickets_open",
        "UPDATE tickets SET member = (SELECT member FROM tickets WHERE state = 1), state = 1 "
        "WHERE state = 2"}},
      {"a ticket is in two open offers, and its program allows one",
       {"DROP INDEX offers_open_ticket", "DROP INDEX offers_open_pair",
        "UPDATE offers SET state = 1, ticket = (SELECT ticket FROM offers WHERE state = 1)"}},
      {"a ticket is in more open offers than any program allows",
       {"DROP INDEX offers_open_ticket", "DROP INDEX offers_open_pair",
        "INSERT INTO offers SELECT x'01010101010101010101010101010101', ticket, newcomer, sponsor, "
        "relationship_type, pool, state, created_at, expires_at, changed_at, version, 0, "
        "explanation, care_at FROM offers WHERE state = 1 LIMIT 1",
        "INSERT INTO offers SELECT x'02020202020202020202020202020202', ticket, newcomer, sponsor, "
        "relationship_type, pool, state, created_at, expires_at, changed_at, version, 0, "
        "explanation, care_at FROM offers WHERE state = 1 LIMIT 1",
        "INSERT INTO offers SELECT x'03030303030303030303030303030303', ticket, newcomer, sponsor, "
        "relationship_type, pool, state, created_at, expires_at, changed_at, version, 0, "
        "explanation, care_at FROM offers WHERE state = 1 LIMIT 1"}},
      {"a sponsor has an open offer and more seats taken than the capacity",
       {"UPDATE sponsors SET capacity = 1"}},
      {"a seat is held by an offer that is not open, or by the wrong sponsor's",
       {"UPDATE offers SET state = 4 WHERE state = 1"}},
      {"a seat is held by a pairing that has ended, or by the wrong sponsor's",
       {"UPDATE pairings SET state = 5"}},
      {"an open offer holds no seat", {"DELETE FROM seats WHERE held_by = 1"}},
      {"a pairing that has not ended holds no seat", {"DELETE FROM seats WHERE held_by = 2"}},
      {"an accepted offer has not exactly one pairing", {"DELETE FROM pairings"}},
      {"a pairing comes from an offer that was not accepted, or a ticket that is not paired",
       {"UPDATE offers SET state = 3 WHERE state = 2"}},
      {"a ticket has two pairings",
       {"CREATE TABLE loose AS SELECT * FROM pairings", "DROP TABLE pairings",
        "ALTER TABLE loose RENAME TO pairings",
        "INSERT INTO pairings SELECT x'04040404040404040404040404040404', offer, ticket, newcomer, "
        "sponsor, relationship_type, pool, state, created_at, trial_end, newcomer_confirmed, "
        "sponsor_confirmed, conversation, ended_at, end_reason, version, care_at FROM pairings"}},
      {"a pairing has no conversation, and messaging is not going to be told",
       {"DELETE FROM outbox"}},
      {"two pairings share a conversation",
       {"UPDATE pairings SET conversation = x'03030303030303030303030303030303'",
        "INSERT INTO pairings SELECT x'04040404040404040404040404040404', "
        "x'05050505050505050505050505050505', x'06060606060606060606060606060606', newcomer, "
        "sponsor, relationship_type, pool, state, created_at, trial_end, newcomer_confirmed, "
        "sponsor_confirmed, conversation, ended_at, end_reason, version, care_at FROM pairings"}},
      {"a ticket is offered, and no offer is open for it",
       {"UPDATE offers SET state = 5 WHERE state = 1"}},
      {"an offer is open for a ticket that is not offered",
       {"UPDATE tickets SET state = 1 WHERE state = 2"}},
      {"a ticket is paired, and there is no pairing", {"DELETE FROM pairings"}},
      {"an offer is open between two of whom one blocked the other",
       {"INSERT INTO blocks SELECT id, sponsor, newcomer, 1 FROM offers WHERE state = 1"}},
      {"a pairing lasts between two of whom one blocked the other",
       {"INSERT INTO blocks SELECT id, newcomer, sponsor, 1 FROM pairings"}},
      {"two whose pairing ended for safety are kept apart one way only",
       {"INSERT INTO pair_exclusions SELECT newcomer, sponsor, 9223372036854775807, 4 "
        "FROM pairings"}},
      {"two of whom one said that it ended for safety are not kept apart",
       {"INSERT INTO safety_words SELECT id, sponsor, newcomer, 12, 1 FROM pairings"}},
      {"an offer is open between two whose pairing ended for safety",
       {"INSERT INTO pair_exclusions SELECT newcomer, sponsor, 9223372036854775807, 4 "
        "FROM offers WHERE state = 1"}},
      {"an offer is open for or to a member who may not take part",
       {"UPDATE members SET may_match = 0 WHERE has_sponsor = 1"}},
      {"an offer was made to a sponsor whose attestation had lapsed",
       {"UPDATE members SET attested_at = 1 WHERE has_sponsor = 1"}},
      {"an offer was made to the newcomer's own self",
       {"UPDATE offers SET newcomer = sponsor WHERE state = 1"}},
      {"a ticket is younger than an offer that was made for it",
       {"UPDATE tickets SET created_at = created_at + 10000000 WHERE state = 2"}},
      {"a pair that timed out is kept apart for longer than a short while",
       {"INSERT INTO pair_exclusions SELECT newcomer, sponsor, created_at + 2592000000000, 1 "
        "FROM offers WHERE state = 1"}},
      {"a sponsor on probation has an open offer and more seats taken than it allows",
       {"UPDATE sponsors SET seat_limit = 1"}},
      {"somebody was asked before another one whom the newcomer put first",
       {"INSERT INTO ticket_choices (ticket, place, sponsor, state) SELECT ticket, 0, sponsor, 0 "
        "FROM offers WHERE state = 1",
        "INSERT INTO ticket_choices (ticket, place, sponsor, state) SELECT ticket, 1, newcomer, 1 "
        "FROM offers WHERE state = 1"}},
      {"a sponsor who was paused for missed offers takes offers",
       {"UPDATE sponsors SET pause_reason = 2"}},
      {"a pairing that goes on, or another person's, led to a rematch",
       {"INSERT INTO rematches SELECT id, ticket, 1 FROM pairings"}},
      {"a check-in is of a person who is not of the pairing",
       {"INSERT INTO check_ins SELECT id, ticket, 3, 1, 0, NULL FROM pairings"}},
      {"a member has more notices than there may be",
       {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) "
        "INSERT INTO notices SELECT randomblob(16), (SELECT newcomer FROM pairings), 2, "
        "randomblob(16), 0, 0, 1, 1, 1, 0 FROM n"}},
      {"a call for help was answered by somebody who was not asked",
       {"DELETE FROM help_asks WHERE help_call IN (SELECT id FROM help_calls WHERE state = 2)"}},
      {"a contact has no conversation, and messaging is not going to be told",
       {"DELETE FROM outbox"}},
      {"a call for help was answered by somebody for whom it was over",
       {"UPDATE help_asks SET over_version = 2 WHERE help_call IN "
        "(SELECT id FROM help_calls WHERE state = 2)"}},
      {"a call for help is open 10 minutes after its stage has passed",
       {"UPDATE help_calls SET due_at = due_at - 1000000000 WHERE state = 1"}},
      {"a call for help was put before somebody of whom one blocked the other",
       {"INSERT INTO blocks SELECT h.id, a.member, h.member, 1 FROM help_asks a JOIN help_calls h "
        "ON h.id = a.help_call WHERE h.state = 1"}},
      {"a call for help was put before somebody whom the caller is kept from for safety",
       {"INSERT INTO pair_exclusions SELECT h.member, a.member, 9223372036854775807, 4 FROM "
        "help_asks a JOIN help_calls h ON h.id = a.help_call WHERE h.state = 1"}},
      {"an open call for help is of or before a member who may not take part",
       {"UPDATE members SET standing = 2 WHERE id IN (SELECT member FROM help_calls WHERE state = "
        "1)"}},
      {"a boost is out of its bounds", {"UPDATE tickets SET boost = 1000001"}},
  };
  return *all;
}

void Fill(LedgerTestEnv& env) {
  const MemberId sponsor = env.AddSponsor(2);
  env.Pair(sponsor);
  const auto offered = env.Open(env.As(env.AddNewcomer()));
  ASSERT_TRUE(env.MakeOffer(offered->value, sponsor).ok());
  ASSERT_TRUE(env.Open(env.As(env.AddNewcomer())).ok());
  // A call for help that is open, and one that somebody on call has answered.
  SqlHelpStore help(*env.database, env.vault, env.pools, env.random, BuiltInPrograms(),
                    HelpOptions());
  const absl::Time now = env.clock.Now();
  ASSERT_TRUE(help.SetOnCall(env.As(sponsor), now, absl::Hours(2)).ok());
  for (const bool answered : {true, false}) {
    const HelpCallId id = HelpCallId::Random(env.random);
    ASSERT_TRUE(help.Reach(env.As(env.AddNewcomer()), now, id, {&sponsor, 1}).ok());
    if (!answered) continue;
    ASSERT_TRUE(help.Answer(env.As(sponsor), now, id).ok());
  }
}

TEST(InvariantsTest, ASoundLedgerHasNoViolation) {
  LedgerTestEnv env(storage::TestBackend::kSqliteMemory);
  Fill(env);
  env.ExpectWhole();
}

TEST(InvariantsTest, EachDamageIsFound) {
  for (const Damage& damage : AllDamage()) {
    LedgerTestEnv env(storage::TestBackend::kSqliteMemory);
    Fill(env);
    for (const std::string& statement : damage.statements) env.Execute(statement);
    const auto violations = CheckLedger(*env.database, env.clock.Now());
    ASSERT_TRUE(violations.ok()) << violations.status();
    bool found = false;
    for (const Violation& violation : *violations) found |= violation.text == damage.text;
    EXPECT_TRUE(found) << damage.text;
  }
}

TEST(InvariantsTest, EveryInvariantHasADamageOfItsOwn) {
  std::set<std::string> known;
  for (const Damage& damage : AllDamage()) known.insert(damage.text);
  for (const Invariant& invariant : LedgerInvariants()) {
    EXPECT_EQ(known.count(std::string(invariant.text)), 1u) << invariant.text;
  }
  EXPECT_EQ(known.size(), LedgerInvariants().size());
}

}  // namespace
}  // namespace handrail::matching
