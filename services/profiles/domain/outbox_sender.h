#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_OUTBOX_SENDER_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_OUTBOX_SENDER_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "services/profiles/domain/peers.h"
#include "services/profiles/domain/store.h"

namespace handrail::profiles {

struct OutboxOptions {
  int batch_limit = 100;  // what ApplyMembers takes at most
  absl::Duration send_timeout = absl::Seconds(5);
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration longest_backoff = absl::Seconds(10);
  // How long an entry that the receiver refuses waits, doubled with each attempt up to the longest.
  absl::Duration first_deferral = absl::Seconds(1);
  absl::Duration longest_deferral = absl::Minutes(10);
};

// Delivers the outbox of one receiver, at least once: an entry is removed after the receiver
// committed it. What is sent of a member is its newest state, so many changes are one delivery, and
// the receiver never ends with an older state than was last committed here. A receiver that is down
// is tried again with jittered, growing pauses; an entry that the receiver refuses is set aside for
// a while, alone, and never dropped. Run() is for one thread; the counters may be read on any.
class OutboxSender {
 public:
  OutboxSender(Store& store, Receiver receiver, MemberReceiver& link, const Clock& clock,
               Random& random, OutboxOptions options);

  // Sends what is due, batch by batch, until nothing is left or the receiver or the store fails.
  // Returns at once during a pause.
  void Run();

  // Makes Run return after the batch in hand.
  void Stop() { stopping_ = true; }

  int64_t delivered() const { return delivered_; }
  int64_t failures() const { return failures_; }

 private:
  absl::Status SendBatch(absl::Span<const OutboxEntry> entries);
  absl::Status SendBlock(const OutboxEntry& entry);
  // Together, or, when one of them is refused, one by one.
  absl::Status SendMembersApart(absl::Span<const OutboxEntry> members);
  absl::Status SendMembers(absl::Span<const OutboxEntry> entries);
  // Removes delivered entries; sets a refused one aside; passes other errors on.
  absl::Status Settle(absl::Span<const OutboxEntry> entries, const absl::Status& outcome);
  void Pause(const absl::Status& cause);
  absl::Time Deadline() const { return clock_.Now() + options_.send_timeout; }

  Store& store_;
  const Receiver receiver_;
  MemberReceiver& link_;
  const Clock& clock_;
  Random& random_;
  const OutboxOptions options_;

  int failures_in_a_row_ = 0;
  absl::Time paused_until_ = absl::InfinitePast();
  std::atomic<bool> stopping_ = false;
  std::atomic<int64_t> delivered_ = 0;
  std::atomic<int64_t> failures_ = 0;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_OUTBOX_SENDER_H_
