#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_KEY_PACKAGES_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_KEY_PACKAGES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "services/messaging/domain/messages.h"
#include "services/messaging/domain/mls_framing.h"

// KeyPackages (RFC 9420 §10): with one of a device's, others can add that device to a group while
// it is away. Each is handed out once, the last-resort one as often as it takes (C4).
namespace handrail::messaging {

struct KeyPackageLimits {
  size_t package_bytes = 4096;      // of one package
  size_t publish_at_once = 100;     // packages in one call
  int64_t stored_per_device = 200;  // that nobody has claimed yet
  int64_t low_water = 20;           // below it the device is told to publish more
  // In an hour. Past them a claim is refused: a claimer who empties somebody's packages would leave
  // them with the last-resort one, which is weaker.
  int64_t claims_per_member = 120;
  int64_t claims_per_pair = 30;  // by one member of another's packages
  // How long a package may live. Clients make them for 90 days and a day before (RFC 9420 §7.2
  // wants such a bound). One whose end is nearer than the margin is as good as over, and another
  // clock may be ahead by as much.
  absl::Duration lifetime = absl::Hours(24 * 92);
  absl::Duration lifetime_margin = absl::Hours(1);
  // How long what was claimed can be asked for again, and how long a package is remembered so that
  // it is never handed out a second time.
  absl::Duration keep_claims = absl::Hours(7 * 24);
  absl::Duration keep_tombstones = absl::Hours(180 * 24);
};

// The one suite that is spoken here, MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 (RFC 9420 §17.1).
inline constexpr uint16_t kMlsCipherSuite = 1;

// A package to be stored. `message` is a whole MLSMessage; `body` is the part of it whose hash is
// its reference.
struct NewKeyPackage {
  std::string message;
  std::string body;
  absl::Time expires_at = absl::InfiniteFuture();
};

struct ClaimedKeyPackage {
  MemberId member;
  DeviceId device;
  std::string reference;  // KeyPackageRef (RFC 9420 §5.2), 32 bytes
  std::string message;    // the MLSMessage as it was published
  bool last_resort = false;
};

// What a claim gave: a package for each device asked for, in order of their ids, and the devices
// that have published none.
struct KeyPackageClaim {
  std::vector<ClaimedKeyPackage> packages;
  std::vector<DeviceId> without;
  // The devices that may have few left since: their streams should look. Empty when the answer was
  // given before.
  std::vector<DeviceId> running_low;
};

struct KeyPackageTrim {
  int64_t expired = 0;  // that nobody claimed in their time
  int64_t emptied = 0;  // claimed ones whose bytes went
  int64_t removed = 0;
};

// The truth about key packages. Thread-safe. Every method is one atomic step and may also give the
// errors of storage::Database.
class KeyPackageStore {
 public:
  virtual ~KeyPackageStore() = default;

  // Adds packages to those of a device. One that was published before, whether or not it has been
  // claimed since, changes nothing. `last_resort` (may be null) replaces the device's. Errors:
  // NOT_FOUND / DEVICE_UNKNOWN; PERMISSION_DENIED / DEVICE_REVOKED; RESOURCE_EXHAUSTED / QUEUE_FULL
  // when the device would have too many, and then none is added; FAILED_PRECONDITION /
  // REQUEST_ID_REUSED when another device has published the same.
  virtual absl::StatusOr<KeyPackageCount> Publish(absl::Time deadline, absl::Time now,
                                                  const MemberId& member, const DeviceId& device,
                                                  absl::Span<const NewKeyPackage> packages,
                                                  const NewKeyPackage* last_resort) = 0;
  // What can be handed out now. Errors: NOT_FOUND / DEVICE_UNKNOWN.
  virtual absl::StatusOr<KeyPackageCount> Count(absl::Time deadline, absl::Time now,
                                                const MemberId& member, const DeviceId& device) = 0;
  // One package for each of `devices`, or, when there are none named, for every live device of the
  // conversation that is not in its group yet, but the caller's. The oldest is handed out first,
  // and none whose time is over, or nearly so. Under one `claim_id` a device gets the same answer
  // for KeyPackageLimits::keep_claims. Errors: NOT_FOUND when the caller does not take part in the
  // conversation or a named device does not; NOT_FOUND / DEVICE_UNKNOWN; FAILED_PRECONDITION /
  // CONVERSATION_CLOSED, MEMBER_SUSPENDED, REQUEST_ID_REUSED; RESOURCE_EXHAUSTED / RATE_LIMITED.
  virtual absl::StatusOr<KeyPackageClaim> Claim(absl::Time deadline, absl::Time now,
                                                const MemberId& member, const DeviceId& device,
                                                const std::string& claim_id,
                                                const ConversationId& conversation,
                                                absl::Span<const DeviceId> devices) = 0;
  // One bounded step of forgetting: packages whose time is over, of which only the reference stays;
  // bytes of packages whose claim is old; tombstones that no client can use any more; and
  // everything of devices that were removed.
  virtual absl::StatusOr<KeyPackageTrim> Trim(absl::Time deadline, absl::Time now) = 0;
};

// What a device can do with key packages. Thread-safe; blocks until `call.deadline`.
class KeyPackages {
 public:
  // Asks profiles of the caller, of whom messaging was never told; NOT_FOUND when nobody knows
  // them.
  using LearnCaller = std::function<absl::Status(const Call&)>;
  using Spread = std::function<void(absl::Span<const WakeUp>)>;

  // All must outlive it. `spread` wakes the streams of devices whose packages became few, or enough
  // again.
  KeyPackages(KeyPackageStore& store, const Clock& clock, const KeyPackageLimits& limits,
              LearnCaller learn_caller, Spread spread)
      : store_(store),
        clock_(clock),
        limits_(limits),
        learn_caller_(std::move(learn_caller)),
        spread_(std::move(spread)) {}

  // `packages` and `last_resort` (empty for none) are MLSMessages. INVALID_ARGUMENT /
  // FIELD_INVALID when one is no KeyPackage of our suite, is not the calling device's, or lives too
  // long or no more; and the codes of KeyPackageStore::Publish.
  absl::StatusOr<KeyPackageCount> Publish(const Call& call, absl::Span<const std::string> packages,
                                          const std::string& last_resort);
  absl::StatusOr<KeyPackageCount> Count(const Call& call);
  absl::StatusOr<KeyPackageClaim> Claim(const Call& call, const std::string& claim_id,
                                        const ConversationId& conversation,
                                        absl::Span<const DeviceId> devices);

 private:
  // One MLSMessage of the request's `field`, checked.
  absl::StatusOr<NewKeyPackage> Read(const Call& call, absl::string_view message,
                                     const std::string& field) const;
  absl::Status CheckLifetime(const MlsKeyPackage& package, const std::string& field) const;
  // Runs `step`; when the caller's device is unknown, asks profiles and runs it once more.
  template <typename Step>
  auto KnowingDevice(const Call& call, Step step) -> decltype(step());

  KeyPackageStore& store_;
  const Clock& clock_;
  const KeyPackageLimits limits_;
  const LearnCaller learn_caller_;
  const Spread spread_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_KEY_PACKAGES_H_
