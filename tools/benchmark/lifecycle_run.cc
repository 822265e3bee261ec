#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/executor.h"
#include "common/base/status.h"
#include "tools/benchmark/offer_watch.h"
#include "tools/benchmark/runs.h"

namespace handrail::benchmark {
namespace {

using matching::v1::MatchingService;
using MatchingConnections = Connections<MatchingService>;
using AsyncStub = MatchingConnections::AsyncStub;

// Plays whole pairings: a newcomer asks, the sponsor who gets the offer accepts it, the
// conversation opens on the sponsor's phone, the sponsor ends the pairing, and the next newcomer
// asks. Every sponsor has two streams open, as the app has.
class Lifecycle {
 public:
  explicit Lifecycle(Bench& bench)
      : bench_(bench),
        matching_(bench.deployment.endpoints().matching, bench.plan.connections),
        messaging_(bench.deployment.endpoints().messaging, bench.plan.connections),
        first_(static_cast<size_t>(bench.plan.conversations)) {
    std::vector<Member>& newcomers = bench_.people.newcomers();
    for (size_t i = first_; i < newcomers.size(); ++i) index_[newcomers[i].name] = i;
    waits_.resize(newcomers.size());
  }

  absl::Status OpenStreams() {
    std::vector<Member>& sponsors = bench_.people.sponsors();
    for (size_t i = first_; i < sponsors.size(); ++i) {
      const auto lane = static_cast<int64_t>(i);
      const Member& sponsor = sponsors[i];
      phones_.push_back(std::make_unique<ChatStream>(
          messaging_[lane], sponsor, totals_,
          ChatStream::OptionsWith([this](const messaging::v1::SubscribeResponse& event) {
            if (event.has_conversation_changed()) {
              OnConversation(event.conversation_changed().conversation());
            }
          })));
      offers_.push_back(std::make_unique<OfferWatch>(
          matching_[lane], sponsor, [this, lane, &sponsor](const matching::v1::Offer& offer) {
            Accept(lane, sponsor, offer);
          }));
    }
    for (const auto& phone : phones_) RETURN_IF_ERROR(phone->WaitUntilCaughtUp());
    return absl::OkStatus();
  }

  using Done = std::function<void(const absl::Status&)>;
  // One whole pairing, of which the latencies count from `begin`, in steady nanoseconds.
  void Begin(int lane, int64_t number, int64_t begin, Done done) {
    const size_t newcomer = first_ + static_cast<size_t>(number) % index_.size();
    bool busy = false;
    {
      MutexLock lock(mutex_);
      busy = waits_[newcomer].open;
    }
    if (busy) return done(absl::FailedPreconditionError("everybody is waiting already"));
    {
      MutexLock lock(mutex_);
      waits_[newcomer] = {std::move(done), begin, lane, "", nullptr, false, true};
    }
    StartCall<AsyncStub, matching::v1::RequestMatchRequest, matching::v1::Ticket>(
        matching_[lane], &AsyncStub::RequestMatch,
        {bench_.people.newcomers()[newcomer].authorization},
        PairedRequest(static_cast<int64_t>(newcomer), bench_.people.NewId()),
        [this, newcomer](const grpc::Status& status, matching::v1::Ticket&) {
          if (!status.ok()) Complete(newcomer, ToAbsl(status, "RequestMatch"));
        });
  }

  absl::Status status() {
    for (const auto& phone : phones_) RETURN_IF_ERROR(phone->status());
    for (const auto& offers : offers_) RETURN_IF_ERROR(offers->status());
    MutexLock lock(mutex_);
    return first_error_;
  }
  // From asking to the conversation, and to the offer on the sponsor's screen.
  const Histogram& waited() const { return waited_; }
  const Histogram& offered() const { return offered_; }
  // Gives up on what never came, so that the loop can end.
  int64_t FailOverdue() {
    std::vector<size_t> overdue;
    {
      MutexLock lock(mutex_);
      for (size_t i = 0; i < waits_.size(); ++i) {
        if (waits_[i].open && SteadyNanoseconds() - waits_[i].begin > 20'000'000'000) {
          overdue.push_back(i);
        }
      }
    }
    for (const size_t newcomer : overdue) {
      Complete(newcomer, absl::DeadlineExceededError("a pairing did not come about within 20 s"));
    }
    return static_cast<int64_t>(overdue.size());
  }

