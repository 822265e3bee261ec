// The main job over real gRPC, against real processes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/support/cluster.h"
#include "tests/support/people.h"

namespace handrail::tests {
namespace {

using common::v1::Philosophy;
using matching::v1::MatchingService;
using matching::v1::Offer;
using matching::v1::Pairing;
using matching::v1::Ticket;
using messaging::v1::MessagingService;
using tools::Person;

constexpr absl::Duration kLongEnough = absl::Seconds(20);

// One deployment for all tests of this file; each test has a program, and so a pool, of its own.
class MainFlowTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Cluster::Options options;
    options.matching_flags = {"--response_deadline", "4s"};
    options.service_flags = {"--rate_limit_scale", "0"};
    auto cluster = Cluster::Start(options);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = std::move(*cluster).release();
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override { ASSERT_NE(cluster_, nullptr); }

  std::unique_ptr<Person> Newcomer() {
    auto person = JoinAsNewcomer(cluster_->services(), clock_, random_, program_);
    EXPECT_TRUE(person.ok()) << person.status();
    return person.ok() ? *std::move(person) : nullptr;
  }
  std::unique_ptr<Person> Sponsor(int capacity) {
    auto person = JoinAsSponsor(cluster_->services(), clock_, random_, capacity, program_);
    EXPECT_TRUE(person.ok()) << person.status();
    return person.ok() ? *std::move(person) : nullptr;
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Person& person,
                                grpc::Status (MatchingService::Stub::*method)(grpc::ClientContext*,
                                                                              const Request&,
                                                                              Response*),
                                Request request) {
    if constexpr (requires { request.set_request_id(""); }) {
      if (request.request_id().empty()) request.set_request_id(person.NewRequestId());
    }
    return person.Call(cluster_->services().matching(), method, request);
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Named(Person& person,
                                 grpc::Status (MatchingService::Stub::*method)(grpc::ClientContext*,
                                                                               const Request&,
                                                                               Response*),
                                 const std::string& name) {
    Request request;
    request.set_name(name);
    return Call(person, method, request);
  }
  absl::StatusOr<Ticket> Ask(Person& person, const std::string& request_id = "") {
    matching::v1::RequestMatchRequest request;
    request.set_philosophy(program_);
    request.set_relationship_type(common::v1::RELATIONSHIP_TYPE_SPONSOR);
    request.set_request_id(request_id);
    return Call(person, &MatchingService::Stub::RequestMatch, request);
  }
  Ticket Look(Person& person, const std::string& name) {
    auto ticket = Named(person, &MatchingService::Stub::GetTicket, name);
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    return ticket.ok() ? *ticket : Ticket();
  }
  std::vector<Offer> OpenOffers(Person& sponsor) {
    auto offers =
        Call(sponsor, &MatchingService::Stub::ListOffers, matching::v1::ListOffersRequest());
    EXPECT_TRUE(offers.ok()) << offers.status();
    if (!offers.ok()) return {};
    return {offers->offers().begin(), offers->offers().end()};
  }
  bool WaitUntil(const std::function<bool()>& condition, absl::Duration most = kLongEnough) {
    const absl::Time give_up = clock_.Now() + most;
    StopSignal pause;
    while (!condition()) {
      if (clock_.Now() > give_up) return false;
      pause.Pause(absl::Milliseconds(20));
    }
    return true;
  }
  Offer WaitForOffer(Person& sponsor) {
    Offer offer;
    EXPECT_TRUE(WaitUntil([&] {
      const auto offers = OpenOffers(sponsor);
      if (!offers.empty()) offer = offers.front();
      return !offers.empty();
    })) << "no offer came";
    return offer;
  }
  // Asks, accepts, waits for the conversation.
  Pairing Pair(Person& newcomer, Person& sponsor) {
    const auto ticket = Ask(newcomer);
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    const auto accepted =
        Named(sponsor, &MatchingService::Stub::AcceptOffer, WaitForOffer(sponsor).name());
    EXPECT_TRUE(accepted.ok()) << accepted.status();
    if (!accepted.ok()) return Pairing();
    Pairing pairing = *accepted;
    EXPECT_TRUE(WaitUntil([&] {
      const auto now = Named(newcomer, &MatchingService::Stub::GetPairing, accepted->name());
      if (now.ok()) pairing = *now;
      return !pairing.conversation().empty();
    })) << "M3: no conversation came";
    return pairing;
  }
  absl::StatusOr<messaging::v1::SendMessageResponse> Send(Person& person,
                                                          const std::string& conversation,
                                                          const std::string& payload) {
    messaging::v1::SendMessageRequest request;
    request.set_conversation(conversation);
    request.set_message_id(person.NewRequestId());
    request.set_payload(payload);
    return person.Call(cluster_->services().messaging(), &MessagingService::Stub::SendMessage,
                       request);
  }

  static Cluster* cluster_;
  SystemClock clock_;
  SystemRandom random_;
  Philosophy program_ = common::v1::PHILOSOPHY_TWELVE_STEP_AA;
};

Cluster* MainFlowTest::cluster_ = nullptr;

TEST_F(MainFlowTest, ANewcomerFindsASponsorAndTheTwoTalk) {
  auto sponsor = Sponsor(1);
  auto newcomer = Newcomer();
  const auto ticket = Ask(*newcomer);
  ASSERT_TRUE(ticket.ok()) << ticket.status();

  grpc::ClientContext watching;
  ASSERT_TRUE(newcomer->Authorize(watching).ok());
  watching.set_deadline(absl::ToChronoTime(clock_.Now() + kLongEnough));
  matching::v1::WatchTicketRequest watch;
  watch.set_name(ticket->name());
  const auto stream = cluster_->services().matching().WatchTicket(&watching, watch);

  const Offer offer = WaitForOffer(*sponsor);
  EXPECT_EQ(offer.philosophy(), program_);
  EXPECT_THAT(offer.reasons_size(), ::testing::AllOf(::testing::Ge(1), ::testing::Le(3)));
  EXPECT_GT(offer.factors_size(), 0);
  const auto accepted = Named(*sponsor, &MatchingService::Stub::AcceptOffer, offer.name());
  ASSERT_TRUE(accepted.ok()) << accepted.status();

  matching::v1::WatchTicketResponse event;
  Ticket seen;
  int64_t version = 0;
  while (seen.conversation().empty() && stream->Read(&event)) {
    if (!event.has_ticket()) continue;
    seen = event.ticket();
    EXPECT_GE(seen.version(), version);
    version = seen.version();
  }
  watching.TryCancel();
  (void)stream->Finish();
  EXPECT_EQ(seen.state(), matching::v1::TICKET_STATE_PAIRED);
  EXPECT_EQ(seen.pairing(), accepted->name());
  ASSERT_FALSE(seen.conversation().empty()) << "the stream ended before the conversation came";

  // The sponsor's device gets what the newcomer says, in order, on one stream.
  for (int i = 1; i <= 3; ++i) {
    const auto sent = Send(*newcomer, seen.conversation(), absl::StrCat("opaque ", i));
    ASSERT_TRUE(sent.ok()) << sent.status();
    EXPECT_EQ(sent->sequence(), i);
  }
  grpc::ClientContext subscribing;
  ASSERT_TRUE(sponsor->Authorize(subscribing).ok());
  subscribing.set_deadline(absl::ToChronoTime(clock_.Now() + kLongEnough));
  const auto delivery =
      cluster_->services().messaging().Subscribe(&subscribing, messaging::v1::SubscribeRequest());
  messaging::v1::SubscribeResponse delivered;
  int64_t next = 1;
  while (next <= 3 && delivery->Read(&delivered)) {
    if (!delivered.has_envelope()) continue;
    EXPECT_EQ(delivered.envelope().sequence(), next);
    EXPECT_EQ(delivered.envelope().payload(), absl::StrCat("opaque ", next));
    EXPECT_EQ(delivered.envelope().sender(), newcomer->member());
    ++next;
  }
  subscribing.TryCancel();
  (void)delivery->Finish();
  EXPECT_EQ(next, 4);

  const auto ended = Named(*newcomer, &MatchingService::Stub::EndPairing, accepted->name());
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), matching::v1::PAIRING_STATE_ENDED);
  EXPECT_TRUE(WaitUntil([&] {
    return HasReason(Send(*sponsor, seen.conversation(), "late").status(),
                     reason::kConversationClosed);
  })) << "the conversation stays open";
}

