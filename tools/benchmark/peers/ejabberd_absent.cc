#include "tools/benchmark/peers/peer.h"

namespace handrail::benchmark {

absl::StatusOr<std::unique_ptr<Peer>> StartEjabberd(const std::string&, int) {
  return absl::UnimplementedError(
      "built without libstrophe: run tools/bench --peer ejabberd, which gets it");
}

}  // namespace handrail::benchmark
