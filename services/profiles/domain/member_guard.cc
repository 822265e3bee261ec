#include "services/profiles/domain/member_guard.h"

#include "common/base/status.h"

namespace handrail::profiles {

absl::Status NotFoundError() {
  return Error(absl::StatusCode::kNotFound, reason::kNotFound)
      .Message("there is nothing under this name, or it is not yours");
}

absl::StatusOr<Member> RequireMember(Unit& unit, const Call& call) {
  ASSIGN_OR_RETURN(const std::optional<Member> member, unit.LockMember(call.who.member));
  if (!member.has_value() || member->standing == Standing::kErased) {
    return Error(absl::StatusCode::kUnauthenticated, reason::kTokenInvalid)
        .Message("the token is not of a member of this deployment");
  }
  return *member;
}

absl::Status RequireActiveDevice(Unit& unit, const Call& call) {
  ASSIGN_OR_RETURN(const std::optional<Device> device, unit.FindDevice(call.who.device));
  if (device.has_value() && device->member == call.who.member && !device->revoke_time.has_value()) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kUnauthenticated, reason::kTokenRevoked)
      .Message("this device was revoked");
}

}  // namespace handrail::profiles
