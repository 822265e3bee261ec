#include "services/matching/handlers/ticket_proto.h"

#include <algorithm>
#include <limits>
#include <string>

#include "services/matching/domain/score.h"

namespace handrail::matching {
namespace {}  // namespace

void ReasonsToProto(const std::vector<MatchReason>& reasons, const Voice& voice,
                    google::protobuf::RepeatedPtrField<v1::Reason>* proto) {
  for (const MatchReason reason : reasons) {
    v1::Reason* row = proto->Add();
    row->set_code(std::string(CodeOf(reason)));
    row->set_text(voice.Say(reason));
  }
}

void TimeToProto(absl::Time time, google::protobuf::Timestamp* proto) {
  const int64_t micros = absl::ToUnixMicros(time);
  proto->set_seconds(micros / 1'000'000);
  proto->set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
}

int RoundWaitingAhead(int64_t exact) {
  if (exact <= 0) return 0;
  for (const int step : {5, 10, 25, 50, 100}) {
    if (exact <= step) return step;
  }
  const int64_t hundreds = (exact + 99) / 100;
  return static_cast<int>(std::min<int64_t>(hundreds, std::numeric_limits<int>::max() / 100) * 100);
}

void ShowOffer(const Offer& offer, const Voice& voice, v1::Ticket* proto) {
  ReasonsToProto(offer.explanation.reasons, voice, proto->mutable_reasons());
  TimeToProto(offer.expire_time, proto->mutable_offer_expire_time());
}

void TicketToProto(const Ticket& ticket, int64_t waiting_ahead, v1::Ticket* proto) {
  proto->set_name(ticket.id.Name());
  proto->set_relationship_type(static_cast<common::v1::RelationshipType>(ticket.relationship_type));
  proto->set_philosophy(static_cast<common::v1::Philosophy>(ticket.philosophy));
  proto->set_state(static_cast<v1::TicketState>(ticket.state));
  TimeToProto(ticket.create_time, proto->mutable_create_time());
  TimeToProto(ticket.expire_time, proto->mutable_expire_time());
  proto->set_offer_count(ticket.offer_count);
  proto->set_version(ticket.version);
  if (ticket.pairing.has_value()) proto->set_pairing(ticket.pairing->Name());
  if (ticket.conversation.has_value()) proto->set_conversation(ticket.conversation->Name());
  if (ticket.state == TicketState::kWaiting) {
    proto->set_waiting_ahead(RoundWaitingAhead(waiting_ahead));
  }
  proto->set_mode(ticket.choosing ? v1::MATCH_MODE_LET_ME_CHOOSE
                                  : v1::MATCH_MODE_LET_HANDRAIL_CHOOSE);
  if (ticket.choosing && IsOpen(ticket.state)) {
    proto->set_chosen_remaining(ticket.chosen_left);
    proto->set_choice_expected(ticket.state == TicketState::kWaiting && ticket.chosen_left == 0);
  }
}

void OfferToProto(const Offer& offer, const Voice& voice, v1::Offer* proto) {
  proto->set_name(offer.id.Name());
  proto->set_state(static_cast<v1::OfferState>(offer.state));
  proto->set_relationship_type(static_cast<common::v1::RelationshipType>(offer.relationship_type));
  proto->set_philosophy(static_cast<common::v1::Philosophy>(offer.philosophy));
  TimeToProto(offer.create_time, proto->mutable_create_time());
  TimeToProto(offer.expire_time, proto->mutable_expire_time());
  proto->set_score(offer.explanation.score);
  for (int i = 0; i < kFactorCount; ++i) {
    const Explanation::Factor& factor = offer.explanation.factors[static_cast<size_t>(i)];
    v1::ScoreFactor* row = proto->add_factors();
    row->set_code(std::string(CodeOf(static_cast<FactorCode>(i))));
    row->set_points(factor.points);
    row->set_max_points(factor.max_points);
  }
  ReasonsToProto(offer.explanation.reasons, voice, proto->mutable_reasons());
  for (const Language language : offer.explanation.shared_languages) {
    proto->add_shared_languages(language.Tag());
  }
  if (offer.pairing.has_value()) proto->set_pairing(offer.pairing->Name());
  proto->set_version(offer.version);
}

void PairingToProto(const Pairing& pairing, v1::Pairing* proto) {
  proto->set_name(pairing.id.Name());
  proto->set_newcomer(pairing.newcomer.Name());
  proto->set_sponsor(pairing.sponsor.Name());
  proto->set_relationship_type(
      static_cast<common::v1::RelationshipType>(pairing.relationship_type));
  proto->set_philosophy(static_cast<common::v1::Philosophy>(pairing.philosophy));
  proto->set_state(static_cast<v1::PairingState>(pairing.state));
  TimeToProto(pairing.create_time, proto->mutable_create_time());
  TimeToProto(pairing.trial_end_time, proto->mutable_trial_end_time());
  if (pairing.conversation.has_value()) proto->set_conversation(pairing.conversation->Name());
  if (pairing.end_time.has_value()) TimeToProto(*pairing.end_time, proto->mutable_end_time());
  proto->set_version(pairing.version);
}

void AvailabilityToProto(const Availability& availability, v1::Availability* proto) {
  proto->set_sponsor(availability.sponsor.Name());
  proto->set_capacity(availability.capacity);
  proto->set_accepting(availability.accepting);
  proto->set_pairing_count(availability.pairing_count);
  proto->set_open_offer_count(availability.open_offer_count);
  proto->set_version(availability.version);
  proto->set_effective_capacity(availability.EffectiveCapacity());
  if (availability.probation_end_time != absl::InfinitePast()) {
    TimeToProto(availability.probation_end_time, proto->mutable_probation_end_time());
  }
  proto->set_pause_reason(static_cast<v1::PauseReason>(availability.pause_reason));
  if (availability.resume_time != absl::InfiniteFuture()) {
    TimeToProto(availability.resume_time, proto->mutable_resume_time());
  }
}

}  // namespace handrail::matching
