// Care over real gRPC, against real processes: what people are told, and what they can do.

#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <functional>

#include "common/base/status.h"
#include "tests/support/cluster.h"
#include "tests/support/people.h"

namespace handrail::tests {
namespace {

using google::protobuf::util::TimeUtil;
using matching::v1::Availability;
using matching::v1::CareService;
using matching::v1::MatchingService;
using matching::v1::Notice;
using matching::v1::Pairing;
using matching::v1::Ticket;
using tools::Person;

constexpr absl::Duration kLongEnough = absl::Seconds(20);

class CareTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Cluster::Options options;
    // As in production, but for the time to answer: a new sponsor has one seat.
    options.matching_flags = {"--response_deadline", "2s",   "--missed_offers_limit", "1",
                              "--probation",         "2160h"};
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

  template <typename T>
  T Unwrap(absl::StatusOr<T> result) {
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : T();
  }
  std::unique_ptr<Person> Newcomer() {
    return Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_, program_));
  }
  std::unique_ptr<Person> Sponsor(int capacity) {
    return Unwrap(JoinAsSponsor(cluster_->services(), clock_, random_, capacity, program_));
  }
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Person& person, Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                Request request) {
    if constexpr (requires { request.set_request_id(""); }) {
      if (request.request_id().empty()) request.set_request_id(person.NewRequestId());
    }
    return person.Call(stub, method, request);
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Care(Person& person,
                                grpc::Status (CareService::Stub::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*),
                                Request request) {
    return Call(person, cluster_->services().care(), method, std::move(request));
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Matching(Person& person,
                                    grpc::Status (MatchingService::Stub::*method)(
                                        grpc::ClientContext*, const Request&, Response*),
                                    Request request) {
    return Call(person, cluster_->services().matching(), method, std::move(request));
  }
  Ticket Ask(Person& person) {
    matching::v1::RequestMatchRequest request;
    request.set_philosophy(program_);
    request.set_relationship_type(common::v1::RELATIONSHIP_TYPE_SPONSOR);
    return Unwrap(Matching(person, &MatchingService::Stub::RequestMatch, request));
  }
  bool WaitUntil(const std::function<bool()>& condition) {
    const absl::Time give_up = clock_.Now() + kLongEnough;
    StopSignal pause;
    while (!condition()) {
      if (clock_.Now() > give_up) return false;
      pause.Pause(absl::Milliseconds(20));
    }
    return true;
  }
  Pairing Pair(Person& newcomer, Person& sponsor) {
    Ask(newcomer);
    std::string offer;
    EXPECT_TRUE(WaitUntil([&] {
      const auto offers = Unwrap(
          Matching(sponsor, &MatchingService::Stub::ListOffers, matching::v1::ListOffersRequest()));
      if (offers.offers_size() > 0) offer = offers.offers(0).name();
      return !offer.empty();
    }));
    matching::v1::AcceptOfferRequest accept;
    accept.set_name(offer);
    return Unwrap(Matching(sponsor, &MatchingService::Stub::AcceptOffer, accept));
  }
  std::vector<Notice> Notices(Person& person) {
    const auto list =
        Unwrap(Care(person, &CareService::Stub::ListNotices, matching::v1::ListNoticesRequest()));
    return {list.notices().begin(), list.notices().end()};
  }

  static Cluster* cluster_;
  SystemClock clock_;
  SystemRandom random_;
  common::v1::Philosophy program_ = kDefaultProgram;
};

Cluster* CareTest::cluster_ = nullptr;

TEST_F(CareTest, ANewSponsorHasOneSeatAndIsToldSo) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_CA;
  const auto sponsor = Sponsor(3);
  const auto seats = Unwrap(Matching(*sponsor, &MatchingService::Stub::GetAvailability,
                                     matching::v1::GetAvailabilityRequest()));
  EXPECT_EQ(seats.capacity(), 3);
  EXPECT_EQ(seats.effective_capacity(), 1);
  EXPECT_GT(TimeUtil::TimestampToSeconds(seats.probation_end_time()),
            absl::ToUnixSeconds(clock_.Now() + absl::Hours(24 * 89)));
}

TEST_F(CareTest, AnUnansweredOfferPausesTheSponsorWhoWatchesAndComesBack) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_NA;
  const auto sponsor = Sponsor(1);
  const auto newcomer = Newcomer();
  grpc::ClientContext context;
  ASSERT_TRUE(sponsor->Authorize(context).ok());
  context.set_deadline(absl::ToChronoTime(clock_.Now() + kLongEnough));
  auto stream =
      cluster_->services().care().WatchNotices(&context, matching::v1::WatchNoticesRequest());
  const Ticket ticket = Ask(*newcomer);
  matching::v1::WatchNoticesResponse event;
  Notice notice;
  while (notice.name().empty() && stream->Read(&event)) {
    if (event.has_notice()) notice = event.notice();
  }
  context.TryCancel();
  EXPECT_EQ(notice.kind(), matching::v1::NOTICE_KIND_PAUSED_AFTER_MISSED_OFFERS);
  EXPECT_EQ(notice.subject(), sponsor->member());
  const auto paused = Unwrap(Matching(*sponsor, &MatchingService::Stub::GetAvailability,
                                      matching::v1::GetAvailabilityRequest()));
  EXPECT_FALSE(paused.accepting());
  EXPECT_EQ(paused.pause_reason(), matching::v1::PAUSE_REASON_MISSED_OFFERS);
  matching::v1::MarkNoticeReadRequest read;
  read.set_name(notice.name());
  EXPECT_TRUE(Unwrap(Care(*sponsor, &CareService::Stub::MarkNoticeRead, read)).has_read_time());
  EXPECT_TRUE(Notices(*sponsor).empty());
  EXPECT_EQ(Care(*newcomer, &CareService::Stub::MarkNoticeRead, read).status().code(),
            absl::StatusCode::kNotFound);
  matching::v1::SetAvailabilityRequest back;
  back.set_capacity(1);
  back.set_accepting(true);
  EXPECT_EQ(
      Unwrap(Matching(*sponsor, &MatchingService::Stub::SetAvailability, back)).pause_reason(),
      matching::v1::PAUSE_REASON_UNSPECIFIED);
}

