#include "tools/benchmark/pairs_load.h"

#include <utility>

namespace handrail::benchmark {

PairsLoad::PairsLoad(int pairs, Send send)
    : send_(std::move(send)),
      loop_(pairs, [this](int pair, int64_t, ClosedLoop::Done done) { Start(pair, done); }),
      pairs_(static_cast<size_t>(pairs)) {}

void PairsLoad::Start(int pair, ClosedLoop::Done done) {
  {
    MutexLock lock(mutex_);
    pairs_[static_cast<size_t>(pair)] = {2, SteadyNanoseconds(), done};
  }
  send_(pair);
}

void PairsLoad::OnAcknowledged(int pair, const absl::Status& status) {
  ClosedLoop::Done done{};
  {
    MutexLock lock(mutex_);
    Pair& one = pairs_[static_cast<size_t>(pair)];
    if (one.missing == 0) return;
    one.missing = status.ok() ? one.missing - 1 : 0;
    if (one.missing > 0) return;
    done = one.done;
  }
  done(status);
}

void PairsLoad::OnReceived(int pair) {
  const int64_t now = SteadyNanoseconds();
  ClosedLoop::Done done{};
  {
    MutexLock lock(mutex_);
    Pair& one = pairs_[static_cast<size_t>(pair)];
    if (one.missing == 0) return;
    if (measuring_) latencies_.Add(absl::Nanoseconds(now - one.sent));
    if (--one.missing > 0) return;
    done = one.done;
  }
  done(absl::OkStatus());
}

LoadResult PairsLoad::RunFor(absl::Duration warm_up, absl::Duration measured,
                             const Window& window) {
  const auto measure = [this](bool on) {
    MutexLock lock(mutex_);
    measuring_ = on;
  };
  const Window both{[&] {
                      window.open();
                      measure(true);
                    },
                    [&] {
                      measure(false);
                      window.close();
                    }};
  return loop_.RunFor(warm_up, measured, both);
}

}  // namespace handrail::benchmark
