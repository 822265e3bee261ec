#include "tests/support/ledger_audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/status.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/stores/help_sql.h"
#include "tests/crash/world.h"

// The audit on two sound ledgers, and on ledgers that are damaged by hand: it must be silent on the
// one and name the damage of each of the others. What the services' own invariants find is tested
// whole beside each of them; here one of every promise shows that the audit passes it on.
namespace handrail::tests {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr absl::Time kNoDeadline = absl::InfiniteFuture();

// Everything that the audit knows of happens once, and clients are told of it: a pairing that lasts
// and talks, one that has ended, a ticket that is cancelled, one that is offered, two that wait
// after a decline and after a block.
class Story {
 public:
  Story() : world_(Bug::kNone) {
    sponsor_ = env().AddSponsor(3);
    other_ = env().AddSponsor(2);
    history().CapacitySet(sponsor_, 3);
    history().CapacitySet(other_, 2);
    Talk(Pair());
    End(Pair());
    const matching::Ticket cancelled = Ask();
    EXPECT_TRUE(ledger().CancelTicket(env().As(cancelled.newcomer), Now(), cancelled.id).ok());
    history().TicketCancelled(cancelled.id);
    Decline(Offer(Ask(), sponsor_));
    Block(Offer(Ask(), other_));
    Offer(Ask(), other_);
    Deliver();
  }

  AuditReport Audit() {
    const auto report =
        AuditLedgers(history(), world_.matching_disk(), world_.messaging_disk(), Now());
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(AuditReport());
  }
  // A call for help that somebody on call has answered; then one of the two is erased.
  enum class Erased { kNobody, kCaller, kHelper };
  void Contact(Erased erased) {
    matching::SqlHelpStore help(*env().database, env().vault, env().pools, env().random,
                                matching::BuiltInPrograms(), matching::HelpOptions());
    const MemberId caller = env().AddNewcomer();
    const MemberId helper = env().AddSponsor(0);
    ASSERT_TRUE(help.SetOnCall(env().As(helper), Now(), absl::Hours(2)).ok());
    const auto id = matching::HelpCallId::Random(env().random);
    ASSERT_TRUE(help.Reach(env().As(caller), Now(), id, {&helper, 1}).ok());
    history().HelpCallOpened(id, caller);
    ASSERT_TRUE(help.Answer(env().As(helper), Now(), id).ok());
    history().HelpCallAnswered(id, helper);
    Deliver();
    if (erased == Erased::kNobody) return;
    matching::MemberTraits gone =
        erased == Erased::kCaller ? env().Newcomer(caller, 2) : env().Sponsor(helper, 2);
    gone.standing = matching::Standing::kErased;
    ASSERT_TRUE(ledger().ApplyMember(kNoDeadline, Now(), gone).ok());
    Deliver();
  }
  History& history() { return world_.history(); }
  storage::Database& matching() { return world_.matching_disk(); }
  storage::Database& messaging() { return world_.messaging_disk(); }
  matching::LedgerTestEnv& env() { return world_.env(); }
  const MemberId& sponsor() const { return sponsor_; }
  absl::Time Now() { return world_.clock().Now(); }

 private:
  matching::Ledger& ledger() { return world_.ledger(); }

