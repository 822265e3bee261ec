#include "tests/faults/player.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::tests {
namespace {

using matching::v1::MatchingService;
using messaging::v1::MessagingService;
using profiles::v1::SafetyService;
using tools::Person;

bool Chance(Stage& stage, uint64_t percent) { return stage.random.Below(100) < percent; }

// What a service may answer although nothing is wrong is handled by the caller; the rest is a
// finding.
void Unexpected(Stage& stage, absl::string_view call, const absl::Status& status) {
  stage.history.Contradiction(absl::StrCat(
      call, " was answered with ", absl::StatusCodeToString(status.code()), " ", ReasonOf(status)));
}

template <typename IdType>
IdType IdOf(absl::string_view name) {
  const auto id = IdType::FromName(name);
  return id.ok() ? *id : IdType();
}

absl::StatusOr<matching::v1::Pairing> EndPairing(Stage& stage, Person& person,
                                                 const std::string& name) {
  matching::v1::EndPairingRequest request;
  request.set_name(name);
  request.set_request_id(person.NewRequestId());
  stage.history.EndingPairing(IdOf<PairingId>(name), stage.clock.Now());
  auto ended = Insist(person, stage.clock, stage.services.matching(),
                      &MatchingService::Stub::EndPairing, request);
  if (ended.ok()) {
    stage.history.PairingEnded(IdOf<PairingId>(name));
  } else {
    Unexpected(stage, "EndPairing", ended.status());
  }
  return ended;
}

}  // namespace

// ---- Talk ----

bool Talk::Send() {
  messaging::v1::SendMessageRequest request;
  request.set_conversation(id_.Name());
  const MessageId id = MessageId::Random(stage_.random);
  request.set_message_id(id.ToString());
  request.set_payload(absl::StrCat("opaque ", id.ToString()));
  const auto send = [&] {
    return Insist(person_, stage_.clock, stage_.services.messaging(),
                  &MessagingService::Stub::SendMessage, request);
  };
  const auto sent = send();
  if (HasReason(sent.status(), reason::kConversationClosed)) return false;
  if (!sent.ok()) {
    Unexpected(stage_, "SendMessage", sent.status());
    return false;
  }
  ++sent_;
  const MemberId me = IdOf<MemberId>(person_.member());
  stage_.history.MessageSent(me, id, {id_, sent->sequence(), request.payload()});
  if (Chance(stage_, 10)) {
    const auto again = send();
    if (again.ok() && again->sequence() != sent->sequence()) {
      stage_.history.Contradiction("a repeated send was given another place");
    }
    if (!again.ok()) Unexpected(stage_, "a repeated SendMessage", again.status());
  }
  return true;
}

void Talk::Read() {
  messaging::v1::FetchMessagesRequest request;
  request.set_conversation(id_.Name());
  request.set_after_sequence(read_to_);
  const auto page = Insist(person_, stage_.clock, stage_.services.messaging(),
                           &MessagingService::Stub::FetchMessages, request);
  if (!page.ok()) {
    // After a block nothing is delivered any more.
    if (!HasReason(page.status(), reason::kConversationClosed) &&
        !absl::IsNotFound(page.status())) {
      Unexpected(stage_, "FetchMessages", page.status());
    }
    return;
  }
  if (page->has_gap()) stage_.history.Contradiction("a conversation has a gap");
  const int64_t before = read_to_;
  for (const auto& envelope : page->envelopes()) {
    if (envelope.sequence() != read_to_ + 1) {
      stage_.history.Contradiction("a reader was given messages out of order");
    }
    read_to_ = envelope.sequence();
  }
  if (read_to_ == before) return;
  messaging::v1::AckMessagesRequest ack;
  messaging::v1::Cursor* cursor = ack.add_cursors();
  cursor->set_conversation(id_.Name());
  cursor->set_after_sequence(read_to_);
  const auto acknowledged = Insist(person_, stage_.clock, stage_.services.messaging(),
                                   &MessagingService::Stub::AckMessages, ack);
  if (acknowledged.ok()) {
    stage_.history.Acknowledged(IdOf<DeviceId>(person_.device()), id_, read_to_);
  } else if (!absl::IsNotFound(acknowledged.status())) {
    Unexpected(stage_, "AckMessages", acknowledged.status());
  }
}

