#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_SAFETY_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_SAFETY_H_

#include <functional>
#include <map>

#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "services/profiles/domain/peers.h"
#include "services/profiles/domain/store.h"

namespace handrail::profiles {

struct SafetyOptions {
  // How long an answer waits for the receivers to commit a block.
  absl::Duration push_timeout = absl::Seconds(2);
  int blocks_limit = 10'000;  // by one member
};

struct BlockResult {
  Block block;
  // A receiver did not confirm the block yet; the outbox finishes it.
  bool pending = false;
};

// Keeps people safe from one another. Thread-safe.
class Safety {
 public:
  using Receivers = std::map<Receiver, MemberReceiver*>;  // of every Receiver; they outlive this

  // `changed` is called when entries are left in the outbox.
  Safety(Store& store, Receivers receivers, const Clock& clock, Random& random,
         SafetyOptions options, std::function<void()> changed);

  // Commits the block with an outbox entry a receiver, then tells the receivers directly. Blocking
  // twice returns the first block and tells who has not confirmed it yet again. A repetition under
  // the same request id returns the first block; `pending` says how things stand now.
  // INVALID_ARGUMENT / FIELD_INVALID for oneself, NOT_FOUND, RESOURCE_EXHAUSTED / QUEUE_FULL.
  absl::StatusOr<BlockResult> BlockMember(const Call& call, const MemberId& blocked);

  // The caller's own, newest first.
  absl::StatusOr<Page<Block>> ListBlocks(const Call& call, const PageRequest& page);

 private:
  absl::StatusOr<Block> WriteBlock(const Call& call, const MemberId& blocked);
  // True when every receiver in `unconfirmed` committed the block in time.
  bool Push(const Block& block, const std::vector<Receiver>& unconfirmed, absl::Time deadline);

  Store& store_;
  const Receivers receivers_;
  const Clock& clock_;
  Random& random_;
  const SafetyOptions options_;
  const std::function<void()> changed_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_SAFETY_H_
