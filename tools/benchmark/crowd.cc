#include "tools/benchmark/crowd.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "handrail/matching/v1/matching.grpc.pb.h"
#include "tools/benchmark/pairing_up.h"

namespace handrail::benchmark {
namespace {

using matching::v1::MatchingService;
using messaging::v1::SendMessageRequest;
using messaging::v1::SendMessageResponse;
using messaging::v1::SubscribeResponse;
using AsyncStub = MessagingConnections::AsyncStub;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kPatience = 120 * kSecond;
constexpr int64_t kPoll = 5'000'000;
constexpr int kSeats = 10;  // of each sponsor

constexpr int kStored = 5000;
constexpr int kMissed = 5;  // messages that each finds on connecting again
// More than fits into the window of a stream that nobody reads (64 KiB).
constexpr int kStalledMessages = 10;
constexpr int kStalledBytes = 16 << 10;
constexpr int kTurns = 3;
constexpr double kOthersRate = 400;  // messages a second
constexpr double kCrowdRate = 100;

double SecondsSince(int64_t begin) {
  return static_cast<double>(SteadyNanoseconds() - begin) / static_cast<double>(kSecond);
}

// An HTTP/2 connection carries 100 calls.
int ConnectionsFor(int streams) { return streams / 80 + 2; }

// A Subscribe stream of a device that never reads what comes.
class StalledStream final : public grpc::ClientReadReactor<SubscribeResponse> {
 public:
  StalledStream(AsyncStub* stub, const Member& member, std::atomic<int>& open) : open_(open) {
    context_.AddMetadata("authorization", member.authorization);
    stub->Subscribe(&context_, &request_, this);
    StartCall();
  }
  ~StalledStream() override {
    context_.TryCancel();
    MutexLock lock(mutex_);
    while (!done_) changed_.Wait(mutex_);
  }

  void OnReadInitialMetadataDone(bool ok) override {
    if (ok) ++open_;
  }
  void OnDone(const grpc::Status&) override {
    MutexLock lock(mutex_);
    done_ = true;
    changed_.SignalAll();
  }

 private:
  std::atomic<int>& open_;
  grpc::ClientContext context_;
  messaging::v1::SubscribeRequest request_;
  Mutex mutex_;
  CondVar changed_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

// A client that holds no more than a small window for each stream.
grpc::ChannelArguments SmallWindows() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  return arguments;
}

}  // namespace

Crowd::Crowd(Bench& bench)
    : senders_(bench.deployment.endpoints().messaging, bench.plan.connections),
      readers_(bench.deployment.endpoints().messaging, ConnectionsFor(bench.plan.crowd)) {}

absl::StatusOr<std::unique_ptr<Crowd>> Crowd::Open(Bench& bench) {
  auto crowd = std::unique_ptr<Crowd>(new Crowd(bench));
  RETURN_IF_ERROR(bench.people.RenewTokens());
  RETURN_IF_ERROR(crowd->PairUp(bench));
  return crowd;
}

absl::Status Crowd::PairUp(Bench& bench) {
  const auto& newcomers = bench.people.newcomers();
  const auto& sponsors = bench.people.sponsors();
  const auto first = static_cast<size_t>(bench.plan.conversations);
  const auto wanted = static_cast<size_t>(bench.plan.crowd + kCatchUps);
  if (first + wanted > newcomers.size() || (sponsors.size() - first) * kSeats < wanted) {
    return absl::FailedPreconditionError("too few people for a crowd");
  }
  absl::flat_hash_map<std::string, size_t> index;
  for (size_t i = first; i < first + wanted; ++i) index[newcomers[i].name] = i;
  RETURN_IF_ERROR(bench.people.SetCapacity(first, sponsors.size(), kSeats));
  RETURN_IF_ERROR(Population::InParallel(wanted, [&](size_t i) {
    tools::Person& person = *newcomers[first + i].person;
    return person
        .Call(person.services().matching(), &MatchingService::Stub::RequestMatch,
              PairedRequest(static_cast<int64_t>(first + i), person.NewRequestId()))
        .status();
  }));
  Mutex mutex;
  const int64_t give_up = SteadyNanoseconds() + kPatience;
  while (chats_.size() < wanted) {
    if (SteadyNanoseconds() > give_up) {
      return absl::DeadlineExceededError(
          absl::StrCat("only ", chats_.size(), " of ", wanted, " people were paired"));
    }
    RETURN_IF_ERROR(Population::InParallel(sponsors.size() - first, [&](size_t i) -> absl::Status {
      ASSIGN_OR_RETURN(const auto paired, AcceptOffers(*sponsors[first + i].person));
      MutexLock lock(mutex);
      for (const Paired& one : paired) {
        const auto found = index.find(one.newcomer);
        if (found == index.end()) return absl::InternalError("a newcomer nobody knows");
        chats_.push_back({found->second, first + i, one.conversation});
      }
      return absl::OkStatus();
    }));
  }
  return bench.people.SetCapacity(first, sponsors.size(), 0);
}

absl::Status Crowd::SendEach(Bench& bench, size_t first, size_t count, int rounds, int bytes) {
  const std::string payload(static_cast<size_t>(bytes), 'x');
  ClosedLoop loop(bench.plan.unary_in_flight, [&](int lane, int64_t number, ClosedLoop::Done done) {
    const Chat& chat = chats_[first + static_cast<size_t>(number) % count];
    SendMessageRequest request;
    request.set_conversation(chat.conversation);
    request.set_message_id(NewMessageId());
    request.set_payload(payload);
    StartCall<AsyncStub, SendMessageRequest, SendMessageResponse>(
        senders_[lane], &AsyncStub::SendMessage,
        {bench.people.sponsors()[chat.sponsor].authorization}, std::move(request),
        [done](const grpc::Status& status, SendMessageResponse&) {
          done(ToAbsl(status, "SendMessage"));
        });
  });
  const LoadResult result = loop.RunCount(rounds * static_cast<int64_t>(count));
  if (result.failed == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      result.failed, " messages to the crowd failed: ", result.first_error.ToString()));
}

