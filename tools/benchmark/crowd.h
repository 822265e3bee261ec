#ifndef HANDRAIL_TOOLS_BENCHMARK_CROWD_H_
#define HANDRAIL_TOOLS_BENCHMARK_CROWD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/benchmark/runs.h"

namespace handrail::benchmark {

// plan.crowd newcomers, and a few more, who each have a conversation with one of few sponsors. They
// are the newcomers and sponsors after those of Conversations; nothing else may pair them up.
class Crowd {
 public:
  // Pairs everybody through the real flow.
  static absl::StatusOr<std::unique_ptr<Crowd>> Open(Bench& bench);

  // catch_up_5000: seconds in which one device gets 5,000 stored messages on a new stream.
  // `repeat` is the number of the call, from 0 to kCatchUps - 1: each takes a conversation of its
  // own. Before the others.
  absl::Status MeasureCatchUp(Bench& bench, int repeat);
  // reconnect_1000, reconnect_errors: all lose their streams, messages come, all connect at once.
  absl::Status MeasureReconnect(Bench& bench);
  // stalled_readers_p99_ratio: deliveries of `others` beside streams that nobody reads, to the same
  // without them.
  absl::Status MeasureStalledReaders(Bench& bench, Conversations& others);

  static constexpr int kCatchUps = 5;

 private:
  struct Chat {
    size_t newcomer = 0;
    size_t sponsor = 0;
    std::string conversation;
  };
  explicit Crowd(Bench& bench);
  absl::Status PairUp(Bench& bench);
  // Sends `rounds` messages of `bytes` to each of chats [first, first + count), all accepted.
  absl::Status SendEach(Bench& bench, size_t first, size_t count, int rounds, int bytes);
  // Opens a stream for everybody but those of the catch-ups.
  std::vector<std::unique_ptr<ChatStream>> ConnectAll(Bench& bench, ChatTotals& totals);
  // The open loop of `others` while somebody writes to the crowd, too.
  absl::Status DeliverBeside(Bench& bench, Conversations& others, Histogram& latencies);

  MessagingConnections senders_;
  MessagingConnections readers_;
  std::vector<Chat> chats_;  // those of the catch-ups first
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_CROWD_H_
