#include "tools/handrail/demo/actors.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "tools/handrail/client/words.h"

namespace handrail::tools {
namespace {

using matching::v1::MatchingService;
using matching::v1::Offer;
using profiles::v1::ProfileService;

// A service that is killed and started again is back within this.
constexpr Patience kPatience = {.total = absl::Seconds(60), .attempt = absl::Seconds(5)};

// Gives both consents.
absl::Status Agree(Person& person) {
  for (const auto purpose :
       {profiles::v1::CONSENT_PURPOSE_MATCHING, profiles::v1::CONSENT_PURPOSE_HEALTH_DATA}) {
    profiles::v1::GrantConsentRequest request;
    request.set_purpose(purpose);
    request.set_notice_version("demo-1");
    request.set_notice_language("en");
    request.set_request_id(person.NewRequestId());
    RETURN_IF_ERROR(person
                        .Call(person.services().profile(), &ProfileService::Stub::GrantConsent,
                              request, kPatience)
                        .status());
  }
  return absl::OkStatus();
}

absl::Status Describe(Person& person, profiles::v1::Profile profile, absl::string_view side) {
  profiles::v1::UpdateProfileRequest update;
  *update.mutable_profile() = std::move(profile);
  update.mutable_update_mask()->add_paths(std::string(side));
  update.set_request_id(person.NewRequestId());
  return person
      .Call(person.services().profile(), &ProfileService::Stub::UpdateProfile, update, kPatience)
      .status();
}

std::string WhyWord(const Offer& offer) {
  std::vector<std::string> texts;
  for (const auto& reason : offer.reasons()) texts.push_back(reason.text());
  return absl::StrJoin(texts, "; ");
}

}  // namespace

absl::StatusOr<std::unique_ptr<SponsorActor>> SponsorActor::Join(Services& services, Clock& clock,
                                                                 Random& random, SponsorPlan plan,
                                                                 Narrator& narrator, Tally& tally) {
  auto actor = std::unique_ptr<SponsorActor>(new SponsorActor(std::move(plan), narrator, tally));
  ASSIGN_OR_RETURN(actor->person_, Person::Register(services, clock, random));
  Person& person = *actor->person_;
  profiles::v1::Profile profile;
  *profile.mutable_sponsor() = actor->plan_.traits;
  RETURN_IF_ERROR(Describe(person, std::move(profile), "sponsor"));
  RETURN_IF_ERROR(Agree(person));
  profiles::v1::AttestAvailabilityRequest attest;
  attest.set_request_id(person.NewRequestId());
  RETURN_IF_ERROR(
      person.Call(services.profile(), &ProfileService::Stub::AttestAvailability, attest, kPatience)
          .status());
  return actor;
}

SponsorActor::~SponsorActor() { Stop(); }

absl::Status SponsorActor::Open() {
  matching::v1::SetAvailabilityRequest request;
  request.set_capacity(plan_.capacity);
  request.set_accepting(true);
  request.set_request_id(person_->NewRequestId());
  RETURN_IF_ERROR(person_
                      ->Call(person_->services().matching(),
                             &MatchingService::Stub::SetAvailability, request, kPatience)
                      .status());
  thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

void SponsorActor::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->TryCancel();
  }
  if (thread_.joinable()) thread_.join();
}

std::vector<std::string> SponsorActor::Pairings() const {
  MutexLock lock(mutex_);
  return pairings_;
}

