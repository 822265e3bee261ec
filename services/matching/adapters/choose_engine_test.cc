#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <set>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/matching/adapters/engine_test_env.h"
#include "services/matching/adapters/sealed_handles.h"
#include "services/matching/domain/candidate_desk.h"
#include "services/matching/domain/chosen_offers.h"
#include "services/matching/stores/choice_ledger_sql.h"
#include "services/matching/stores/operator_ledger_sql.h"

// Let me choose, from the list to the offer: the real ledger, queue and matcher.
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ChooseEngineTest : public EngineTestBase {
 protected:
  ChooseEngineTest() {
    chosen_ = std::make_unique<ChosenOffers>(
        *env_.ledger, choices_, *queue_, chooser_, BuiltInPrograms(), env_.clock, env_.random,
        ChosenOffersOptions(), [this](const Effects& effects) { matcher_->Notify(effects); });
  }

  Ticket AskToChoose(const MemberId& newcomer, bool choosing = true) {
    NewTicket ticket;
    ticket.id = TicketId::Random(env_.random);
    ticket.relationship_type = RelationshipType::kSponsor;
    ticket.pool = pool_;
    ticket.choosing = choosing;
    ticket.member_version = 1;
    std::promise<absl::StatusOr<Changed<Ticket>>> promise;
    env_.ledger->OpenTicket(
        env_.As(newcomer), env_.clock.Now(), ticket,
        [&](absl::StatusOr<Changed<Ticket>> result) { promise.set_value(std::move(result)); });
    auto opened = promise.get_future().get();
    EXPECT_TRUE(opened.ok()) << opened.status();
    matcher_->Notify(opened->effects);
    return opened->value;
  }
  Ticket AskToChoose() { return AskToChoose(env_.AddNewcomer()); }

  absl::StatusOr<CandidateDesk::List> List(const Ticket& ticket) {
    return desk_.ListCandidates(env_.As(ticket.newcomer), ticket.id);
  }
  std::vector<std::string> Handles(const Ticket& ticket) {
    const auto list = List(ticket);
    EXPECT_TRUE(list.ok()) << list.status();
    std::vector<std::string> handles;
    if (list.ok()) {
      for (const auto& candidate : list->candidates) handles.push_back(candidate.handle);
    }
    return handles;
  }
  absl::StatusOr<Ticket> Choose(const Ticket& ticket, const std::vector<std::string>& handles,
                                bool then_handrail = false, const std::string& request = "") {
    auto changed =
        desk_.Choose(env_.As(ticket.newcomer, request), ticket.id, handles, then_handrail);
    RETURN_IF_ERROR(changed.status());
    matcher_->Notify(changed->effects);
    return changed->value;
  }
  MemberId SponsorOf(const Ticket& ticket, const std::string& handle) {
    return handles_.Read(ticket.newcomer, handle)->sponsor;
  }
  void ExpectHandlesRefused(const Ticket& ticket, const std::vector<std::string>& handles) {
    const absl::Status status = Choose(ticket, handles).status();
    EXPECT_TRUE(HasReason(status, reason::kCandidateHandleInvalid)) << status;
  }
  // Everybody with an open offer.
  std::vector<MemberId> Asked() {
    std::vector<MemberId> asked;
    for (const MemberId& sponsor : sponsors_) {
      if (env_.SeatsOf(sponsor).open_offer_count > 0) asked.push_back(sponsor);
    }
    return asked;
  }
  void AddSponsors(int count) {
    for (int i = 0; i < count; ++i) sponsors_.push_back(Offer(1));
    matcher_->RunRoundForTest();
  }

  SqlChoiceLedger choices_{*env_.database,
                           env_.vault,
                           env_.pools,
                           env_.random,
                           BuiltInPrograms(),
                           LedgerOptions(),
                           MakeSeenHash(env_.ring)};
  SealedHandles handles_{env_.ring, env_.random};
  CandidateOptions options_;
  CandidateDesk desk_{*env_.ledger,
                      choices_,
                      chooser_,
                      BuiltInPrograms(),
                      handles_,
                      env_.clock,
                      env_.random,
                      [this](absl::Time, const PoolKey&) -> absl::StatusOr<std::vector<MemberId>> {
                        return sponsors_;
                      },
                      options_};
  std::unique_ptr<ChosenOffers> chosen_;
  std::vector<MemberId> sponsors_;
};

