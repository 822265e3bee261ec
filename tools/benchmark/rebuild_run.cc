#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/crypto/vault.h"
#include "services/matching/adapters/crypto_vault.h"
#include "services/matching/adapters/redis_queue.h"
#include "tools/benchmark/machine.h"
#include "tools/benchmark/runs.h"
#include "tools/benchmark/unary_call.h"
#include "tools/benchmark/waiting_fixture.h"

// What a Redis that lost everything costs with very many waiting: how long until all are queued
// again, how long until the next person is put before a sponsor, and whether anybody's call fails.
namespace handrail::benchmark {
namespace {

using matching::v1::MatchingService;
using tools::Person;

constexpr int64_t kSecond = 1'000'000'000;
constexpr size_t kNewcomers = 150 * kPairedProgramCount;
constexpr size_t kSponsors = 6 * kPairedProgramCount;

double SecondsSince(int64_t begin) {
  return static_cast<double>(SteadyNanoseconds() - begin) / static_cast<double>(kSecond);
}

// Asks until `is_so`; DEADLINE_EXCEEDED when it is not within `seconds`.
absl::Status WaitUntil(absl::string_view what, int64_t seconds,
                       const std::function<absl::StatusOr<bool>()>& is_so) {
  const int64_t give_up = SteadyNanoseconds() + seconds * kSecond;
  while (true) {
    ASSIGN_OR_RETURN(const bool so, is_so());
    if (so) return absl::OkStatus();
    if (SteadyNanoseconds() > give_up) return absl::DeadlineExceededError(what);
    SleepUntil(SteadyNanoseconds() + 5'000'000);
  }
}

// The waiting are in the first of the paired programs, and so is every fourth sponsor.
class RebuildRun {
 public:
  RebuildRun(Deployment& deployment, Population& people, const matching::PoolNames& names,
             const matching::PoolKey& pool, int waiting)
      : deployment_(deployment),
        people_(people),
        queue_(deployment.redis(), names),
        pool_(pool),
        waiting_(waiting) {}

  // Until the service has everybody in its index and in Redis, and the sponsors have been offered
  // whom they can take.
  absl::Status Settle() {
    RETURN_IF_ERROR(WaitUntil("the index is not filled", 600, [this]() -> absl::StatusOr<bool> {
      return MetricIn(FetchMetrics(deployment_.endpoints().admin.at("matching")),
                      "handrail_matching_tickets_indexed") >= waiting_;
    }));
    RETURN_IF_ERROR(AwaitQueued(waiting_, 120));
    RETURN_IF_ERROR(people_.SetCapacity(0, kSponsors, 10));
    return WaitUntil("the sponsors were offered nobody", 120, [this]() -> absl::StatusOr<bool> {
      for (size_t i = 0; i < kSponsors; i += kPairedProgramCount) {
        ASSIGN_OR_RETURN(const auto offers, OpenOffers(i));
        if (offers.size() < 10) return false;
      }
      return true;
    });
  }

  absl::Status Measure(const std::string& backend, Report& report) {
    const int64_t queued = waiting_ - 10 * static_cast<int64_t>(kSponsors / kPairedProgramCount);
    RETURN_IF_ERROR(AwaitQueued(queued, 120));
    // Others go on asking and accepting, from before the loss until all is there again.
    std::vector<std::thread> others;
    for (size_t lane = 1; lane < kPairedProgramCount; ++lane) {
      others.emplace_back([this, lane] { PlayPairings(lane); });
    }
    absl::Status status = WaitUntil("nobody is paired", 60,
                                    [this]() -> absl::StatusOr<bool> { return pairings_ > 20; });
    if (status.ok()) status = Lose(backend, report, queued);
    stopping_ = true;
    for (std::thread& other : others) other.join();
    MutexLock lock(mutex_);
    if (failed_ > 0) {
      report.Note(absl::StrCat("rebuild on ", backend, ": ", failed_,
                               " calls failed meanwhile; the first: ", first_error_.ToString()));
    }
    RETURN_IF_ERROR(status);
    Add(backend, report, "failed_calls_while_rebuilding", static_cast<double>(failed_), "calls");
    return absl::OkStatus();
  }

 private:
  static void Add(const std::string& backend, Report& report, std::string name, double value,
                  std::string unit) {
    report.Add({std::move(name), backend, value, std::move(unit), ""});
  }

  absl::Status Lose(const std::string& backend, Report& report, int64_t queued) {
    ASSIGN_OR_RETURN(const auto before, OpenOffers(0));
    const int64_t pairings_before = pairings_;
    const int64_t lost = SteadyNanoseconds();
    RETURN_IF_ERROR(deployment_.redis()
                        .Command(SystemClock().Now() + absl::Seconds(30), {"FLUSHALL"})
                        .status());
    // A seat is free: whoever waits longest is put before the sponsor.
    matching::v1::DeclineOfferRequest decline;
    decline.set_name(before.front());
    decline.set_request_id(people_.NewId());
    RETURN_IF_ERROR(
        PersonOf(0)
            .Call(PersonOf(0).services().matching(), &MatchingService::Stub::DeclineOffer, decline)
            .status());
    double first_match = 0;
    std::thread watch([&] {
      const absl::Status offered = WaitUntil("no offer", 60, [&]() -> absl::StatusOr<bool> {
        ASSIGN_OR_RETURN(const auto now, OpenOffers(0));
        return now.size() == before.size();
      });
      first_match = SecondsSince(lost);
      NoteFailure(offered);
    });
    const absl::Status rebuilt = AwaitQueued(queued, 120);
    const double seconds = SecondsSince(lost);
    watch.join();
    RETURN_IF_ERROR(rebuilt);
    Add(backend, report, "rebuild_1m", seconds, "s");
    Add(backend, report, "first_match_after_loss", first_match, "s");
    Add(backend, report, "pairings_while_rebuilding",
        static_cast<double>(pairings_ - pairings_before) / seconds, "pairings/s");
    return absl::OkStatus();
  }

