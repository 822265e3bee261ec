#include "services/profiles/domain/cases.h"

#include <optional>

#include "common/base/macros.h"
#include "services/profiles/domain/member_guard.h"

namespace handrail::profiles {

absl::Status Cases::Open(const Call& call, Case opened) {
  opened.open_time = clock_.Now();
  return store_.Write(call.deadline, [&](Unit& unit) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<Member> reporter, unit.LockMember(opened.reporter));
    if (!reporter.has_value() || reporter->standing == Standing::kErased) return NotFoundError();
    return unit.InsertCase(opened);
  });
}

}  // namespace handrail::profiles
