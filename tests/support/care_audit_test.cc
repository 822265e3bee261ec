#include "tests/support/care_audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "services/matching/adapters/program_table.h"
#include "services/matching/stores/choice_ledger_sql.h"
#include "services/matching/stores/help_sql.h"
#include "services/matching/stores/ledger_test_env.h"

// The audit of care, choice and help on a sound ledger, and on ledgers that are damaged by hand: it
// must be silent on the one and name the damage of each of the others.
namespace handrail::tests {
namespace {

using matching::HelpCallId;
using matching::Pairing;
using matching::Ticket;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr absl::Time kNoDeadline = absl::InfiniteFuture();

// Everything that this part of the audit knows of happens once, and people are told of it: a
// pairing that is paused and checked in on, one that ended and led to a rematch, a choice of two of
// whom one was asked, a sponsor who pauses and attests, calls for help that were answered, taken
// back, and are open.
class Story {
 public:
  Story() {
    Pause(Pair(env_.AddSponsor(3)));
    Rematch(Pair(env_.AddSponsor(1)));
    Choose();
    Sponsor();
    Help();
  }

  AuditReport Audit() {
    AuditReport report;
    {
      Findings findings(report);
      const History::Content told = history_.Take();
      EXPECT_TRUE(AuditCare(told, *env_.database, env_.clock.Now(), findings).ok());
      EXPECT_TRUE(AuditHelp(told, *env_.database, findings).ok());
      for (const std::string& text : told.contradictions) findings.Wrong(text);
      const auto choices = CheckChoices(told.choices, *env_.database);
      EXPECT_TRUE(choices.ok()) << choices.status();
      for (const std::string& text : *choices) findings.Wrong(text);
    }
    return report;
  }
  History& history() { return history_; }
  matching::LedgerTestEnv& env() { return env_; }

  // Of two chosen people the first has no seat and the second does not take the offer; then
  // Handrail goes on, and the first one has a seat again.
  void ChooseThenHandrail() {
    matching::SqlChoiceLedger choices = Choices();
    const Ticket ticket = Ask(true);
    const MemberId first = env_.AddSponsor(1);
    const MemberId second = env_.AddSponsor(1);
    const std::vector<matching::Chosen> chosen = {{first, {}}, {second, {}}};
    history_.Choosing(ticket.id);
    ASSERT_TRUE(choices.SetChoice(env_.As(ticket.newcomer), Now(), ticket.id, chosen, true).ok());
    history_.Chosen(ticket.id, 2, true);
    ASSERT_TRUE(choices.PassOver(kNoDeadline, Now(), ticket.id, first).ok());
    const auto offer = env_.MakeOffer(ticket, second);
    ASSERT_TRUE(offer.ok()) << offer.status();
    ASSERT_TRUE(env_.ledger->DeclineOffer(env_.As(second), Now(), offer->value.id).ok());
    env_.clock.Advance(absl::Seconds(1));
    ASSERT_TRUE(env_.MakeOffer(ticket, first).ok());
  }

 private:
  absl::Time Now() { return env_.clock.Now(); }
  matching::SqlChoiceLedger Choices() {
    return {*env_.database,
            env_.vault,
            env_.pools,
            env_.random,
            matching::BuiltInPrograms(),
            matching::LedgerOptions(),
            {}};
  }