TEST_F(ChooseEngineTest, ATicketThatIsToBeChosenForIsPutBeforeNobody) {
  AddSponsors(3);
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  EXPECT_EQ(StateOf(ticket), TicketState::kWaiting);
  EXPECT_THAT(Asked(), IsEmpty());
}

TEST_F(ChooseEngineTest, TheNewcomersOrderIsFollowed) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_THAT(handles, SizeIs(5));
  const std::vector<std::string> order = {handles[3], handles[0]};
  ASSERT_TRUE(Choose(ticket, order).ok());
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  ASSERT_THAT(Asked(), ElementsAre(SponsorOf(ticket, order[0])));
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
  EXPECT_EQ(Depth().claimed, 0);
  const MemberId first = SponsorOf(ticket, order[0]);
  const auto declined =
      env_.ledger->DeclineOffer(env_.As(first), env_.clock.Now(), OpenOfferOf(first));
  ASSERT_TRUE(declined.ok());
  matcher_->Notify(declined->effects);
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  const MemberId second = SponsorOf(ticket, order[1]);
  ASSERT_THAT(Asked(), ElementsAre(second));
  const auto accepted =
      env_.ledger->AcceptOffer(env_.As(second), env_.clock.Now(), OpenOfferOf(second));
  ASSERT_TRUE(accepted.ok());
  EXPECT_EQ(StateOf(ticket), TicketState::kPaired);
  env_.ExpectWhole();
}

TEST_F(ChooseEngineTest, WhenNobodyIsLeftHandrailGoesOnOnlyWhereItMay) {
  AddSponsors(6);
  for (const bool may : {false, true}) {
    const Ticket ticket = AskToChoose();
    matcher_->RunRoundForTest();
    const std::vector<std::string> handles = Handles(ticket);
    ASSERT_FALSE(handles.empty());
    const MemberId chosen = SponsorOf(ticket, handles[0]);
    ASSERT_TRUE(Choose(ticket, {handles[0]}, may).ok());
    chosen_->Sweep();
    ASSERT_EQ(StateOf(ticket), TicketState::kOffered);
    const auto declined =
        env_.ledger->DeclineOffer(env_.As(chosen), env_.clock.Now(), OpenOfferOf(chosen));
    ASSERT_TRUE(declined.ok());
    matcher_->Notify(declined->effects);
    matcher_->RunRoundForTest();
    chosen_->Sweep();
    matcher_->RunRoundForTest();
    EXPECT_EQ(StateOf(ticket), may ? TicketState::kOffered : TicketState::kWaiting);
    EXPECT_EQ(env_.TicketNow(ticket).choosing, !may);
  }
}

TEST_F(ChooseEngineTest, WhoeverHasNoSeatWhenTheirTurnComesIsPassedOver) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_THAT(handles, SizeIs(5));
  const MemberId gone = SponsorOf(ticket, handles[0]);
  ASSERT_TRUE(env_.ledger->SetAvailability(env_.As(gone), env_.clock.Now(), 0, false).ok());
  ASSERT_TRUE(env_.ledger
                  ->ApplyBlock(absl::InfiniteFuture(), env_.clock.Now(),
                               BlockId::Random(env_.random), ticket.newcomer,
                               SponsorOf(ticket, handles[1]))
                  .ok());
  ASSERT_TRUE(Choose(ticket, {handles[0], handles[1], handles[2]}).ok());
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  EXPECT_THAT(Asked(), ElementsAre(SponsorOf(ticket, handles[2])));
}

TEST_F(ChooseEngineTest, WithRedisDownTheLedgerDecidesAlone) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_FALSE(handles.empty());
  ASSERT_TRUE(Choose(ticket, {handles[0]}).ok());
  server_.Stop();
  AwaitRedis(false);
  chosen_->Sweep();
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
}

TEST_F(ChooseEngineTest, AClaimThatIsRefusedIsTriedAgain) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_TRUE(Choose(ticket, {handles[0]}).ok());
  // The queue has not heard of the ticket yet.
  chosen_->Sweep();
  EXPECT_EQ(StateOf(ticket), TicketState::kWaiting);
  chosen_->Sweep();
  EXPECT_EQ(StateOf(ticket), TicketState::kOffered);
}