TEST_F(MainFlowTest, ADeclinedOfferGoesToTheNextSponsorAndTheTicketKeepsItsAge) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_NA;
  auto first = Sponsor(1);
  auto newcomer = Newcomer();
  const auto ticket = Ask(*newcomer);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  const Offer offer = WaitForOffer(*first);
  auto second = Sponsor(1);
  const auto declined = Named(*first, &MatchingService::Stub::DeclineOffer, offer.name());
  ASSERT_TRUE(declined.ok()) << declined.status();
  EXPECT_EQ(declined->state(), matching::v1::OFFER_STATE_DECLINED);
  const Offer next = WaitForOffer(*second);
  EXPECT_NE(next.name(), offer.name());
  EXPECT_TRUE(OpenOffers(*first).empty()) << "a decline holds for the cooldown";
  const Ticket now = Look(*newcomer, ticket->name());
  EXPECT_EQ(now.create_time().seconds(), ticket->create_time().seconds());
  EXPECT_EQ(now.create_time().nanos(), ticket->create_time().nanos());
  EXPECT_EQ(now.offer_count(), 2);
  EXPECT_TRUE(Named(*second, &MatchingService::Stub::AcceptOffer, next.name()).ok());
}

TEST_F(MainFlowTest, AnOfferThatIsNotAnsweredInTimeGoesToTheNextSponsor) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_CA;
  auto silent = Sponsor(1);
  auto newcomer = Newcomer();
  const auto ticket = Ask(*newcomer);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  const Offer offer = WaitForOffer(*silent);
  auto next = Sponsor(1);
  const Offer second = WaitForOffer(*next);
  EXPECT_NE(second.name(), offer.name());
  EXPECT_EQ(Look(*newcomer, ticket->name()).create_time().seconds(),
            ticket->create_time().seconds());
  const auto late = Named(*silent, &MatchingService::Stub::AcceptOffer, offer.name());
  EXPECT_TRUE(HasReason(late.status(), reason::kOfferNotOpen)) << late.status();
  EXPECT_TRUE(Named(*next, &MatchingService::Stub::AcceptOffer, second.name()).ok());
}

