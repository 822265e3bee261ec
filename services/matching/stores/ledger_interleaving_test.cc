#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/stores/help_sql.h"
#include "services/matching/stores/ledger_test_env.h"
#include "services/matching/stores/operator_ledger_sql.h"

// What two steps do to each other, with the second one at a chosen place of the first; and that a
// step ends when the database does not.
namespace handrail::matching {
namespace {

using storage::Database;
using storage::Rows;
using storage::TestBackend;
using storage::Transaction;

constexpr absl::Time kNever = absl::InfiniteFuture();

// A database that calls back around the statements of a write: there the test runs the other step,
// on another connection.
class ObservedDatabase final : public Database {
 public:
  explicit ObservedDatabase(Database& below) : below_(below) {}

  std::function<void(absl::string_view sql)> before;
  std::function<void(absl::string_view sql)> after;
  std::function<void()> before_commit;

  absl::string_view BackendName() const override { return below_.BackendName(); }
  storage::DatabaseStats Stats() const override { return below_.Stats(); }

 private:
  class Observed final : public Transaction {
   public:
    Observed(ObservedDatabase& owner, Transaction& below) : owner_(owner), below_(below) {}

   private:
    absl::StatusOr<Rows> DoQuery(absl::string_view sql, const storage::Args& args) override {
      if (owner_.before) owner_.before(sql);
      auto rows = below_.Query(sql, args);
      if (owner_.after) owner_.after(sql);
      return rows;
    }
    absl::StatusOr<int64_t> DoExecute(absl::string_view sql, const storage::Args& args) override {
      if (owner_.before) owner_.before(sql);
      auto count = below_.Execute(sql, args);
      if (owner_.after) owner_.after(sql);
      return count;
    }
    ObservedDatabase& owner_;
    Transaction& below_;
  };

  absl::Status DoWrite(absl::Time deadline, Work work) override {
    return below_.Write(deadline, [&](Transaction& tx) -> absl::Status {
      Observed observed(*this, tx);
      RETURN_IF_ERROR(work(observed));
      if (before_commit) before_commit();
      return absl::OkStatus();
    });
  }
  void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) override {
    done(DoWrite(deadline, work));
  }
  absl::Status DoRead(absl::Time deadline, Work work) override {
    return below_.Read(deadline, work);
  }
  absl::Status DoMigrate(absl::Span<const storage::Migration> migrations) override {
    return below_.Migrate(migrations);
  }
  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override { return below_.Now(deadline); }