  absl::Status AwaitQueued(int64_t count, int64_t seconds) {
    return WaitUntil("not everybody is queued", seconds, [&]() -> absl::StatusOr<bool> {
      const auto depth = queue_.ReadDepth(SystemClock().Now() + absl::Seconds(10), pool_);
      return depth.ok() && depth->waiting >= count;
    });
  }

  Person& PersonOf(size_t sponsor) { return *people_.sponsors()[sponsor].person; }

  absl::StatusOr<std::vector<std::string>> OpenOffers(size_t sponsor) {
    Person& person = PersonOf(sponsor);
    matching::v1::ListOffersRequest request;
    request.set_page_size(50);
    ASSIGN_OR_RETURN(
        const matching::v1::ListOffersResponse response,
        person.Call(person.services().matching(), &MatchingService::Stub::ListOffers, request));
    std::vector<std::string> names;
    for (const auto& offer : response.offers()) {
      if (offer.state() == matching::v1::OFFER_STATE_OPEN) names.push_back(offer.name());
    }
    return names;
  }

  void NoteFailure(const absl::Status& status) {
    if (status.ok()) return;
    MutexLock lock(mutex_);
    if (failed_++ == 0) first_error_ = status;
  }

  // Newcomers of one program ask in turn, the sponsor accepts and ends it; not as fast as can be,
  // because two meet only once.
  void PlayPairings(size_t program) {
    for (size_t i = program; !stopping_; i += kPairedProgramCount) {
      const absl::Status played = PlayOne(program, i % kNewcomers);
      NoteFailure(played);
      if (played.ok()) ++pairings_;
      SleepUntil(SteadyNanoseconds() + 20'000'000);
    }
  }

  // Once, without the repetitions of a patient client.
  template <typename Request, typename Response>
  absl::Status CallOnce(const Member& member, const char* name,
                        grpc::Status (MatchingService::Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                        const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(SystemClock().Now() + absl::Seconds(10)));
    context.AddMetadata("authorization", member.authorization);
    return ToAbsl((member.person->services().matching().*method)(&context, request, &response),
                  name);
  }

  absl::Status PlayOne(size_t program, size_t newcomer) {
    matching::v1::Ticket ticket;
    RETURN_IF_ERROR(CallOnce(
        people_.newcomers()[newcomer], "RequestMatch", &MatchingService::Stub::RequestMatch,
        PairedRequest(static_cast<int64_t>(newcomer), people_.NewId()), ticket));
    for (size_t turn = 0; !stopping_; ++turn) {
      const size_t number = program + turn * kPairedProgramCount % kSponsors;
      const Member& sponsor = people_.sponsors()[number];
      ASSIGN_OR_RETURN(const auto offers, OpenOffers(number));
      if (offers.empty()) {
        SleepUntil(SteadyNanoseconds() + 4'000'000);
        continue;
      }
      matching::v1::AcceptOfferRequest accept;
      accept.set_name(offers.front());
      accept.set_request_id(people_.NewId());
      matching::v1::Pairing pairing;
      RETURN_IF_ERROR(
          CallOnce(sponsor, "AcceptOffer", &MatchingService::Stub::AcceptOffer, accept, pairing));
      matching::v1::EndPairingRequest end;
      end.set_name(pairing.name());
      end.set_request_id(people_.NewId());
      return CallOnce(sponsor, "EndPairing", &MatchingService::Stub::EndPairing, end, pairing);
    }
    return absl::OkStatus();
  }

  Deployment& deployment_;
  Population& people_;
  matching::RedisQueue queue_;
  const matching::PoolKey pool_;
  const int waiting_;
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> pairings_{0};
  Mutex mutex_;
  int64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status MeasureRebuild(const std::string& backend, int waiting, Report& report) {
  matching::PoolKey pool;
  pool.philosophy = static_cast<matching::Philosophy>(kPairedPrograms[0]);
  std::string key_ring_file;
  ASSIGN_OR_RETURN(
      const auto deployment,
      Deployment::Start(backend, [&](const tools::Layout& layout, const Deployment& starting) {
        key_ring_file = layout.KeyRing("matching");
        return FillWithWaiting(starting.database_url("matching"), key_ring_file, pool, waiting);
      }));
  ASSIGN_OR_RETURN(const crypto::KeyRing ring,
                   crypto::KeyRing::Load(key_ring_file, crypto::KeyFilePolicy::kOwnerOnly));
  const matching::CipherPoolNames names(ring);
  ASSIGN_OR_RETURN(const auto people,
                   Population::Create(deployment->endpoints(), kNewcomers, kSponsors));
  RebuildRun run(*deployment, *people, names, pool, waiting);
  RETURN_IF_ERROR(run.Settle());
  return run.Measure(backend, report);
}

}  // namespace handrail::benchmark