  Ticket Ask(bool choosing) {
    matching::NewTicket ticket;
    ticket.id = TicketId::Random(env_.random);
    ticket.relationship_type = matching::RelationshipType::kSponsor;
    ticket.pool.philosophy = matching::Philosophy::kTwelveStepAa;
    ticket.choosing = choosing;
    ticket.member_version = 1;
    std::promise<absl::StatusOr<matching::Changed<Ticket>>> promise;
    env_.ledger->OpenTicket(env_.As(env_.AddNewcomer()), Now(), ticket,
                            [&](auto result) { promise.set_value(std::move(result)); });
    const auto opened = promise.get_future().get();
    EXPECT_TRUE(opened.ok()) << opened.status();
    history_.TicketOpened(opened->value.newcomer, opened->value.id);
    history_.TicketHasAge(opened->value.id, opened->value.create_time);
    return opened->value;
  }
  Pairing Pair(const MemberId& sponsor) {
    const auto offer = env_.MakeOffer(Ask(false), sponsor);
    const auto pairing = env_.ledger->AcceptOffer(env_.As(sponsor), Now(), offer->value.id);
    EXPECT_TRUE(pairing.ok()) << pairing.status();
    history_.OfferAccepted(sponsor, pairing->value.id, Now());
    return pairing->value;
  }
  void Pause(const Pairing& pairing) {
    for (const MemberId& member : {pairing.newcomer, pairing.sponsor}) {
      ASSERT_TRUE(env_.ledger->ConfirmContact(env_.As(member), Now(), pairing.id).ok());
      history_.ContactConfirmed(pairing.id, member);
    }
    ASSERT_TRUE(env_.ledger->PausePairing(env_.As(pairing.newcomer), Now(), pairing.id).ok());
    history_.PauseChanged(pairing.id, true);
    env_.clock.Advance(absl::Hours(73));
    ASSERT_TRUE(env_.care->CareForPairings(kNoDeadline, Now(), 10).ok());
    ASSERT_TRUE(env_.care
                    ->AnswerCheckIn(env_.As(pairing.sponsor), Now(), pairing.id, 3,
                                    matching::CheckInAnswer::kGoingWell)
                    .ok());
    history_.CheckInAnswered(pairing.id, pairing.sponsor);
  }
  void Rematch(const Pairing& pairing) {
    ASSERT_TRUE(env_.ledger
                    ->EndPairing(env_.As(pairing.newcomer), Now(), pairing.id,
                                 matching::EndReason::kUnspecified)
                    .ok());
    matching::NewTicket ticket;
    ticket.id = TicketId::Random(env_.random);
    ticket.relationship_type = pairing.relationship_type;
    ticket.pool.philosophy = pairing.philosophy;
    ticket.member_version = 1;
    const auto again = env_.care->OpenRematch(env_.As(pairing.newcomer), Now(), pairing.id, ticket);
    ASSERT_TRUE(again.ok()) << again.status();
    history_.Rematched(pairing.id, again->value.id);
    history_.TicketOpened(pairing.newcomer, again->value.id);
    history_.TicketHasAge(again->value.id, again->value.create_time);
  }
  void Choose() {
    matching::SqlChoiceLedger choices = Choices();
    const Ticket ticket = Ask(true);
    const MemberId first = env_.AddSponsor(1);
    const MemberId second = env_.AddSponsor(1);
    const std::vector<matching::Chosen> chosen = {{first, {}}, {second, {}}};
    history_.Choosing(ticket.id);
    ASSERT_TRUE(choices.SetChoice(env_.As(ticket.newcomer), Now(), ticket.id, chosen, false).ok());
    history_.Chosen(ticket.id, 2, false);
    for (const MemberId& sponsor : {first, second}) {
      const auto offer = env_.MakeOffer(ticket, sponsor);
      ASSERT_TRUE(offer.ok()) << offer.status();
      env_.clock.Advance(absl::Seconds(1));
      if (sponsor == second) continue;
      ASSERT_TRUE(env_.ledger->DeclineOffer(env_.As(first), Now(), offer->value.id).ok());
    }
  }
  void Sponsor() {
    const MemberId sponsor = env_.AddSponsor(4);
    history_.Attested(sponsor, Now());
    ASSERT_TRUE(env_.ledger->SetAvailability(env_.As(sponsor), Now(), 4, false).ok());
    history_.AvailabilitySet(sponsor, {.capacity = 4, .accepting = false});
    const MemberId back = env_.AddSponsor(5);
    history_.AvailabilitySet(back, {.capacity = 5, .accepting = true});
  }
  void Help() {
    matching::SqlHelpStore help(*env_.database, env_.vault, env_.pools, env_.random,
                                matching::BuiltInPrograms(), matching::HelpOptions());
    const std::vector<MemberId> helpers = {env_.AddSponsor(0), env_.AddSponsor(0)};
    for (const MemberId& helper : helpers) {
      ASSERT_TRUE(help.SetOnCall(env_.As(helper), Now(), absl::Hours(2)).ok());
    }
    enum class End { kAnswered, kTakenBack, kOpen };
    for (const End end : {End::kAnswered, End::kTakenBack, End::kOpen}) {
      const MemberId caller = env_.AddNewcomer();
      const auto id = HelpCallId::Random(env_.random);
      ASSERT_TRUE(help.Reach(env_.As(caller), Now(), id, helpers).ok());
      history_.HelpCallOpened(id, caller);
      if (end == End::kAnswered) {
        ASSERT_TRUE(help.Answer(env_.As(helpers[0]), Now(), id).ok());
        history_.HelpCallAnswered(id, helpers[0]);
        ASSERT_TRUE(help.Answer(env_.As(helpers[1]), Now(), id).ok());
        history_.HelpCallTakenCareOf(id, helpers[1]);
      } else if (end == End::kTakenBack) {
        ASSERT_TRUE(help.Cancel(env_.As(caller), Now(), id).ok());
        history_.HelpCallCancelled(id);
      }
    }
  }

