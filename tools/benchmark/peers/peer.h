#ifndef HANDRAIL_TOOLS_BENCHMARK_PEERS_PEER_H_
#define HANDRAIL_TOOLS_BENCHMARK_PEERS_PEER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/benchmark/report.h"

namespace handrail::benchmark {

// How a peer is measured: see PairsLoad.
struct PairsPlan {
  int pairs = 32;
  int payload_bytes = 340;
  absl::Duration warm_up;
  absl::Duration measured;
};

// Another messaging server, run and measured as Handrail is.
class Peer {
 public:
  virtual ~Peer() = default;
  // Adds one sample of each figure: peer_NAME_pairs32, its p50 and p99, CPU time and fsyncs.
  virtual absl::Status MeasurePairs(const PairsPlan& plan, Report& report) = 0;
};

// ejabberd with its message archive on a PostgreSQL of its own, from the packages that
// get-ejabberd unpacked at `root`, for up to `pairs` pairs. Everything runs on loopback from a
// temporary folder, and ends with the object. FAILED_PRECONDITION when something does not start;
// UNIMPLEMENTED when this program was built without an XMPP client.
absl::StatusOr<std::unique_ptr<Peer>> StartEjabberd(const std::string& root, int pairs);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_PEERS_PEER_H_
