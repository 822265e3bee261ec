#include "services/profiles/domain/avoid_list.h"

#include <array>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/profiles/domain/member_guard.h"

namespace handrail::profiles {
namespace {

constexpr std::array<Receiver, 1> kMatchingOnly = {Receiver::kMatching};

}  // namespace

absl::StatusOr<AvoidedMember> AvoidList::Avoid(const Call& call, const MemberId& other,
                                               Relation relation) {
  const MemberId& me = call.who.member;
  if (other == me) return FieldError("member", "must be another person");
  const absl::Time now = clock_.Now();
  ASSIGN_OR_RETURN(
      AvoidedMember avoided,
      WriteOnce<AvoidedMember>(store_, call, now, [&](Unit& unit) -> absl::StatusOr<AvoidedMember> {
        ASSIGN_OR_RETURN(const std::optional<Member> person, unit.FindMember(other));
        if (!person.has_value() || person->standing == Standing::kErased) {
          return NotFoundError();
        }
        ASSIGN_OR_RETURN(const std::optional<AvoidedMember> held, unit.FindAvoided(me, other));
        if (held.has_value() && held->relation == relation) return *held;
        ASSIGN_OR_RETURN(const int count, unit.CountAvoided(me));
        if (!held.has_value() && count >= kAvoidedLimit) {
          return Error(absl::StatusCode::kResourceExhausted, reason::kQueueFull)
              .Message("there is no room for more people on this list")
              .Detail("limit", absl::StrCat(kAvoidedLimit));
        }
        ASSIGN_OR_RETURN(AvoidedMember stands,
                         unit.PutAvoided(AvoidedMember{me, other, relation, now}));
        RETURN_IF_ERROR(unit.BumpVersion(me, now, kMatchingOnly));
        return stands;
      }));
  changed_();
  return avoided;
}

absl::Status AvoidList::StopAvoiding(const Call& call, const MemberId& other) {
  const MemberId& me = call.who.member;
  const absl::Time now = clock_.Now();
  RETURN_IF_ERROR(
      WriteOnce<AvoidedMember>(store_, call, now, [&](Unit& unit) -> absl::StatusOr<AvoidedMember> {
        ASSIGN_OR_RETURN(const bool removed, unit.RemoveAvoided(me, other));
        if (removed) RETURN_IF_ERROR(unit.BumpVersion(me, now, kMatchingOnly));
        return AvoidedMember{me, other, Relation::kUnspecified, now};
      }).status());
  changed_();
  return absl::OkStatus();
}

absl::StatusOr<Page<AvoidedMember>> AvoidList::List(const Call& call, const PageRequest& page) {
  return ReadOwn<Page<AvoidedMember>>(
      store_, call, [&](Unit& unit) { return unit.ListAvoided(call.who.member, page); });
}

}  // namespace handrail::profiles
