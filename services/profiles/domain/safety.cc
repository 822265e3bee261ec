#include "services/profiles/domain/safety.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "services/profiles/domain/member_guard.h"

namespace handrail::profiles {
namespace {

// What the answers of the receivers and the caller who waits for them share. An answer may come
// after the caller left.
class PushState {
 public:
  explicit PushState(size_t expected) : missing_(expected) {}

  void Answer(Receiver receiver, const absl::Status& status) {
    MutexLock lock(mutex_);
    --missing_;
    if (status.ok()) confirmed_.push_back(receiver);
    changed_.SignalAll();
  }
  // Who confirmed when all answered or `timeout` passed.
  std::vector<Receiver> Await(absl::Duration timeout) {
    const auto end = std::chrono::steady_clock::now() + absl::ToChronoMicroseconds(timeout);
    MutexLock lock(mutex_);
    while (missing_ > 0) {
      const auto left = end - std::chrono::steady_clock::now();
      if (left <= left.zero() || !changed_.WaitFor(mutex_, absl::FromChrono(left))) break;
    }
    return confirmed_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  size_t missing_ ABSL_GUARDED_BY(mutex_);
  std::vector<Receiver> confirmed_ ABSL_GUARDED_BY(mutex_);
};

OutboxEntry EntryOf(const Block& block) {
  OutboxEntry entry;
  entry.kind = OutboxEntry::Kind::kBlock;
  entry.subject = std::string(block.id.Bytes());
  entry.version = 1;
  entry.block = block;
  return entry;
}

}  // namespace

Safety::Safety(Store& store, Receivers receivers, const Clock& clock, Random& random,
               SafetyOptions options, std::function<void()> changed)
    : store_(store),
      receivers_(std::move(receivers)),
      clock_(clock),
      random_(random),
      options_(options),
      changed_(std::move(changed)) {}

absl::StatusOr<Block> Safety::WriteBlock(const Call& call, const MemberId& blocked) {
  const absl::Time now = clock_.Now();
  return WriteOnce<Block>(store_, call, now, [&](Unit& unit) -> absl::StatusOr<Block> {
    ASSIGN_OR_RETURN(const std::optional<Member> other, unit.FindMember(blocked));
    if (!other.has_value() || other->standing == Standing::kErased) return NotFoundError();
    ASSIGN_OR_RETURN(const int count, unit.CountBlocks(call.who.member));
    if (count >= options_.blocks_limit) {
      return Error(absl::StatusCode::kResourceExhausted, reason::kQueueFull)
          .Message("a member may have no more blocks")
          .Detail("limit", absl::StrCat(options_.blocks_limit));
    }
    return unit.InsertBlock(Block{BlockId::Random(random_), call.who.member, blocked, now});
  });
}

bool Safety::Push(const Block& block, const std::vector<Receiver>& unconfirmed,
                  absl::Time deadline) {
  const auto state = std::make_shared<PushState>(unconfirmed.size());
  for (const Receiver receiver : unconfirmed) {
    receivers_.at(receiver)->ApplyBlock(
        block, deadline,
        [state, receiver](const absl::Status& status) { state->Answer(receiver, status); });
  }
  const std::vector<Receiver> confirmed = state->Await(deadline - clock_.Now());
  for (const Receiver receiver : confirmed) {
    // When this fails the outbox tells the receiver once more, and it ignores it.
    const std::array<OutboxEntry, 1> entry = {EntryOf(block)};
    (void)store_.RemoveOutbox(receiver, entry, deadline);
  }
  return confirmed.size() == unconfirmed.size();
}

absl::StatusOr<BlockResult> Safety::BlockMember(const Call& call, const MemberId& blocked) {
  if (blocked == call.who.member) return FieldError("member", "must be another person");
  BlockResult result;
  ASSIGN_OR_RETURN(result.block, WriteBlock(call, blocked));
  // From here on the block stands: whatever goes wrong, the answer is the block, pending.
  result.pending = true;
  std::vector<Receiver> unconfirmed;
  const absl::Status read = store_.Read(call.deadline, [&](Unit& unit) -> absl::Status {
    ASSIGN_OR_RETURN(unconfirmed, unit.UnconfirmedReceivers(result.block.id));
    return absl::OkStatus();
  });
  if (read.ok()) {
    const absl::Time deadline = std::min(call.deadline, clock_.Now() + options_.push_timeout);
    result.pending = !Push(result.block, unconfirmed, deadline);
  }
  if (result.pending) changed_();
  return result;
}

absl::StatusOr<Page<Block>> Safety::ListBlocks(const Call& call, const PageRequest& page) {
  return ReadOwn<Page<Block>>(store_, call,
                              [&](Unit& unit) { return unit.ListBlocks(call.who.member, page); });
}

}  // namespace handrail::profiles
