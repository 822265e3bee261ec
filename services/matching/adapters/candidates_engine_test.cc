#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "services/matching/adapters/choose_engine_env.h"

// Whom newcomers who choose are shown: the real ledger and desk.
namespace handrail::matching {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class CandidatesEngineTest : public ChooseEngineEnv {};

TEST_F(CandidatesEngineTest, HostileHandlesAreRefused) {
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

TEST_F(CandidatesEngineTest, OnlyTheNewcomerOfATicketToBeChosenForSeesCandidates) {
  AddSponsors(6);
  const Ticket ticket = AskToChoose();
  const auto as = [&](const MemberId& member) {
    return desk_->ListCandidates(env_.As(member), ticket.id).status();
  };
  EXPECT_TRUE(HasReason(as(env_.AddNewcomer()), reason::kNotFound));
  EXPECT_TRUE(HasReason(as(sponsors_[0]), reason::kNotFound));
  const Ticket handrail = AskToChoose(env_.AddNewcomer(), false);
  EXPECT_TRUE(HasReason(List(handrail).status(), reason::kChoiceNotExpected));
  ASSERT_TRUE(
      env_.ledger->CancelTicket(env_.As(ticket.newcomer), env_.clock.Now(), ticket.id).ok());
  EXPECT_TRUE(HasReason(List(ticket).status(), reason::kTicketNotOpen));
}

TEST_F(CandidatesEngineTest, ABudgetHoldsWhateverTheNewcomerDoes) {
  options_.budget.questions = 100;  // of the other budget: the next test
  const std::unique_ptr<CandidateDesk> desk = NewDesk(choices_);
  AddSponsors(40);
  const MemberId newcomer = env_.AddNewcomer();
  std::set<MemberId> seen;
  bool spent = false;
  // Looks, turns everybody down, cancels, asks for something a little different.
  for (uint32_t round = 0; round < 12; ++round) {
    const Ticket ticket = AskToChoose(newcomer, true, Importance::FromBits(round));
    const auto list = desk->ListCandidates(env_.As(newcomer), ticket.id);
    if (!list.ok()) {
      EXPECT_TRUE(HasReason(list.status(), reason::kCandidatesSpent)) << list.status();
      EXPECT_TRUE(DetailsOf(list.status()).retry_after.has_value());
      spent = true;
    } else {
      for (const auto& candidate : list->candidates) {
        const MemberId sponsor = SponsorOf(ticket, candidate.handle);
        seen.insert(sponsor);
        TurnDown(newcomer, sponsor);  // a cooldown takes this one out of the next list
      }
    }
    ASSERT_TRUE(env_.ledger->CancelTicket(env_.As(newcomer), env_.clock.Now(), ticket.id).ok());
  }
  EXPECT_EQ(seen.size(), 25u);
  EXPECT_TRUE(spent);
  env_.clock.Advance(absl::Hours(24));
  EXPECT_FALSE(Handles(AskToChoose(newcomer)).empty());
}

TEST_F(CandidatesEngineTest, TheSameQuestionHasTheSameAnswerWhateverHappensMeanwhile) {
  AddSponsors(40);
  const MemberId newcomer = env_.AddNewcomer();
  std::vector<MemberId> first;
  std::vector<CandidateView> views;
  for (int round = 0; round < 6; ++round) {
    const Ticket ticket = AskToChoose(newcomer);
    const auto list = List(ticket);
    ASSERT_TRUE(list.ok()) << list.status();
    ASSERT_THAT(list->candidates, SizeIs(5));
    std::vector<MemberId> people;
    std::vector<CandidateView> described;
    for (const auto& candidate : list->candidates) {
      people.push_back(SponsorOf(ticket, candidate.handle));
      described.push_back(candidate.view);
    }
    if (round == 0) {
      first = people;
      views = described;
    }
    EXPECT_EQ(people, first);
    EXPECT_EQ(described, views);
    EXPECT_EQ(list->suitable_count, 40);
    EXPECT_EQ(list->remaining_today, 20);
    EXPECT_EQ(list->questions_remaining_today, 2);
    // One is turned down, one has no seat any more, others come and go.
    TurnDown(newcomer, people[static_cast<size_t>(round) % 5]);
    ASSERT_TRUE(env_.ledger->SetAvailability(env_.As(people[2]), env_.clock.Now(), 1, false).ok());
    AddSponsors(3);
    ASSERT_TRUE(env_.ledger->CancelTicket(env_.As(newcomer), env_.clock.Now(), ticket.id).ok());
  }
  // But whoever may not take part any more is not shown.
  MemberTraits suspended = env_.Sponsor(first[1], 2);
  suspended.standing = Standing::kSuspended;
  ASSERT_TRUE(env_.ledger->ApplyMember(absl::InfiniteFuture(), env_.clock.Now(), suspended).ok());
  EXPECT_THAT(Handles(AskToChoose(newcomer)), SizeIs(4));
}

TEST_F(CandidatesEngineTest, OnlyAFewDifferentQuestionsAreAnsweredADay) {
  AddSponsors(40);
  const MemberId newcomer = env_.AddNewcomer();
  const auto ask = [&](Importance importance) -> absl::StatusOr<CandidateDesk::List> {
    const Ticket ticket = AskToChoose(newcomer, true, importance);
    auto list = List(ticket);
    EXPECT_TRUE(env_.ledger->CancelTicket(env_.As(newcomer), env_.clock.Now(), ticket.id).ok());
    return list;
  };
  EXPECT_EQ(ask({})->questions_remaining_today, 2);
  Importance locality;
  locality.Set(FactorCode::kLocality, Emphasis::kMore);
  EXPECT_EQ(ask(locality)->questions_remaining_today, 1);
  // An edit of the profile is another question.
  ASSERT_TRUE(
      env_.ledger->ApplyMember(absl::InfiniteFuture(), env_.clock.Now(), env_.Newcomer(newcomer, 2))
          .ok());
  member_version_ = 2;
  EXPECT_EQ(ask({})->questions_remaining_today, 0);
  const absl::Status spent = ask(locality).status();
  EXPECT_EQ(spent.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(HasReason(spent, reason::kCandidatesSpent)) << spent;
  const auto retry = DetailsOf(spent).retry_after;
  ASSERT_TRUE(retry.has_value());
  EXPECT_GT(*retry, absl::ZeroDuration());
  EXPECT_LE(*retry, absl::Hours(24));
  EXPECT_TRUE(ask({}).ok()) << "what was asked can be asked again";
  // Neither a restart nor another replica begins anew.
  SqlChoiceLedger other(*env_.database, env_.vault, env_.pools, env_.random, BuiltInPrograms(),
                        LedgerOptions(), MakeSeenHash(env_.ring));
  const std::unique_ptr<CandidateDesk> desk = NewDesk(other);
  const Ticket ticket = AskToChoose(newcomer, true, locality);
  EXPECT_TRUE(HasReason(desk->ListCandidates(env_.As(newcomer), ticket.id).status(),
                        reason::kCandidatesSpent));
  env_.clock.Advance(*retry);
  EXPECT_TRUE(desk->ListCandidates(env_.As(newcomer), ticket.id).ok()) << "a new day";
}

TEST_F(CandidatesEngineTest, AnswersThatShowNobodyCountAndAreNotKept) {
  AddSponsors(4);
  const MemberId newcomer = env_.AddNewcomer();
  const Ticket ticket = AskToChoose(newcomer);
  for (int again = 0; again < 3; ++again) {
    const auto list = List(ticket);
    ASSERT_TRUE(list.ok()) << list.status();
    EXPECT_THAT(list->candidates, IsEmpty());
    EXPECT_EQ(list->questions_remaining_today, 2);
  }
  AddSponsors(1);
  EXPECT_THAT(Handles(ticket), SizeIs(5));
}

TEST_F(CandidatesEngineTest, TheOrderIsThatOfWhatIsTold) {
  // Those who suit best by what they do not show are as good as any other.
  for (int i = 0; i < 8; ++i) {
    MemberTraits sponsor = env_.Sponsor(MemberId::Random(env_.random));
    sponsor.sponsor->programs.front().recovery_date = absl::CivilDay(1990 + 4 * i, 1, 1);
    ASSERT_TRUE(env_.ledger->ApplyMember(absl::InfiniteFuture(), env_.clock.Now(), sponsor).ok());
    ASSERT_TRUE(
        env_.ledger->SetAvailability(env_.As(sponsor.member), env_.clock.Now(), 1, true).ok());
    sponsors_.push_back(sponsor.member);
  }
  std::set<size_t> who_is_first;
  for (int newcomer = 0; newcomer < 24; ++newcomer) {
    const Ticket ticket = AskToChoose();
    const auto list = List(ticket);
    ASSERT_TRUE(list.ok()) << list.status();
    ASSERT_THAT(list->candidates, SizeIs(5));
    for (size_t i = 1; i < 5; ++i) {
      EXPECT_LE(list->candidates[i].view.score, list->candidates[i - 1].view.score);
    }
    const MemberId first = SponsorOf(ticket, list->candidates[0].handle);
    who_is_first.insert(static_cast<size_t>(std::find(sponsors_.begin(), sponsors_.end(), first) -
                                            sponsors_.begin()));
  }
  EXPECT_GT(who_is_first.size(), 2u) << "all are told alike, and yet one is always first";
}

TEST_F(CandidatesEngineTest, NoCandidateBreaksARule) {
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

TEST_F(CandidatesEngineTest, FiveAlikeAreDescribedAndFourAreNotEvenListed) {
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

}  // namespace
}  // namespace handrail::matching
