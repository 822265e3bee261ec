#include "services/messaging/domain/pusher.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::messaging {
namespace {

// Doubling further would only overflow.
constexpr int kDoublings = 10;
constexpr size_t kStreamsAUnit = 64;

void Warn(absl::string_view event, const absl::Status& status) {
  Log(Severity::kWarning, event,
      {{LogField::kComponent, "push"}, {LogField::kReason, ReasonOf(status)}});
}

}  // namespace

Pusher::Pusher(PushStore& store, PushGateway& gateway, const Clock& clock, Random& random,
               PushMeter& meter, const ReplicaId& self, HasStream has_stream,
               const Options& options)
    : store_(store),
      gateway_(gateway),
      clock_(clock),
      random_(random),
      meter_(meter),
      self_(self),
      has_stream_(std::move(has_stream)),
      options_(options),
      queue_(options.queue_limit),
      sweep_after_(DeviceId::Random(random)) {}

void Pusher::Start() {
  keeper_ = std::make_unique<PeriodicTask>(options_.tick, [this] { Keep(); });
  teller_ = std::make_unique<PeriodicTask>(options_.tick, [this] { Tell(); });
}

void Pusher::Stop() {
  if (teller_ == nullptr) return;
  gateway_.Cancel();
  teller_ = nullptr;
  keeper_ = nullptr;
  // Best effort: without it the lease runs out.
  store_.EndLease(clock_.Now() + absl::Seconds(1), self_).IgnoreError();
}

void Pusher::OnAway(absl::Span<const DeviceId> devices) {
  const int64_t left_out = queue_.Note(devices, clock_.Now() + options_.look_after);
  if (left_out > 0) meter_.OnDropped(left_out);
}

void Pusher::OnStreamEnded(const DeviceId& device, int64_t generation) {
  if (!queue_.NoteAnew(device, clock_.Now() + options_.look_after)) meter_.OnDropped(1);
  MutexLock lock(mutex_);
  // Without it only this process looks at the device, by its sweep.
  if (ended_.size() < options_.ended_limit) ended_.push_back({device, generation});
}

void Pusher::Keep() {
  Renew(clock_.Now());
  EndStreams();
}

void Pusher::Tell() {
  const absl::Time now = clock_.Now();
  if (now < paused_until_) return;
  Sweep(now);
  for (int i = 0; i < options_.batches_a_tick; ++i) {
    const std::vector<DeviceId> devices = queue_.Take(clock_.Now(), options_.batch);
    if (devices.empty() || !Serve(devices)) return;
  }
}

void Pusher::Renew(absl::Time now) {
  if (now < renew_at_) return;
  const absl::Status renewed = store_.RenewLease(Deadline(), now, self_);
  if (renewed.ok()) {
    renew_at_ = now + options_.renew_every;
  } else {
    Warn("the lease of this replica's streams could not be renewed", renewed);
  }
}

void Pusher::EndStreams() {
  std::vector<EndedStream> ended;
  {
    MutexLock lock(mutex_);
    ended.swap(ended_);
  }
  std::sort(ended.begin(), ended.end());
  for (size_t i = 0; i < ended.size(); i += kStreamsAUnit) {
    const auto part = absl::MakeConstSpan(ended).subspan(i, kStreamsAUnit);
    const absl::Status status = store_.EndStreams(Deadline(), self_, part);
    if (status.ok()) continue;
    Warn("ended streams could not be marked", status);
    MutexLock lock(mutex_);
    const size_t room = options_.ended_limit - std::min(options_.ended_limit, ended_.size());
    const size_t kept = std::min(room, ended.size() - i);
    ended_.insert(ended_.end(), ended.begin() + static_cast<std::ptrdiff_t>(i),
                  ended.begin() + static_cast<std::ptrdiff_t>(i + kept));
    return;
  }
}

void Pusher::Sweep(absl::Time now) {
  // It does not compete with what was noted.
  if (now < sweep_at_ || queue_.Size() > options_.queue_limit / 2) return;
  const auto page = store_.ListDevices(Deadline(), sweep_after_, options_.sweep_page);
  if (!page.ok()) return Warn("the sweep of devices could not read", page.status());
  const int64_t left_out = queue_.Note(*page, now + options_.look_after);
  if (left_out > 0) meter_.OnDropped(left_out);
  sweep_at_ = now + absl::Seconds(1);
  if (static_cast<int64_t>(page->size()) == options_.sweep_page) {
    sweep_after_ = page->back();
    return;
  }
  // The end; the first round began somewhere in the middle and goes on at once.
  sweep_after_ = DeviceId();
  sweep_at_ = std::max(sweep_at_, sweep_began_ + options_.sweep_every);
  sweep_began_ = sweep_at_;
}

bool Pusher::Serve(const std::vector<DeviceId>& devices) {
  const absl::Time now = clock_.Now();
  auto standings = store_.Look(Deadline(), now, devices);
  if (!standings.ok()) {
    Warn("devices could not be looked at", standings.status());
    const absl::Time later = now + Jittered(2 * options_.look_after);
    for (const DeviceId& device : devices) queue_.NoteAnew(device, later);
    return false;
  }
  absl::flat_hash_set<DeviceId> without(devices.begin(), devices.end());
  for (const PushStanding& standing : *standings) without.erase(standing.device);
  for (const DeviceId& device : without) queue_.Rest(device, now + options_.look_again_after);
  // In the order of the queue: who failed is behind those who wait, so that a token that the
  // gateway cannot do with is not what is tried again and again.
  absl::flat_hash_map<DeviceId, size_t> places;
  for (size_t i = 0; i < devices.size(); ++i) places.emplace(devices[i], i);
  std::sort(standings->begin(), standings->end(),
            [&places](const PushStanding& a, const PushStanding& b) {
              return places[a.device] < places[b.device];
            });
  std::vector<PushClaim> claims = Choose(*standings, now);
  return claims.empty() || Push(std::move(claims));
}