TEST_F(MainFlowTest, ACapacityFillsAndAFreedSeatGoesToWhoWaits) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_CMA;
  auto sponsor = Sponsor(2);
  std::vector<std::unique_ptr<Person>> newcomers;
  std::vector<std::string> tickets;
  for (int i = 0; i < 3; ++i) {
    newcomers.push_back(Newcomer());
    const auto ticket = Ask(*newcomers.back());
    ASSERT_TRUE(ticket.ok()) << ticket.status();
    tickets.push_back(ticket->name());
  }
  std::vector<Pairing> pairings;
  while (pairings.size() < 2) {
    const auto pairing =
        Named(*sponsor, &MatchingService::Stub::AcceptOffer, WaitForOffer(*sponsor).name());
    ASSERT_TRUE(pairing.ok()) << pairing.status();
    pairings.push_back(*pairing);
  }
  EXPECT_TRUE(OpenOffers(*sponsor).empty());
  const auto full = Call(*sponsor, &MatchingService::Stub::GetAvailability,
                         matching::v1::GetAvailabilityRequest());
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(full->pairing_count(), 2);
  int waiting = 0;
  for (size_t i = 0; i < tickets.size(); ++i) {
    waiting += Look(*newcomers[i], tickets[i]).state() == matching::v1::TICKET_STATE_WAITING;
  }
  EXPECT_EQ(waiting, 1);
  ASSERT_TRUE(Named(*sponsor, &MatchingService::Stub::EndPairing, pairings[0].name()).ok());
  EXPECT_TRUE(
      Named(*sponsor, &MatchingService::Stub::AcceptOffer, WaitForOffer(*sponsor).name()).ok());
}

TEST_F(MainFlowTest, ACancelledTicketTakesItsOfferBack) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_HA;
  auto sponsor = Sponsor(1);
  auto newcomer = Newcomer();
  const auto ticket = Ask(*newcomer);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  const Offer offer = WaitForOffer(*sponsor);
  const auto cancelled = Named(*newcomer, &MatchingService::Stub::CancelTicket, ticket->name());
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->state(), matching::v1::TICKET_STATE_CANCELLED);
  EXPECT_TRUE(Named(*newcomer, &MatchingService::Stub::CancelTicket, ticket->name()).ok());
  const auto late = Named(*sponsor, &MatchingService::Stub::AcceptOffer, offer.name());
  EXPECT_TRUE(HasReason(late.status(), reason::kOfferNotOpen)) << late.status();
  const auto again = Ask(*newcomer);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE(again->name(), ticket->name());
}

