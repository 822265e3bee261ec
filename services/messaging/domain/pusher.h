#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_PUSHER_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_PUSHER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "services/messaging/domain/absence_listener.h"
#include "services/messaging/domain/push.h"
#include "services/messaging/domain/push_queue.h"

namespace handrail::messaging {

// Tells the gateway of devices that have no stream and something waiting. Sends only take note of
// a device, in memory and within a bound; seconds later the database is asked of many at once. What
// a note missed (no room, or the process that took it is gone) a slow sweep over all devices with a
// token finds. While the gateway fails one push is tried now and then, the rest wait where they
// are, each device once. Any number of replicas may run it. Thread-safe.
class Pusher final : public AbsenceListener {
 public:
  struct Options {
    PushLimits limits;
    absl::Duration tick = absl::Milliseconds(500);
    absl::Duration look_after = absl::Milliseconds(2500);  // a stream may just be coming back
    absl::Duration look_again_after = absl::Seconds(15);   // at a device that was not told
    size_t queue_limit = 65'536;                           // devices
    size_t ended_limit = 65'536;                           // streams
    size_t batch = 16;                                     // devices in one look
    int batches_a_tick = 16;
    absl::Duration renew_every = absl::Seconds(4);
    absl::Duration sweep_every = absl::Seconds(10);  // one round over all devices, at most
    int64_t sweep_page = 256;                        // devices a second
    absl::Duration pause = absl::Seconds(1);  // after a failure; doubled by each, up to the next
    absl::Duration longest_pause = absl::Seconds(60);
    absl::Duration longest_retry_after = absl::Minutes(10);  // that a gateway may ask for
    absl::Duration step_timeout = absl::Seconds(5);
  };
  struct Stats {
    int64_t waiting = 0;                                // devices that are to be looked at
    absl::Duration failing_for = absl::ZeroDuration();  // between the first failure and the last
  };
  // Whether this process has a stream of the device.
  using HasStream = std::function<bool(const DeviceId&)>;

  // All must outlive it.
  Pusher(PushStore& store, PushGateway& gateway, const Clock& clock, Random& random,
         PushMeter& meter, const ReplicaId& self, HasStream has_stream, const Options& options);

  void Start();
  // Ends what is under way. Then the streams of this process count as ended.
  void Stop();

  void OnAway(absl::Span<const DeviceId> devices) override;
  void OnStreamEnded(const DeviceId& device, int64_t generation) override;

  // Keeps this process's lease and says which of its streams are over. By one thread; it does not
  // wait for the gateway, or a gateway that hangs would make streams look dead.
  void Keep();
  // Tells whoever is to be told now. Blocks. By one thread.
  void Tell();
  Stats CurrentStats() const;

 private:
  void Renew(absl::Time now);
  void EndStreams();
  void Sweep(absl::Time now);
  // Looks at devices and pushes for those that are to be told. False when it is better to wait.
  bool Serve(const std::vector<DeviceId>& devices);
  std::vector<PushClaim> Choose(absl::Span<const PushStanding> standings, absl::Time now);
  // False when the gateway failed.
  bool Push(std::vector<PushClaim> claims);
  void Settle(const PushClaim& claim, const PushResult& result);
  // A gateway that takes nothing is not well, whatever it answers.
  void NoteHealth(bool well);
  void Pause(absl::Duration retry_after);
  absl::Time Deadline() const { return clock_.Now() + options_.step_timeout; }
  // Somewhere in the second half of it.
  absl::Duration Jittered(absl::Duration duration);

  PushStore& store_;
  PushGateway& gateway_;
  const Clock& clock_;
  Random& random_;
  PushMeter& meter_;
  const ReplicaId self_;
  const HasStream has_stream_;
  const Options options_;
  PushQueue queue_;

  mutable Mutex mutex_;
  std::vector<EndedStream> ended_ ABSL_GUARDED_BY(mutex_);
  absl::Time failing_since_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  absl::Time failed_last_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();

  // Of the thread that keeps.
  absl::Time renew_at_ = absl::InfinitePast();
  // Of the thread that tells.
  absl::Time sweep_at_ = absl::InfinitePast();
  absl::Time sweep_began_ = absl::InfinitePast();
  DeviceId sweep_after_;
  int failures_ = 0;  // in a row
  absl::Time paused_until_ = absl::InfinitePast();

  std::unique_ptr<PeriodicTask> keeper_;
  std::unique_ptr<PeriodicTask> teller_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_PUSHER_H_
