#include "services/messaging/domain/push.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/domain/known_device.h"

namespace handrail::messaging {
namespace {

absl::Status NotFound() {
  return Error(absl::StatusCode::kNotFound, reason::kNotFound).Message("no such device");
}

bool IsPrintable(char c) { return absl::ascii_isprint(static_cast<unsigned char>(c)); }

}  // namespace

PushDecision DecidePush(const PushStanding& standing, bool live, absl::Time now,
                        const PushLimits& limits) {
  if (live) return {PushVerdict::kLive};
  if (!standing.unread) return {PushVerdict::kNothing};
  if (standing.pushed_at.has_value() && standing.mark.SameAbsence(standing.pushed)) {
    const bool newer = standing.mark.head > standing.pushed.head;
    const absl::Time again_at = *standing.pushed_at + limits.reminder_after;
    if (!newer || now < again_at) return {PushVerdict::kTold};
  }
  const absl::Time budget = standing.budget_at - (limits.burst - 1) * limits.refill;
  const absl::Time not_before = std::max({budget, standing.claimed_until, standing.refused_until});
  if (not_before > now) return {PushVerdict::kLater, not_before};
  return {PushVerdict::kPush};
}

absl::Time SpendPush(absl::Time budget_at, absl::Time now, const PushLimits& limits) {
  return std::max(budget_at, now) + limits.refill;
}

absl::Status PushTokens::Register(const Call& call, const std::string& token) {
  if (token.empty() || token.size() > limits_.token_bytes ||
      !std::all_of(token.begin(), token.end(), IsPrintable)) {
    return FieldError(
        "token", absl::StrCat("must be 1 to ", limits_.token_bytes, " printable ASCII characters"));
  }
  return WithKnownDevice(
      [&] { return learn_caller_(call); }, NotFound(),
      [&] { return store_.Register(call.deadline, call.who.member, call.who.device, token); });
}

absl::Status PushTokens::Unregister(const Call& call) {
  return WithKnownDevice(
      [&] { return learn_caller_(call); }, NotFound(),
      [&] { return store_.Unregister(call.deadline, call.who.member, call.who.device); });
}

}  // namespace handrail::messaging
