// Let me choose over real gRPC, against real processes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "tests/support/cluster.h"
#include "tests/support/people.h"

namespace handrail::tests {
namespace {

using matching::v1::CandidateService;
using matching::v1::ListCandidatesResponse;
using matching::v1::MatchingService;
using matching::v1::Offer;
using matching::v1::Ticket;
using profiles::v1::ProfileService;
using tools::Person;

constexpr int kSponsors = 6;
constexpr char kFrench[] = "Vous êtes souvent libres aux mêmes heures.";

class ChooseFlowTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Cluster::Options options;
    options.service_flags = {"--rate_limit_scale", "0"};
    auto cluster = Cluster::Start(options);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = std::move(*cluster);
    for (int i = 0; i < kSponsors; ++i) {
      sponsors_.push_back(Unwrap(JoinAsSponsor(cluster_->services(), clock_, random_, 1)));
      ShowLanguages(*sponsors_.back());
    }
    newcomer_ = Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_));
    SpeakFrench(*newcomer_);
  }

  template <typename T>
  T Unwrap(absl::StatusOr<T> result) {
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : T();
  }
  void ShowLanguages(Person& sponsor) {
    profiles::v1::UpdateProfileRequest update;
    auto* audience = update.mutable_profile()->add_audiences();
    audience->set_field("sponsor.person.languages");
    audience->set_audience(profiles::v1::AUDIENCE_CANDIDATE);
    update.mutable_update_mask()->add_paths("audiences");
    update.set_request_id(sponsor.NewRequestId());
    Unwrap(
        sponsor.Call(sponsor.services().profile(), &ProfileService::Stub::UpdateProfile, update));
  }
  void SpeakFrench(Person& person) {
    auto profile =
        Unwrap(person.Call(person.services().profile(), &ProfileService::Stub::GetProfile,
                           profiles::v1::GetProfileRequest()));
    profiles::v1::UpdateProfileRequest update;
    *update.mutable_profile()->mutable_newcomer() = profile.newcomer();
    auto* languages = update.mutable_profile()->mutable_newcomer()->mutable_person();
    languages->clear_languages();
    languages->add_languages("fr");
    languages->add_languages("en");
    update.mutable_update_mask()->add_paths("newcomer");
    update.set_request_id(person.NewRequestId());
    Unwrap(person.Call(person.services().profile(), &ProfileService::Stub::UpdateProfile, update));
  }
  Ticket Ask(Person& person, matching::v1::MatchMode mode,
             matching::v1::Emphasis weight = matching::v1::EMPHASIS_MORE) {
    matching::v1::RequestMatchRequest request;
    request.set_philosophy(kDefaultProgram);
    request.set_relationship_type(common::v1::RELATIONSHIP_TYPE_SPONSOR);
    request.set_mode(mode);
    auto* emphasis = request.add_emphases();
    emphasis->set_code("AVAILABILITY");
    emphasis->set_emphasis(weight);
    request.set_request_id(person.NewRequestId());
    return Unwrap(
        person.Call(person.services().matching(), &MatchingService::Stub::RequestMatch, request));
  }
  Ticket Look(const std::string& name) {
    matching::v1::GetTicketRequest request;
    request.set_name(name);
    return Unwrap(newcomer_->Call(newcomer_->services().matching(),
                                  &MatchingService::Stub::GetTicket, request));
  }
  absl::StatusOr<ListCandidatesResponse> List(Person& person, const std::string& ticket) {
    matching::v1::ListCandidatesRequest request;
    request.set_ticket(ticket);
    return person.Call(person.services().candidates(), &CandidateService::Stub::ListCandidates,
                       request);
  }
  absl::StatusOr<Ticket> Choose(Person& person, const std::string& ticket,
                                const std::vector<std::string>& handles) {
    matching::v1::ChooseCandidatesRequest request;
    request.set_ticket(ticket);
    for (const std::string& handle : handles) request.add_handles(handle);
    request.set_request_id(person.NewRequestId());
    return person.Call(person.services().candidates(), &CandidateService::Stub::ChooseCandidates,
                       request);
  }
  std::vector<Offer> OffersOf(Person& sponsor) {
    const auto offers =
        Unwrap(sponsor.Call(sponsor.services().matching(), &MatchingService::Stub::ListOffers,
                            matching::v1::ListOffersRequest()));
    return {offers.offers().begin(), offers.offers().end()};
  }
  // What the sponsors show reaches matching through the outbox of profiles. A newcomer asks few
  // questions a day, and each has one answer: others look until it is there.
  bool SponsorsAreKnown() {
    return WaitUntil([this] {
      const auto scout = Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_));
      const auto list = List(*scout, Ask(*scout, matching::v1::MATCH_MODE_LET_ME_CHOOSE).name());
      if (!list.ok() || list->candidates_size() != 5) return false;
      return std::all_of(list->candidates().begin(), list->candidates().end(),
                         [](const auto& candidate) { return candidate.languages_size() == 1; });
    });
  }
  bool WaitUntil(const std::function<bool()>& condition) {
    const absl::Time give_up = clock_.Now() + absl::Seconds(60);
    StopSignal pause;
    while (!condition()) {
      if (clock_.Now() > give_up) return false;
      pause.Pause(absl::Milliseconds(20));
    }
    return true;
  }
  // Whoever is asked now; exactly one.
  Person* Asked(Offer* offer) {
    Person* asked = nullptr;
    EXPECT_TRUE(WaitUntil([&] {
      for (const auto& sponsor : sponsors_) {
        const auto offers = OffersOf(*sponsor);
        if (offers.empty()) continue;
        asked = sponsor.get();
        *offer = offers.front();
      }
      return asked != nullptr;
    })) << "nobody was asked";
    return asked;
  }

  std::unique_ptr<Cluster> cluster_;
  SystemClock clock_;
  SystemRandom random_;
  std::vector<std::unique_ptr<Person>> sponsors_;
  std::unique_ptr<Person> newcomer_;
};