  matching::Ticket Ask() {
    const MemberId newcomer = env().AddNewcomer();
    const auto ticket = world_.OpenTicket(env().As(newcomer));
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    history().TicketOpened(newcomer, ticket->id);
    return *ticket;
  }
  matching::Offer Offer(const matching::Ticket& ticket, const MemberId& sponsor) {
    const auto offer = env().MakeOffer(ticket, sponsor);
    EXPECT_TRUE(offer.ok()) << offer.status();
    return offer->value;
  }
  matching::Pairing Pair() {
    const matching::Offer offer = Offer(Ask(), sponsor_);
    const auto pairing = ledger().AcceptOffer(env().As(sponsor_), Now(), offer.id);
    EXPECT_TRUE(pairing.ok()) << pairing.status();
    history().OfferAccepted(sponsor_, pairing->value.id, Now());
    return pairing->value;
  }
  void Deliver() {
    while (true) {
      const auto due = ledger().DueOutbox(kNoDeadline, Now(), 10);
      ASSERT_TRUE(due.ok()) << due.status();
      if (due->empty()) return;
      for (const matching::OutboxEntry& entry : *due) {
        std::optional<ConversationId> conversation;
        if (entry.step == matching::OutboxEntry::Step::kOpen) {
          const auto opened = world_.messages().OpenConversation(kNoDeadline, Now(), entry.pairing,
                                                                 {{entry.newcomer, entry.sponsor}});
          ASSERT_TRUE(opened.ok()) << opened.status();
          conversation = opened->id;
        } else {
          ASSERT_TRUE(world_.messages().CloseConversation(kNoDeadline, Now(), entry.pairing).ok());
        }
        ASSERT_TRUE(ledger().OutboxDelivered(kNoDeadline, entry, conversation).ok());
      }
    }
  }
  void Talk(const matching::Pairing& pairing) {
    const DeviceId phone = DeviceId::Random(env().random);
    for (const auto& [member, device] :
         {std::pair(pairing.newcomer, phone), {pairing.sponsor, DeviceId::Random(env().random)}}) {
      const messaging::MemberSnapshot snapshot{member, 1, messaging::Standing::kGood, {device}};
      ASSERT_TRUE(world_.messages().ApplyMembers(kNoDeadline, Now(), {&snapshot, 1}).ok());
    }
    Deliver();
    const auto now = ledger().GetPairing(env().As(sponsor_), pairing.id);
    ASSERT_TRUE(now.ok() && now->conversation.has_value());
    for (int i = 0; i < 3; ++i) {
      const messaging::Append append{
          pairing.newcomer, phone,      *now->conversation, MessageId::Random(env().random),
          "hello",          kNoDeadline};
      const auto sent = world_.Send(append);
      ASSERT_TRUE(sent.ok()) << sent.status();
      history().MessageSent(append.member, append.message_id,
                            {append.conversation, sent->sequence, append.payload});
    }
    ASSERT_TRUE(world_.Acknowledge(phone, *now->conversation, 3).ok());
    history().Acknowledged(phone, *now->conversation, 3);
  }
  void End(const matching::Pairing& pairing) {
    history().EndingPairing(pairing.id, Now());
    ASSERT_TRUE(
        ledger()
            .EndPairing(env().As(sponsor_), Now(), pairing.id, matching::EndReason::kUnspecified)
            .ok());
    history().PairingEnded(pairing.id);
    world_.clock().Advance(absl::Seconds(1));
  }
  void Decline(const matching::Offer& offer) {
    ASSERT_TRUE(ledger().DeclineOffer(env().As(offer.sponsor), Now(), offer.id).ok());
    history().OfferDeclined(offer.id);
  }
  void Block(const matching::Offer& offer) {
    const BlockId id = BlockId::Random(env().random);
    ASSERT_TRUE(ledger().ApplyBlock(kNoDeadline, Now(), id, offer.newcomer, offer.sponsor).ok());
    ASSERT_TRUE(
        world_.messages()
            .ApplyBlock(kNoDeadline, Now(), messaging::Block{id, offer.newcomer, offer.sponsor})
            .ok());
    history().Blocked(offer.newcomer, offer.sponsor);
  }

