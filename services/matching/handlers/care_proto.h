#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_CARE_PROTO_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_CARE_PROTO_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "handrail/matching/v1/care.pb.h"
#include "services/matching/domain/care_desk.h"
#include "services/matching/domain/care_store.h"

namespace handrail::matching {

void NoticeToProto(const Notice& notice, v1::Notice* proto);
void CheckInToProto(const CheckIn& check_in, v1::CheckIn* proto);
// With what can be done next.
void AnsweredCheckInToProto(const CareStore::AnsweredCheckIn& answered, v1::CheckIn* proto);
void QueueStatusToProto(const TicketId& ticket, const QueueStatus& status, v1::QueueStatus* proto);

// INVALID_ARGUMENT / FIELD_INVALID for a time to resume that is past, more than a year away, or set
// while offers are welcome.
absl::StatusOr<AvailabilityWish> AvailabilityWishFromProto(
    const v1::SetAvailabilityRequest& request, absl::Time now);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_CARE_PROTO_H_
