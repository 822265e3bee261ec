#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_DELIVERY_HUB_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_DELIVERY_HUB_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "services/messaging/domain/absence_listener.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/domain/messages.h"
#include "services/messaging/domain/stream_session.h"
#include "services/messaging/domain/wake_up_bus.h"

namespace handrail::messaging {

// The open streams of this process, and everything that makes them look: commits of this process,
// wake-ups of others, and a sweep of the database as the safety net. Thread-safe.
//
// Order of a wake-up: the write is durable first; then the streams here get it, and the devices
// without a stream here are published, by id alone. A new stream listens first, then reads, then
// takes what came meanwhile, so that nothing falls between.
class DeliveryHub final : public CommitListener, public WakeUpListener {
 public:
  struct Options {
    StreamSession::Options stream;
    int reader_threads = 4;
    size_t reader_queue_limit = 65536;
    absl::Duration sweep_tick = absl::Seconds(1);  // the sweep's interval while the bus is down
    int ticks_a_sweep = 5;                         // and while it is up
    int sweep_devices = 128;                       // in one read
    absl::Duration read_timeout = absl::Seconds(5);
    absl::Duration listen_timeout = absl::Milliseconds(500);
    absl::Duration touch_interval = absl::Hours(1);
  };

  // All must outlive the hub. `bus` must deliver to this hub.
  DeliveryHub(MessageStore& store, WakeUpBus& bus, const Clock& clock, const Options& options);
  ~DeliveryHub() override;

  // Whoever hears of devices that may be away; null for nobody. Must outlive the hub, or be taken
  // out before.
  void SetAbsenceListener(AbsenceListener* listener) { absence_ = listener; }
  // Begins to sweep.
  void Start();
  // Ends reads and sweeps. Idempotent.
  void Stop();

  // Opens the stream of the calling device. Blocks. The older stream of the device ends with
  // REPLACED. `wake` is called when Take has something; it must not block, and must be harmless
  // when the stream is gone. Codes as of MessageStore::StartStream.
  absl::StatusOr<std::shared_ptr<StreamSession>> OpenStream(const Call& call,
                                                            absl::Span<const Cursor> cursors,
                                                            std::function<void()> wake);
  // The stream is over.
  void CloseStream(const std::shared_ptr<StreamSession>& session);

  // Acknowledgements that came by another way than the stream.
  void OnAcknowledged(const DeviceId& device, absl::Span<const Cursor> cursors);
  // Tells streams here, and publishes to the others.
  void Spread(absl::Span<const WakeUp> wake_ups);

  void OnCommitted(absl::Span<const CommittedMessages> commit) override;
  void OnWakeUp(const WakeUp& wake_up) override;
  void OnGeneration(const DeviceId& device, int64_t generation) override;
  void OnMissed() override;

  // One sweep, now. Blocks.
  void Sweep();
  size_t StreamCount() const;
  bool HasStream(const DeviceId& device) const { return Find(device) != nullptr; }

  struct Stats {
    int64_t streams = 0;
    int64_t events_waiting = 0;   // to be sent on them
    int64_t streams_behind = 0;   // for which the database holds more than they have room for
    int64_t wake_ups_missed = 0;  // times that the bus may have lost some, since the start
    int64_t found_by_sweep = 0;   // times that the sweep knew more than a stream, likewise
  };
  Stats CurrentStats() const;

 private:
  using SessionPtr = std::shared_ptr<StreamSession>;

  SessionPtr Find(const DeviceId& device) const;
  // Reads for a session until it has what it wants.
  void ReadFor(const std::weak_ptr<StreamSession>& weak);
  void Tick();
  void SweepDevices(absl::Span<const DeviceId> devices);

  MessageStore& store_;
  WakeUpBus& bus_;
  const Clock& clock_;
  const Options options_;

  mutable Mutex mutex_;
  absl::flat_hash_map<DeviceId, SessionPtr> sessions_ ABSL_GUARDED_BY(mutex_);
  std::atomic<AbsenceListener*> absence_{nullptr};
  std::atomic<bool> missed_{false};
  std::atomic<int64_t> wake_ups_missed_{0};
  std::atomic<int64_t> found_by_sweep_{0};
  int ticks_ = 0;  // the sweeping thread's own, like the next
  absl::Time touched_at_ = absl::InfinitePast();

  Executor readers_;
  std::unique_ptr<PeriodicTask> sweeper_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_DELIVERY_HUB_H_
