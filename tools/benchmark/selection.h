#ifndef HANDRAIL_TOOLS_BENCHMARK_SELECTION_H_
#define HANDRAIL_TOOLS_BENCHMARK_SELECTION_H_

#include <string>
#include <utility>
#include <vector>

namespace handrail::benchmark {

// The measurements that need the services, by the name of their main figure.
inline constexpr const char* kRuns[] = {"unary_echo",
                                        "request_match",
                                        "send_unary",
                                        "stream_echo",
                                        "send_stream",
                                        "send_stream_frames",
                                        "send_pairs32",
                                        "pairing_lifecycle",
                                        "delivery",
                                        "memory",
                                        "idle_stream_kib",
                                        "catch_up_5000",
                                        "reconnect_1000",
                                        "stalled_readers_p99_ratio",
                                        "send_stream_1m_rows",
                                        "retention_1m_rows",
                                        "rebuild_1m",
                                        "peer_ejabberd_pairs32"};

// What a caller wants measured: everything, or what they name.
class Selection {
 public:
  // Names of measurements or of their figures, or "messaging" for all that messaging does.
  explicit Selection(std::vector<std::string> only) : only_(std::move(only)) {}

  bool everything() const { return only_.empty(); }
  // The measurement itself was asked for, or one that is compared with it, or everything.
  bool Wants(const std::string& run) const;
  // Some of kRuns is wanted.
  bool WantsServices() const;
  // Something of kRuns is wanted beside these.
  bool WantsBeside(const std::vector<std::string>& runs) const;

 private:
  bool Names(const std::string& run) const;

  std::vector<std::string> only_;
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_SELECTION_H_