TEST_F(ChooseFlowTest, FromTheListToAPairingInTheNewcomersOrder) {
  ASSERT_TRUE(SponsorsAreKnown());
  const Ticket ticket = Ask(*newcomer_, matching::v1::MATCH_MODE_LET_ME_CHOOSE);
  EXPECT_EQ(ticket.mode(), matching::v1::MATCH_MODE_LET_ME_CHOOSE);
  EXPECT_TRUE(ticket.choice_expected());
  ListCandidatesResponse list;
  // That the newcomer speaks French may still be on its way.
  ASSERT_TRUE(WaitUntil([&] {
    list = Unwrap(List(*newcomer_, ticket.name()));
    return list.candidates_size() == 5 && list.candidates(0).reasons_size() > 0 &&
           list.candidates(0).reasons(0).text() == kFrench;
  })) << list.ShortDebugString();
  EXPECT_LE(list.remaining_today(), 20);
  EXPECT_GE(list.questions_remaining_today(), 1);
  for (const auto& candidate : list.candidates()) {
    EXPECT_THAT(candidate.languages(), ::testing::ElementsAre("en"));
    ASSERT_GT(candidate.reasons_size(), 0);
    EXPECT_EQ(candidate.reasons(0).code(), "AVAILABILITY");
    EXPECT_EQ(candidate.reasons(0).text(), kFrench);
    EXPECT_EQ(candidate.age_band(), common::v1::AGE_BAND_UNSPECIFIED);
    EXPECT_TRUE(candidate.modalities().empty());  // not allowed to candidates
    for (const auto& sponsor : sponsors_) {
      EXPECT_EQ(candidate.SerializeAsString().find(sponsor->member()), std::string::npos);
    }
  }
  ASSERT_EQ(Unwrap(Choose(*newcomer_, ticket.name(),
                          {list.candidates(4).handle(), list.candidates(1).handle()}))
                .chosen_remaining(),
            2);
  Offer offer;
  Person* first = Asked(&offer);
  ASSERT_NE(first, nullptr);
  const Ticket offered = Look(ticket.name());
  EXPECT_EQ(offered.state(), matching::v1::TICKET_STATE_OFFERED);
  EXPECT_EQ(offered.chosen_remaining(), 1);
  ASSERT_GT(offered.reasons_size(), 0);
  EXPECT_EQ(offered.reasons(0).text(), kFrench);
  EXPECT_EQ(offer.reasons(0).text(), "You are often free at the same times.");
  matching::v1::DeclineOfferRequest decline;
  decline.set_name(offer.name());
  decline.set_request_id(first->NewRequestId());
  Unwrap(first->Call(first->services().matching(), &MatchingService::Stub::DeclineOffer, decline));
  Person* second = Asked(&offer);
  ASSERT_NE(second, nullptr);
  EXPECT_NE(second, first);
  matching::v1::AcceptOfferRequest accept;
  accept.set_name(offer.name());
  accept.set_request_id(second->NewRequestId());
  Unwrap(second->Call(second->services().matching(), &MatchingService::Stub::AcceptOffer, accept));
  EXPECT_TRUE(WaitUntil([&] { return !Look(ticket.name()).conversation().empty(); }));
}

