#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_MATCHING_PROTO_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_MATCHING_PROTO_H_

#include "absl/status/statusor.h"
#include "google/protobuf/timestamp.pb.h"
#include "handrail/common/v1/traits.pb.h"
#include "handrail/matching/v1/matching.pb.h"
#include "services/matching/domain/types.h"

// Between the API and the domain. Enums have the same numbers on both sides.
namespace handrail::matching {

google::protobuf::Timestamp ToTimestamp(absl::Time time);

void ToProto(const Ticket& ticket, v1::Ticket* out);
// What an open offer adds to its ticket: reasons and deadline, nothing of the sponsor.
void AddOffer(const Offer& offer, v1::Ticket* out);
void ToProto(const Offer& offer, v1::Offer* out);
void ToProto(const Pairing& pairing, v1::Pairing* out);
void ToProto(const Availability& availability, v1::Availability* out);
// 5, 10, 25, 50, 100, then hundreds: the smallest that is not less.
int RoundWaiting(int64_t ahead);

// INVALID_ARGUMENT when a name in it is not one.
absl::StatusOr<MemberTraits> FromProto(const common::v1::MemberSnapshot& snapshot);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_MATCHING_PROTO_H_