void SponsorActor::Loop() {
  while (true) {
    grpc::ClientContext context;
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
      stream_ = &context;
    }
    if (person_->Authorize(context).ok()) {
      auto stream =
          person_->services().matching().WatchOffers(&context, matching::v1::WatchOffersRequest());
      matching::v1::WatchOffersResponse event;
      while (stream->Read(&event)) {
        if (event.has_offer()) OnOffer(event.offer());
      }
      (void)stream->Finish();  // a service that was killed: the loop opens the stream again
    }
    {
      MutexLock lock(mutex_);
      stream_ = nullptr;
      if (stopping_) return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void SponsorActor::OnOffer(const Offer& offer) {
  bool first_time = false;
  {
    MutexLock lock(mutex_);
    auto [entry, inserted] = seen_.try_emplace(offer.name(), offer.state());
    if (!inserted && entry->second == offer.state() &&
        offer.state() != matching::v1::OFFER_STATE_OPEN) {
      return;
    }
    first_time = inserted;
    entry->second = offer.state();
  }
  if (offer.state() == matching::v1::OFFER_STATE_TIMED_OUT) {
    ++tally_.timed_out;
    narrator_.SayFirst("timed out", 4,
                       absl::StrCat(plan_.label,
                                    " did not answer in time: the ticket goes on to the next "
                                    "sponsor, its place in the queue kept"));
  }
  if (offer.state() != matching::v1::OFFER_STATE_OPEN) return;
  if (first_time) {
    ++tally_.offers;
    narrator_.SayFirst(
        "offer", 10,
        absl::StrFormat("%s (%s) is offered a newcomer in %s, fit %.0f of 100: %s", plan_.label,
                        plan_.place, Word(offer.philosophy()), offer.score(), WhyWord(offer)));
  }
  if (plan_.habit == SponsorPlan::Habit::kNeverAnswers) return;
  if (plan_.habit == SponsorPlan::Habit::kDeclinesFirst && !declined_once_) {
    declined_once_ = true;
    Decline(offer);
    return;
  }
  Accept(offer);
}

void SponsorActor::Accept(const Offer& offer) {
  matching::v1::AcceptOfferRequest request;
  request.set_name(offer.name());
  request.set_request_id(person_->NewRequestId());
  const auto pairing = person_->Call(person_->services().matching(),
                                     &MatchingService::Stub::AcceptOffer, request, kPatience);
  if (!pairing.ok()) {
    if (!HasReason(pairing.status(), reason::kOfferNotOpen)) {
      narrator_.Say(absl::StrCat(plan_.label, " could not accept: ", pairing.status().message()));
    }
    return;
  }
  ++tally_.accepted;
  narrator_.SayFirst("accepted", 8, absl::StrCat(plan_.label, " accepts: ", pairing->name()));
  MutexLock lock(mutex_);
  if (std::find(pairings_.begin(), pairings_.end(), pairing->name()) == pairings_.end()) {
    pairings_.push_back(pairing->name());
  }
  if (pairings_.size() == static_cast<size_t>(plan_.capacity)) {
    ++tally_.full;
    narrator_.SayFirst("full", 5,
                       absl::StrCat(plan_.label, " is full: ", plan_.capacity, " of ",
                                    plan_.capacity, " seats taken, no more offers"));
  }
}

void SponsorActor::Decline(const Offer& offer) {
  matching::v1::DeclineOfferRequest request;
  request.set_name(offer.name());
  request.set_request_id(person_->NewRequestId());
  const auto declined = person_->Call(person_->services().matching(),
                                      &MatchingService::Stub::DeclineOffer, request, kPatience);
  if (!declined.ok()) return;
  ++tally_.declined;
  narrator_.SayFirst("declined", 4,
                     absl::StrCat(plan_.label,
                                  " passes an offer on (no reason is asked): it goes to the next "
                                  "sponsor"));
}

absl::StatusOr<std::unique_ptr<NewcomerActor>> NewcomerActor::Join(Services& services, Clock& clock,
                                                                   Random& random,
                                                                   NewcomerPlan plan) {
  auto actor = std::unique_ptr<NewcomerActor>(new NewcomerActor(std::move(plan)));
  ASSIGN_OR_RETURN(actor->person_, Person::Register(services, clock, random));
  profiles::v1::Profile profile;
  *profile.mutable_newcomer() = actor->plan_.traits;
  RETURN_IF_ERROR(Describe(*actor->person_, std::move(profile), "newcomer"));
  RETURN_IF_ERROR(Agree(*actor->person_));
  return actor;
}

absl::Status NewcomerActor::Ask() {
  matching::v1::RequestMatchRequest request;
  request.set_philosophy(plan_.philosophy);
  request.set_relationship_type(plan_.relationship_type);
  request.set_request_id(person_->NewRequestId());
  ASSIGN_OR_RETURN(
      ticket_, person_->Call(person_->services().matching(), &MatchingService::Stub::RequestMatch,
                             request, kPatience));
  return absl::OkStatus();
}

absl::Status NewcomerActor::Look() {
  matching::v1::GetTicketRequest request;
  request.set_name(ticket_.name());
  ASSIGN_OR_RETURN(ticket_, person_->Call(person_->services().matching(),
                                          &MatchingService::Stub::GetTicket, request, kPatience));
  return absl::OkStatus();
}

bool NewcomerActor::waits() const {
  return ticket_.state() == matching::v1::TICKET_STATE_WAITING ||
         ticket_.state() == matching::v1::TICKET_STATE_OFFERED;
}

}  // namespace handrail::tools
