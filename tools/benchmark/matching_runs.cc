#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "handrail/matching/v1/matching.grpc.pb.h"
#include "tools/benchmark/runs.h"
#include "tools/benchmark/unary_call.h"

namespace handrail::benchmark {
namespace {

using matching::v1::MatchingService;
using matching::v1::Ticket;
using MatchingConnections = Connections<MatchingService>;
using AsyncStub = MatchingConnections::AsyncStub;

// The first `count` newcomers ask, each for somebody who is not there; `tickets` gets the names.
LoadResult AskAll(Bench& bench, const MatchingConnections& connections, size_t first, size_t count,
                  std::vector<std::string>& tickets, const Window& window = {}) {
  tickets.resize(bench.people.newcomers().size());
  // Made beforehand: it is the service that is measured.
  std::vector<matching::v1::RequestMatchRequest> requests;
  for (size_t i = 0; i < count; ++i) requests.push_back(WaitingRequest(bench.people.NewId()));
  ClosedLoop loop(bench.plan.unary_in_flight, [&](int lane, int64_t number, ClosedLoop::Done done) {
    const size_t newcomer = first + static_cast<size_t>(number);
    StartCall<AsyncStub, matching::v1::RequestMatchRequest, Ticket>(
        connections[lane], &AsyncStub::RequestMatch,
        {bench.people.newcomers()[newcomer].authorization}, requests[static_cast<size_t>(number)],
        [&tickets, newcomer, done](const grpc::Status& status, Ticket& ticket) {
          tickets[newcomer] = ticket.name();
          done(ToAbsl(status, "RequestMatch"));
        });
  });
  return loop.RunCount(static_cast<int64_t>(count), window);
}

absl::Status CancelAll(Bench& bench, const MatchingConnections& connections, size_t first,
                       size_t count, const std::vector<std::string>& tickets) {
  ClosedLoop loop(bench.plan.unary_in_flight, [&](int lane, int64_t number, ClosedLoop::Done done) {
    const size_t newcomer = first + static_cast<size_t>(number);
    matching::v1::CancelTicketRequest request;
    request.set_name(tickets[newcomer]);
    request.set_request_id(bench.people.NewId());
    StartCall<AsyncStub, matching::v1::CancelTicketRequest, Ticket>(
        connections[lane], &AsyncStub::CancelTicket,
        {bench.people.newcomers()[newcomer].authorization}, std::move(request),
        [done](const grpc::Status& status, Ticket&) { done(ToAbsl(status, "CancelTicket")); });
  });
  return CheckLoad(bench, "cancelling", loop.RunCount(static_cast<int64_t>(count)));
}

// A WatchTicket stream that is held open.
class TicketWatch final : public grpc::ClientReadReactor<matching::v1::WatchTicketResponse> {
 public:
  TicketWatch(AsyncStub* stub, const Member& member, const std::string& ticket,
              std::atomic<int64_t>& begun)
      : begun_(begun) {
    request_.set_name(ticket);
    context_.AddMetadata("authorization", member.authorization);
    stub->WatchTicket(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }
  ~TicketWatch() override {
    context_.TryCancel();
    MutexLock lock(mutex_);
    while (!done_) changed_.Wait(mutex_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (!std::exchange(seen_, true)) ++begun_;
    StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override {
    MutexLock lock(mutex_);
    done_ = true;
    changed_.SignalAll();
  }

 private:
  std::atomic<int64_t>& begun_;
  bool seen_ = false;
  grpc::ClientContext context_;
  matching::v1::WatchTicketRequest request_;
  matching::v1::WatchTicketResponse response_;
  Mutex mutex_;
  CondVar changed_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

double Resident(const Bench& bench, const std::string& process) {
  return static_cast<double>(bench.deployment.TakeUsage().resident_bytes[process]);
}

}  // namespace

absl::Status MeasureRequestMatch(Bench& bench) {
  RETURN_IF_ERROR(bench.people.RenewTokens());
  const MatchingConnections connections(bench.deployment.endpoints().matching,
                                        bench.plan.connections);
  const size_t count = bench.people.newcomers().size();
  std::vector<std::string> tickets;
  LoadResult all;
  double cpu = 0;
  double syncs = 0;
  const double wanted_seconds = absl::ToDoubleSeconds(bench.plan.measured) / 2;
  // Everybody asks, untimed everybody takes it back, until enough time was measured. The first time
  // opens connections and fills caches.
  for (int burst = 0; burst == 0 || all.seconds < wanted_seconds; ++burst) {
    UsageWindow usage(bench.deployment);
    const LoadResult result = AskAll(bench, connections, 0, count, tickets, usage.window());
    RETURN_IF_ERROR(CheckLoad(bench, "request_match", result));
    RETURN_IF_ERROR(CancelAll(bench, connections, 0, count, tickets));
    if (burst == 0) continue;
    all.completed += result.completed;
    all.failed += result.failed;
    all.seconds += result.seconds;
    cpu += usage.CpuMicros("matching");
    syncs += usage.Syncs({"matching"});
  }
  const auto requests = static_cast<double>(all.completed);
  bench.Add("request_match", all.PerSecond(), "calls/s", "unary_echo");
  bench.Add("cpu_per_request_match", cpu / requests, "us/call", "cpu_per_unary_echo");
  bench.Add("fsyncs_per_request", syncs / requests, "fsyncs/call");
  return absl::OkStatus();
}

absl::Status MeasureTicketMemory(Bench& bench) {
  RETURN_IF_ERROR(bench.people.RenewTokens());
  const MatchingConnections connections(
      bench.deployment.endpoints().matching,
      std::max(bench.plan.connections, bench.plan.memory_tickets / 90 + 1));
  const size_t all = bench.people.newcomers().size();
  const size_t warm = all - static_cast<size_t>(bench.plan.memory_tickets);
  std::vector<std::string> tickets;
  // The others first, so that what every process needs once is there.
  RETURN_IF_ERROR(CheckLoad(bench, "asking", AskAll(bench, connections, 0, warm, tickets)));
  SleepUntil(SteadyNanoseconds() + 1'000'000'000);  // the queue in Redis follows by hints
  const double before = Resident(bench, "matching");
  const double redis_before = Resident(bench, "redis");
  RETURN_IF_ERROR(
      CheckLoad(bench, "asking", AskAll(bench, connections, warm, all - warm, tickets)));
  SleepUntil(SteadyNanoseconds() + 1'000'000'000);
  const auto count = static_cast<double>(bench.plan.memory_tickets);
  const double filled = Resident(bench, "matching");
  bench.Add("memory_per_waiting_ticket", (filled - before) / count, "bytes");
  bench.Add("redis_memory_per_waiting_ticket", (Resident(bench, "redis") - redis_before) / count,
            "bytes");

  std::atomic<int64_t> begun{0};
  std::vector<std::unique_ptr<TicketWatch>> watches;
  const auto wanted = static_cast<size_t>(bench.plan.memory_tickets);
  for (size_t i = 0; i < wanted; ++i) {
    watches.push_back(std::make_unique<TicketWatch>(connections[static_cast<int64_t>(i)],
                                                    bench.people.newcomers()[warm + i],
                                                    tickets[warm + i], begun));
  }
  const int64_t give_up = SteadyNanoseconds() + 30'000'000'000;
  while (begun < static_cast<int64_t>(wanted)) {
    if (SteadyNanoseconds() > give_up) return absl::DeadlineExceededError("watches did not begin");
    SleepUntil(SteadyNanoseconds() + 10'000'000);
  }
  bench.Add("memory_per_ticket_watch", (Resident(bench, "matching") - filled) / count, "bytes");
  watches.clear();
  return CancelAll(bench, connections, 0, all, tickets);
}

}  // namespace handrail::benchmark
