#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_SWEEPER_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_SWEEPER_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/queue.h"

namespace handrail::matching {

struct SweeperOptions {
  absl::Duration interval = absl::Seconds(1);
  // What is rare, in sweeps: lapsed attestations and old request ids.
  int rare_every = 30;
  // A hint that has not been confirmed for so long is sent again.
  absl::Duration mark_age = absl::Seconds(3);
  absl::Duration attestation_lifetime = absl::Hours(24 * 30);
  int limit = 200;
  // How long each step in the ledger may take.
  absl::Duration timeout = absl::Seconds(10);
  absl::Duration redis_timeout = absl::Seconds(1);
};

// The one periodic task that moves what only time moves: offers and tickets past their deadline,
// trials that have passed, attestations that have lapsed, claims in Redis that nobody settled,
// hints that got lost, and what is kept for a while only, such as old request ids. Any number of
// replicas may sweep at once: each move is a compare-and-set.
class Sweeper {
 public:
  using Sink = std::function<void(const Effects&)>;
  using PoolList = std::function<std::vector<PoolKey>()>;
  // Deletes what nothing needs any more, at most about `limit` rows; how many went.
  using Trim =
      std::function<absl::StatusOr<int64_t>(absl::Time deadline, absl::Time now, int limit)>;

  // `sink` hears of what was moved, and of every lost hint. `pools` are those whose claims are
  // swept.
  Sweeper(Ledger& ledger, Queue& queue, const Clock& clock, const SweeperOptions& options,
          PoolList pools, Sink sink);

  // Before Start: one more thing to be trimmed, beside old request ids, as rarely as those. `what`
  // names it in the log and is a literal.
  void AddTrim(absl::string_view what, Trim trim);

  void Start();
  void Stop();
  // One sweep. Each part goes on when another failed; what failed is tried at the next sweep.
  void Sweep();

 private:
  void Move(absl::string_view what, absl::StatusOr<Effects> effects);
  void RunTrim(absl::string_view what, const Trim& trim, absl::Time now);
  // Of each step by itself, so that a database that hangs holds a sweep for a bounded time.
  absl::Time Deadline() const { return clock_.Now() + options_.timeout; }
  void SweepClaims();
  void ResendMarks();

  Ledger& ledger_;
  Queue& queue_;
  const Clock& clock_;
  const SweeperOptions options_;
  const PoolList pools_;
  const Sink sink_;
  std::vector<std::pair<absl::string_view, Trim>> trims_;
  int64_t sweeps_ = 0;
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_SWEEPER_H_
