#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "handrail/matching/v1/matching.grpc.pb.h"
#include "tools/benchmark/pairing_up.h"
#include "tools/benchmark/runs.h"

namespace handrail::benchmark {
namespace {

using matching::v1::MatchingService;
using AsyncStub = MessagingConnections::AsyncStub;

constexpr int64_t kPatience = 60'000'000'000;  // nanoseconds
constexpr int64_t kPoll = 20'000'000;
constexpr size_t kTimeDigits = 16;

std::string Payload(const Plan& plan) {
  return std::string(static_cast<size_t>(plan.payload_bytes), 'x');
}

}  // namespace

Conversations::Conversations(const Bench& bench)
    : connections_(bench.deployment.endpoints().messaging, bench.plan.connections) {}

absl::StatusOr<std::unique_ptr<Conversations>> Conversations::Open(Bench& bench) {
  auto conversations = std::unique_ptr<Conversations>(new Conversations(bench));
  RETURN_IF_ERROR(conversations->PairUp(bench));
  return conversations;
}

absl::Status Conversations::PairUp(Bench& bench) {
  const auto count = static_cast<size_t>(bench.plan.conversations);
  RETURN_IF_ERROR(bench.people.SetCapacity(0, count, 1));
  pairs_.resize(count);
  RETURN_IF_ERROR(Population::InParallel(count, [&](size_t i) {
    tools::Person& person = *bench.people.newcomers()[i].person;
    return person
        .Call(person.services().matching(), &MatchingService::Stub::RequestMatch,
              PairedRequest(static_cast<int64_t>(i), person.NewRequestId()))
        .status();
  }));
  RETURN_IF_ERROR(Population::InParallel(count, [&](size_t i) -> absl::Status {
    ASSIGN_OR_RETURN(const Paired paired, AcceptNext(*bench.people.sponsors()[i].person));
    const auto& newcomers = bench.people.newcomers();
    const auto found = std::find_if(newcomers.begin(), newcomers.end(), [&](const Member& member) {
      return member.name == paired.newcomer;
    });
    if (found == newcomers.end()) return absl::InternalError("a newcomer nobody knows");
    pairs_[i] = {static_cast<size_t>(found - newcomers.begin()), i, paired.conversation};
    return absl::OkStatus();
  }));
  return bench.people.SetCapacity(0, count, 0);
}

absl::Status Conversations::OpenStreams(Bench& bench, size_t count, const OptionsOf& senders,
                                        const OptionsOf& receivers) {
  RETURN_IF_ERROR(bench.people.RenewTokens());
  const auto options = [](const OptionsOf& of, size_t pair) {
    return of ? of(pair) : ChatStream::Options();
  };
  for (size_t i = 0; i < count; ++i) {
    const auto lane = static_cast<int64_t>(i);
    senders_.push_back(std::make_unique<ChatStream>(connections_[lane],
                                                    bench.people.newcomers()[pairs_[i].newcomer],
                                                    totals_, options(senders, i)));
    receivers_.push_back(std::make_unique<ChatStream>(connections_[lane + 1],
                                                      bench.people.sponsors()[pairs_[i].sponsor],
                                                      totals_, options(receivers, i)));
  }
  for (const auto* streams : {&senders_, &receivers_}) {
    for (const auto& stream : *streams) {
      absl::Status caught_up = stream->WaitUntilCaughtUp();
      if (caught_up.ok()) continue;
      CloseStreams();  // what they tell may not outlive the caller
      return caught_up;
    }
  }
  totals_.accepted = 0;
  totals_.refused = 0;
  totals_.delivered = 0;
  return absl::OkStatus();
}

void Conversations::CloseStreams() {
  senders_.clear();
  receivers_.clear();
}

absl::Status Conversations::WaitUntilDelivered() {
  const int64_t give_up = SteadyNanoseconds() + kPatience;
  while (totals_.delivered < 2 * totals_.accepted) {
    if (SteadyNanoseconds() > give_up) {
      return absl::DeadlineExceededError(absl::StrCat("only ", totals_.delivered.load(), " of ",
                                                      2 * totals_.accepted.load(),
                                                      " deliveries arrived"));
    }
    SleepUntil(SteadyNanoseconds() + kPoll);
  }
  return absl::OkStatus();
}

absl::Status Conversations::MeasureSendUnary(Bench& bench) {
  RETURN_IF_ERROR(OpenStreams(bench));
  const std::string payload = Payload(bench.plan);
  UsageWindow usage(bench.deployment);
  ClosedLoop loop(bench.plan.unary_in_flight, [&](int lane, int64_t, ClosedLoop::Done done) {
    const Pair& pair = pairs_[static_cast<size_t>(lane) % pairs_.size()];
    messaging::v1::SendMessageRequest request;
    request.set_conversation(pair.conversation);
    request.set_message_id(NewMessageId());
    request.set_payload(payload);
    StartCall<AsyncStub, messaging::v1::SendMessageRequest, messaging::v1::SendMessageResponse>(
        connections_[lane], &AsyncStub::SendMessage,
        {bench.people.newcomers()[pair.newcomer].authorization}, std::move(request),
        [this, done](const grpc::Status& status, messaging::v1::SendMessageResponse&) {
          if (status.ok()) ++totals_.accepted;
          done(ToAbsl(status, "SendMessage"));
        });
  });
  const LoadResult result = loop.RunFor(bench.plan.warm_up, bench.plan.measured, usage.window());
  RETURN_IF_ERROR(CheckLoad(bench, "send_unary", result));
  RETURN_IF_ERROR(WaitUntilDelivered());
  CloseStreams();
  const auto sends = static_cast<double>(result.completed);
  bench.Add("send_unary", result.PerSecond(), "messages/s", "unary_echo");
  bench.Add("cpu_per_send_unary", usage.CpuMicros("messaging") / sends, "us/message",
            "cpu_per_unary_echo");
  bench.Add("fsyncs_per_send_unary", usage.Syncs({"messaging"}) / sends, "fsyncs/message");
  return absl::OkStatus();
}

absl::Status Conversations::Deliver(Bench& bench, double per_second, absl::Duration length,
                                    Histogram& latencies) {
  // What comes before is of another time.
  std::atomic<bool> measuring{false};
  const auto on_event = [&](const messaging::v1::SubscribeResponse& event) {
    int64_t intended = 0;
    if (!measuring || !event.has_envelope()) return;
    const std::string& payload = event.envelope().payload();
    if (!absl::SimpleHexAtoi(absl::string_view(payload).substr(0, kTimeDigits), &intended)) return;
    latencies.Add(absl::Nanoseconds(SteadyNanoseconds() - intended));
  };
  RETURN_IF_ERROR(OpenStreams(bench, pairs_.size(), {},
                              [&](size_t) { return ChatStream::OptionsWith(on_event); }));
  measuring = true;
  std::atomic<int64_t> failed{0};
  std::atomic<int64_t> answered{0};
  const std::string filling = Payload(bench.plan);
  const int64_t started = RunOpenLoop(per_second, length, [&](int64_t number, int64_t intended) {
    const Pair& pair = pairs_[static_cast<size_t>(number) % pairs_.size()];
    messaging::v1::SendMessageRequest request;
    request.set_conversation(pair.conversation);
    request.set_message_id(NewMessageId());
    request.set_payload(filling);
    request.mutable_payload()->replace(0, kTimeDigits, absl::StrFormat("%016x", intended));
    StartCall<AsyncStub, messaging::v1::SendMessageRequest, messaging::v1::SendMessageResponse>(
        connections_[number], &AsyncStub::SendMessage,
        {bench.people.newcomers()[pair.newcomer].authorization}, std::move(request),
        [&](const grpc::Status& status, messaging::v1::SendMessageResponse&) {
          ++(status.ok() ? totals_.accepted : failed);
          ++answered;
        });
  });
  while (answered < started) SleepUntil(SteadyNanoseconds() + kPoll);  // each has a deadline
  const absl::Status delivered = WaitUntilDelivered();
  CloseStreams();
  RETURN_IF_ERROR(delivered);
  if (failed > 0) return absl::InternalError(absl::StrCat(failed.load(), " sends failed"));
  return absl::OkStatus();
}

absl::Status Conversations::MeasureDelivery(Bench& bench) {
  for (const auto& [per_second, suffix] : kDeliveryRates) {
    Histogram latencies;
    RETURN_IF_ERROR(Deliver(bench, per_second, bench.plan.delivery, latencies));
    for (const auto& [name, share] : kPercentiles) {
      bench.Add(absl::StrCat("delivery_", name, suffix),
                absl::ToDoubleMilliseconds(latencies.Percentile(share)), "ms",
                absl::StrCat("unary_echo_", name, suffix));
    }
  }
  return absl::OkStatus();
}

}  // namespace handrail::benchmark
