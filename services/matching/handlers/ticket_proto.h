#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_TICKET_PROTO_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_TICKET_PROTO_H_

#include <vector>

#include "handrail/matching/v1/matching.pb.h"
#include "services/matching/domain/types.h"
#include "services/matching/handlers/voices.h"

namespace handrail::matching {

void TimeToProto(absl::Time time, google::protobuf::Timestamp* proto);
// The ticket as its newcomer sees it, without its open offer. `waiting_ahead` is rounded up here:
// 0, 5, 10, 25, 50, 100, then hundreds.
void TicketToProto(const Ticket& ticket, int64_t waiting_ahead, v1::Ticket* proto);
// Of a ticket's open offer its reasons and its deadline, nothing that identifies the sponsor.
void ShowOffer(const Offer& offer, const Voice& voice, v1::Ticket* proto);
// The offer as its sponsor sees it: nothing that identifies the newcomer.
void OfferToProto(const Offer& offer, const Voice& voice, v1::Offer* proto);
// The pairing as either of the two sees it: without the reason it ended for, and without who
// confirmed.
void PairingToProto(const Pairing& pairing, v1::Pairing* proto);
void AvailabilityToProto(const Availability& availability, v1::Availability* proto);

void ReasonsToProto(const std::vector<MatchReason>& reasons, const Voice& voice,
                    google::protobuf::RepeatedPtrField<v1::Reason>* proto);

// "How many wait ahead" is told in steps, so that nobody can count others.
int RoundWaitingAhead(int64_t exact);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_TICKET_PROTO_H_
