#include "services/profiles/domain/outbox_sender.h"

#include <algorithm>
#include <memory>

#include "absl/types/span.h"
#include "common/base/macros.h"
#include "common/base/mutex.h"

namespace handrail::profiles {
namespace {

OutboxLoopOptions Options() {
  OutboxLoopOptions options;
  options.batch_limit = 100;  // what ApplyMembers takes at most
  return options;
}

const char* NameOf(Receiver receiver) {
  return receiver == Receiver::kMatching ? "outbox to matching" : "outbox to messaging";
}

bool GoesAlone(const OutboxEntry& entry) {
  return entry.kind == OutboxEntry::Kind::kBlock || !entry.fault.ok();
}

// Waits for one answer. Shared, because an answer may come after the wait was given up.
struct Answer {
  Mutex mutex;
  CondVar changed;
  bool done ABSL_GUARDED_BY(mutex) = false;
  absl::Status status ABSL_GUARDED_BY(mutex);
};

}  // namespace

OutboxSender::OutboxSender(Store& store, Receiver receiver, MemberReceiver& link,
                           const Clock& clock, Random& random)
    : store_(store),
      receiver_(receiver),
      link_(link),
      clock_(clock),
      loop_(*this, NameOf(receiver), clock, random, Options()) {}

absl::StatusOr<size_t> OutboxSender::TakeDue(absl::Time deadline, absl::Time now, int limit) {
  ASSIGN_OR_RETURN(in_hand_, store_.DueOutbox(receiver_, now, limit, deadline));
  // Blocks come first in what is due, and go first.
  std::stable_partition(in_hand_.begin(), in_hand_.end(), GoesAlone);
  return in_hand_.size();
}

size_t OutboxSender::CountTogether(size_t first) const {
  return GoesAlone(in_hand_[first]) ? 1 : in_hand_.size() - first;
}

absl::Status OutboxSender::Send(absl::Time deadline, size_t first, size_t count) {
  const OutboxEntry& entry = in_hand_[first];
  if (!entry.fault.ok()) return entry.fault;
  if (entry.kind == OutboxEntry::Kind::kBlock) return SendBlock(deadline, entry);
  std::vector<MemberSnapshot> members;
  members.reserve(count);
  for (size_t i = first; i < first + count; ++i) members.push_back(in_hand_[i].snapshot);
  return link_.ApplyMembers(members, deadline);
}

absl::Status OutboxSender::SendBlock(absl::Time deadline, const OutboxEntry& entry) {
  const auto answer = std::make_shared<Answer>();
  link_.ApplyBlock(entry.block, deadline, [answer](const absl::Status& status) {
    MutexLock lock(answer->mutex);
    answer->done = true;
    answer->status = status;
    answer->changed.SignalAll();
  });
  MutexLock lock(answer->mutex);
  // The link answers by the deadline; the second that is added only guards against one that does
  // not.
  while (!answer->done) {
    if (!answer->changed.WaitFor(answer->mutex, deadline - clock_.Now() + absl::Seconds(1))) {
      return absl::DeadlineExceededError("no answer");
    }
  }
  return answer->status;
}

absl::Status OutboxSender::Remove(absl::Time deadline, size_t first, size_t count) {
  return store_.RemoveOutbox(receiver_, absl::MakeConstSpan(in_hand_).subspan(first, count),
                             deadline);
}

absl::Status OutboxSender::Defer(absl::Time deadline, size_t place, absl::Time due, int attempts) {
  return store_.DeferOutbox(receiver_, in_hand_[place], due, attempts, deadline);
}

}  // namespace handrail::profiles
