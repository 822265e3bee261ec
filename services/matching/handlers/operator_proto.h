#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_OPERATOR_PROTO_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_OPERATOR_PROTO_H_

#include "handrail/matching/v1/operator.pb.h"
#include "services/matching/domain/explain.h"
#include "services/matching/domain/operator_desk.h"

// What operators see, from domain types. Nothing here has a trait or a newcomer's name.
namespace handrail::matching {

void CountToProto(const RoundedCount& count, v1::Count* proto);
// Without what the queues say.
void PoolToProto(const PoolReport& pool, v1::Pool* proto);
void OpenTicketToProto(const OpenTicketReport& ticket, v1::OpenTicket* proto);
void OpenOfferToProto(const OpenOfferReport& offer, v1::OpenOffer* proto);
void SponsorToProto(const SponsorReport& sponsor, v1::SponsorSeats* proto);
void ExplanationToProto(const TicketReport& report, v1::TicketExplanation* proto);
void ActionToProto(const OperatorAction& action, v1::OperatorAction* proto);
void AuditToProto(const AuditReport& report, v1::VerifyOperatorActionsResponse* proto);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_OPERATOR_PROTO_H_
