#ifndef HANDRAIL_TOOLS_BENCHMARK_PAIRS_LOAD_H_
#define HANDRAIL_TOOLS_BENCHMARK_PAIRS_LOAD_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "tools/benchmark/histogram.h"
#include "tools/benchmark/load.h"

namespace handrail::benchmark {

// The loop that Handrail and its peers are measured with. In each pair one writes and one reads.
// The writer has one message in flight: the next goes out when the server has acknowledged it and
// the reader has received it, and has told the server so. Thread-safe.
class PairsLoad {
 public:
  // Starts to send one message from the writer of `pair` to its reader, and returns without waiting
  // for it; then OnAcknowledged and OnReceived are called once each, in any order.
  using Send = std::function<void(int pair)>;
  PairsLoad(int pairs, Send send);

  // The server has the message on disk, or refuses it, which fails it as a whole.
  void OnAcknowledged(int pair, const absl::Status& status);
  // The reader has the message.
  void OnReceived(int pair);

  // As ClosedLoop::RunFor, which counts messages. Once.
  LoadResult RunFor(absl::Duration warm_up, absl::Duration measured, const Window& window = {});
  // From sending to the arrival at the reader, of what arrived within the window.
  const Histogram& latencies() const { return latencies_; }

 private:
  struct Pair {
    int missing = 0;  // of acknowledgement and arrival; 0: no message is in flight
    int64_t sent = 0;
    ClosedLoop::Done done{};
  };
  void Start(int pair, ClosedLoop::Done done);

  const Send send_;
  ClosedLoop loop_;
  Histogram latencies_;
  Mutex mutex_;
  std::vector<Pair> pairs_ ABSL_GUARDED_BY(mutex_);
  bool measuring_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_PAIRS_LOAD_H_
