#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_PUSH_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_PUSH_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/ids.h"

// Telling a device that has no stream open that something waits for it; nothing but that. An
// absence of a device is the time between two signs of life: a stream of its own, or an
// acknowledgement.
namespace handrail::messaging {

struct ReplicaTag {
  static constexpr absl::string_view kCollection = "replicas";
};
// One process of messaging, from its start to its end.
using ReplicaId = Id<ReplicaTag>;

struct PushTag {
  static constexpr absl::string_view kCollection = "pushes";
};
// One push, however often it is tried.
using PushId = Id<PushTag>;

struct PushLimits {
  size_t token_bytes = 1024;
  // A replica that has not renewed its lease for this long is gone, and its streams with it.
  absl::Duration lease = absl::Seconds(12);
  // In one absence a device is told again after this long, should something newer have come.
  absl::Duration reminder_after = absl::Hours(4);
  // At once, and one more for each time that has passed: at most 12 pushes an hour.
  int64_t burst = 6;
  absl::Duration refill = absl::Minutes(10);
  // How long a push may take before another replica may try it.
  absl::Duration claim = absl::Minutes(2);
  // How long a device is left alone whose token the gateway did not take.
  absl::Duration refused_for = absl::Minutes(10);
};

// How much a device had read when it was looked at. Differs after each acknowledgement.
struct PushMark {
  int64_t generation = 0;  // of its stream
  int64_t acked = 0;       // all acknowledged sequences together
  int64_t head = 0;        // the newest sequences of its open conversations together

  bool SameAbsence(const PushMark& other) const {
    return generation == other.generation && acked == other.acked;
  }
};

// A device that has a token, as one snapshot shows it.
struct PushStanding {
  DeviceId device;
  std::string token;
  // Where its stream is, if that replica is alive.
  std::optional<ReplicaId> stream_at;
  // Something that somebody else said waits, and will be delivered.
  bool unread = false;
  PushMark mark;
  // Of the last push that the gateway took.
  std::optional<absl::Time> pushed_at;
  PushMark pushed;
  // Below: not before.
  absl::Time budget_at;      // see PushLimits::burst
  absl::Time claimed_until;  // somebody is at it
  absl::Time refused_until;
};

enum class PushVerdict {
  kPush,
  kLive,     // it has a stream
  kNothing,  // nothing waits
  kTold,     // it knows
  kLater,    // not now
};

struct PushDecision {
  PushVerdict verdict = PushVerdict::kNothing;
  absl::Time again_at = absl::InfinitePast();  // of kLater
};

// Whether a device is told now. `live` says whether its stream is there.
PushDecision DecidePush(const PushStanding& standing, bool live, absl::Time now,
                        const PushLimits& limits);
// The budget after one more push.
absl::Time SpendPush(absl::Time budget_at, absl::Time now, const PushLimits& limits);

// A push that somebody is about to try.
struct PushClaim {
  DeviceId device;
  std::string token;
  PushMark mark;
  PushId fresh_id;           // for a push that was not tried before
  absl::Time claimed_until;  // as it was seen: who changed it meanwhile was first
  absl::Time until;          // the claim
  absl::Time budget_before;
  absl::Time budget_after;
};

enum class PushOutcome {
  kSent,     // the gateway took it
  kGone,     // the gateway knows this token no more
  kRefused,  // the gateway does not take this token or what we say of it
  kFailed,   // the gateway cannot be reached, or says so
};

struct EndedStream {
  DeviceId device;
  int64_t generation = 0;
  friend auto operator<=>(const EndedStream&, const EndedStream&) = default;
};

// The truth about tokens, and who was told. Thread-safe. Every method may also give the errors of
// storage::Database.
class PushStore {
 public:
  virtual ~PushStore() = default;

  // Idempotent. With another token the device is told anew. NOT_FOUND / DEVICE_UNKNOWN;
  // PERMISSION_DENIED / DEVICE_REVOKED.
  virtual absl::Status Register(absl::Time deadline, const MemberId& member, const DeviceId& device,
                                const std::string& token) = 0;
  // Idempotent. Codes as above.
  virtual absl::Status Unregister(absl::Time deadline, const MemberId& member,
                                  const DeviceId& device) = 0;

  // Says that the replica is alive; its streams count from then on.
  virtual absl::Status RenewLease(absl::Time deadline, absl::Time now,
                                  const ReplicaId& replica) = 0;
  virtual absl::Status EndLease(absl::Time deadline, const ReplicaId& replica) = 0;
  // Streams of this replica that are over. One that was followed by another is left alone.
  virtual absl::Status EndStreams(absl::Time deadline, const ReplicaId& replica,
                                  absl::Span<const EndedStream> streams) = 0;

  // Those of `devices` that have a token, of one snapshot.
  virtual absl::StatusOr<std::vector<PushStanding>> Look(absl::Time deadline, absl::Time now,
                                                         absl::Span<const DeviceId> devices) = 0;
  // Devices that have a token, by rising id from the one after `after` on.
  virtual absl::StatusOr<std::vector<DeviceId>> ListDevices(absl::Time deadline,
                                                            const DeviceId& after,
                                                            int64_t limit) = 0;

  // One for each claim, none where somebody else was first or the token has changed. A push that
  // is tried again in the same absence keeps its id.
  virtual absl::StatusOr<std::vector<std::optional<PushId>>> Claim(
      absl::Time deadline, absl::Span<const PushClaim> claims) = 0;
  // What has become of a claim. Nothing changes when it was lost meanwhile; but a token that is of
  // no use is forgotten in any case.
  virtual absl::Status Settle(absl::Time deadline, absl::Time now, const PushClaim& claim,
                              PushOutcome outcome, absl::Time refused_until) = 0;
};

struct PushRequest {
  PushId id;
  std::string token;
};

struct PushResult {
  PushOutcome outcome = PushOutcome::kFailed;
  // Of kFailed: the gateway asks to be left alone for so long.
  absl::Duration retry_after = absl::ZeroDuration();
};

// The operator's gateway, which knows what a token stands for.
class PushGateway {
 public:
  virtual ~PushGateway() = default;
  // One result for each request. Blocks, for a bounded time a request. One caller at a time.
  virtual std::vector<PushResult> Push(absl::Span<const PushRequest> requests) = 0;
  // Ends what is under way, as kFailed, and all that comes after. By any thread.
  virtual void Cancel() = 0;
};

// Is told what becomes of pushes, never whose. Thread-safe; does not block.
class PushMeter {
 public:
  virtual ~PushMeter() = default;
  virtual void OnPush(PushOutcome outcome) = 0;
  // Devices for which there was no room in memory: the sweep finds them.
  virtual void OnDropped(int64_t devices) = 0;
};

// A device's token, as the device says it. Thread-safe; blocks until `call.deadline`.
class PushTokens {
 public:
  // Asks profiles of the caller, of whom messaging was never told.
  using LearnCaller = std::function<absl::Status(const Call&)>;

  // All must outlive it.
  PushTokens(PushStore& store, const PushLimits& limits, LearnCaller learn_caller)
      : store_(store), limits_(limits), learn_caller_(std::move(learn_caller)) {}

  // INVALID_ARGUMENT / FIELD_INVALID for a token that is not of printable ASCII characters or too
  // long; NOT_FOUND; PERMISSION_DENIED / DEVICE_REVOKED.
  absl::Status Register(const Call& call, const std::string& token);
  absl::Status Unregister(const Call& call);

 private:
  PushStore& store_;
  const PushLimits limits_;
  const LearnCaller learn_caller_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_PUSH_H_
