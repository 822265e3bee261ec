#include "services/matching/domain/help_desk.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

// How many of those on call are looked at for one round, in pages.
constexpr int kPage = 64;
constexpr int kPages = 8;

bool IsCallersFault(const absl::Status& status) {
  return status.code() == absl::StatusCode::kInvalidArgument ||
         HasReason(status, reason::kRequestIdReused) ||
         HasReason(status, reason::kRequestIdRequired);
}

}  // namespace

HelpDesk::HelpDesk(HelpStore& store, Ledger& ledger, const ProgramPolicies& policies,
                   const Clock& clock, Random& random, const Options& options, Fetch fetch,
                   Sink sink)
    : store_(store),
      ledger_(ledger),
      policies_(policies),
      clock_(clock),
      random_(random),
      options_(options),
      fetch_(std::move(fetch)),
      sink_(std::move(sink)) {}

void HelpDesk::Start() {
  task_ = std::make_unique<PeriodicTask>(options_.sweep, [this] { Sweep(); });
}

void HelpDesk::Stop() {
  if (task_ != nullptr) task_->Stop();
}

absl::StatusOr<std::vector<MemberId>> HelpDesk::ChooseOnCall(absl::Time deadline,
                                                             const MemberId& caller,
                                                             const HelpCallId& id) {
  const absl::Time now = clock_.Now();
  deadline = now + (deadline - now) / 3;
  std::vector<MemberId> chosen;
  std::vector<MemberId> others;
  const auto enough = static_cast<size_t>(options_.help.on_call_at_once);
  ASSIGN_OR_RETURN(const std::optional<MemberTraits> asks, ledger_.LoadMember(deadline, caller));
  if (!asks.has_value()) return chosen;
  for (int page = 0; page < kPages && chosen.size() < enough; ++page) {
    ASSIGN_OR_RETURN(const std::vector<MemberId> ids,
                     store_.FindOnCall(deadline, clock_.Now(), caller, id, page * kPage, kPage));
    ASSIGN_OR_RETURN(const std::vector<MemberTraits> members, ledger_.LoadMembers(deadline, ids));
    for (const MemberId& member : ids) {  // in their turn, which LoadMembers does not keep
      const auto found =
          std::find_if(members.begin(), members.end(),
                       [&member](const MemberTraits& one) { return one.member == member; });
      if (found == members.end() || !SuitsOnCall(*asks, *found, policies_)) continue;
      (SharesProgram(*asks, *found) ? chosen : others).push_back(member);
    }
    if (ids.size() < kPage) break;
  }
  chosen.insert(chosen.end(), others.begin(), others.end());
  if (chosen.size() > enough) chosen.resize(enough);
  return chosen;
}

absl::StatusOr<Reached> HelpDesk::TryReach(const Call& call) {
  const HelpCallId id = HelpCallId::Random(random_);
  // Without the on-call pool, or when the search for them takes too long, a call still goes to the
  // caller's own people; the sweep comes by.
  std::vector<MemberId> on_call;
  if (auto found = ChooseOnCall(call.deadline, call.who.member, id); found.ok()) {
    on_call = *std::move(found);
  }
  ASSIGN_OR_RETURN(Changed<Reached> reached, store_.Reach(call, clock_.Now(), id, on_call));
  if (!reached.effects.empty()) sink_(reached.effects);
  return reached.value;
}

absl::StatusOr<Reached> HelpDesk::Reach(const Call& call) {
  Call bounded = call;
  const absl::Time now = clock_.Now();
  if (call.deadline != absl::InfiniteFuture()) {
    bounded.deadline = now + std::min(options_.reach_timeout, (call.deadline - now) * (2.0 / 3.0));
  }
  absl::StatusOr<Reached> reached = TryReach(bounded);
  const bool refused = reached.ok() && reached->outcome == ReachOutcome::kConsentRequired;
  if (refused || absl::IsNotFound(reached.status())) {
    // What the caller has just told profiles may still be on its way.
    const absl::Status fetched = fetch_(bounded.deadline, call.who.member);
    if (fetched.ok()) {
      reached = TryReach(bounded);
    } else if (!refused) {
      reached = fetched;
    }
  }
  if (!reached.ok() && IsCallersFault(reached.status())) return reached.status();
  if (!reached.ok()) {
    Log(Severity::kWarning, "help_call_not_taken",
        {{LogField::kReason, ReasonOf(reached.status())}});
    Reached nothing;
    // Whom neither we nor profiles know has consented to nothing yet.
    nothing.outcome = absl::IsNotFound(reached.status()) ? ReachOutcome::kConsentRequired
                                                         : ReachOutcome::kUnavailable;
    reached = nothing;
  }
  outcomes_[static_cast<size_t>(reached->outcome)].fetch_add(1);
  return reached;
}

absl::StatusOr<OnCall> HelpDesk::SetOnCall(const Call& call, absl::Duration length) {
  auto duty = store_.SetOnCall(call, clock_.Now(), length);
  const bool may_be_stale = HasReason(duty.status(), reason::kSponsorProfileRequired) ||
                            HasReason(duty.status(), reason::kConsentRequired);
  if (may_be_stale && fetch_(call.deadline, call.who.member).ok()) {
    duty = store_.SetOnCall(call, clock_.Now(), length);
  }
  return duty;
}

absl::Status HelpDesk::AdvanceDue() {
  const absl::Time deadline = clock_.Now() + options_.sweep_timeout;
  ASSIGN_OR_RETURN(const std::vector<HelpCall> due,
                   store_.DueCalls(deadline, clock_.Now(), options_.limit));
  absl::Status first_fault;
  for (const HelpCall& call : due) {  // one that cannot be moved does not hold up the rest
    const absl::Time until = clock_.Now() + options_.sweep_timeout;
    std::vector<MemberId> on_call;
    if (auto found = ChooseOnCall(until, call.member, call.id); found.ok()) {
      on_call = *std::move(found);
    } else {
      first_fault.Update(found.status());
    }
    const auto effects = store_.Advance(until, clock_.Now(), call, on_call);
    first_fault.Update(effects.status());
    if (effects.ok() && !effects->empty()) sink_(*effects);
  }
  return first_fault;
}

void HelpDesk::Sweep() {
  const auto told = [](absl::string_view what, const absl::Status& status) {
    if (status.ok()) return;
    Log(Severity::kWarning, "sweep_failed",
        {{LogField::kComponent, what}, {LogField::kReason, ReasonOf(status)}});
  };
  told("help_calls", AdvanceDue());
  const absl::Time now = clock_.Now();
  const auto ended = store_.EndContacts(now + options_.sweep_timeout, now, options_.limit);
  told("help_contacts", ended.status());
  if (ended.ok() && !ended->empty()) sink_(*ended);
  if (sweeps_++ % options_.forget_every != 0) return;
  told("help_log", store_
                       .Forget(clock_.Now() + options_.sweep_timeout,
                               clock_.Now() - options_.help.kept, options_.limit)
                       .status());
}

}  // namespace handrail::matching
