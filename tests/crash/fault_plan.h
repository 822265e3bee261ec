#ifndef HANDRAIL_TESTS_CRASH_FAULT_PLAN_H_
#define HANDRAIL_TESTS_CRASH_FAULT_PLAN_H_

#include <cstdint>

#include "common/base/mutex.h"

namespace handrail::tests {

// One process of the flow: when it is dead, nothing that it does takes effect until it is started
// again.
struct ProcessLife {
  bool dead = false;
};

// Decides which of the calls that cross a boundary (a store, a queue, a peer) fails: the k-th one
// that is made, before or after it took effect. Thread-safe.
class FaultPlan {
 public:
  enum class When { kBefore, kAfter };
  // What becomes of the process that made the call: it sees an error, or it dies there.
  enum class Then { kGoesOn, kDies };

  void Arm(int64_t call, When when, Then then) {
    MutexLock lock(mutex_);
    armed_ = call;
    when_ = when;
    then_ = then;
    count_ = 0;
    fired_ = false;
  }
  void Disarm() {
    MutexLock lock(mutex_);
    armed_ = 0;
  }
  bool fired() const {
    MutexLock lock(mutex_);
    return fired_;
  }
  int64_t count() const {
    MutexLock lock(mutex_);
    return count_;
  }

  struct Verdict {
    bool fails = false;
    bool takes_effect = true;
  };
  // Called once for every call across a boundary, before it is made.
  Verdict Next(ProcessLife& process) {
    MutexLock lock(mutex_);
    if (process.dead) return {.fails = true, .takes_effect = false};
    ++count_;
    if (armed_ == 0 || count_ != armed_) return {};
    fired_ = true;
    if (then_ == Then::kDies) process.dead = true;
    return {.fails = true, .takes_effect = when_ == When::kAfter};
  }
  bool IsDead(const ProcessLife& process) const {
    MutexLock lock(mutex_);
    return process.dead;
  }
  void Revive(ProcessLife& process) {
    MutexLock lock(mutex_);
    process.dead = false;
  }

 private:
  mutable Mutex mutex_;
  int64_t armed_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool fired_ ABSL_GUARDED_BY(mutex_) = false;
  When when_ ABSL_GUARDED_BY(mutex_) = When::kBefore;
  Then then_ ABSL_GUARDED_BY(mutex_) = Then::kGoesOn;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_CRASH_FAULT_PLAN_H_
