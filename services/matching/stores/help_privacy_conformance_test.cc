#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/help_desk.h"
#include "services/matching/stores/help_sql.h"
#include "services/matching/stores/ledger_test_env.h"

// What somebody can see of calls for help never tells them that they were blocked, or that a
// pairing ended for safety: it looks like the ordinary, now and later (docs/help.md).
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Time kNever = absl::InfiniteFuture();

// How a call, or what two have, comes to its end.
enum class Way { kNothing, kTakenBack, kBlock, kSafety };

class HelpPrivacyTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  void TearDown() override { env.ExpectWhole(); }

  Pairing NewPair() { return env.Pair(env.AddSponsor(2)); }
  MemberId AddOnCall() {
    const MemberId id = env.AddSponsor(1);
    EXPECT_TRUE(store.SetOnCall(env.As(id), env.clock.Now(), absl::Hours(24)).ok());
    return id;
  }
  void Block(const MemberId& blocker, const MemberId& blocked) {
    ASSERT_TRUE(
        env.ledger
            ->ApplyBlock(kNever, env.clock.Now(), BlockId::Random(env.random), blocker, blocked)
            .ok());
  }
  void End(const MemberId& who, const Pairing& pairing, EndReason reason) {
    ASSERT_TRUE(env.ledger->EndPairing(env.As(who), env.clock.Now(), pairing.id, reason).ok());
  }
  HelpCallId Called(const MemberId& caller) {
    const auto reached = desk.Reach(env.As(caller));
    EXPECT_TRUE(reached.ok() && reached->call.has_value()) << reached.status();
    return reached.ok() && reached->call.has_value() ? reached->call->id : HelpCallId();
  }
  void Go(Way way, const Pairing& pairing, const HelpCallId& id) {
    switch (way) {
      case Way::kNothing: return;
      case Way::kTakenBack:
        ASSERT_TRUE(store.Cancel(env.As(pairing.newcomer), env.clock.Now(), id).ok());
        return;
      case Way::kBlock: return Block(pairing.newcomer, pairing.sponsor);
      case Way::kSafety: return End(pairing.newcomer, pairing, EndReason::kSafety);
    }
  }

  std::string Told(const absl::StatusOr<HelpAsk>& ask) {
    if (!ask.ok()) return ask.status().ToString();
    return absl::StrCat(
        "state ", static_cast<int>(ask->state), " as ", static_cast<int>(ask->asked_as),
        " version ", ask->version, ask->member.has_value() ? " named" : "",
        ask->conversation.has_value() ? " talk" : "",
        ask->contact_end.has_value()
            ? absl::StrCat(" until ", absl::FormatDuration(*ask->contact_end - ask->create_time))
            : "");
  }
  // Everything that reading tells.
  std::string SeenBy(const MemberId& helper) {
    std::string seen;
    for (const bool closed : {false, true}) {
      const auto page = store.ListAsks(env.As(helper), closed, 50, {});
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) continue;
      for (const HelpAsk& ask : page->items) absl::StrAppend(&seen, closed, ": ", Told(ask), "\n");
    }
    return seen;
  }
  std::string Answered(const MemberId& helper, const HelpCallId& id) {
    const auto changed = store.Answer(env.As(helper), env.clock.Now(), id);
    if (!changed.ok()) return Told(changed.status());
    return Told(changed->value);
  }
  std::string Passed(const MemberId& helper, const HelpCallId& id) {
    const auto changed = store.Pass(env.As(helper), env.clock.Now(), id, HelpStore::Again::kYes);
    if (!changed.ok()) return Told(changed.status());
    return Told(changed->value);
  }
  // All that the sponsor can see and try after `way`, then once the rest of the call has passed.
  std::string StoryOf(const Pairing& pairing, const HelpCallId& id, Way way) {
    Go(way, pairing, id);
    std::string story = SeenBy(pairing.sponsor);
    absl::StrAppend(&story, "answer: ", Answered(pairing.sponsor, id), "\n");
    for (int i = 0; i < 8; ++i) {
      env.clock.Advance(absl::Minutes(5));
      desk.Sweep();
      absl::StrAppend(&story, SeenBy(pairing.sponsor));
    }
    absl::StrAppend(&story, "answer: ", Answered(pairing.sponsor, id), "\n");
    absl::StrAppend(&story, "pass: ", Passed(pairing.sponsor, id), "\n", SeenBy(pairing.sponsor));
    return story;
  }

  LedgerTestEnv env{GetParam()};
  HelpOptions options;
  SqlHelpStore store{*env.database, env.vault, env.pools, env.random, BuiltInPrograms(), options};
  HelpDesk desk{store,
                *env.ledger,
                BuiltInPrograms(),
                env.clock,
                env.random,
                HelpDesk::Options(),
                [](absl::Time, const MemberId&) { return absl::UnavailableError("down"); },
                [](const Effects&) {}};
};