std::vector<PushClaim> Pusher::Choose(absl::Span<const PushStanding> standings, absl::Time now) {
  // While the gateway fails, one tries whether it is back.
  const size_t room = failures_ > 0 ? 1 : options_.batch;
  std::vector<PushClaim> claims;
  for (const PushStanding& standing : standings) {
    // What the database says of this process, this process knows better.
    const bool live = standing.stream_at.has_value() &&
                      (*standing.stream_at != self_ || has_stream_(standing.device));
    const PushDecision decision = DecidePush(standing, live, now, options_.limits);
    if (decision.verdict == PushVerdict::kLater) {
      queue_.NoteAnew(standing.device, decision.again_at);
    } else if (decision.verdict != PushVerdict::kPush) {
      queue_.Rest(standing.device, now + options_.look_again_after);
    } else if (claims.size() >= room) {
      queue_.NoteAnew(standing.device, now);
    } else {
      claims.push_back({standing.device, standing.token, standing.mark, PushId::Random(random_),
                        standing.claimed_until, now + options_.limits.claim, standing.budget_at,
                        SpendPush(standing.budget_at, now, options_.limits)});
    }
  }
  return claims;
}

bool Pusher::Push(std::vector<PushClaim> claims) {
  std::sort(claims.begin(), claims.end(),
            [](const PushClaim& a, const PushClaim& b) { return a.device < b.device; });
  const auto ids = store_.Claim(Deadline(), claims);
  if (!ids.ok()) {
    Warn("pushes could not be claimed", ids.status());
    const absl::Time later = clock_.Now() + Jittered(2 * options_.look_after);
    for (const PushClaim& claim : claims) queue_.NoteAnew(claim.device, later);
    return false;
  }
  std::vector<PushRequest> requests;
  std::vector<const PushClaim*> ours;
  for (size_t i = 0; i < claims.size(); ++i) {
    if (!(*ids)[i].has_value()) continue;  // whoever was first does it
    requests.push_back({*(*ids)[i], claims[i].token});
    ours.push_back(&claims[i]);
  }
  if (requests.empty()) return true;
  const std::vector<PushResult> results = gateway_.Push(requests);
  bool sent = false;
  bool failed = false;
  absl::Duration retry_after = absl::ZeroDuration();
  for (size_t i = 0; i < ours.size(); ++i) {
    const PushOutcome outcome = results[i].outcome;
    meter_.OnPush(outcome);
    failed |= outcome == PushOutcome::kFailed;
    sent |= outcome == PushOutcome::kSent || outcome == PushOutcome::kGone;
    retry_after = std::max(retry_after, results[i].retry_after);
    Settle(*ours[i], results[i]);
  }
  NoteHealth(sent);
  // Whoever refuses is there.
  if (sent || !failed) failures_ = 0;
  if (failed) Pause(retry_after);
  return !failed;
}

void Pusher::NoteHealth(bool well) {
  const absl::Time now = clock_.Now();
  MutexLock lock(mutex_);
  failing_since_ = well ? absl::InfiniteFuture() : std::min(failing_since_, now);
  failed_last_ = now;
}

void Pusher::Pause(absl::Duration retry_after) {
  const absl::Time now = clock_.Now();
  const absl::Duration doubled = options_.pause * (1 << std::min(failures_, kDoublings));
  const absl::Duration pause = Jittered(std::min(doubled, options_.longest_pause));
  ++failures_;
  paused_until_ = now + std::max(pause, std::min(retry_after, options_.longest_retry_after));
  Log(Severity::kWarning, "the push gateway failed",
      {{LogField::kComponent, "push"},
       {LogField::kAttempt, int64_t{failures_}},
       {LogField::kDelayMs, absl::ToInt64Milliseconds(paused_until_ - now)}});
}

void Pusher::Settle(const PushClaim& claim, const PushResult& result) {
  const absl::Time now = clock_.Now();
  const absl::Time refused_until = now + Jittered(2 * options_.limits.refused_for);
  const absl::Status settled = store_.Settle(Deadline(), now, claim, result.outcome, refused_until);
  // The claim runs out by itself then.
  if (!settled.ok()) Warn("what became of a push could not be kept", settled);
  switch (result.outcome) {
    case PushOutcome::kFailed:
      queue_.NoteAnew(claim.device, now + Jittered(2 * options_.look_after));
      break;
    case PushOutcome::kRefused: queue_.NoteAnew(claim.device, refused_until); break;
    case PushOutcome::kSent:
    case PushOutcome::kGone: queue_.Rest(claim.device, now + options_.look_after); break;
  }
}

absl::Duration Pusher::Jittered(absl::Duration duration) {
  return duration * (0.5 + random_.Unit() / 2);
}

Pusher::Stats Pusher::CurrentStats() const {
  Stats stats;
  stats.waiting = queue_.WaitingCount();
  MutexLock lock(mutex_);
  if (failing_since_ < failed_last_) stats.failing_for = failed_last_ - failing_since_;
  return stats;
}

}  // namespace handrail::messaging
