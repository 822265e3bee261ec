#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_STREAM_SESSION_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_STREAM_SESSION_H_

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/domain/messages.h"

namespace handrail::messaging {

// One open stream of one device: where it stands in each conversation, and the events that wait to
// be sent. The truth is the database; what a commit of this process hands over directly only spares
// a read. Whatever does not fit (a hole, a full window, a slow reader) is left in the database and
// read from there when there is room: nothing is lost and nobody waits for anybody. Thread-safe;
// nothing blocks.
class StreamSession {
 public:
  struct Options {
    int64_t window = 256;           // messages sent and not acknowledged
    size_t queued_bytes = 1 << 20;  // payload that waits to be sent
  };

  // `wake` says that Take has something; `read` asks for a call of NextRead soon. Neither may
  // block; both are called without a lock held.
  StreamSession(const DeviceId& device, absl::Span<const Cursor> cursors, const Options& options,
                std::function<void()> wake, std::function<void()> read);

  const DeviceId& device() const { return device_; }
  int64_t generation() const;

  // The stream has its generation: `Started`, then what the database holds.
  void Start(int64_t generation);

  // The next events, at most `max_events` and, after the first, `max_bytes` of payload. Nothing
  // comes after `Closing`.
  std::vector<Event> Take(size_t max_events, size_t max_bytes);
  // Opens the window. Returns those of `cursors` whose conversation the device was found to have:
  // only they are worth keeping now. Others wait for the read that finds theirs.
  std::vector<Cursor> Acknowledge(absl::Span<const Cursor> cursors);
  // Acknowledgements that came before their conversation was read, and were found to be the
  // device's since: to be stored. Each is given once.
  std::vector<Cursor> TakeEarly();

  // A commit of this process. False when the stream has ended: the device may be at another
  // process.
  bool OnCommitted(const CommittedMessages& messages);
  // Another process, or this one, has changed something. Zero: everything.
  void OnWakeUp(const ConversationId& conversation);
  void OnGeneration(int64_t generation);
  // True when the database held something that nobody had told this stream of.
  bool OnHeads(const StreamHeads& heads);
  // Ends the stream with a last event. The first cause counts.
  void Close(ClosingCause cause);
  // The stream is gone: nothing is wanted any more.
  void Abandon();

  // How far the stream is behind: events that wait to be sent, and whether the database holds more
  // than there was room for.
  struct Lag {
    size_t events = 0;
    bool more = false;
  };
  Lag CurrentLag() const;

  // What to read from the database now.
  struct ReadPlan {
    bool wanted = false;
    bool everything = false;
    std::vector<StreamPosition> positions;
    int64_t limit = 0;
  };
  // Called by one reader at a time: when nothing is wanted, the reader is done, and `read` is
  // called again once there is something.
  ReadPlan NextRead();
  // What the read gave. False when the reader should stop for now (an error, or no progress); the
  // sweep brings it back.
  bool OnRead(const ReadPlan& plan, const absl::StatusOr<StreamSnapshot>& snapshot);

 private:
  struct Place {
    int64_t next = 1;     // the first sequence not queued yet
    int64_t asked = 0;    // from where the read under way begins; 0 when it does not name this
    int64_t settled = 0;  // acknowledged, or not to be counted in the window
    bool dirty = true;    // the database may hold more
    bool seen = false;    // read from the database at least once
    bool deliverable = true;
    int64_t welcomed = 0;  // the commit of the newest Welcome that was queued
    ConversationState state = ConversationState::kOpen;
    int64_t revision = 0;
    int64_t catch_up_to = 0;         // CaughtUp waits until this was queued
    std::vector<MemberId> silenced;  // whose messages are not delivered any more
    int64_t InFlight() const { return next - 1 > settled ? next - 1 - settled : 0; }
  };

  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WantsRead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Marks a reader as needed; true when the caller must call `read_`.
  bool RequestRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool PushEnvelope(Place& place, const EnvelopePtr& envelope)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle(Place& place, int64_t sequence) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Advance(Place& place, int64_t next) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MarkDirty(const ConversationId& conversation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes note of where the device's reading starts, and of its Welcome.
  void ApplyGroup(Place& place, const StreamConversation& read)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True when something was queued.
  bool Apply(const StreamConversation& read) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyState(Place& place, const StreamConversation& read, bool announce)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropQueued(const ConversationId& conversation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SilenceQueued(const ConversationId& conversation, const std::vector<MemberId>& silenced)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CloseLocked(ClosingCause cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tells once that few key packages are left, until they were enough again.
  void ApplyKeyPackages(const StreamSnapshot& snapshot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteCaughtUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const DeviceId device_;
  const Options options_;
  const std::function<void()> wake_;
  const std::function<void()> read_;

  mutable Mutex mutex_;
  int64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool everything_ ABSL_GUARDED_BY(mutex_) = true;  // conversations may be new
  bool first_read_done_ ABSL_GUARDED_BY(mutex_) = false;
  bool caught_up_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool told_low_ ABSL_GUARDED_BY(mutex_) = false;  // that few key packages are left
  bool look_ ABSL_GUARDED_BY(mutex_) = false;      // read even without room, for what is no message
  absl::flat_hash_map<ConversationId, Place> places_ ABSL_GUARDED_BY(mutex_);
  int64_t dirty_ ABSL_GUARDED_BY(mutex_) = 0;                            // places that are dirty
  absl::flat_hash_set<ConversationId> unknown_ ABSL_GUARDED_BY(mutex_);  // to be read, no place yet
  absl::flat_hash_map<ConversationId, int64_t> early_ ABSL_GUARDED_BY(mutex_);
  std::vector<Cursor> early_found_ ABSL_GUARDED_BY(mutex_);
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Event> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_STREAM_SESSION_H_