TEST_F(ChooseEngineTest, InADrainedPoolTheChoiceWaitsInItsOrderAndGoesOnAfterwards) {
  SqlOperatorLedger operators(
      *env_.database, env_.vault, env_.pools, env_.random, BuiltInPrograms(), LedgerOptions(),
      OperatorRecord([](absl::string_view bytes) { return crypto::HmacSha256("key", bytes); }));
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_THAT(handles, SizeIs(5));
  ASSERT_TRUE(Choose(ticket, {handles[2], handles[1]}).ok());
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  ASSERT_THAT(Asked(), ElementsAre(SponsorOf(ticket, handles[2])));
  Call call = env_.As(MemberId::Random(env_.random));
  call.who.kind = Principal::Kind::kOperator;
  const auto drained = operators.DrainPool(call, env_.clock.Now(), pool_, absl::Hours(1));
  ASSERT_TRUE(drained.ok()) << drained.status();
  EXPECT_EQ(drained->value, 1);
  // Neither the event nor the sweep makes an offer, and nobody is passed over, seat or not.
  ASSERT_TRUE(
      env_.ledger
          ->SetAvailability(env_.As(SponsorOf(ticket, handles[2])), env_.clock.Now(), 0, false)
          .ok());
  EXPECT_TRUE(chosen_->OfferNext(ticket.id).ok());
  chosen_->Sweep();
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_EQ(env_.TicketNow(ticket).chosen_left, 2);
  ASSERT_TRUE(
      env_.ledger
          ->SetAvailability(env_.As(SponsorOf(ticket, handles[2])), env_.clock.Now(), 1, true)
          .ok());
  env_.clock.Advance(absl::Hours(1));
  matcher_->Notify(drained->effects);
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  chosen_->Sweep();  // the first one told the queue where the two stand
  EXPECT_THAT(Asked(), ElementsAre(SponsorOf(ticket, handles[2])));
  env_.ExpectWhole();
}

TEST_F(ChooseEngineTest, HostileHandlesAreRefused) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  const Ticket other = AskToChoose();
  const std::vector<std::string> handles = Handles(ticket);
  const std::vector<std::string> later = Handles(ticket);
  ASSERT_THAT(handles, SizeIs(5));
  for (const std::string& handle : handles) {
    EXPECT_EQ(std::count(later.begin(), later.end(), handle), 0);
  }
  ExpectHandlesRefused(ticket, {"forged"});
  ExpectHandlesRefused(ticket, {""});
  ExpectHandlesRefused(ticket, {sponsors_[0].Name()});
  ExpectHandlesRefused(ticket, {handles[0], handles[0]});
  ExpectHandlesRefused(ticket, {handles[0], later[1]});
  ExpectHandlesRefused(other, {handles[0]});
  ExpectHandlesRefused(ticket, {Handles(other)[0]});
  EXPECT_TRUE(HasReason(
      Choose(ticket, {handles[0], handles[1], handles[2], handles[3], handles[4], handles[0]})
          .status(),
      reason::kFieldInvalid));
  EXPECT_TRUE(HasReason(Choose(ticket, {}).status(), reason::kFieldInvalid));
  ASSERT_TRUE(Choose(ticket, {handles[0]}, false, "mine").ok());
  env_.clock.Advance(absl::Hours(2));
  ExpectHandlesRefused(ticket, {handles[0]});
  // An answer that was given stands.
  EXPECT_TRUE(Choose(ticket, {handles[0]}, false, "mine").ok());
}

TEST_F(ChooseEngineTest, OnlyTheNewcomerOfATicketToBeChosenForSeesCandidates) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  const auto as = [&](const MemberId& member) {
    return desk_.ListCandidates(env_.As(member), ticket.id).status();
  };
  EXPECT_TRUE(HasReason(as(env_.AddNewcomer()), reason::kNotFound));
  EXPECT_TRUE(HasReason(as(sponsors_[0]), reason::kNotFound));
  const Ticket handrail = AskToChoose(env_.AddNewcomer(), false);
  EXPECT_TRUE(HasReason(List(handrail).status(), reason::kChoiceNotExpected));
  ASSERT_TRUE(
      env_.ledger->CancelTicket(env_.As(ticket.newcomer), env_.clock.Now(), ticket.id).ok());
  EXPECT_TRUE(HasReason(List(ticket).status(), reason::kTicketNotOpen));
}