  Database& below_;
};

// Runs `action` at its first call only.
std::function<void()> Once(std::function<void()> action) {
  auto ran = std::make_shared<bool>(false);
  return [ran, action = std::move(action)] {
    if (!std::exchange(*ran, true)) action();
  };
}

class InterleavingTest : public ::testing::TestWithParam<TestBackend> {
 protected:
  // A member with both sides, who gives seats.
  MemberId AddBoth(int capacity) {
    MemberTraits both = env.Sponsor(MemberId::Random(env.random));
    both.newcomer = env.Newcomer(both.member).newcomer;
    EXPECT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), both).ok());
    EXPECT_TRUE(
        env.ledger->SetAvailability(env.As(both.member), env.clock.Now(), capacity, true).ok());
    return both.member;
  }
  Pairing PairOf(const MemberId& newcomer, const MemberId& sponsor) {
    const auto ticket = env.Open(env.As(newcomer));
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    const auto offer = env.MakeOffer(ticket->value, sponsor);
    EXPECT_TRUE(offer.ok()) << offer.status();
    const auto pairing = env.ledger->AcceptOffer(env.As(sponsor), env.clock.Now(), offer->value.id);
    EXPECT_TRUE(pairing.ok()) << pairing.status();
    return pairing.ok() ? pairing->value : Pairing();
  }
  // Waits until a step waits for a lock that another one holds.
  void AwaitLockWait() {
    const absl::Time give_up = SystemClock().Now() + absl::Seconds(20);
    while (env.Count("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() "
                     "AND wait_event_type = 'Lock'") == 0 &&
           SystemClock().Now() < give_up) {
    }
  }
  // How many sponsors no transaction holds.
  int64_t CountUnlockedSponsors() {
    int64_t count = -1;
    const absl::Status status = env.database->Write(kNever, [&](Transaction& tx) -> absl::Status {
      ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT id FROM sponsors {skip_locked}", {}));
      count = static_cast<int64_t>(rows.size());
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return count;
  }
  // Looks, when the step locks or changes its first ticket, how many sponsors it has not locked.
  void WatchTickets() {
    observed.before = [this](absl::string_view sql) {
      const bool ticket =
          absl::StartsWith(sql, "UPDATE tickets") ||
          (absl::StrContains(sql, "FROM tickets") && absl::StrContains(sql, "{for_update}"));
      if (ticket && unlocked_at_first_ticket < 0) {
        unlocked_at_first_ticket = CountUnlockedSponsors();
      }
    };
  }

  LedgerTestEnv env{GetParam()};
  ObservedDatabase observed{*env.database};
  SqlLedger ledger{observed, env.vault, env.pools, env.random, BuiltInPrograms(), LedgerOptions()};
  int64_t unlocked_at_first_ticket = -1;
};

class DeadlineTest : public InterleavingTest {};

TEST_P(DeadlineTest, WhatOnlyTimeMovesEndsAtItsDeadline) {
  const MemberId sponsor = env.AddSponsor(3);
  const auto offered = env.Open(env.As(env.AddNewcomer()));
  const auto offer = env.MakeOffer(offered->value, sponsor);
  ASSERT_TRUE(offer.ok());
  const auto waiting = env.Open(env.As(env.AddNewcomer()));
  env.clock.Advance(absl::Hours(24 * 40));
  const absl::Time now = env.clock.Now();
  Ledger& real = *env.ledger;
  for (const absl::Status& status : {
           real.TimeOutOffers(now, now, 10).status(),
           real.ExpireTickets(now, now, 10).status(),
           real.PassTrials(now, now, 10).status(),
           real.RescindOffer(now, now, offer->value.id).status(),
           real.RescindLapsed(now, now, now, 10).status(),
           real.TrimRequests(now, now, 10).status(),
       }) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  }
  EXPECT_EQ(env.TicketNow(offered->value).state, TicketState::kOffered);
  EXPECT_EQ(env.TicketNow(waiting->value).state, TicketState::kWaiting);
}

TEST_P(DeadlineTest, MarksThatCannotBeClearedInTimeStay) {
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  ledger.ClearMarks(env.clock.Now(), {{ticket->value.id, 1}}, {});
  const absl::Time later = env.clock.Now() + absl::Seconds(1);
  EXPECT_EQ(env.ledger->LoadMarks(kNever, later, 10)->tickets.size(), 1u);
  ledger.ClearMarks(later, {{ticket->value.id, 1}}, {});
  EXPECT_EQ(env.ledger->LoadMarks(kNever, later, 10)->tickets.size(), 0u);
}

TEST_P(DeadlineTest, ABlockThatCameBeforeThePeopleForbids) {
  const MemberId newcomer = MemberId::Random(env.random);
  const MemberId sponsor = MemberId::Random(env.random);
  const absl::Time now = env.clock.Now();
  ASSERT_TRUE(
      env.ledger->ApplyBlock(kNever, now, BlockId::Random(env.random), sponsor, newcomer).ok());
  ASSERT_TRUE(env.ledger->ApplyMember(kNever, now, env.Newcomer(newcomer)).ok());
  ASSERT_TRUE(env.ledger->ApplyMember(kNever, now, env.Sponsor(sponsor)).ok());
  ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), now, 1, true).ok());
  const auto ticket = env.Open(env.As(newcomer));
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  EXPECT_TRUE(
      HasReason(env.MakeOffer(ticket->value, sponsor).status(), reason::kRelationshipNotOffered));
}

