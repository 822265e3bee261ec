#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_DESK_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_DESK_H_

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/random.h"
#include "services/matching/domain/help_store.h"

namespace handrail::matching {

// Takes calls for help, and moves them from stage to stage. Any number of replicas may sweep at
// once: each move is a compare-and-set. Thread-safe.
class HelpDesk {
 public:
  using Sink = std::function<void(const Effects&)>;
  // Brings a fresh copy of the member from profiles; for a caller whom our own would refuse.
  using Fetch = std::function<absl::Status(absl::Time deadline, const MemberId& member)>;

  struct Options {
    HelpOptions help;
    absl::Duration sweep = absl::Seconds(1);
    int forget_every = 60;  // sweeps
    int limit = 200;        // of what one sweep moves, each
    // How long Reach waits for the store at most; it never takes more than two thirds of what the
    // call has left, so that there is time to answer with the crisis lines.
    absl::Duration reach_timeout = absl::Seconds(3);
    absl::Duration sweep_timeout = absl::Seconds(10);
  };

  // Everything must outlive the desk.
  HelpDesk(HelpStore& store, Ledger& ledger, const ProgramPolicies& policies, const Clock& clock,
           Random& random, const Options& options, Fetch fetch, Sink sink);
  ~HelpDesk() { Stop(); }

  void Start();
  void Stop();

  // Whatever happens to the stores, this is an outcome: kUnavailable when they cannot be reached.
  // Errors are the caller's own only: INVALID_ARGUMENT, FAILED_PRECONDITION / REQUEST_ID_REUSED.
  absl::StatusOr<Reached> Reach(const Call& call);
  // SetOnCall of the store, once more with a fresh copy of the caller when ours refuses them: what
  // they have just told profiles may still be on its way.
  absl::StatusOr<OnCall> SetOnCall(const Call& call, absl::Duration length);
  // One sweep: stages, contacts and, now and then, what is to be forgotten.
  void Sweep();

  // How many calls had this outcome in this process.
  int64_t CountOf(ReachOutcome outcome) const {
    return outcomes_[static_cast<size_t>(outcome)].load();
  }

 private:
  absl::StatusOr<Reached> TryReach(const Call& call);
  // At most on_call_at_once, those with a program in common first. Many reads: they take a third of
  // what is left until `deadline` at most, so that a slow search leaves time to ask the caller's
  // own people.
  absl::StatusOr<std::vector<MemberId>> ChooseOnCall(absl::Time deadline, const MemberId& caller,
                                                     const HelpCallId& id);
  absl::Status AdvanceDue();

  HelpStore& store_;
  Ledger& ledger_;
  const ProgramPolicies& policies_;
  const Clock& clock_;
  Random& random_;
  const Options options_;
  const Fetch fetch_;
  const Sink sink_;
  int64_t sweeps_ = 0;
  std::array<std::atomic<int64_t>, 7> outcomes_{};
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_DESK_H_