absl::Status Crowd::MeasureCatchUp(Bench& bench, int repeat) {
  RETURN_IF_ERROR(bench.people.RenewTokens());
  const auto number = static_cast<size_t>(repeat);
  RETURN_IF_ERROR(SendEach(bench, number, 1, kStored, bench.plan.pairs_payload_bytes));
  ChatTotals totals;
  const int64_t begin = SteadyNanoseconds();
  ChatStream stream(readers_[repeat], bench.people.newcomers()[chats_[number].newcomer], totals);
  RETURN_IF_ERROR(stream.WaitUntilCaughtUp());
  const double seconds = SecondsSince(begin);
  if (totals.delivered != kStored) {
    return absl::InternalError(
        absl::StrCat(totals.delivered.load(), " of ", kStored, " stored messages came"));
  }
  bench.Add("catch_up_5000", seconds, "s");
  return absl::OkStatus();
}

std::vector<std::unique_ptr<ChatStream>> Crowd::ConnectAll(Bench& bench, ChatTotals& totals) {
  std::vector<std::unique_ptr<ChatStream>> streams;
  ChatStream::Options options;
  options.acknowledge_every = 1;
  for (size_t i = kCatchUps; i < chats_.size(); ++i) {
    streams.push_back(std::make_unique<ChatStream>(readers_[static_cast<int64_t>(i)],
                                                   bench.people.newcomers()[chats_[i].newcomer],
                                                   totals, options));
  }
  return streams;
}

absl::Status Crowd::MeasureReconnect(Bench& bench) {
  RETURN_IF_ERROR(bench.people.RenewTokens());
  ChatTotals totals;
  for (const auto& stream : ConnectAll(bench, totals)) {
    RETURN_IF_ERROR(stream->WaitUntilCaughtUp());
  }
  const size_t count = chats_.size() - kCatchUps;
  RETURN_IF_ERROR(SendEach(bench, kCatchUps, count, kMissed, bench.plan.pairs_payload_bytes));
  totals.delivered = 0;
  int errors = 0;
  const int64_t begin = SteadyNanoseconds();
  const auto streams = ConnectAll(bench, totals);
  for (const auto& stream : streams) errors += stream->WaitUntilCaughtUp().ok() ? 0 : 1;
  const double seconds = SecondsSince(begin);
  const auto missed = static_cast<int64_t>(count) * kMissed;
  if (errors == 0 && totals.delivered < missed) {
    return absl::InternalError(
        absl::StrCat(totals.delivered.load(), " of ", missed, " messages came"));
  }
  bench.Add("reconnect_1000", seconds, "s");
  bench.Add("reconnect_errors", errors, "streams");
  return absl::OkStatus();
}