  World world_;
  MemberId sponsor_;
  MemberId other_;
};

enum class Where { kMatching, kMessaging };

// Statements that break one thing, and what must be said of it.
struct Damage {
  std::string finding;  // the beginning of it
  Where where = Where::kMatching;
  std::vector<std::string> statements;
};

#define ANOTHER_ID "x'0707070707070707070707070707abcd'"

// What only the history of the clients can tell.
std::vector<Damage> DamageToWhatWasAcknowledged() {
  return {
      {"lost: an acknowledged ticket", Where::kMatching, {"DELETE FROM tickets WHERE state = 4"}},
      {"doubled: a ticket that nobody was told of",
       Where::kMatching,
       {"INSERT INTO tickets (id, member, relationship_type, pool, state, created_at, expires_at, "
        "boost, version, offer_count, index_pending) SELECT " ANOTHER_ID
        ", member, relationship_type, pool, state, "
        "created_at, expires_at, boost, version, offer_count, 0 FROM tickets WHERE state = 4"}},
      {"a ticket is somebody else's",
       Where::kMatching,
       {"UPDATE tickets SET member = " ANOTHER_ID " WHERE state = 4"}},
      {"lost: an acknowledged cancellation",
       Where::kMatching,
       {"UPDATE tickets SET state = 5 WHERE state = 4"}},
      {"lost: an acknowledged pairing", Where::kMatching, {"DELETE FROM pairings"}},
      {"doubled: a pairing that nobody was told of",
       Where::kMatching,
       {"INSERT INTO pairings (id, offer, ticket, newcomer, sponsor, relationship_type, pool, "
        "state, created_at, trial_end, newcomer_confirmed, sponsor_confirmed, conversation, "
        "ended_at, end_reason, version) SELECT " ANOTHER_ID ", " ANOTHER_ID ", " ANOTHER_ID
        ", newcomer, sponsor, relationship_type, pool, state, created_at, trial_end, "
        "newcomer_confirmed, sponsor_confirmed, conversation, ended_at, end_reason, version "
        "FROM pairings WHERE state = 5"}},
      {"a pairing is somebody else's",
       Where::kMatching,
       {"UPDATE pairings SET sponsor = " ANOTHER_ID " WHERE state = 5"}},
      {"lost: an acknowledged end of a pairing",
       Where::kMatching,
       {"UPDATE pairings SET state = 3 WHERE state = 5"}},
      {"lost: an acknowledged decline",
       Where::kMatching,
       {"UPDATE offers SET state = 4 WHERE state = 3"}},
      {"doubled: a decline that nobody asked for",
       Where::kMatching,
       {"UPDATE offers SET state = 3 WHERE state = 5"}},
      {"lost: an acknowledged block, in matching", Where::kMatching, {"DELETE FROM blocks"}},
      {"lost: an acknowledged block, in messaging", Where::kMessaging, {"DELETE FROM blocks"}},
      {"lost: an acknowledged message",
       Where::kMessaging,
       {"DELETE FROM messages WHERE sequence = 3"}},
      {"doubled: a message is stored twice",
       Where::kMessaging,
       {"DROP INDEX messages_by_id",
        "INSERT INTO messages (conversation_key, sequence, sender_key, sender_device, message_id, "
        "created_at, payload) "
        "SELECT conversation_key, 4, sender_key, sender_device, message_id, "
        "created_at, payload FROM messages WHERE sequence = 3"}},
      {"doubled: a message that nobody was told of",
       Where::kMessaging,
       {"INSERT INTO messages (conversation_key, sequence, sender_key, sender_device, message_id, "
        "created_at, payload) "
        "SELECT conversation_key, 4, sender_key, sender_device, " ANOTHER_ID
        ", created_at, payload FROM messages WHERE sequence = 3",
        "UPDATE conversations SET head_sequence = 4 WHERE head_sequence = 3"}},
      {"a message stands elsewhere than its sender was told",
       Where::kMessaging,
       {"UPDATE messages SET sequence = 4 WHERE sequence = 3"}},
      {"a message holds other bytes",
       Where::kMessaging,
       {"UPDATE messages SET payload = x'00' WHERE sequence = 2"}},
      {"lost: what a device said that it has",
       Where::kMessaging,
       {"UPDATE conversation_devices SET acked_sequence = 2 WHERE acked_sequence = 3"}},
  };
}

// What only both ledgers together can tell.
std::vector<Damage> DamageBetweenTheLedgers() {
  return {
      {"1 rows wait in the outbox",
       Where::kMatching,
       {"INSERT INTO outbox (id, pairing, step, newcomer, sponsor, created_at, due_at, attempts) "
        "SELECT " ANOTHER_ID ", id, 2, newcomer, sponsor, 1, 1, 0 FROM pairings WHERE state = 5"}},
      {"lost: M3: the conversation of a pairing",
       Where::kMessaging,
       {"DELETE FROM conversations WHERE state = 2"}},
      {"doubled: M3: a pairing has two conversations",
       Where::kMessaging,
       {"CREATE TABLE copy AS SELECT * FROM conversations", "DROP TABLE conversations",
        "ALTER TABLE copy RENAME TO conversations",
        "INSERT INTO conversations (conversation_key, conversation_id, pairing_id, state, blocked, "
        "created_at, closed_at, head_sequence, first_sequence, retention_at, marked_sequence, "
        "marked_at, trimmed_at, trimmed_newest_at) "
        "SELECT 7, " ANOTHER_ID ", pairing_id, state, blocked, "
        "created_at, closed_at, 0, 1, retention_at, marked_sequence, marked_at, trimmed_at, "
        "trimmed_newest_at FROM conversations WHERE state = 1",
        "INSERT INTO conversation_members (conversation_key, member_key, member_id, created_at) "
        "SELECT 7, member_key, member_id, created_at FROM conversation_members WHERE "
        "conversation_key = "
        "(SELECT conversation_key FROM messages LIMIT 1)"}},
      {"lost: M3: matching was not told of the conversation of a pairing",
       Where::kMatching,
       {"UPDATE pairings SET conversation = NULL WHERE state <> 5"}},
      {"M3: matching and messaging name different conversations",
       Where::kMatching,
       {"UPDATE pairings SET conversation = " ANOTHER_ID " WHERE state <> 5"}},
      {"C5: a conversation has other members than its pairing",
       Where::kMessaging,
       {"UPDATE conversation_members SET member_id = " ANOTHER_ID
        " WHERE member_key = (SELECT sender_key FROM messages LIMIT 1)"}},
      {"M3: a pairing has ended and its conversation is open",
       Where::kMessaging,
       {"UPDATE conversations SET state = 1, closed_at = NULL"}},
      {"M3: a pairing lasts and its conversation is closed",
       Where::kMessaging,
       {"UPDATE conversations SET state = 2, closed_at = 1"}},
      {"doubled: M3: a conversation that no pairing has",
       Where::kMessaging,
       {"UPDATE conversations SET pairing_id = " ANOTHER_ID " WHERE state = 2"}},
  };
}

// One of each promise that a ledger can tell by itself.
std::vector<Damage> DamageToEachPromise() {
  return {
      {"M1: a newcomer has two open tickets",
       Where::kMatching,
       {"DROP INDEX tickets_open",
        "UPDATE tickets SET member = (SELECT member FROM tickets WHERE state = 2) "
        "WHERE state = 1"}},
      {"M2: a sponsor has an open offer and more seats taken",
       Where::kMatching,
       {"UPDATE sponsors SET capacity = 0"}},
      {"M3: an accepted offer has not exactly one pairing",
       Where::kMatching,
       {"DELETE FROM pairings"}},
      {"M4: a ticket is offered, and no offer is open for it",
       Where::kMatching,
       {"UPDATE offers SET state = 5 WHERE state = 1"}},
      {"M5: an offer is open between two of whom one blocked the other",
       Where::kMatching,
       {"INSERT INTO blocks SELECT id, sponsor, newcomer, 1 FROM offers WHERE state = 1"}},
      {"M6: a ticket is younger than an offer",
       Where::kMatching,
       {"UPDATE tickets SET created_at = created_at + 10000000 WHERE state = 2"}},
      {"M7: a boost is out of its bounds", Where::kMatching, {"UPDATE tickets SET boost = -1"}},
      {"C1: a sender's message id is stored more than once",
       Where::kMessaging,
       {"DROP INDEX messages_by_id",
        "UPDATE messages SET message_id = (SELECT message_id FROM messages WHERE sequence = 1) "
        "WHERE sequence = 2"}},
      {"C2: the kept sequences of a conversation",
       Where::kMessaging,
       {"DELETE FROM messages WHERE sequence = 2"}},
      {"C5: a message was sent by somebody who is no member",
       Where::kMessaging,
       {"UPDATE messages SET sender_key = 1 WHERE sequence = 1"}},
      {"C6: a device acknowledged what was never sent",
       Where::kMessaging,
       {"UPDATE conversation_devices SET acked_sequence = 9"}},
      {"M5: a conversation of two who are blocked is open",
       Where::kMessaging,
       {"INSERT INTO blocks SELECT MIN(member_id), MAX(member_id), 1 FROM conversation_members "
        "WHERE conversation_key = (SELECT conversation_key FROM messages LIMIT 1)"}},
      {"M3: a pairing was closed and its conversation is open",
       Where::kMessaging,
       {"UPDATE pairings SET closed_at = 1"}},
  };
}

void Break(storage::Database& database, const std::vector<std::string>& statements) {
  for (const std::string& statement : statements) {
    int64_t changed = 0;
    const absl::Status status =
        database.Write(kNoDeadline, [&](storage::Transaction& tx) -> absl::Status {
          ASSIGN_OR_RETURN(changed, tx.Execute(statement, {}));
          return absl::OkStatus();
        });
    ASSERT_TRUE(status.ok()) << statement << ": " << status;
    const bool rows = absl::StartsWith(statement, "UPDATE") ||
                      absl::StartsWith(statement, "DELETE") ||
                      absl::StartsWith(statement, "INSERT");
    ASSERT_TRUE(!rows || changed > 0) << "this damages nothing: " << statement;
  }
}

void ExpectEachFound(const std::vector<Damage>& all) {
  for (const Damage& damage : all) {
    SCOPED_TRACE(damage.finding);
    Story story;
    Break(damage.where == Where::kMatching ? story.matching() : story.messaging(),
          damage.statements);
    const AuditReport report = story.Audit();
    EXPECT_THAT(report.findings, Contains(StartsWith(damage.finding)));
    EXPECT_FALSE(report.clean());
    EXPECT_TRUE(report.lost > 0 || !absl::StartsWith(damage.finding, "lost: "));
    EXPECT_TRUE(report.doubled > 0 || !absl::StartsWith(damage.finding, "doubled: "));
  }
}

TEST(LedgerAuditTest, SoundLedgersHaveNoFinding) {
  Story story;
  const AuditReport report = story.Audit();
  EXPECT_TRUE(report.clean()) << report.ToString();
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_EQ(report.acknowledged, story.history().acknowledged());
  EXPECT_GT(report.acknowledged, 10);
}

TEST(LedgerAuditTest, WhatCameOfACallForHelpIsNoExtraConversationWhoeverWasErased) {
  for (const auto erased :
       {Story::Erased::kNobody, Story::Erased::kCaller, Story::Erased::kHelper}) {
    Story story;
    story.Contact(erased);
    const AuditReport report = story.Audit();
    EXPECT_TRUE(report.clean()) << report.ToString();
    if (erased == Story::Erased::kNobody) continue;
    // It must be closed, and its members must be those whom matching still knows.
    {
      Story open;
      open.Contact(erased);
      Break(open.messaging(), {"UPDATE conversations SET state = 1, closed_at = NULL"});
      EXPECT_FALSE(open.Audit().clean());
      EXPECT_THAT(
          open.Audit().findings,
          Contains(StartsWith(erased == Story::Erased::kCaller
                                  ? "M3: a member was erased and their conversation is open"
                                  : "M3: a pairing has ended and its conversation is open")));
    }
    Break(story.messaging(),
          {"UPDATE conversation_members SET member_id = " ANOTHER_ID
           " WHERE conversation_key = (SELECT MAX(conversation_key) FROM conversations)"});
    EXPECT_FALSE(story.Audit().clean());
  }
}

TEST(LedgerAuditTest, WhatWasAcknowledgedAndIsNotThereOrIsThereTwiceIsFound) {
  ExpectEachFound(DamageToWhatWasAcknowledged());
}

TEST(LedgerAuditTest, LedgersThatContradictEachOtherAreFound) {
  ExpectEachFound(DamageBetweenTheLedgers());
}

TEST(LedgerAuditTest, EachBrokenPromiseIsFound) { ExpectEachFound(DamageToEachPromise()); }

TEST(LedgerAuditTest, MoreSeatsThanThereAreAreFoundFromTheHistoryAlone) {
  Story story;
  // One of the sponsor's three seats is held by the pairing that lasts.
  for (int i = 0; i < 3; ++i) {
    story.history().OfferAccepted(story.sponsor(), PairingId::Random(story.env().random),
                                  story.Now());
  }
  EXPECT_THAT(story.Audit().findings,
              Contains(StartsWith("doubled: M2: a sponsor held more seats than there are")));
}

TEST(LedgerAuditTest, AContradictionThatAClientSawIsAFinding) {
  Story story;
  story.history().Contradiction("two answers to one request");
  const AuditReport report = story.Audit();
  EXPECT_THAT(report.findings, Contains(StartsWith("two answers to one request")));
  EXPECT_FALSE(report.clean());
}

TEST(LedgerAuditTest, OneMessageInTwoPlacesIsAContradiction) {
  Story story;
  const auto told = story.history().Take();
  ASSERT_FALSE(told.messages.empty());
  auto [key, message] = *told.messages.begin();
  message.sequence += 7;
  story.history().MessageSent(key.first, key.second, message);
  EXPECT_THAT(story.Audit().findings, Contains(StartsWith("one message was given two places")));
}

// Between two steps of a run the outbox may hold something; the invariants may not be broken.
TEST(LedgerAuditTest, WhileItRunsTheInvariantsAreCheckedAlone) {
  Story story;
  Break(story.matching(), DamageBetweenTheLedgers().front().statements);
  auto found = CheckWhileRunning(story.matching(), story.messaging(), story.Now());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(*found, IsEmpty());
  EXPECT_EQ(*CountOutbox(story.matching()), 1);
  Break(story.matching(), {"DELETE FROM seats"});
  found = CheckWhileRunning(story.matching(), story.messaging(), story.Now());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(*found, Contains(StartsWith("M2: an open offer holds no seat")));
}

}  // namespace
}  // namespace handrail::tests