  matching::LedgerTestEnv env_{storage::TestBackend::kSqliteMemory};
  History history_;
};

// Statements that break one thing, and what must be said of it.
struct Damage {
  std::string finding;  // the beginning of it
  std::vector<std::string> statements;
};

#define ANOTHER_ID "x'0707070707070707070707070707abcd'"

std::vector<Damage> AllDamage() {
  return {
      {"M6: a ticket has another age than its newcomer was told",
       {"UPDATE tickets SET created_at = created_at + 1 WHERE state = 2"}},
      {"lost: an acknowledged rematch", {"DELETE FROM rematches"}},
      {"doubled: a rematch that nobody was told of",
       {"INSERT INTO rematches SELECT id, " ANOTHER_ID ", 1 FROM pairings WHERE state <> 5"}},
      {"a rematch led to another ticket", {"UPDATE rematches SET ticket = " ANOTHER_ID}},
      {"lost: an acknowledged confirmation of contact",
       {"UPDATE pairings SET sponsor_confirmed = 0 WHERE state = 4"}},
      {"lost: an acknowledged pause of a pairing",
       {"UPDATE pairings SET state = 3 WHERE state = 4"}},
      {"lost: an acknowledged answer to a check-in", {"UPDATE check_ins SET answered_at = 0"}},
      {"doubled: an answer to a check-in that nobody gave",
       {"UPDATE check_ins SET answered_at = 1"}},
      {"lost: an acknowledged capacity", {"UPDATE sponsors SET capacity = 1 WHERE capacity = 4"}},
      {"lost: an acknowledged pause of a sponsor",
       {"UPDATE sponsors SET accepting = 1 WHERE capacity = 4"}},
      {"lost: an acknowledged end of a pause",
       {"UPDATE sponsors SET accepting = 0 WHERE capacity = 5"}},
      {"lost: the seats of a sponsor", {"DELETE FROM sponsors WHERE capacity = 5"}},
      {"lost: an acknowledged attestation",
       {"UPDATE members SET attested_at = attested_at - 1 WHERE id = "
        "(SELECT id FROM sponsors WHERE capacity = 4)"}},
      {"lost: an acknowledged choice", {"DELETE FROM ticket_choices WHERE place = 1"}},
      {"a newcomer's order was not followed",
       {"UPDATE ticket_choices SET place = 4 WHERE place = 0"}},
      {"a newcomer's order was not followed",
       {"DELETE FROM offers", "UPDATE ticket_choices SET state = 0 WHERE place = 0"}},
      {"somebody was asked whom the newcomer did not choose",
       {"UPDATE ticket_choices SET sponsor = " ANOTHER_ID " WHERE place = 1"}},
      {"lost: an acknowledged call for help", {"DELETE FROM help_calls WHERE state = 1"}},
      {"doubled: a call for help that its caller was not told of",
       {"INSERT INTO help_calls SELECT " ANOTHER_ID ", member, state, stage, rounds, asked, "
        "created_at, due_at, changed_at, answered_by, answered_at, pairing, conversation, "
        "contact_end, contact_open, version FROM help_calls WHERE state = 3"}},
      {"a call for help is somebody else's",
       {"UPDATE help_calls SET member = " ANOTHER_ID " WHERE state = 3"}},
      {"lost: an acknowledged answer to a call for help",
       {"UPDATE help_calls SET answered_by = " ANOTHER_ID " WHERE state = 2"}},
      {"doubled: an answer to a call for help that nobody gave",
       {"UPDATE help_calls SET state = 2, answered_at = 1, answered_by = " ANOTHER_ID
        " WHERE state = 1"}},
      {"somebody was sent away from a call for help that nobody else had answered",
       {"UPDATE help_calls SET answered_by = (SELECT a.member FROM help_asks a WHERE a.help_call = "
        "help_calls.id AND a.member <> answered_by) WHERE state = 2"}},
      {"lost: that a call for help was taken back",
       {"DELETE FROM help_calls WHERE state = 1",
        "UPDATE help_calls SET state = 1 WHERE state = 3"}},
  };
}

TEST(CareAuditTest, ASoundLedgerHasNoFinding) {
  Story story;
  const AuditReport report = story.Audit();
  EXPECT_TRUE(report.clean()) << report.ToString();
  const auto kinds = story.history().Take().by_kind;
  for (const char* kind :
       {"rematch", "contact confirmed", "pairing paused", "check-in answered", "sponsor back",
        "sponsor paused", "attestation", "choice", "call for help", "call for help answered",
        "call for help answered too late", "call for help taken back"}) {
    EXPECT_EQ(kinds.count(kind), 1u) << kind;
  }
}

TEST(CareAuditTest, EachDamageIsFound) {
  for (const Damage& damage : AllDamage()) {
    SCOPED_TRACE(damage.finding);
    Story story;
    for (const std::string& statement : damage.statements) story.env().Execute(statement);
    const AuditReport report = story.Audit();
    EXPECT_THAT(report.findings, Contains(StartsWith(damage.finding)));
    EXPECT_FALSE(report.clean());
  }
}

TEST(CareAuditTest, WhoWasPassedOverMayBeAskedWhenTheChoiceHasEnded) {
  Story story;
  story.ChooseThenHandrail();
  EXPECT_THAT(story.Audit().findings, IsEmpty());
}

TEST(CareAuditTest, APauseThatDoesNotEndByItselfIsFound) {
  Story story;
  const MemberId sponsor = story.env().AddSponsor(2);
  const absl::Time now = story.env().clock.Now();
  const absl::Time resume = now + absl::Minutes(1);
  ASSERT_TRUE(
      story.env().ledger->SetAvailability(story.env().As(sponsor), now, {2, false, resume}).ok());
  story.history().AvailabilitySet(sponsor, {.capacity = 2, .accepting = false, .resume = resume});
  EXPECT_THAT(story.Audit().findings, IsEmpty());
  story.env().clock.Advance(absl::Minutes(3));
  EXPECT_THAT(story.Audit().findings, Contains(StartsWith("a pause did not end by itself")));
  ASSERT_TRUE(story.env().care->CareForSponsors(kNoDeadline, story.env().clock.Now(), 10).ok());
  EXPECT_THAT(story.Audit().findings, IsEmpty());
}

TEST(CareAuditTest, WhatIsBeingChangedIsNotHeldAgainstTheLedger) {
  Story story;
  for (const auto& [ticket, choice] : story.history().Take().choices) {
    story.history().Choosing(ticket);
  }
  for (const auto& [pairing, unused] : story.history().Take().pairings) {
    story.history().ChangingPause(pairing);
  }
  for (const auto& [sponsor, unused] : story.history().Take().availabilities) {
    story.history().ChangingAvailability(sponsor);
  }
  story.env().Execute("DELETE FROM ticket_choices WHERE place = 0");
  story.env().Execute("UPDATE pairings SET state = 3 WHERE state = 4");
  story.env().Execute("UPDATE sponsors SET capacity = 1, accepting = 0");
  EXPECT_THAT(
      story.Audit().findings,
      ::testing::ElementsAre(StartsWith("somebody was asked whom the newcomer did not choose")))
      << "that is never so";
}

TEST(CareAuditTest, TwoAnswersThatContradictEachOtherAreFindings) {
  Story story;
  const History::Content told = story.history().Take();
  const MemberId other = MemberId::Random(story.env().random);
  for (const auto& [id, call] : told.help_calls) {
    if (call.answered_by.has_value()) story.history().HelpCallAnswered(id, other);
    story.history().HelpCallOpened(id, other);
  }
  for (const auto& [pairing, ticket] : told.rematches) {
    story.history().Rematched(pairing, TicketId::Random(story.env().random));
    story.history().TicketHasAge(ticket, absl::UnixEpoch());
  }
  const auto contradictions = story.history().Take().contradictions;
  for (const char* text :
       {"two were told that they had answered a call first",
        "one call for help was given to two callers", "one pairing led to two rematches",
        "M6: a ticket was said to have two ages"}) {
    EXPECT_THAT(contradictions, Contains(text));
  }
}

}  // namespace
}  // namespace handrail::tests