INSTANTIATE_TEST_SUITE_P(Backends, DeadlineTest,
                         ::testing::Values(TestBackend::kSqliteMemory, TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

// SQLite has one writer: there nothing comes between. These need rows that are locked.
TEST_P(InterleavingTest, ErasingAMemberLocksEverySponsorBeforeATicket) {
  const MemberId erased = AddBoth(3);
  const MemberId asked = env.AddSponsor(1);
  const MemberId partner = env.AddSponsor(1);
  env.AddSponsor(1);  // has nothing to do with it
  const Pairing pairing = PairOf(erased, partner);
  const auto mine = env.Open(env.As(erased));
  ASSERT_TRUE(mine.ok()) << mine.status();
  ASSERT_TRUE(env.MakeOffer(mine->value, asked).ok());
  const auto theirs = env.Open(env.As(env.AddNewcomer()));
  ASSERT_TRUE(env.MakeOffer(theirs->value, erased).ok());
  WatchTickets();
  MemberTraits gone;
  gone.member = erased;
  gone.version = 9;
  gone.standing = Standing::kErased;
  const auto effects = ledger.ApplyMember(kNever, env.clock.Now(), gone);
  ASSERT_TRUE(effects.ok()) << effects.status();
  EXPECT_EQ(unlocked_at_first_ticket, 1);
  EXPECT_EQ(env.TicketNow(mine->value).state, TicketState::kCancelled);
  EXPECT_EQ(env.TicketNow(theirs->value).state, TicketState::kWaiting);
  EXPECT_EQ(env.ledger->GetPairing(env.As(partner), pairing.id)->state, PairingState::kEnded);
  env.ExpectWhole();
}

TEST_P(InterleavingTest, ABlockLocksBothSponsorsBeforeATicket) {
  const MemberId a = AddBoth(3);
  const MemberId b = AddBoth(3);
  const Pairing pairing = PairOf(b, a);
  const auto ticket = env.Open(env.As(a));
  ASSERT_TRUE(env.MakeOffer(ticket->value, b).ok());
  env.AddSponsor(1);
  WatchTickets();
  ASSERT_TRUE(ledger.ApplyBlock(kNever, env.clock.Now(), BlockId::Random(env.random), a, b).ok());
  EXPECT_EQ(unlocked_at_first_ticket, 1);
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kWaiting);
  EXPECT_EQ(env.ledger->GetPairing(env.As(a), pairing.id)->state, PairingState::kEnded);
  env.ExpectWhole();
}

TEST_P(InterleavingTest, MarksOfSponsorsAreClearedBeforeThoseOfTickets) {
  const MemberId sponsor = env.AddSponsor(1);
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  WatchTickets();
  ledger.ClearMarks(kNever, {{ticket->value.id, 1}}, {{sponsor, 1}});
  EXPECT_EQ(unlocked_at_first_ticket, 0);
}

TEST_P(InterleavingTest, ABlockOfTwoWhomNobodyKnewYetTakesBackWhatCameBesideIt) {
  const MemberId newcomer = MemberId::Random(env.random);
  const MemberId sponsor = MemberId::Random(env.random);
  const absl::Time now = env.clock.Now();
  absl::StatusOr<Changed<Offer>> offer;
  absl::StatusOr<Changed<Ticket>> ticket;
  observed.before_commit = Once([&] {
    ASSERT_TRUE(env.ledger->ApplyMember(kNever, now, env.Newcomer(newcomer)).ok());
    ASSERT_TRUE(env.ledger->ApplyMember(kNever, now, env.Sponsor(sponsor)).ok());
    ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), now, 1, true).ok());
    ticket = env.Open(env.As(newcomer));
    ASSERT_TRUE(ticket.ok()) << ticket.status();
    offer = env.MakeOffer(ticket->value, sponsor);
  });
  const auto effects =
      ledger.ApplyBlock(kNever, now, BlockId::Random(env.random), newcomer, sponsor);
  ASSERT_TRUE(effects.ok()) << effects.status();
  ASSERT_TRUE(offer.ok()) << "it could not see the block: " << offer.status();
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kWaiting);
  EXPECT_EQ(effects->offers.size(), 1u) << "both are to hear of it";
  EXPECT_TRUE(HasReason(env.ledger->AcceptOffer(env.As(sponsor), now, offer->value.id).status(),
                        reason::kOfferNotOpen));
  env.ExpectWhole();
}

TEST_P(InterleavingTest, ABlockOfTwoWhomNobodyKnewYetEndsAPairingThatCameBesideIt) {
  const MemberId newcomer = MemberId::Random(env.random);
  const MemberId sponsor = MemberId::Random(env.random);
  const absl::Time now = env.clock.Now();
  Pairing pairing;
  observed.before_commit = Once([&] {
    ASSERT_TRUE(env.ledger->ApplyMember(kNever, now, env.Newcomer(newcomer)).ok());
    ASSERT_TRUE(env.ledger->ApplyMember(kNever, now, env.Sponsor(sponsor)).ok());
    ASSERT_TRUE(env.ledger->SetAvailability(env.As(sponsor), now, 1, true).ok());
    pairing = PairOf(newcomer, sponsor);
  });
  ASSERT_TRUE(ledger.ApplyBlock(kNever, now, BlockId::Random(env.random), sponsor, newcomer).ok());
  EXPECT_EQ(env.ledger->GetPairing(env.As(sponsor), pairing.id)->state, PairingState::kEnded);
  env.ExpectWhole();
}

