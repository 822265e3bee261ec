#include "services/messaging/domain/delivery_hub.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::messaging {

DeliveryHub::DeliveryHub(MessageStore& store, WakeUpBus& bus, const Clock& clock,
                         const Options& options)
    : store_(store),
      bus_(bus),
      clock_(clock),
      options_(options),
      readers_(options.reader_threads, options.reader_queue_limit) {}

DeliveryHub::~DeliveryHub() { Stop(); }

void DeliveryHub::Start() {
  sweeper_ = std::make_unique<PeriodicTask>(options_.sweep_tick, [this] { Tick(); });
}

void DeliveryHub::Stop() {
  if (sweeper_ != nullptr) sweeper_->Stop();
  readers_.Stop();
}

absl::StatusOr<std::shared_ptr<StreamSession>> DeliveryHub::OpenStream(
    const Call& call, absl::Span<const Cursor> cursors, std::function<void()> wake) {
  const DeviceId device = call.who.device;
  // The reader finds its session again through a pointer that the session itself holds weakly.
  auto self = std::make_shared<std::weak_ptr<StreamSession>>();
  auto session = std::make_shared<StreamSession>(
      device, cursors, options_.stream, std::move(wake), [this, self] {
        // Refused only when we stop, or far beyond the limit of streams: the sweep comes again.
        if (readers_.TryRun([this, weak = *self] { ReadFor(weak); })) return;
        const SessionPtr held = self->lock();
        if (held != nullptr) held->OnRead({}, absl::UnavailableError("no reader is free"));
      });
  *self = session;
  // Listen, then raise, then read.
  bus_.Listen(device);
  if (bus_.IsUp()) bus_.WaitUntilListening(device, clock_.Now() + options_.listen_timeout);
  const absl::Time deadline = std::min(call.deadline, clock_.Now() + options_.read_timeout);
  auto generation = store_.StartStream(deadline, clock_.Now(), call.who.member, device);
  if (!generation.ok()) {
    bus_.Unlisten(device);
    return generation.status();
  }
  SessionPtr replaced;
  bool late = false;
  {
    MutexLock lock(mutex_);
    SessionPtr& current = sessions_[device];
    late = current != nullptr && current->generation() > *generation;
    if (!late) {
      replaced = std::move(current);
      current = session;
    }
  }
  session->Start(*generation);
  if (late) session->Close(ClosingCause::kReplaced);
  if (replaced != nullptr) replaced->Close(ClosingCause::kReplaced);
  bus_.PublishGeneration(device, *generation);
  return session;
}

void DeliveryHub::CloseStream(const SessionPtr& session) {
  session->Abandon();
  {
    MutexLock lock(mutex_);
    const auto found = sessions_.find(session->device());
    if (found != sessions_.end() && found->second == session) sessions_.erase(found);
  }
  bus_.Unlisten(session->device());
  if (AbsenceListener* absence = absence_) {
    absence->OnStreamEnded(session->device(), session->generation());
  }
}

DeliveryHub::SessionPtr DeliveryHub::Find(const DeviceId& device) const {
  MutexLock lock(mutex_);
  const auto found = sessions_.find(device);
  return found == sessions_.end() ? nullptr : found->second;
}

size_t DeliveryHub::StreamCount() const {
  MutexLock lock(mutex_);
  return sessions_.size();
}

DeliveryHub::Stats DeliveryHub::CurrentStats() const {
  std::vector<SessionPtr> sessions;
  {
    MutexLock lock(mutex_);
    sessions.reserve(sessions_.size());
    for (const auto& [device, session] : sessions_) sessions.push_back(session);
  }
  Stats stats;
  stats.streams = static_cast<int64_t>(sessions.size());
  for (const SessionPtr& session : sessions) {
    const StreamSession::Lag lag = session->CurrentLag();
    stats.events_waiting += static_cast<int64_t>(lag.events);
    stats.streams_behind += lag.more ? 1 : 0;
  }
  stats.wake_ups_missed = wake_ups_missed_;
  stats.found_by_sweep = found_by_sweep_;
  return stats;
}

