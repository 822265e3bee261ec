#ifndef HANDRAIL_TOOLS_BENCHMARK_RUNS_H_
#define HANDRAIL_TOOLS_BENCHMARK_RUNS_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tools/benchmark/chat_stream.h"
#include "tools/benchmark/deployment.h"
#include "tools/benchmark/load.h"
#include "tools/benchmark/population.h"
#include "tools/benchmark/report.h"

// The measurements. Each takes one sample of each of its figures.
namespace handrail::benchmark {

// How much of everything.
struct Plan {
  absl::Duration warm_up = absl::Seconds(1);
  absl::Duration measured = absl::Seconds(4);
  absl::Duration delivery = absl::Seconds(10);
  int newcomers = 3000;
  int sponsors = 200;
  int conversations = 64;
  int connections = 8;  // to each server
  int unary_in_flight = 128;
  int stream_count = 32;  // for the streamed load: 256 messages in flight over them
  int window = 8;         // messages in flight on each of these streams
  int lifecycles_in_flight = 128;
  int payload_bytes = 256;
  int pairs = 32;  // of send_pairs32, and what they say
  int pairs_payload_bytes = 340;
  int memory_tickets = 2000;
  int memory_streams = 1000;
  int crowd = 1000;  // people who connect again at once, or who never read
  int stored_rows = 1'000'000;
  int repeats = 5;
};

// What a measurement works with.
struct Bench {
  const Plan& plan;
  Deployment& deployment;
  Population& people;
  Report& report;

  void Add(std::string name, double value, std::string unit, std::string to = "");
  // For what has no database.
  void AddBare(std::string name, double value, std::string unit, std::string to = "");
};

// Messages a second of the open loop, and what the names of its figures end with.
struct Rate {
  double per_second;
  const char* suffix;
};
inline constexpr Rate kDeliveryRates[] = {{1000, ""}, {100, "_at_100"}};
struct Percentile {
  const char* name;
  double share;
};
inline constexpr Percentile kPercentiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}};

// CPU time and fsync calls from one moment to another.
class UsageWindow {
 public:
  explicit UsageWindow(const Deployment& deployment) : deployment_(deployment) {}
  // Takes usage when a measurement begins and ends.
  Window window();
  double CpuMicros(const std::string& process) const;
  // fsync calls for these services: on SQLite the commits of their databases, which is one each (a
  // checkpoint of the log, every few thousand pages, comes on top); on PostgreSQL those of the
  // whole server's log, whose processes report about once a second.
  double Syncs(const std::vector<std::string>& services) const;
  // What Redis says that its commands took: see CommandMicros.
  double RedisMicros() const { return after_.redis_micros - before_.redis_micros; }

 private:
  const Deployment& deployment_;
  Usage before_;
  Usage after_;
};

// A run that failed too often measured something else: an error. A few failures become a note.
absl::Status CheckLoad(Bench& bench, const std::string& name, const LoadResult& result);

// unary_echo, cpu_per_unary_echo; stream_echo, cpu_per_stream_echo.
absl::Status MeasureUnaryEcho(Bench& bench);
absl::Status MeasureStreamEcho(Bench& bench);
// unary_echo_p50 … p999 at the rates of delivery.
absl::Status MeasureEchoLatency(Bench& bench);

// memory_per_waiting_ticket, memory_per_ticket_watch. Before anything else on a fresh deployment.
absl::Status MeasureTicketMemory(Bench& bench);
// memory_per_open_stream, idle_stream_kib.
absl::Status MeasureStreamMemory(Bench& bench);

// request_match, cpu_per_request_match, fsyncs_per_request.
absl::Status MeasureRequestMatch(Bench& bench);
// pairing_lifecycle, pairing_p50, pairing_p99, cpu_per_pairing, redis_us_per_pairing; and
// create_to_offer_p50 …: from asking to the offer on the sponsor's screen, at half that rate.
absl::Status MeasurePairingLifecycle(Bench& bench);

// On a deployment of its own, with `waiting` people in one pool: rebuild_1m,
// first_match_after_loss, failed_calls_while_rebuilding, pairings_while_rebuilding.
absl::Status MeasureRebuild(const std::string& backend, int waiting, Report& report);

// One load of streamed sends and the names of its figures.
struct StreamLoad {
  const char* name;
  const char* syncs;
  int sends_a_frame;
  bool beside_echo;  // in a round with stream_echo, which it is compared with
};
inline constexpr StreamLoad kSendStream = {"send_stream", "fsyncs_per_send", 1, true};
inline constexpr StreamLoad kSendStreamFrames = {"send_stream_frames",
                                                 "fsyncs_per_send_stream_frames", 64, true};
inline constexpr StreamLoad kSendStreamFilled = {"send_stream_1m_rows",
                                                 "fsyncs_per_send_stream_1m_rows", 1, false};

// Puts `rows` messages of `bytes` into messaging's database, before the service starts, as many
// conversations would have left them that nobody opens now. A fixture: hours of traffic in seconds.
absl::Status FillMessages(const std::string& database_url, int rows, int bytes);
// The conversations that `rows` such messages are of, and two people in each, whose devices have
// acknowledged all.
absl::Status FillPeople(const std::string& database_url, int rows);

// On a database of its own, with plan.stored_rows messages that everybody has: retention_1m_rows,
// the messages that retention removes in a second of its own, the look at which it notes that they
// are due counted in.
absl::Status MeasureRetention(const std::string& backend, const Plan& plan, Report& report);

// Conversations between newcomers and sponsors, both with an open stream.
class Conversations {
 public:
  // Pairs plan.conversations newcomers through the real flow and opens the streams.
  static absl::StatusOr<std::unique_ptr<Conversations>> Open(Bench& bench);

  absl::Status MeasureSendUnary(Bench& bench);  // send_unary, cpu_per_send_unary
  // send_stream, cpu_per_send_stream, fsyncs_per_send, … by the load's names.
  absl::Status MeasureSendStream(Bench& bench, const StreamLoad& load);
  // send_pairs32, send_pairs32_p50, send_pairs32_p99, cpu_per_send_pairs32, …
  absl::Status MeasureSendPairs(Bench& bench);
  absl::Status MeasureDelivery(Bench& bench);  // delivery_p50, delivery_p99, delivery_p999, …
  // The open loop of MeasureDelivery: adds the latencies of all that was sent.
  absl::Status Deliver(Bench& bench, double per_second, absl::Duration length,
                       Histogram& latencies);

 private:
  struct Pair {
    size_t newcomer = 0;
    size_t sponsor = 0;
    std::string conversation;
  };
  explicit Conversations(const Bench& bench);
  absl::Status PairUp(Bench& bench);
  // Both streams of the first `count` pairs.
  using OptionsOf = std::function<ChatStream::Options(size_t pair)>;
  absl::Status OpenStreams(Bench& bench, size_t count, const OptionsOf& senders,
                           const OptionsOf& receivers);
  absl::Status OpenStreams(Bench& bench) { return OpenStreams(bench, pairs_.size(), {}, {}); }
  void CloseStreams();
  // Waits until both devices have every message that was accepted.
  absl::Status WaitUntilDelivered();

  MessagingConnections connections_;
  std::vector<Pair> pairs_;
  ChatTotals totals_;
  std::vector<std::unique_ptr<ChatStream>> senders_;    // newcomers
  std::vector<std::unique_ptr<ChatStream>> receivers_;  // sponsors
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_RUNS_H_
