#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_OUTBOX_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_OUTBOX_H_

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "services/matching/domain/ledger.h"

namespace handrail::matching {

// What matching needs of messaging. Both are idempotent and may block until `deadline`.
class Conversations {
 public:
  virtual ~Conversations() = default;
  virtual absl::StatusOr<ConversationId> Open(absl::Time deadline, const OutboxEntry& entry) = 0;
  virtual absl::Status Close(absl::Time deadline, const OutboxEntry& entry) = 0;
};

// What matching needs of profiles: a member of whom it has no copy yet.
class MemberDirectory {
 public:
  virtual ~MemberDirectory() = default;
  struct Block {
    BlockId id;
    MemberId blocker;
    MemberId blocked;
  };
  struct Entry {
    MemberTraits member;
    std::vector<Block> blocks;
  };
  // NOT_FOUND when profiles does not know the member; UNAVAILABLE / PEER_UNAVAILABLE.
  virtual absl::StatusOr<Entry> Fetch(absl::Time deadline, const MemberId& member) = 0;
};

struct OutboxOptions {
  absl::Duration interval = absl::Milliseconds(500);
  absl::Duration timeout = absl::Seconds(5);
  absl::Duration first_retry = absl::Milliseconds(200);
  absl::Duration last_retry = absl::Seconds(30);
  int batch = 64;    // entries handed to the threads at once
  int threads = 32;  // each waits for messaging, then for the ledger: nearly all of it on disks
};

// Tells messaging what the ledger's outbox says, at least once, in order for each pairing. An entry
// that fails is tried again with a jittered back-off, for as long as it takes.
class OutboxSender {
 public:
  using Sink = std::function<void(const Effects&)>;

  OutboxSender(Ledger& ledger, Conversations& conversations, const Clock& clock, Random& random,
               const OutboxOptions& options, Sink sink);
  ~OutboxSender() { Stop(); }

  void Start();
  void Stop();
  void Wake();
  // Sends what is due and waits until nothing is on its way.
  void SendDue();

 private:
  // Hands what is due, and not on its way already, to the threads.
  void Dispatch();
  void Send(const OutboxEntry& entry);
  void OnSent(const OutboxId& id);
  void WakeForMore() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Ledger& ledger_;
  Conversations& conversations_;
  const Clock& clock_;
  Random& random_;
  const OutboxOptions options_;
  const Sink sink_;

  Mutex mutex_;
  CondVar idle_;
  std::set<OutboxId> under_way_ ABSL_GUARDED_BY(mutex_);
  bool more_ ABSL_GUARDED_BY(mutex_) = false;  // due when they were last read, and left for later

  std::unique_ptr<PeriodicTask> task_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Executor> workers_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_OUTBOX_H_