TEST_F(ChooseEngineTest, ABudgetHoldsWhateverTheNewcomerDoes) {
  options_.budget = 25;
  AddSponsors(40);
  const MemberId newcomer = env_.AddNewcomer();
  std::set<MemberId> seen;
  bool spent = false;
  // Looks, turns everybody down, cancels, asks anew.
  for (int round = 0; round < 12; ++round) {
    const Ticket ticket = AskToChoose(newcomer);
    const auto list = List(ticket);
    if (!list.ok()) {
      EXPECT_TRUE(HasReason(list.status(), reason::kCandidatesSpent)) << list.status();
      spent = true;
    } else {
      for (const auto& candidate : list->candidates) {
        const MemberId sponsor = SponsorOf(ticket, candidate.handle);
        seen.insert(sponsor);
        // A cooldown takes this one out of the next list.
        env_.Execute(
            "INSERT INTO pair_exclusions (newcomer, sponsor, until, kind) SELECT m.id, "
            "s.id, 9000000000000000, 2 FROM members m, sponsors s WHERE hex(m.id) = "
            "upper('" +
            newcomer.ToString() + "') AND hex(s.id) = upper('" + sponsor.ToString() + "')");
      }
    }
    ASSERT_TRUE(env_.ledger->CancelTicket(env_.As(newcomer), env_.clock.Now(), ticket.id).ok());
  }
  EXPECT_EQ(seen.size(), 25u);
  EXPECT_TRUE(spent);
  env_.clock.Advance(absl::Hours(24));
  EXPECT_FALSE(Handles(AskToChoose(newcomer)).empty());
}

TEST_F(ChooseEngineTest, ASweepForgetsChoicesOfClosedTicketsAndWhatWasSeen) {
  AddSponsors(2);
  sweeper_->AddTrim("choices", [this](absl::Time deadline, absl::Time now, int limit) {
    return choices_.Trim(deadline, now, limit);
  });
  const Ticket ticket = AskToChoose();
  ASSERT_TRUE(choices_
                  .SetChoice(env_.As(ticket.newcomer), env_.clock.Now(), ticket.id,
                             {{sponsors_[0], {}}, {sponsors_[1], {}}}, false)
                  .ok());
  ASSERT_TRUE(choices_.Show(env_.As(ticket.newcomer), env_.clock.Now(), sponsors_, 5, 25).ok());
  ASSERT_TRUE(
      env_.ledger->CancelTicket(env_.As(ticket.newcomer), env_.clock.Now(), ticket.id).ok());
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM ticket_choices"), 2);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM candidates_seen"), 2);
  env_.clock.Advance(absl::Hours(72));
  sweeper_->Sweep();
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM ticket_choices"), 0);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM candidates_seen"), 0);
}

TEST_F(ChooseEngineTest, NoCandidateBreaksARule) {
  AddSponsors(7);
  const Ticket ticket = AskToChoose();
  MemberTraits suspended = env_.Sponsor(sponsors_[0], 2);
  suspended.standing = Standing::kSuspended;
  MemberTraits man = env_.Sponsor(sponsors_[1], 2);
  man.sponsor->person.gender = Gender::kMan;
  for (const MemberTraits& member : {suspended, man}) {
    ASSERT_TRUE(env_.ledger->ApplyMember(absl::InfiniteFuture(), env_.clock.Now(), member).ok());
  }
  ASSERT_TRUE(env_.ledger->SetAvailability(env_.As(sponsors_[2]), env_.clock.Now(), 1, false).ok());
  const std::vector<std::string> handles = Handles(ticket);
  ASSERT_THAT(handles, SizeIs(4));
  for (const std::string& handle : handles) {
    EXPECT_THAT(std::vector<MemberId>(sponsors_.begin() + 3, sponsors_.end()),
                ::testing::Contains(SponsorOf(ticket, handle)));
  }
}

