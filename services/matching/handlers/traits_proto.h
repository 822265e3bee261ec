#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_TRAITS_PROTO_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_TRAITS_PROTO_H_

#include "absl/status/statusor.h"
#include "handrail/common/v1/traits.pb.h"
#include "services/matching/domain/traits.h"

namespace handrail::matching {

// What profiles says of a member, as the domain knows it. The message was validated at the edge of
// whoever made it; here unknown numbers of closed lists are dropped (a newer profiles may know more
// than we do), a day that does not exist counts as not said, and windows out of range are left out.
// INVALID_ARGUMENT / RESOURCE_NAME_INVALID for a member's name that is none.
absl::StatusOr<MemberTraits> MemberTraitsFromProto(const common::v1::MemberSnapshot& snapshot);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_TRAITS_PROTO_H_
