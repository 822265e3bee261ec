#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "handrail/matching/v1/matching.grpc.pb.h"
#include "tools/benchmark/runs.h"

namespace handrail::benchmark {
namespace {

using matching::v1::MatchingService;
using AsyncStub = MessagingConnections::AsyncStub;

constexpr int64_t kPatience = 60'000'000'000;  // nanoseconds
constexpr int64_t kPoll = 20'000'000;
constexpr size_t kTimeDigits = 16;

// Waits for the sponsor's offer, accepts it and waits for the conversation. Names of both.
struct Paired {
  std::string newcomer;
  std::string conversation;
};
absl::StatusOr<Paired> AcceptOne(tools::Person& sponsor) {
  MatchingService::Stub& stub = sponsor.services().matching();
  const int64_t give_up = SteadyNanoseconds() + kPatience;
  matching::v1::ListOffersResponse offers;
  while (offers.offers_size() == 0) {
    if (SteadyNanoseconds() > give_up) return absl::DeadlineExceededError("no offer came");
    SleepUntil(SteadyNanoseconds() + kPoll);
    ASSIGN_OR_RETURN(offers, sponsor.Call(stub, &MatchingService::Stub::ListOffers,
                                          matching::v1::ListOffersRequest()));
  }
  matching::v1::AcceptOfferRequest accept;
  accept.set_name(offers.offers(0).name());
  accept.set_request_id(sponsor.NewRequestId());
  ASSIGN_OR_RETURN(matching::v1::Pairing pairing,
                   sponsor.Call(stub, &MatchingService::Stub::AcceptOffer, accept));
  matching::v1::GetPairingRequest get;
  get.set_name(pairing.name());
  while (pairing.conversation().empty()) {
    if (SteadyNanoseconds() > give_up) return absl::DeadlineExceededError("no conversation");
    SleepUntil(SteadyNanoseconds() + kPoll);
    ASSIGN_OR_RETURN(pairing, sponsor.Call(stub, &MatchingService::Stub::GetPairing, get));
  }
  return Paired{pairing.newcomer(), pairing.conversation()};
}

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
    ASSIGN_OR_RETURN(const Paired paired, AcceptOne(*bench.people.sponsors()[i].person));
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

absl::Status Conversations::OpenStreams(Bench& bench) {
  RETURN_IF_ERROR(bench.people.RenewTokens());
  const auto on_event = [this](const messaging::v1::SubscribeResponse& event) {
    Histogram* latencies = latencies_;
    int64_t intended = 0;
    if (latencies == nullptr || !event.has_envelope()) return;
    const std::string& payload = event.envelope().payload();
    if (!absl::SimpleHexAtoi(absl::string_view(payload).substr(0, kTimeDigits), &intended)) return;
    latencies->Add(absl::Nanoseconds(SteadyNanoseconds() - intended));
  };
  for (size_t i = 0; i < pairs_.size(); ++i) {
    const auto lane = static_cast<int64_t>(i);
    senders_.push_back(std::make_unique<ChatStream>(
        connections_[lane], bench.people.newcomers()[pairs_[i].newcomer], totals_));
    receivers_.push_back(std::make_unique<ChatStream>(
        connections_[lane + 1], bench.people.sponsors()[pairs_[i].sponsor], totals_, on_event));
  }
  for (const auto& stream : senders_) RETURN_IF_ERROR(stream->WaitUntilCaughtUp());
  for (const auto& stream : receivers_) RETURN_IF_ERROR(stream->WaitUntilCaughtUp());
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

absl::Status Conversations::MeasureSendStream(Bench& bench) {
  RETURN_IF_ERROR(OpenStreams(bench));
  const auto count = std::min(pairs_.size(), static_cast<size_t>(bench.plan.stream_count));
  for (size_t i = 0; i < count; ++i) {
    senders_[i]->StartSending(pairs_[i].conversation, bench.plan.window, Payload(bench.plan));
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
  bench.Add("send_stream", sends / seconds, "messages/s", "stream_echo");
  bench.Add("cpu_per_send_stream", usage.CpuMicros("messaging") / sends, "us/message",
            "cpu_per_stream_echo");
  bench.Add("fsyncs_per_send", usage.Syncs({"messaging"}) / sends, "fsyncs/message");
  return absl::OkStatus();
}

absl::Status Conversations::DeliverAtRate(Bench& bench, double per_second,
                                          const std::string& suffix) {
  RETURN_IF_ERROR(OpenStreams(bench));
  Histogram latencies;
  latencies_ = &latencies;
  std::atomic<int64_t> failed{0};
  std::atomic<int64_t> answered{0};
  const std::string filling = Payload(bench.plan);
  const int64_t started =
      RunOpenLoop(per_second, bench.plan.delivery, [&](int64_t number, int64_t intended) {
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
  latencies_ = nullptr;
  CloseStreams();
  RETURN_IF_ERROR(delivered);
  if (failed > 0) return absl::InternalError(absl::StrCat(failed.load(), " sends failed"));
  for (const auto& [name, share] : kPercentiles) {
    bench.Add(absl::StrCat("delivery_", name, suffix),
              absl::ToDoubleMilliseconds(latencies.Percentile(share)), "ms",
              absl::StrCat("unary_echo_", name, suffix));
  }
  return absl::OkStatus();
}

absl::Status Conversations::MeasureDelivery(Bench& bench) {
  for (const auto& [per_second, suffix] : kDeliveryRates) {
    RETURN_IF_ERROR(DeliverAtRate(bench, per_second, suffix));
  }
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
  bench.Add("memory_per_open_stream", (after - before) / static_cast<double>(wanted), "bytes");
  return absl::OkStatus();
}

}  // namespace handrail::benchmark