TEST_F(ChooseEngineTest, FiveAlikeAreDescribedAndFourAreNotEvenListed) {
  for (const int count : {4, 1}) {
    for (int i = 0; i < count; ++i) {
      MemberTraits sponsor = env_.Sponsor(MemberId::Random(env_.random));
      sponsor.sponsor->candidate_fields = {CandidateField::kLanguages};
      ASSERT_TRUE(env_.ledger->ApplyMember(absl::InfiniteFuture(), env_.clock.Now(), sponsor).ok());
      ASSERT_TRUE(
          env_.ledger->SetAvailability(env_.As(sponsor.member), env_.clock.Now(), 1, true).ok());
      sponsors_.push_back(sponsor.member);
    }
    const auto list = List(AskToChoose());
    ASSERT_TRUE(list.ok());
    EXPECT_THAT(list->candidates, SizeIs(sponsors_.size() < 5 ? 0 : 5));
    for (const auto& candidate : list->candidates) {
      EXPECT_FALSE(candidate.view.languages.empty());
      EXPECT_FALSE(candidate.view.reasons.empty());
    }
    EXPECT_EQ(list->suitable_count, 0);  // fewer than ten
  }
}

TEST_F(ChooseEngineTest, AnOfferTellsTheNewcomerNoMoreThanTheListDid) {
  AddSponsors(6);  // none of whom shows how they like to be in touch
  const Ticket ticket = AskToChoose();
  matcher_->RunRoundForTest();
  const auto list = List(ticket);
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_FALSE(list->candidates.empty());
  const auto& shown = list->candidates.front();
  EXPECT_THAT(shown.view.reasons, ElementsAre(MatchReason::kAvailability));
  ASSERT_TRUE(Choose(ticket, {shown.handle}).ok());
  matcher_->RunRoundForTest();
  chosen_->Sweep();
  const MemberId sponsor = SponsorOf(ticket, shown.handle);
  ASSERT_THAT(Asked(), ElementsAre(sponsor));
  const auto theirs = env_.ledger->ListOffers(env_.As(sponsor), false, 10, std::nullopt);
  ASSERT_TRUE(theirs.ok());
  EXPECT_THAT(theirs->items.at(0).explanation.reasons, ::testing::Contains(MatchReason::kContact));
  const auto mine = env_.ledger->FindOpenOffer(env_.As(ticket.newcomer), ticket.id);
  ASSERT_TRUE(mine.ok() && mine->has_value()) << mine.status();
  EXPECT_THAT((*mine)->explanation.reasons, ElementsAre(MatchReason::kAvailability));
}

TEST_F(ChooseEngineTest, TheMatcherTellsWhoIsInAPool) {
  AddSponsors(3);
  matcher_->Start();
  const auto ids = matcher_->SponsorsIn(env_.clock.Now() + absl::Seconds(10), pool_);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_THAT(*ids, ::testing::UnorderedElementsAreArray(sponsors_));
  matcher_->Stop();
  EXPECT_FALSE(matcher_->SponsorsIn(env_.clock.Now() + absl::Seconds(10), pool_).ok());
}

// Offers side by side go through the queue like all others.
TEST_F(ChooseEngineTest, ATemporaryContactIsPutBeforeThreeAtOnce) {
  AddSponsors(5);
  const auto ticket = env_.Open(env_.As(env_.AddNewcomer()), RelationshipType::kTemporaryContact);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  matcher_->Notify(ticket->effects);
  matcher_->RunRoundForTest();
  EXPECT_THAT(Asked(), SizeIs(3));
  EXPECT_EQ(StateOf(ticket->value), TicketState::kOffered);
  EXPECT_EQ(matcher_->Stats().claims_refused, 0);
  // One passes it on: the fourth is asked.
  const MemberId first = Asked().front();
  const auto declined =
      env_.ledger->DeclineOffer(env_.As(first), env_.clock.Now(), OpenOfferOf(first));
  ASSERT_TRUE(declined.ok());
  matcher_->Notify(declined->effects);
  matcher_->RunRoundForTest();
  const std::vector<MemberId> asked = Asked();
  EXPECT_THAT(asked, SizeIs(3));
  EXPECT_EQ(std::count(asked.begin(), asked.end(), first), 0);
  EXPECT_EQ(Depth().claimed, 0);
  env_.ExpectWhole();
}

}  // namespace
}  // namespace handrail::matching