// ---- NewcomerPlayer ----

void NewcomerPlayer::Step() {
  if (talk_ != nullptr) {
    Chat();
  } else if (ticket_.empty()) {
    Ask();
  } else if (Chance(stage_, 3)) {
    Cancel();
  } else {
    Look();
  }
}

void NewcomerPlayer::Ask() {
  matching::v1::RequestMatchRequest request;
  request.set_philosophy(common::v1::PHILOSOPHY_TWELVE_STEP_AA);
  request.set_relationship_type(common::v1::RELATIONSHIP_TYPE_SPONSOR);
  request.set_request_id(person_->NewRequestId());
  const auto ask = [&] {
    return Insist(*person_, stage_.clock, stage_.services.matching(),
                  &MatchingService::Stub::RequestMatch, request);
  };
  const auto ticket = ask();
  if (!ticket.ok()) {
    // matching may not have heard of a new person's consents yet.
    if (!HasReason(ticket.status(), reason::kConsentRequired) &&
        !HasReason(ticket.status(), reason::kProfileIncomplete)) {
      Unexpected(stage_, "RequestMatch", ticket.status());
    }
    return;
  }
  ticket_ = ticket->name();
  stage_.history.TicketOpened(IdOf<MemberId>(person_->member()), IdOf<TicketId>(ticket_));
  if (Chance(stage_, 10)) {
    const auto again = ask();
    if (!again.ok()) {
      Unexpected(stage_, "a repeated RequestMatch", again.status());
    } else if (again->name() != ticket_) {
      stage_.history.Contradiction("a repeated request was given another ticket");
    }
  }
}

void NewcomerPlayer::Look() {
  matching::v1::GetTicketRequest request;
  request.set_name(ticket_);
  const auto ticket = Insist(*person_, stage_.clock, stage_.services.matching(),
                             &MatchingService::Stub::GetTicket, request);
  if (!ticket.ok()) return Unexpected(stage_, "GetTicket", ticket.status());
  if (ticket->state() == matching::v1::TICKET_STATE_CANCELLED ||
      ticket->state() == matching::v1::TICKET_STATE_EXPIRED) {
    stage_.history.Contradiction("a ticket was closed that nobody closed");
    ticket_.clear();
  }
  if (ticket->state() != matching::v1::TICKET_STATE_PAIRED) return;
  pairing_ = ticket->pairing();
  if (!ticket->conversation().empty()) {
    talk_ = std::make_unique<Talk>(stage_, *person_, IdOf<ConversationId>(ticket->conversation()));
  }
}

void NewcomerPlayer::Cancel() {
  matching::v1::CancelTicketRequest request;
  request.set_name(ticket_);
  request.set_request_id(person_->NewRequestId());
  const auto cancelled = Insist(*person_, stage_.clock, stage_.services.matching(),
                                &MatchingService::Stub::CancelTicket, request);
  if (cancelled.ok()) {
    stage_.history.TicketCancelled(IdOf<TicketId>(ticket_));
    ticket_.clear();
  } else if (!HasReason(cancelled.status(), reason::kTicketNotOpen)) {
    Unexpected(stage_, "CancelTicket", cancelled.status());
  }
}

void NewcomerPlayer::Chat() {
  talk_->Read();
  bool open = true;
  for (int i = 0; i < 2 && open; ++i) open = talk_->Send();
  if (open && talk_->sent() < 4) return;
  if (open && Chance(stage_, 4)) {
    Block();
  } else if (open) {
    End();
  }
  ticket_.clear();
  pairing_.clear();
  talk_.reset();
}

void NewcomerPlayer::End() { (void)EndPairing(stage_, *person_, pairing_); }