 private:
  // A newcomer whose pairing is under way.
  struct Wait {
    Done done{};
    int64_t begin = 0;
    int lane = 0;
    std::string pairing;
    const Member* sponsor = nullptr;
    bool talking = false;
    bool open = false;
  };

  void Accept(int64_t lane, const Member& sponsor, const matching::v1::Offer& offer) {
    if (offer.state() != matching::v1::OFFER_STATE_OPEN) return;
    matching::v1::AcceptOfferRequest request;
    request.set_name(offer.name());
    request.set_request_id(bench_.people.NewId());
    const int64_t seen = SteadyNanoseconds();
    StartCall<AsyncStub, matching::v1::AcceptOfferRequest, matching::v1::Pairing>(
        matching_[lane], &AsyncStub::AcceptOffer, {sponsor.authorization}, std::move(request),
        [this, seen, &sponsor](const grpc::Status& status, matching::v1::Pairing& pairing) {
          if (status.ok()) return OnPairing(sponsor, pairing, seen);
          // The stream may show an open offer twice; the second acceptance finds it taken.
          if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) return;
          MutexLock lock(mutex_);
          if (first_error_.ok()) first_error_ = ToAbsl(status, "AcceptOffer");
        });
  }

  // An offer does not say whose it is; the pairing that came of it does.
  void OnPairing(const Member& sponsor, const matching::v1::Pairing& pairing, int64_t seen) {
    const auto found = index_.find(pairing.newcomer());
    if (found == index_.end()) return;
    bool both = false;
    {
      MutexLock lock(mutex_);
      Wait& wait = waits_[found->second];
      if (!wait.open || !wait.pairing.empty()) return;
      wait.pairing = pairing.name();
      wait.sponsor = &sponsor;
      offered_.Add(absl::Nanoseconds(seen - wait.begin));
      both = wait.talking;
    }
    if (both) End(found->second);
  }

  void OnConversation(const messaging::v1::Conversation& conversation) {
    if (conversation.state() != messaging::v1::CONVERSATION_STATE_OPEN) return;
    for (const std::string& member : conversation.members()) {
      const auto found = index_.find(member);
      if (found == index_.end()) continue;
      bool both = false;
      {
        MutexLock lock(mutex_);
        Wait& wait = waits_[found->second];
        if (!wait.open || wait.talking) return;
        wait.talking = true;
        waited_.Add(absl::Nanoseconds(SteadyNanoseconds() - wait.begin));
        both = !wait.pairing.empty();
      }
      if (both) End(found->second);
      return;
    }
  }

  void End(size_t newcomer) {
    matching::v1::EndPairingRequest request;
    request.set_request_id(bench_.people.NewId());
    const Member* sponsor = nullptr;
    int lane = 0;
    {
      MutexLock lock(mutex_);
      request.set_name(waits_[newcomer].pairing);
      sponsor = waits_[newcomer].sponsor;
      lane = waits_[newcomer].lane;
    }
    StartCall<AsyncStub, matching::v1::EndPairingRequest, matching::v1::Pairing>(
        matching_[lane], &AsyncStub::EndPairing, {sponsor->authorization}, std::move(request),
        [this, newcomer](const grpc::Status& status, matching::v1::Pairing&) {
          Complete(newcomer, ToAbsl(status, "EndPairing"));
        });
  }

  void Complete(size_t newcomer, const absl::Status& status) {
    Done done{};
    {
      MutexLock lock(mutex_);
      if (!waits_[newcomer].open) return;
      waits_[newcomer].open = false;
      done = waits_[newcomer].done;
    }
    done(status);
  }