TEST_P(InterleavingTest, ABlockAndAnOfferOfTwoWhoAreKnownWaitForEachOther) {
  const MemberId sponsor = env.AddSponsor(1);
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  const Proposal proposal = env.Propose(ticket->value, sponsor);
  const absl::Time now = env.clock.Now();
  absl::StatusOr<Changed<Offer>> offer;
  std::thread other;
  std::promise<void> began;
  observed.before_commit = [&] {
    if (other.joinable()) return;
    other = std::thread([&] {
      began.set_value();
      offer = env.ledger->MakeOffer(kNever, now, proposal);
    });
    began.get_future().wait();
    AwaitLockWait();  // the offer, for the members that the block has locked
  };
  ASSERT_TRUE(
      ledger.ApplyBlock(kNever, now, BlockId::Random(env.random), ticket->value.newcomer, sponsor)
          .ok());
  other.join();
  EXPECT_TRUE(HasReason(offer.status(), reason::kRelationshipNotOffered)) << offer.status();
  env.ExpectWhole();
}

TEST_P(InterleavingTest, AnAnswerToACallWaitsForAnEndForSafetyAndThenIsNone) {
  const absl::Time now = env.clock.Now();
  const MemberId sponsor = env.AddSponsor(1);
  const Pairing pairing = env.Pair(sponsor);
  SqlHelpStore help(*env.database, env.vault, env.pools, env.random, BuiltInPrograms(),
                    HelpOptions());
  const HelpCallId id = HelpCallId::Random(env.random);
  ASSERT_TRUE(help.Reach(env.As(pairing.newcomer), now, id, {}).ok());
  const Call answer = env.As(sponsor);
  absl::StatusOr<Changed<HelpAsk>> answered;
  std::thread other;
  observed.before_commit = [&] {
    if (other.joinable()) return;
    other = std::thread([&] { answered = help.Answer(answer, now, id); });
    AwaitLockWait();
  };
  const auto ended = ledger.EndPairing(env.As(sponsor), now, pairing.id, EndReason::kSafety);
  ASSERT_TRUE(other.joinable());
  other.join();
  ASSERT_TRUE(ended.ok()) << ended.status();
  // As an answer to a call that was taken back.
  ASSERT_TRUE(answered.ok()) << answered.status();
  EXPECT_EQ(answered->value.state, HelpAskState::kOver);
  EXPECT_EQ(answered->value.conversation, std::nullopt);
  const auto call = help.GetCall(env.As(pairing.newcomer), id);
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, HelpState::kOpen);
  EXPECT_EQ(call->answered_by, std::nullopt);
  env.ExpectWhole();
}

TEST_P(InterleavingTest, AnEndForSafetyWaitsForAnAnswerToACallAndClosesWhatItOpened) {
  const absl::Time now = env.clock.Now();
  const MemberId sponsor = env.AddSponsor(1);
  SqlHelpStore help(observed, env.vault, env.pools, env.random, BuiltInPrograms(), HelpOptions());
  ASSERT_TRUE(help.SetOnCall(env.As(sponsor), now, absl::Hours(2)).ok());
  const MemberId newcomer = env.AddNewcomer();
  const HelpCallId id = HelpCallId::Random(env.random);
  ASSERT_TRUE(help.Reach(env.As(newcomer), now, id, {&sponsor, 1}).ok());
  const Pairing pairing = PairOf(newcomer, sponsor);
  const Call end = env.As(newcomer);
  absl::Status ended;
  std::thread other;
  // The answer has seen that nothing keeps the two apart when the end comes.
  observed.after = [&](absl::string_view sql) {
    if (other.joinable() || !absl::StartsWith(sql, "SELECT 1 FROM pair_exclusions")) return;
    other = std::thread(
        [&] { ended = env.ledger->EndPairing(end, now, pairing.id, EndReason::kSafety).status(); });
    AwaitLockWait();
  };
  const auto answered = help.Answer(env.As(sponsor), now, id);
  ASSERT_TRUE(other.joinable());
  other.join();
  EXPECT_TRUE(ended.ok()) << ended;
  EXPECT_TRUE(answered.ok() || HasReason(answered.status(), reason::kNotFound))
      << answered.status();
  EXPECT_EQ(env.ledger->GetPairing(env.As(sponsor), pairing.id)->state, PairingState::kEnded);
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM help_calls WHERE state = 2 AND pairing IS NULL"), 0)
      << "the two talk where they did as a pairing, and that is closed";
  EXPECT_EQ(env.Count("SELECT COUNT(*) FROM help_calls WHERE contact_open = 1"), 0);
  env.ExpectWhole();
}

