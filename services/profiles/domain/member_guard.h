#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_MEMBER_GUARD_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_MEMBER_GUARD_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/base/macros.h"
#include "services/profiles/domain/byte_codec.h"
#include "services/profiles/domain/store.h"

namespace handrail::profiles {

// "Not there" and "not yours" look the same.
absl::Status NotFoundError();

// The calling member. UNAUTHENTICATED / TOKEN_INVALID when the token names nobody who is here any
// more. Locks the member, so that the writes of one member come one after the other.
absl::StatusOr<Member> RequireMember(Unit& unit, const Call& call);

// UNAUTHENTICATED / TOKEN_REVOKED when the calling device was revoked: in this service at once, in
// the others when they have read the revocation.
absl::Status RequireActiveDevice(Unit& unit, const Call& call);

// Runs `work` as one write of the calling member, once per request id: repeated, its first answer
// is returned. Besides the codes of `work`: those of RequireMember and RequireActiveDevice,
// INVALID_ARGUMENT / REQUEST_ID_REQUIRED, FAILED_PRECONDITION / REQUEST_ID_REUSED.
template <typename Answer, typename Work>
absl::StatusOr<Answer> WriteOnce(Store& store, const Call& call, absl::Time now, Work work) {
  Answer answer;
  RETURN_IF_ERROR(store.Write(call.deadline, [&](Unit& unit) -> absl::Status {
    answer = Answer();
    RETURN_IF_ERROR(RequireMember(unit, call).status());
    // Before the device is looked at: whoever revoked the device in their hand may ask again.
    ASSIGN_OR_RETURN(const std::optional<std::string> first_answer, unit.FindAnswer(call));
    if (first_answer.has_value()) return Decode(*first_answer, answer);
    RETURN_IF_ERROR(RequireActiveDevice(unit, call));
    ASSIGN_OR_RETURN(answer, work(unit));
    return unit.RecordAnswer(call, now, Encode(answer));
  }));
  return answer;
}

// Runs `work` as one read of the calling member.
template <typename Answer, typename Work>
absl::StatusOr<Answer> ReadOwn(Store& store, const Call& call, Work work) {
  Answer answer;
  RETURN_IF_ERROR(store.Read(call.deadline, [&](Unit& unit) -> absl::Status {
    RETURN_IF_ERROR(RequireMember(unit, call).status());
    RETURN_IF_ERROR(RequireActiveDevice(unit, call));
    ASSIGN_OR_RETURN(answer, work(unit));
    return absl::OkStatus();
  }));
  return answer;
}

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_MEMBER_GUARD_H_
