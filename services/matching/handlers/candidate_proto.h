#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_CANDIDATE_PROTO_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_CANDIDATE_PROTO_H_

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "handrail/matching/v1/candidates.pb.h"
#include "handrail/matching/v1/choice.pb.h"
#include "services/matching/domain/candidate_desk.h"
#include "services/matching/handlers/voices.h"

namespace handrail::matching {

void CandidatesToProto(const CandidateDesk::List& list, const Voice& voice,
                       v1::ListCandidatesResponse* proto);

// INVALID_ARGUMENT / FIELD_INVALID for an unknown factor, and for one that is named twice.
absl::StatusOr<Importance> ImportanceFromProto(
    const google::protobuf::RepeatedPtrField<v1::FactorEmphasis>& emphases);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_CANDIDATE_PROTO_H_