TEST_F(CareTest, APauseWithAnEndIsTakenOnlyWhenItMakesSense) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_MA;
  const auto sponsor = Sponsor(1);
  matching::v1::SetAvailabilityRequest request;
  request.set_capacity(1);
  const auto set = [&](bool accepting, absl::Duration ahead) {
    request.clear_request_id();
    request.set_accepting(accepting);
    request.mutable_resume_time()->set_seconds(absl::ToUnixSeconds(clock_.Now() + ahead));
    return Matching(*sponsor, &MatchingService::Stub::SetAvailability, request);
  };
  for (const absl::Status& status :
       {set(true, absl::Hours(1)).status(), set(false, -absl::Hours(1)).status(),
        set(false, absl::Hours(24 * 400)).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  }
  const Availability paused = Unwrap(set(false, absl::Seconds(3)));
  EXPECT_EQ(paused.pause_reason(), matching::v1::PAUSE_REASON_ASKED);
  EXPECT_TRUE(paused.has_resume_time());
  EXPECT_TRUE(WaitUntil([&] {
    return Unwrap(Matching(*sponsor, &MatchingService::Stub::GetAvailability,
                           matching::v1::GetAvailabilityRequest()))
        .accepting();
  }));
}

TEST_F(CareTest, AfterAnEndTheNewcomerAsksAgainWithTheOldPlace) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_HA;
  const auto sponsor = Sponsor(1);
  const auto newcomer = Newcomer();
  const Pairing pairing = Pair(*newcomer, *sponsor);
  matching::v1::RequestRematchRequest again;
  again.set_pairing(pairing.name());
  EXPECT_TRUE(HasReason(Care(*newcomer, &CareService::Stub::RequestRematch, again).status(),
                        reason::kRematchNotAvailable));
  matching::v1::AnswerCheckInRequest early;
  early.set_pairing(pairing.name());
  early.set_day(3);
  early.set_answer(matching::v1::CHECK_IN_ANSWER_NOT_SURE);
  EXPECT_TRUE(HasReason(Care(*newcomer, &CareService::Stub::AnswerCheckIn, early).status(),
                        reason::kCheckInNotDue));
  matching::v1::EndPairingRequest end;
  end.set_name(pairing.name());
  end.set_reason(matching::v1::END_REASON_SAFETY);
  // The sponsor ends it, with a reason that nobody is ever told.
  const Pairing ended = Unwrap(Matching(*sponsor, &MatchingService::Stub::EndPairing, end));
  EXPECT_EQ(ended.state(), matching::v1::PAIRING_STATE_ENDED);
  EXPECT_EQ(ended.DebugString().find("SAFETY"), std::string::npos);
  const auto notices = Notices(*newcomer);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0].kind(), matching::v1::NOTICE_KIND_REMATCH_AVAILABLE);
  EXPECT_EQ(notices[0].subject(), pairing.name());
  EXPECT_TRUE(Notices(*sponsor).empty());

  const auto tickets = Unwrap(
      Matching(*newcomer, &MatchingService::Stub::ListTickets, matching::v1::ListTicketsRequest()));
  ASSERT_EQ(tickets.tickets_size(), 1);
  again.set_request_id("again");
  const Ticket ticket = Unwrap(Care(*newcomer, &CareService::Stub::RequestRematch, again));
  EXPECT_EQ(ticket.state(), matching::v1::TICKET_STATE_WAITING);
  EXPECT_EQ(ticket.create_time(), tickets.tickets(0).create_time());
  EXPECT_EQ(Unwrap(Care(*newcomer, &CareService::Stub::RequestRematch, again)).name(),
            ticket.name());
  EXPECT_TRUE(Notices(*newcomer).empty());
}

TEST_F(CareTest, TheOutlookOfATicketIsHonestAndCoarse) {
  program_ = common::v1::PHILOSOPHY_TWELVE_STEP_CMA;
  const auto newcomer = Newcomer();
  const Ticket ticket = Ask(*newcomer);
  matching::v1::GetQueueStatusRequest request;
  request.set_name(ticket.name());
  const auto status = Unwrap(Care(*newcomer, &CareService::Stub::GetQueueStatus, request));
  EXPECT_EQ(status.ticket(), ticket.name());
  EXPECT_EQ(status.state(), matching::v1::TICKET_STATE_WAITING);
  EXPECT_EQ(status.basis_pairings(), 0);
  EXPECT_EQ(status.suitable_sponsors(), matching::v1::COUNT_BAND_UNDER_5);
  EXPECT_EQ(Care(*Newcomer(), &CareService::Stub::GetQueueStatus, request).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace handrail::tests