TEST_P(HelpPrivacyTest, ACallThatABlockEndsForThemLooksTakenBack) {
  const auto told = [&](Way way) {
    const Pairing pairing = NewPair();
    return StoryOf(pairing, Called(pairing.newcomer), way);
  };
  const std::string taken_back = told(Way::kTakenBack);
  EXPECT_THAT(taken_back, ::testing::HasSubstr("1: state 5 as 1 version 2 named"));
  EXPECT_EQ(told(Way::kBlock), taken_back);
  EXPECT_EQ(told(Way::kSafety), taken_back);
  EXPECT_NE(told(Way::kNothing), taken_back) << "the comparison can fail";
}

TEST_P(HelpPrivacyTest, ACallThatTheyPassedLooksTakenBackToo) {
  const auto told = [&](Way way) {
    const Pairing pairing = NewPair();
    const HelpCallId id = Called(pairing.newcomer);
    Passed(pairing.sponsor, id);
    Go(way, pairing, id);
    return SeenBy(pairing.sponsor);
  };
  const std::string taken_back = told(Way::kTakenBack);
  EXPECT_EQ(told(Way::kBlock), taken_back);
  EXPECT_EQ(told(Way::kSafety), taken_back);
}

TEST_P(HelpPrivacyTest, ACallThatSomebodyElseAnsweredStaysAsItWas) {
  const auto told = [&](Way way) {
    const Pairing pairing = NewPair();
    const MemberId other = AddOnCall();
    const HelpCallId id = Called(pairing.newcomer);
    for (int i = 0; i < 2; ++i) {
      env.clock.Advance(options.sponsors_time);
      desk.Sweep();
    }
    EXPECT_THAT(Answered(other, id), ::testing::HasSubstr("state 2"));
    EXPECT_TRUE(store.SetOnCall(env.As(other), env.clock.Now(), absl::ZeroDuration()).ok());
    return StoryOf(pairing, id, way);
  };
  const std::string nothing = told(Way::kNothing);
  EXPECT_THAT(nothing, ::testing::HasSubstr("state 3"));
  EXPECT_EQ(told(Way::kBlock), nothing);
  EXPECT_EQ(told(Way::kSafety), nothing);
}

TEST_P(HelpPrivacyTest, AContactThatABlockEndsLooksAsIfItsTimeWasCutShort) {
  const auto told = [&](Way way) {
    const MemberId helper = AddOnCall();
    const MemberId caller = env.AddNewcomer();
    const HelpCallId id = Called(caller);
    EXPECT_THAT(Answered(helper, id), ::testing::HasSubstr("state 2"));
    env.clock.Advance(absl::Minutes(7));
    if (way == Way::kBlock) Block(caller, helper);
    if (way == Way::kTakenBack) {
      EXPECT_TRUE(store.Cancel(env.As(caller), env.clock.Now(), id).ok());
    }
    std::string story = SeenBy(helper);
    absl::StrAppend(&story, Answered(helper, id), Passed(helper, id), SeenBy(helper));
    EXPECT_TRUE(store.SetOnCall(env.As(helper), env.clock.Now(), absl::ZeroDuration()).ok());
    return story;
  };
  const std::string cut_short = told(Way::kTakenBack);
  EXPECT_THAT(cut_short, ::testing::HasSubstr("until 7m"));
  EXPECT_EQ(told(Way::kBlock), cut_short);
}

TEST_P(HelpPrivacyTest, WhoeverBlocksSeesNothingOfTheOtherAnyMore) {
  const Pairing pairing = NewPair();
  const HelpCallId id = Called(pairing.newcomer);
  Block(pairing.sponsor, pairing.newcomer);
  EXPECT_EQ(SeenBy(pairing.sponsor), "");
  EXPECT_TRUE(
      absl::IsNotFound(store.Answer(env.As(pairing.sponsor), env.clock.Now(), id).status()));
}