void DeliveryHub::ReadFor(const std::weak_ptr<StreamSession>& weak) {
  while (const SessionPtr session = weak.lock()) {
    const StreamSession::ReadPlan plan = session->NextRead();
    if (!plan.wanted) return;
    const absl::Time now = clock_.Now();
    const auto snapshot = store_.ReadStream(now + options_.read_timeout, now, session->device(),
                                            plan.positions, plan.everything, plan.limit);
    const bool go_on = session->OnRead(plan, snapshot);
    if (std::vector<Cursor> early = session->TakeEarly(); !early.empty()) {
      store_.AckAsync(session->device(), std::move(early), nullptr);
    }
    if (!go_on) return;
  }
}

void DeliveryHub::OnAcknowledged(const DeviceId& device, absl::Span<const Cursor> cursors) {
  if (const SessionPtr session = Find(device)) {
    session->Acknowledge(cursors);
  } else {
    bus_.Publish({device, ConversationId()});
  }
}

void DeliveryHub::Spread(absl::Span<const WakeUp> wake_ups) {
  for (const WakeUp& wake_up : wake_ups) {
    if (const SessionPtr session = Find(wake_up.device)) session->OnWakeUp(wake_up.conversation);
    bus_.Publish(wake_up);
  }
}

void DeliveryHub::OnCommitted(absl::Span<const CommittedMessages> commit) {
  std::vector<DeviceId> away;
  for (const CommittedMessages& messages : commit) {
    std::vector<SessionPtr> here;
    std::vector<DeviceId> elsewhere;
    {
      MutexLock lock(mutex_);
      for (const DeviceId& device : messages.recipients) {
        const auto found = sessions_.find(device);
        if (found == sessions_.end()) {
          elsewhere.push_back(device);
        } else {
          here.push_back(found->second);
        }
      }
    }
    for (const SessionPtr& session : here) {
      if (!session->OnCommitted(messages)) elsewhere.push_back(session->device());
    }
    for (const DeviceId& device : elsewhere) bus_.Publish({device, messages.conversation});
    away.insert(away.end(), elsewhere.begin(), elsewhere.end());
  }
  AbsenceListener* absence = absence_;
  if (absence != nullptr && !away.empty()) absence->OnAway(away);
}

void DeliveryHub::OnWakeUp(const WakeUp& wake_up) {
  if (const SessionPtr session = Find(wake_up.device)) session->OnWakeUp(wake_up.conversation);
}

void DeliveryHub::OnGeneration(const DeviceId& device, int64_t generation) {
  if (const SessionPtr session = Find(device)) session->OnGeneration(generation);
}

void DeliveryHub::OnMissed() {
  missed_ = true;
  ++wake_ups_missed_;
}

void DeliveryHub::Tick() {
  ++ticks_;
  if (bus_.IsUp() && !missed_ && ticks_ < options_.ticks_a_sweep) return;
  Sweep();
}

void DeliveryHub::Sweep() {
  ticks_ = 0;
  missed_ = false;
  std::vector<DeviceId> devices;
  {
    MutexLock lock(mutex_);
    for (const auto& [device, session] : sessions_) devices.push_back(device);
  }
  const absl::Time now = clock_.Now();
  const bool touch = now - touched_at_ >= options_.touch_interval;
  if (touch) touched_at_ = now;
  const auto step = static_cast<size_t>(options_.sweep_devices);
  for (size_t i = 0; i < devices.size(); i += step) {
    const auto part = absl::MakeConstSpan(devices).subspan(i, step);
    SweepDevices(part);
    if (!touch) continue;
    const absl::Status touched =
        store_.TouchDevices(clock_.Now() + options_.read_timeout, now, part);
    if (!touched.ok()) touched_at_ = absl::InfinitePast();
  }
}

void DeliveryHub::SweepDevices(absl::Span<const DeviceId> devices) {
  const auto all = store_.ReadHeads(clock_.Now() + options_.read_timeout, devices);
  if (!all.ok()) {
    Log(Severity::kWarning, "the sweep of streams could not read",
        {{LogField::kComponent, "delivery"}, {LogField::kReason, ReasonOf(all.status())}});
    return;
  }
  for (const StreamHeads& heads : *all) {
    const SessionPtr session = Find(heads.device);
    if (session != nullptr && session->OnHeads(heads)) ++found_by_sweep_;
  }
}

}  // namespace handrail::messaging