TEST_P(InterleavingTest, ADrainFindsAnOfferThatIsDecidedBesideIt) {
  const absl::Time now = env.clock.Now();
  const MemberId sponsor = env.AddSponsor(1);
  const auto ticket = env.Open(env.As(env.AddNewcomer()));
  const Proposal proposal = env.Propose(ticket->value, sponsor);
  SqlOperatorLedger operators(
      *env.database, env.vault, env.pools, env.random, BuiltInPrograms(), LedgerOptions(),
      OperatorRecord([](absl::string_view bytes) { return crypto::HmacSha256("key", bytes); }));
  Call drain = env.As(MemberId::Random(env.random));
  drain.who.kind = Principal::Kind::kOperator;
  absl::Status drained;
  std::thread other;
  // The offer holds the sponsor and is not committed when the drain begins.
  observed.before_commit = [&] {
    if (other.joinable()) return;
    other = std::thread([&] {
      drained = operators.DrainSponsor(drain, now, sponsor, OperatorLedger::OpenOffers::kWithdraw)
                    .status();
    });
    AwaitLockWait();
  };
  const auto offer = ledger.MakeOffer(kNever, now, proposal);
  ASSERT_TRUE(other.joinable());
  other.join();
  ASSERT_TRUE(offer.ok()) << offer.status();
  ASSERT_TRUE(drained.ok()) << drained;
  EXPECT_EQ(env.TicketNow(ticket->value).state, TicketState::kWaiting);
  EXPECT_EQ(env.SeatsOf(sponsor).TakenSeats(), 0);
  EXPECT_FALSE(env.SeatsOf(sponsor).accepting);
  env.ExpectWhole();
}

TEST_P(InterleavingTest, OfTwoFirstCopiesOfAMemberTheNewerCountsAndTheFirstKeyStays) {
  const MemberId id = MemberId::Random(env.random);
  const absl::Time now = env.clock.Now();
  std::string key;
  const auto read_key = [&] {
    std::string hex;
    EXPECT_TRUE(env.database
                    ->Read(kNever,
                           [&](Transaction& tx) -> absl::Status {
                             ASSIGN_OR_RETURN(
                                 const Rows rows,
                                 tx.Query("SELECT wrapped_key FROM members WHERE id = $1", {id}));
                             hex = std::string(rows.front().Bytes(0));
                             return absl::OkStatus();
                           })
                    .ok());
    return hex;
  };
  // When the first has found no copy, another one stores one.
  auto come_between = Once([&] {
    ASSERT_TRUE(env.ledger->ApplyMember(kNever, now, env.Newcomer(id, 2)).ok());
    key = read_key();
  });
  observed.after = [&](absl::string_view sql) {
    if (absl::StrContains(sql, "FROM members WHERE id = $1 {for_update}")) come_between();
  };
  ASSERT_TRUE(ledger.ApplyMember(kNever, now, env.Newcomer(id, 3)).ok());
  EXPECT_EQ((*env.ledger->LoadMember(kNever, id))->version, 3);
  EXPECT_EQ(read_key(), key) << "what was sealed under it meanwhile must open";
}

TEST_P(InterleavingTest, ASponsorWhoseFirstCopyComesWhileTheySetTheirSeatsIsAskedToRepeat) {
  const MemberId id = MemberId::Random(env.random);
  const absl::Time now = env.clock.Now();
  auto come_between =
      Once([&] { ASSERT_TRUE(env.ledger->ApplyMember(kNever, now, env.Sponsor(id)).ok()); });
  observed.after = [&](absl::string_view sql) {
    if (absl::StrContains(sql, "FROM members WHERE id = $1 {for_update}")) come_between();
  };
  const Call call = env.As(id, "seats");
  const auto first = ledger.SetAvailability(call, now, 2, true);
  EXPECT_TRUE(HasReason(first.status(), reason::kEtagMismatch)) << first.status();
  const auto second = ledger.SetAvailability(call, now, 2, true);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->value.capacity, 2);
}

INSTANTIATE_TEST_SUITE_P(RowLocks, InterleavingTest, ::testing::Values(TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