TEST_P(HelpPrivacyTest, NothingIsOverForThoseWhoWereAskedBeside) {
  const Pairing pairing = NewPair();
  const MemberId other = env.AddSponsor(2);
  const auto ticket = env.Open(env.As(pairing.newcomer), RelationshipType::kTemporaryContact);
  const auto offer = env.MakeOffer(ticket->value, other);
  ASSERT_TRUE(offer.ok()) << offer.status();
  ASSERT_TRUE(env.ledger->AcceptOffer(env.As(other), env.clock.Now(), offer->value.id).ok());
  const HelpCallId id = Called(pairing.newcomer);
  Block(pairing.newcomer, pairing.sponsor);
  EXPECT_THAT(SeenBy(other), ::testing::HasSubstr("0: state 1"));
  EXPECT_THAT(Answered(pairing.sponsor, id), ::testing::HasSubstr("state 5"))
      << "and nobody is there who could answer it first";
  EXPECT_THAT(Answered(other, id), ::testing::HasSubstr("state 2"));
}

// ---- Backups ----

TEST_P(HelpPrivacyTest, ABackupStaysNamedWhateverTheyDo) {
  const auto told = [&](int what) {
    const Pairing pairing = NewPair();
    const MemberId& caller = pairing.newcomer;
    const MemberId& backup = pairing.sponsor;
    EXPECT_TRUE(store.SetBackups(env.As(caller), env.clock.Now(), {&backup, 1}).ok());
    MemberTraits traits = env.Sponsor(backup, 2);
    switch (what) {
      case 0: End(backup, pairing, EndReason::kTime); break;
      case 1: End(backup, pairing, EndReason::kSafety); break;
      case 2: Block(backup, caller); break;
      case 3: traits.standing = Standing::kSuspended; break;
      case 4: traits.consents_to_matching = false; break;
      default: traits.sponsor.reset(); break;
    }
    if (what > 2) {
      EXPECT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), traits).ok());
      End(caller, pairing, EndReason::kTime);
    }
    EXPECT_THAT(*store.GetBackups(env.As(caller)), ElementsAre(backup)) << what;
    // Naming them again, and anew, is taken.
    EXPECT_TRUE(store.SetBackups(env.As(caller), env.clock.Now(), {&backup, 1}).ok()) << what;
    EXPECT_THAT(*store.GetBackups(env.As(caller)), ElementsAre(backup)) << what;
    const auto reached = desk.Reach(env.As(caller));
    EXPECT_TRUE(reached.ok() && reached->call.has_value());
    return reached->call->asked;
  };
  EXPECT_EQ(told(0), 1) << "an ordinary end leaves a backup";
  for (const int what : {1, 2, 3, 4, 5}) EXPECT_EQ(told(what), 0) << what;
}

TEST_P(HelpPrivacyTest, NamingAnewTellsNothingOfABlockEither) {
  for (const bool blocked : {false, true}) {
    const Pairing pairing = NewPair();
    End(pairing.newcomer, pairing, EndReason::kTime);
    if (blocked) Block(pairing.sponsor, pairing.newcomer);
    EXPECT_TRUE(
        store.SetBackups(env.As(pairing.newcomer), env.clock.Now(), {&pairing.sponsor, 1}).ok());
    Called(pairing.newcomer);
    EXPECT_EQ(SeenBy(pairing.sponsor).empty(), blocked);
  }
}

TEST_P(HelpPrivacyTest, WhomOneBlocksIsNoBackupOfOneself) {
  const Pairing pairing = NewPair();
  const auto set = [&] {
    return store.SetBackups(env.As(pairing.newcomer), env.clock.Now(), {&pairing.sponsor, 1});
  };
  ASSERT_TRUE(set().ok());
  Block(pairing.newcomer, pairing.sponsor);
  EXPECT_THAT(*store.GetBackups(env.As(pairing.newcomer)), IsEmpty());
  EXPECT_TRUE(HasReason(set().status(), reason::kBackupNotPossible));
}

TEST_P(HelpPrivacyTest, AnErasedBackupGoesFromTheList) {
  const Pairing pairing = NewPair();
  ASSERT_TRUE(
      store.SetBackups(env.As(pairing.newcomer), env.clock.Now(), {&pairing.sponsor, 1}).ok());
  MemberTraits gone = env.Sponsor(pairing.sponsor, 2);
  gone.standing = Standing::kErased;
  ASSERT_TRUE(env.ledger->ApplyMember(kNever, env.clock.Now(), gone).ok());
  EXPECT_THAT(*store.GetBackups(env.As(pairing.newcomer)), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Backends, HelpPrivacyTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