  Bench& bench_;
  MatchingConnections matching_;
  MessagingConnections messaging_;
  const size_t first_;  // newcomer and sponsor: those before have conversations already
  absl::flat_hash_map<std::string, size_t> index_;  // newcomers by name
  Histogram waited_;
  Histogram offered_;
  ChatTotals totals_;
  Mutex mutex_;
  std::vector<Wait> waits_ ABSL_GUARDED_BY(mutex_);
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<ChatStream>> phones_;
  std::vector<std::unique_ptr<OfferWatch>> offers_;
};

// Pairings begin at a fixed rate, whatever becomes of those before.
absl::Status MeasureOfferLatency(Bench& bench, double per_second) {
  Lifecycle lifecycle(bench);
  RETURN_IF_ERROR(lifecycle.OpenStreams());
  Mutex mutex;
  CondVar ended;
  int64_t running = 0;
  LoadResult result;
  const PeriodicTask patience(absl::Seconds(1), [&lifecycle] { lifecycle.FailOverdue(); });
  RunOpenLoop(per_second, bench.plan.delivery, [&](int64_t number, int64_t intended) {
    {
      MutexLock lock(mutex);
      ++running;
    }
    const int lane = static_cast<int>(number % bench.plan.lifecycles_in_flight);
    lifecycle.Begin(lane, number, intended, [&](const absl::Status& status) {
      MutexLock lock(mutex);
      if (status.ok()) {
        ++result.completed;
      } else {
        ++result.failed;
        if (result.first_error.ok()) result.first_error = status;
      }
      if (--running == 0) ended.SignalAll();
    });
  });
  {
    MutexLock lock(mutex);
    while (running > 0) ended.Wait(mutex);
    RETURN_IF_ERROR(CheckLoad(bench, "create_to_offer", result));
  }
  RETURN_IF_ERROR(lifecycle.status());
  for (const auto& [name, share] : kPercentiles) {
    bench.Add(absl::StrCat("create_to_offer_", name),
              absl::ToDoubleMilliseconds(lifecycle.offered().Percentile(share)), "ms");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasurePairingLifecycle(Bench& bench) {
  RETURN_IF_ERROR(bench.people.RenewTokens());
  const auto first = static_cast<size_t>(bench.plan.conversations);
  RETURN_IF_ERROR(bench.people.SetCapacity(first, bench.people.sponsors().size(), 10));
  UsageWindow usage(bench.deployment);
  LoadResult result;
  {
    Lifecycle lifecycle(bench);
    RETURN_IF_ERROR(lifecycle.OpenStreams());
    ClosedLoop loop(bench.plan.lifecycles_in_flight,
                    [&lifecycle](int lane, int64_t number, ClosedLoop::Done done) {
                      lifecycle.Begin(lane, number, SteadyNanoseconds(), done);
                    });
    const PeriodicTask patience(absl::Seconds(1), [&lifecycle] { lifecycle.FailOverdue(); });
    result = loop.RunFor(bench.plan.warm_up, bench.plan.measured, usage.window());
    RETURN_IF_ERROR(lifecycle.status());
    RETURN_IF_ERROR(CheckLoad(bench, "pairing_lifecycle", result));
    const auto pairings = static_cast<double>(result.completed);
    bench.Add("pairing_lifecycle", result.PerSecond(), "pairings/s", "unary_echo");
    for (const auto& [name, share] : kPercentiles) {
      bench.Add(absl::StrCat("pairing_", name),
                absl::ToDoubleMilliseconds(lifecycle.waited().Percentile(share)), "ms");
    }
    for (const char* service : {"matching", "messaging", "redis"}) {
      bench.Add(absl::StrCat("cpu_per_pairing_", service), usage.CpuMicros(service) / pairings,
                "us/pairing");
    }
    bench.Add("redis_us_per_pairing", usage.RedisMicros() / pairings, "us/pairing");
    bench.Add("fsyncs_per_pairing", usage.Syncs({"profiles", "matching", "messaging"}) / pairings,
              "fsyncs/pairing");
  }
  RETURN_IF_ERROR(MeasureOfferLatency(bench, result.PerSecond() / 2));
  // Nobody new for these sponsors while others are measured.
  return bench.people.SetCapacity(first, bench.people.sponsors().size(), 0);
}

}  // namespace handrail::benchmark
