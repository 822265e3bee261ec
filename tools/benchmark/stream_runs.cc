#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tools/benchmark/pairs_load.h"
#include "tools/benchmark/runs.h"

// Messages over Connect streams: many in flight, one in flight a pair, and streams that do nothing.
namespace handrail::benchmark {
namespace {

using messaging::v1::ConnectResponse;
using messaging::v1::SubscribeResponse;

std::string Filling(int bytes) { return std::string(static_cast<size_t>(bytes), 'x'); }

}  // namespace

absl::Status Conversations::MeasureSendStream(Bench& bench, const StreamLoad& load) {
  const auto count = std::min(pairs_.size(), static_cast<size_t>(bench.plan.stream_count));
  const auto sender = [&load](size_t) {
    ChatStream::Options options;
    options.sends_a_frame = load.sends_a_frame;
    return options;
  };
  RETURN_IF_ERROR(OpenStreams(bench, pairs_.size(), sender, {}));
  for (size_t i = 0; i < count; ++i) {
    senders_[i]->StartSending(pairs_[i].conversation, bench.plan.window,
                              Filling(bench.plan.payload_bytes));
  }
  SleepUntil(SteadyNanoseconds() + absl::ToInt64Nanoseconds(bench.plan.warm_up));
  UsageWindow usage(bench.deployment);
  const Window window = usage.window();
  window.open();
  const int64_t before = totals_.accepted;
  const int64_t begin = SteadyNanoseconds();
  SleepUntil(begin + absl::ToInt64Nanoseconds(bench.plan.measured));
  const auto sends = static_cast<double>(totals_.accepted - before);
  const double seconds = static_cast<double>(SteadyNanoseconds() - begin) / 1e9;
  window.close();
  for (size_t i = 0; i < count; ++i) RETURN_IF_ERROR(senders_[i]->StopSending());
  RETURN_IF_ERROR(WaitUntilDelivered());
  CloseStreams();
  if (totals_.refused > 0 || sends == 0) {
    return absl::InternalError(absl::StrCat(totals_.refused.load(), " streamed sends refused"));
  }
  bench.Add(load.name, sends / seconds, "messages/s", load.beside_echo ? "stream_echo" : "");
  bench.Add(absl::StrCat("cpu_per_", load.name), usage.CpuMicros("messaging") / sends, "us/message",
            load.beside_echo ? "cpu_per_stream_echo" : "");
  bench.Add(load.syncs, usage.Syncs({"messaging"}) / sends, "fsyncs/message");
  return absl::OkStatus();
}

absl::Status Conversations::MeasureSendPairs(Bench& bench) {
  const int count = std::min(static_cast<int>(pairs_.size()), bench.plan.pairs);
  const std::string payload = Filling(bench.plan.pairs_payload_bytes);
  PairsLoad load(count, [&](int pair) {
    const auto i = static_cast<size_t>(pair);
    senders_[i]->Send(pairs_[i].conversation, payload);
  });
  const auto sender = [&load](size_t pair) {
    ChatStream::Options options;
    options.on_answers = [&load, pair](const ConnectResponse& frame) {
      load.OnAcknowledged(static_cast<int>(pair), frame.refused_size() == 0
                                                      ? absl::OkStatus()
                                                      : absl::InternalError("a send was refused"));
    };
    return options;
  };
  const auto receiver = [&load](size_t pair) {
    ChatStream::Options options;
    options.acknowledge_every = 1;
    options.on_event = [&load, pair](const SubscribeResponse& event) {
      if (event.has_envelope()) load.OnReceived(static_cast<int>(pair));
    };
    return options;
  };
  RETURN_IF_ERROR(OpenStreams(bench, static_cast<size_t>(count), sender, receiver));
  UsageWindow usage(bench.deployment);
  const LoadResult result = load.RunFor(bench.plan.warm_up, bench.plan.measured, usage.window());
  const absl::Status delivered = WaitUntilDelivered();
  CloseStreams();
  RETURN_IF_ERROR(delivered);
  RETURN_IF_ERROR(CheckLoad(bench, "send_pairs32", result));
  const auto sends = static_cast<double>(result.completed);
  const double server = usage.CpuMicros("messaging");
  bench.Add("send_pairs32", result.PerSecond(), "messages/s", "peer_ejabberd_pairs32");
  bench.Add("send_pairs32_p50", absl::ToDoubleMilliseconds(load.latencies().Percentile(0.5)), "ms",
            "peer_ejabberd_pairs32_p50");
  bench.Add("send_pairs32_p99", absl::ToDoubleMilliseconds(load.latencies().Percentile(0.99)), "ms",
            "peer_ejabberd_pairs32_p99");
  bench.Add("cpu_per_send_pairs32", server / sends, "us/message", "cpu_per_peer_ejabberd_pairs32");
  bench.Add("cpu_with_database_per_send_pairs32", (server + usage.CpuMicros("postgres")) / sends,
            "us/message", "cpu_with_database_per_peer_ejabberd_pairs32");
  bench.Add("fsyncs_per_send_pairs32", usage.Syncs({"messaging"}) / sends, "fsyncs/message",
            "fsyncs_per_peer_ejabberd_pairs32");
  return absl::OkStatus();
}

absl::Status MeasureStreamMemory(Bench& bench) {
  RETURN_IF_ERROR(bench.people.RenewTokens());
  const auto wanted = static_cast<size_t>(bench.plan.memory_streams);
  const size_t warm = std::min<size_t>(100, wanted);
  const MessagingConnections connections(
      bench.deployment.endpoints().messaging,
      std::max(bench.plan.connections, bench.plan.memory_streams / 80 + 2));
  ChatTotals totals;
  std::vector<std::unique_ptr<ChatStream>> streams;
  const auto open_until = [&](size_t count) -> absl::Status {
    while (streams.size() < count) {
      const Member& member = bench.people.newcomers()[streams.size()];
      streams.push_back(std::make_unique<ChatStream>(
          connections[static_cast<int64_t>(streams.size())], member, totals));
    }
    for (const auto& stream : streams) RETURN_IF_ERROR(stream->WaitUntilCaughtUp());
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(open_until(warm));
  const auto before = static_cast<double>(bench.deployment.TakeUsage().resident_bytes["messaging"]);
  RETURN_IF_ERROR(open_until(warm + wanted));
  const auto after = static_cast<double>(bench.deployment.TakeUsage().resident_bytes["messaging"]);
  const double bytes = (after - before) / static_cast<double>(wanted);
  bench.Add("memory_per_open_stream", bytes, "bytes");
  bench.Add("idle_stream_kib", bytes / 1024, "KiB");
  return absl::OkStatus();
}

}  // namespace handrail::benchmark
