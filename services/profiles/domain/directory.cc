#include "services/profiles/domain/directory.h"

#include "common/base/macros.h"
#include "services/profiles/domain/member_guard.h"

namespace handrail::profiles {

absl::StatusOr<MemberFacts> Directory::GetMember(const Call& call, const MemberId& member) {
  MemberFacts facts;
  RETURN_IF_ERROR(store_.Read(call.deadline, [&](Unit& unit) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<MemberSnapshot> snapshot, unit.GetSnapshot(member));
    if (!snapshot.has_value()) return NotFoundError();
    facts.snapshot = *snapshot;
    ASSIGN_OR_RETURN(facts.blocks, unit.BlocksConcerning(member));
    return absl::OkStatus();
  }));
  return facts;
}

absl::StatusOr<Page<Revocation>> Directory::ListRevocations(const Call& call, absl::Time since,
                                                            const PageRequest& page) {
  Page<Revocation> result;
  RETURN_IF_ERROR(store_.Read(call.deadline, [&](Unit& unit) -> absl::Status {
    ASSIGN_OR_RETURN(result, unit.ListRevocations(since, page));
    return absl::OkStatus();
  }));
  return result;
}

}  // namespace handrail::profiles