void NewcomerPlayer::Block() {
  matching::v1::GetPairingRequest get;
  get.set_name(pairing_);
  const auto pairing = Insist(*person_, stage_.clock, stage_.services.matching(),
                              &MatchingService::Stub::GetPairing, get);
  if (!pairing.ok()) return Unexpected(stage_, "GetPairing", pairing.status());
  profiles::v1::BlockMemberRequest request;
  request.set_member(pairing->sponsor());
  request.set_request_id(person_->NewRequestId());
  stage_.history.EndingPairing(IdOf<PairingId>(pairing_), stage_.clock.Now());
  const auto block = Insist(*person_, stage_.clock, stage_.services.safety(),
                            &SafetyService::Stub::BlockMember, request);
  if (!block.ok()) return Unexpected(stage_, "BlockMember", block.status());
  stage_.history.Blocked(IdOf<MemberId>(person_->member()), IdOf<MemberId>(pairing->sponsor()));
  // From a complete answer on, nothing may be accepted between the two.
  if (!block->pending() && talk_->Send()) {
    stage_.history.Contradiction("M5: a message was accepted after a block");
  }
}

void NewcomerPlayer::Finish() {
  if (ticket_.empty() || talk_ != nullptr) return;
  Cancel();
}

// ---- SponsorPlayer ----

void SponsorPlayer::Step() {
  matching::v1::ListOffersRequest request;
  request.set_page_size(20);
  const auto offers = Insist(*person_, stage_.clock, stage_.services.matching(),
                             &MatchingService::Stub::ListOffers, request);
  if (!offers.ok()) {
    Unexpected(stage_, "ListOffers", offers.status());
  } else {
    for (const auto& offer : offers->offers()) Answer(offer);
  }
  std::vector<std::string> over;
  for (auto& [pairing, talk] : talks_) {
    if (talk == nullptr) {
      Follow(pairing, talk);
      if (talk == nullptr) continue;
    }
    talk->Read();
    bool open = true;
    if (talk->sent() < 3) open = talk->Send();
    if (open && Chance(stage_, 3)) {
      (void)EndPairing(stage_, *person_, pairing);
      open = false;
    }
    if (!open || talk->sent() >= 3) over.push_back(pairing);
  }
  for (const std::string& pairing : over) talks_.erase(pairing);
}

void SponsorPlayer::Answer(const matching::v1::Offer& offer) {
  if (offer.state() != matching::v1::OFFER_STATE_OPEN) return;
  if (Chance(stage_, 10)) {
    matching::v1::DeclineOfferRequest request;
    request.set_name(offer.name());
    request.set_request_id(person_->NewRequestId());
    const auto declined = Insist(*person_, stage_.clock, stage_.services.matching(),
                                 &MatchingService::Stub::DeclineOffer, request);
    if (declined.ok()) {
      stage_.history.OfferDeclined(IdOf<OfferId>(offer.name()));
    } else if (!HasReason(declined.status(), reason::kOfferNotOpen)) {
      Unexpected(stage_, "DeclineOffer", declined.status());
    }
    return;
  }
  matching::v1::AcceptOfferRequest request;
  request.set_name(offer.name());
  request.set_request_id(person_->NewRequestId());
  const auto accept = [&] {
    return Insist(*person_, stage_.clock, stage_.services.matching(),
                  &MatchingService::Stub::AcceptOffer, request);
  };
  const auto pairing = accept();
  if (!pairing.ok()) {
    if (!HasReason(pairing.status(), reason::kOfferNotOpen)) {
      Unexpected(stage_, "AcceptOffer", pairing.status());
    }
    return;
  }
  stage_.history.OfferAccepted(IdOf<MemberId>(person_->member()), IdOf<PairingId>(pairing->name()),
                               stage_.clock.Now());
  talks_[pairing->name()] = nullptr;
  if (!Chance(stage_, 10)) return;
  const auto again = accept();
  if (!again.ok()) {
    Unexpected(stage_, "a repeated AcceptOffer", again.status());
  } else if (again->name() != pairing->name()) {
    stage_.history.Contradiction("a repeated acceptance was given another pairing");
  }
}

void SponsorPlayer::Follow(const std::string& pairing, std::unique_ptr<Talk>& talk) {
  matching::v1::GetPairingRequest request;
  request.set_name(pairing);
  const auto found = Insist(*person_, stage_.clock, stage_.services.matching(),
                            &MatchingService::Stub::GetPairing, request);
  if (!found.ok()) return Unexpected(stage_, "GetPairing", found.status());
  if (found->conversation().empty()) return;
  talk = std::make_unique<Talk>(stage_, *person_, IdOf<ConversationId>(found->conversation()));
}

void SponsorPlayer::Finish() {}

}  // namespace handrail::tests