absl::Status Crowd::DeliverBeside(Bench& bench, Conversations& others, Histogram& latencies) {
  std::atomic<int64_t> failed{0};
  std::atomic<int64_t> answered{0};
  std::atomic<int64_t> started{-1};
  const absl::Duration length = bench.plan.delivery;
  std::thread writer([&] {
    started = RunOpenLoop(kCrowdRate, length, [&](int64_t number, int64_t) {
      const Chat& chat =
          chats_[kCatchUps + static_cast<size_t>(number) % (chats_.size() - kCatchUps)];
      SendMessageRequest request;
      request.set_conversation(chat.conversation);
      request.set_message_id(NewMessageId());
      request.set_payload(std::string(static_cast<size_t>(bench.plan.pairs_payload_bytes), 'x'));
      StartCall<AsyncStub, SendMessageRequest, SendMessageResponse>(
          senders_[number], &AsyncStub::SendMessage,
          {bench.people.sponsors()[chat.sponsor].authorization}, std::move(request),
          [&](const grpc::Status& status, SendMessageResponse&) {
            if (!status.ok()) ++failed;
            ++answered;
          });
    });
  });
  const absl::Status delivered = others.Deliver(bench, kOthersRate, length, latencies);
  writer.join();
  while (answered < started) SleepUntil(SteadyNanoseconds() + kPoll);  // each has a deadline
  RETURN_IF_ERROR(delivered);
  if (failed > 0) return absl::InternalError(absl::StrCat(failed.load(), " sends failed"));
  return absl::OkStatus();
}

absl::Status Crowd::MeasureStalledReaders(Bench& bench, Conversations& others) {
  RETURN_IF_ERROR(bench.people.RenewTokens());
  const size_t count = chats_.size() - kCatchUps;
  RETURN_IF_ERROR(SendEach(bench, kCatchUps, count, kStalledMessages, kStalledBytes));
  const MessagingConnections connections(bench.deployment.endpoints().messaging,
                                         ConnectionsFor(bench.plan.crowd), SmallWindows());
  Histogram without;
  Histogram with;
  for (int turn = 0; turn < kTurns; ++turn) {
    RETURN_IF_ERROR(DeliverBeside(bench, others, without));
    std::atomic<int> open{0};
    std::vector<std::unique_ptr<StalledStream>> stalled;
    for (size_t i = kCatchUps; i < chats_.size(); ++i) {
      stalled.push_back(
          std::make_unique<StalledStream>(connections[static_cast<int64_t>(i)],
                                          bench.people.newcomers()[chats_[i].newcomer], open));
    }
    const int64_t give_up = SteadyNanoseconds() + kPatience;
    while (open < static_cast<int>(count)) {
      if (SteadyNanoseconds() > give_up) return absl::DeadlineExceededError("streams do not open");
      SleepUntil(SteadyNanoseconds() + kPoll);
    }
    SleepUntil(SteadyNanoseconds() + kSecond);  // until the windows are full
    RETURN_IF_ERROR(DeliverBeside(bench, others, with));
  }
  const double alone = absl::ToDoubleMilliseconds(without.Percentile(0.99));
  const double beside = absl::ToDoubleMilliseconds(with.Percentile(0.99));
  bench.Add("delivery_p99_without_stalled_readers", alone, "ms");
  bench.Add("delivery_p99_with_stalled_readers", beside, "ms");
  bench.Add("stalled_readers_p99_ratio", alone > 0 ? beside / alone : 0, "ratio");
  return absl::OkStatus();
}

}  // namespace handrail::benchmark