TEST_F(ChooseFlowTest, NobodyChoosesForAnotherNorWhereHandrailChooses) {
  const auto stranger = Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_));
  const Ticket ticket = Ask(*newcomer_, matching::v1::MATCH_MODE_LET_ME_CHOOSE);
  const auto list = Unwrap(List(*newcomer_, ticket.name()));
  ASSERT_FALSE(list.candidates().empty());
  const std::string handle = list.candidates(0).handle();
  EXPECT_TRUE(HasReason(List(*stranger, ticket.name()).status(), reason::kNotFound));
  EXPECT_TRUE(HasReason(List(*sponsors_[0], ticket.name()).status(), reason::kNotFound));
  const Ticket theirs = Ask(*stranger, matching::v1::MATCH_MODE_LET_ME_CHOOSE);
  EXPECT_TRUE(HasReason(Choose(*stranger, theirs.name(), {handle}).status(),
                        reason::kCandidateHandleInvalid));
  EXPECT_TRUE(HasReason(Choose(*newcomer_, ticket.name(), {"forged"}).status(),
                        reason::kCandidateHandleInvalid));
  EXPECT_TRUE(HasReason(Choose(*newcomer_, ticket.name(), {handle, handle}).status(),
                        reason::kCandidateHandleInvalid));
  EXPECT_TRUE(
      HasReason(Choose(*newcomer_, ticket.name(), std::vector<std::string>(6, handle)).status(),
                reason::kFieldInvalid));
  const auto other = Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_));
  const Ticket handrail = Ask(*other, matching::v1::MATCH_MODE_UNSPECIFIED);
  EXPECT_EQ(handrail.mode(), matching::v1::MATCH_MODE_LET_HANDRAIL_CHOOSE);
  EXPECT_TRUE(HasReason(List(*other, handrail.name()).status(), reason::kChoiceNotExpected));
}

TEST_F(ChooseFlowTest, AFewDifferentQuestionsADayEachWithOneAnswer) {
  ASSERT_TRUE(SponsorsAreKnown());
  const auto other = Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_));
  const auto ask = [&](matching::v1::Emphasis weight) -> absl::StatusOr<ListCandidatesResponse> {
    const Ticket ticket = Ask(*other, matching::v1::MATCH_MODE_LET_ME_CHOOSE, weight);
    auto list = List(*other, ticket.name());
    matching::v1::CancelTicketRequest cancel;
    cancel.set_name(ticket.name());
    cancel.set_request_id(other->NewRequestId());
    Unwrap(other->Call(other->services().matching(), &MatchingService::Stub::CancelTicket, cancel));
    return list;
  };
  // The same but for the handles, which are new every time.
  const auto told = [](ListCandidatesResponse list) {
    for (auto& candidate : *list.mutable_candidates()) candidate.clear_handle();
    list.clear_expire_time();
    return list.SerializeAsString();
  };
  const auto first = Unwrap(ask(matching::v1::EMPHASIS_MORE));
  EXPECT_EQ(first.candidates_size(), 5);
  EXPECT_EQ(first.questions_remaining_today(), 2);
  Unwrap(ask(matching::v1::EMPHASIS_LESS));
  EXPECT_EQ(Unwrap(ask(matching::v1::EMPHASIS_OFF)).questions_remaining_today(), 0);
  const absl::Status spent = ask(matching::v1::EMPHASIS_NORMAL).status();
  EXPECT_TRUE(HasReason(spent, reason::kCandidatesSpent)) << spent;
  EXPECT_EQ(spent.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(DetailsOf(spent).retry_after.has_value());
  auto again = Unwrap(ask(matching::v1::EMPHASIS_MORE));
  again.set_questions_remaining_today(first.questions_remaining_today());
  again.set_remaining_today(first.remaining_today());
  EXPECT_EQ(told(again), told(first));
}

TEST_F(ChooseFlowTest, WhatIsNoEmphasisIsRefused) {
  matching::v1::RequestMatchRequest request;
  request.set_philosophy(kDefaultProgram);
  request.set_relationship_type(common::v1::RELATIONSHIP_TYPE_SPONSOR);
  const auto ask = [&] {
    request.set_request_id(newcomer_->NewRequestId());
    return newcomer_
        ->Call(newcomer_->services().matching(), &MatchingService::Stub::RequestMatch, request)
        .status();
  };
  auto* emphasis = request.add_emphases();
  emphasis->set_code("RACE");
  emphasis->set_emphasis(matching::v1::EMPHASIS_MORE);
  EXPECT_TRUE(HasReason(ask(), reason::kFieldInvalid));
  emphasis->set_code("LOCALITY");
  *request.add_emphases() = *emphasis;
  EXPECT_TRUE(HasReason(ask(), reason::kFieldInvalid));
  request.mutable_emphases()->RemoveLast();
  request.set_mode(static_cast<matching::v1::MatchMode>(9));
  EXPECT_TRUE(HasReason(ask(), reason::kEnumUnknown));
}

}  // namespace
}  // namespace handrail::tests
