#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_OUTBOX_SENDER_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_OUTBOX_SENDER_H_

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/outbox_loop.h"
#include "common/base/random.h"
#include "services/profiles/domain/peers.h"
#include "services/profiles/domain/store.h"

namespace handrail::profiles {

// Delivers the outbox of one receiver, at least once, as every outbox is delivered. What is sent of
// a member is its newest state, so many changes are one delivery, and the receiver never ends with
// an older state than was last committed here. Blocks go one by one, members up to 100 together.
// Run() is for one thread; counters may be read on any.
class OutboxSender final : private OutboxQueue {
 public:
  // All must outlive it.
  OutboxSender(Store& store, Receiver receiver, MemberReceiver& link, const Clock& clock,
               Random& random);

  void Run() { loop_.Run(); }
  void Stop() { loop_.Stop(); }
  const OutboxLoop& loop() const { return loop_; }

 private:
  absl::StatusOr<size_t> TakeDue(absl::Time deadline, absl::Time now, int limit) override;
  size_t CountTogether(size_t first) const override;
  absl::Status Send(absl::Time deadline, size_t first, size_t count) override;
  absl::Status Remove(absl::Time deadline, size_t first, size_t count) override;
  int Attempts(size_t place) const override { return in_hand_[place].attempts; }
  absl::Status Defer(absl::Time deadline, size_t place, absl::Time due, int attempts) override;

  absl::Status SendBlock(absl::Time deadline, const OutboxEntry& entry);

  Store& store_;
  const Receiver receiver_;
  MemberReceiver& link_;
  const Clock& clock_;
  // Blocks, then what cannot be read here, then the members that go together.
  std::vector<OutboxEntry> in_hand_;
  OutboxLoop loop_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_OUTBOX_SENDER_H_
