#include "tests/faults/player.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::tests {
namespace {

using matching::v1::CareService;
using matching::v1::MatchingService;
using messaging::v1::MessagingService;
using profiles::v1::SafetyService;
using tools::Person;

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
  help_.Step();
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

void NewcomerPlayer::TakeTicket(const matching::v1::Ticket& ticket) {
  ticket_ = ticket.name();
  asked_ = absl::FromUnixSeconds(ticket.create_time().seconds()) +
           absl::Nanoseconds(ticket.create_time().nanos());
  stage_.history.TicketOpened(IdOf<MemberId>(person_->member()), IdOf<TicketId>(ticket_));
  stage_.history.TicketHasAge(IdOf<TicketId>(ticket_), asked_);
}

void NewcomerPlayer::Ask() {
  matching::v1::RequestMatchRequest request;
  request.set_philosophy(common::v1::PHILOSOPHY_TWELVE_STEP_AA);
  request.set_relationship_type(wish_ == Wish::kTemporaryContact
                                    ? common::v1::RELATIONSHIP_TYPE_TEMPORARY_CONTACT
                                    : common::v1::RELATIONSHIP_TYPE_SPONSOR);
  if (wish_ == Wish::kChoice) request.set_mode(matching::v1::MATCH_MODE_LET_ME_CHOOSE);
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
  TakeTicket(*ticket);
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
  if (ticket->state() != matching::v1::TICKET_STATE_PAIRED) return choice_.Look(*ticket);
  pairing_ = ticket->pairing();
  if (!ticket->conversation().empty()) {
    talk_ = std::make_unique<Talk>(stage_, *person_, IdOf<ConversationId>(ticket->conversation()));
    care_ = std::make_unique<PairingCare>(stage_, *person_, pairing_, PairingCare::Side::kNewcomer);
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
  for (int i = 0; i < 2 && open && talk_->sent() < 4; ++i) open = talk_->Send();
  care_->Step();
  if (open && (talk_->sent() < 4 || care_->WantsToStay())) return;
  // Closed before its time: the sponsor has ended it, or a block of theirs.
  if (open && Chance(stage_, 4)) {
    Block();
    Leave();
    return;
  }
  if (open) (void)EndPairing(stage_, *person_, pairing_);
  Chance(stage_, 40) ? Rematch() : Leave();
}

void NewcomerPlayer::Leave() {
  ticket_.clear();
  pairing_.clear();
  talk_.reset();
  care_.reset();
}

// After an end, whoever wanted it: with the place in the queue of the ticket before.
void NewcomerPlayer::Rematch() {
  matching::v1::RequestRematchRequest request;
  request.set_pairing(pairing_);
  request.set_request_id(person_->NewRequestId());
  const absl::Time asked = asked_;
  const PairingId pairing = IdOf<PairingId>(pairing_);
  Leave();
  const auto again = Insist(*person_, stage_.clock, stage_.services.care(),
                            &CareService::Stub::RequestRematch, request);
  if (!again.ok()) return Unexpected(stage_, "RequestRematch", again.status());
  stage_.history.Rematched(pairing, IdOf<TicketId>(again->name()));
  TakeTicket(*again);
  if (asked_ != asked) {
    stage_.history.Contradiction("M6: a rematch did not have the place of the ticket before");
  }
}

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
  choice_.ForgetAnswer();
  // From a complete answer on, nothing may be accepted between the two.
  if (!block->pending() && talk_->Send()) {
    stage_.history.Contradiction("M5: a message was accepted after a block");
  }
}

void NewcomerPlayer::Finish() {
  help_.Finish();
  if (ticket_.empty() || talk_ != nullptr) return;
  Cancel();
}

// ---- SponsorPlayer ----

void SponsorPlayer::Step() {
  help_.Step();
  seats_.Step();
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
  for (auto& [pairing, thread] : threads_) {
    if (!GoOn(pairing, thread)) over.push_back(pairing);
  }
  for (const std::string& pairing : over) threads_.erase(pairing);
}

bool SponsorPlayer::GoOn(const std::string& pairing, Thread& thread) {
  if (thread.talk == nullptr) {
    Follow(pairing, thread);
    if (thread.talk == nullptr) return true;
  }
  thread.talk->Read();
  if (thread.talk->sent() < 3 && !thread.talk->Send()) return false;
  thread.care->Step();
  if (Chance(stage_, 3)) {
    (void)EndPairing(stage_, *person_, pairing);
    return false;
  }
  return thread.talk->sent() < 3 || thread.care->WantsToStay();
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
  Accept(offer);
}

void SponsorPlayer::Accept(const matching::v1::Offer& offer) {
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
  threads_[pairing->name()];
  if (!Chance(stage_, 10)) return;
  const auto again = accept();
  if (!again.ok()) {
    Unexpected(stage_, "a repeated AcceptOffer", again.status());
  } else if (again->name() != pairing->name()) {
    stage_.history.Contradiction("a repeated acceptance was given another pairing");
  }
}

void SponsorPlayer::Follow(const std::string& pairing, Thread& thread) {
  matching::v1::GetPairingRequest request;
  request.set_name(pairing);
  const auto found = Insist(*person_, stage_.clock, stage_.services.matching(),
                            &MatchingService::Stub::GetPairing, request);
  if (!found.ok()) return Unexpected(stage_, "GetPairing", found.status());
  if (found->conversation().empty()) return;
  thread.talk =
      std::make_unique<Talk>(stage_, *person_, IdOf<ConversationId>(found->conversation()));
  thread.care =
      std::make_unique<PairingCare>(stage_, *person_, pairing, PairingCare::Side::kSponsor);
}

void SponsorPlayer::Finish() { seats_.Finish(); }

}  // namespace handrail::tests