TEST_F(MainFlowTest, WhomSomebodyKnowsIsNotOfferedToThemUntilTheyAreTakenOffTheList) {
  program_ = common::v1::PHILOSOPHY_FAMILY_ALANON;
  auto sponsor = Sponsor(1);
  auto newcomer = Newcomer();
  profiles::v1::AvoidMemberRequest avoid;
  avoid.set_member(sponsor->member());
  avoid.set_relation(profiles::v1::RELATION_CLINICIAN);
  avoid.set_request_id(newcomer->NewRequestId());
  const auto avoided = newcomer->Call(cluster_->services().avoid(),
                                      &profiles::v1::AvoidService::Stub::AvoidMember, avoid);
  ASSERT_TRUE(avoided.ok()) << avoided.status();
  const auto list = newcomer->Call(cluster_->services().avoid(),
                                   &profiles::v1::AvoidService::Stub::ListAvoidedMembers,
                                   profiles::v1::ListAvoidedMembersRequest());
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->members_size(), 1);
  EXPECT_EQ(list->members(0).member(), sponsor->member());
  EXPECT_EQ(list->members(0).relation(), profiles::v1::RELATION_CLINICIAN);
  // Matching has heard of whoever joined later, and so of the list.
  auto later = Newcomer();
  const auto ticket = Ask(*newcomer);
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  // The seat goes to whoever asked later.
  const auto second = Ask(*later);
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_TRUE(WaitUntil(
      [&] { return Look(*later, second->name()).state() == matching::v1::TICKET_STATE_OFFERED; }));
  EXPECT_EQ(Look(*newcomer, ticket->name()).state(), matching::v1::TICKET_STATE_WAITING);
  ASSERT_TRUE(Named(*later, &MatchingService::Stub::CancelTicket, second->name()).ok());
  profiles::v1::StopAvoidingMemberRequest stop;
  stop.set_member(sponsor->member());
  stop.set_request_id(newcomer->NewRequestId());
  ASSERT_TRUE(newcomer
                  ->Call(cluster_->services().avoid(),
                         &profiles::v1::AvoidService::Stub::StopAvoidingMember, stop)
                  .ok());
  EXPECT_TRUE(WaitUntil([&] {
    return Look(*newcomer, ticket->name()).state() == matching::v1::TICKET_STATE_OFFERED;
  })) << "nothing else stands between the two";
}

TEST_F(MainFlowTest, ABlockEndsThePairingAndTheConversation) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_MA;
  auto sponsor = Sponsor(1);
  auto newcomer = Newcomer();
  const Pairing pairing = Pair(*newcomer, *sponsor);
  ASSERT_TRUE(Send(*newcomer, pairing.conversation(), "opaque").ok());
  profiles::v1::BlockMemberRequest request;
  request.set_member(pairing.sponsor());
  request.set_request_id(newcomer->NewRequestId());
  const auto block = newcomer->Call(cluster_->services().safety(),
                                    &profiles::v1::SafetyService::Stub::BlockMember, request);
  ASSERT_TRUE(block.ok()) << block.status();
  EXPECT_FALSE(block->pending());
  // Answered: from now on nothing is accepted, by either side.
  EXPECT_TRUE(HasReason(Send(*newcomer, pairing.conversation(), "late").status(),
                        reason::kConversationClosed));
  EXPECT_TRUE(HasReason(Send(*sponsor, pairing.conversation(), "late").status(),
                        reason::kConversationClosed));
  const auto ended = Named(*sponsor, &MatchingService::Stub::GetPairing, pairing.name());
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), matching::v1::PAIRING_STATE_ENDED);
}

TEST_F(MainFlowTest, ARequestIdIsAnsweredOnceAndMeansOneRequest) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_OTHER;
  auto newcomer = Newcomer();
  const auto ticket = Ask(*newcomer, "the-same");
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  const auto again = Ask(*newcomer, "the-same");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), ticket->name());
  const auto second = Ask(*newcomer);
  EXPECT_TRUE(HasReason(second.status(), reason::kTicketAlreadyOpen)) << second.status();
  matching::v1::RequestMatchRequest other;
  other.set_philosophy(program_);
  other.set_relationship_type(common::v1::RELATIONSHIP_TYPE_TEMPORARY_CONTACT);
  other.set_request_id("the-same");
  const auto reused = Call(*newcomer, &MatchingService::Stub::RequestMatch, other);
  EXPECT_TRUE(HasReason(reused.status(), reason::kRequestIdReused)) << reused.status();
}

}  // namespace
}  // namespace handrail::tests
