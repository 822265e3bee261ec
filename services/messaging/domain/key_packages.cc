#include "services/messaging/domain/key_packages.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/domain/known_device.h"
#include "services/messaging/domain/message_store.h"

namespace handrail::messaging {
namespace {

constexpr size_t kPublicKeyBytes = 32;  // of X25519 and Ed25519

}  // namespace

absl::StatusOr<NewKeyPackage> KeyPackages::Read(const Call& call, absl::string_view message,
                                                const std::string& field) const {
  if (message.size() > limits_.package_bytes) {
    return FieldError(field, absl::StrCat("is longer than ", limits_.package_bytes, " bytes"));
  }
  const auto package = ParseMlsKeyPackage(message);
  if (!package.ok()) return FieldError(field, package.status().message());
  if (package->cipher_suite != kMlsCipherSuite || package->init_key.size() != kPublicKeyBytes ||
      package->signature_key.size() != kPublicKeyBytes) {
    return FieldError(field, "is not of MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519");
  }
  if (package->identity != absl::string_view(call.who.device.Name())) {
    return FieldError(field, "its credential does not name the calling device");
  }
  RETURN_IF_ERROR(CheckLifetime(*package, field));
  return NewKeyPackage{std::string(message), std::string(package->body),
                       absl::FromUnixSeconds(static_cast<int64_t>(package->not_after))};
}

absl::Status KeyPackages::CheckLifetime(const MlsKeyPackage& package,
                                        const std::string& field) const {
  // Unsigned as in the message: no sum of ours overflows, and what is far off stays so.
  const auto now = static_cast<uint64_t>(absl::ToUnixSeconds(clock_.Now()));
  const auto margin = static_cast<uint64_t>(absl::ToInt64Seconds(limits_.lifetime_margin));
  const auto lifetime = static_cast<uint64_t>(absl::ToInt64Seconds(limits_.lifetime));
  if (package.not_before > now + margin) return FieldError(field, "its lifetime has not begun");
  if (package.not_after <= now + margin) {
    return FieldError(field, "its lifetime is over, or ends within the hour");
  }
  if (package.not_after - package.not_before > lifetime) {
    return FieldError(field, absl::StrCat("its lifetime is longer than ",
                                          limits_.lifetime / absl::Hours(24), " days"));
  }
  return absl::OkStatus();
}

template <typename Step>
auto KeyPackages::KnowingDevice(const Call& call, Step step) -> decltype(step()) {
  return WithKnownDevice(
      [&] { return learn_caller_(call); },
      Error(absl::StatusCode::kNotFound, reason::kNotFound).Message("no such device"), step);
}

absl::StatusOr<KeyPackageCount> KeyPackages::Publish(const Call& call,
                                                     absl::Span<const std::string> packages,
                                                     const std::string& last_resort) {
  if (packages.size() > limits_.publish_at_once) {
    return FieldError("key_packages",
                      absl::StrCat("has more than ", limits_.publish_at_once, " elements"));
  }
  if (packages.empty() && last_resort.empty()) {
    return FieldError("key_packages", "is empty, and there is no last_resort either");
  }
  std::vector<NewKeyPackage> read;
  for (size_t i = 0; i < packages.size(); ++i) {
    ASSIGN_OR_RETURN(NewKeyPackage package,
                     Read(call, packages[i], absl::StrCat("key_packages[", i, "]")));
    if (packages[i] == last_resort) {
      return FieldError("last_resort", "is one of key_packages too");
    }
    read.push_back(std::move(package));
  }
  NewKeyPackage last;
  if (!last_resort.empty()) {
    ASSIGN_OR_RETURN(last, Read(call, last_resort, "last_resort"));
  }
  auto count = KnowingDevice(call, [&] {
    return store_.Publish(call.deadline, clock_.Now(), call.who.member, call.who.device, read,
                          last_resort.empty() ? nullptr : &last);
  });
  // Its stream takes note, so that it tells of the next time that they are few.
  const WakeUp own{call.who.device, ConversationId()};
  if (count.ok() && !count->low) spread_({&own, 1});
  return count;
}

absl::StatusOr<KeyPackageCount> KeyPackages::Count(const Call& call) {
  return KnowingDevice(call, [&] {
    return store_.Count(call.deadline, clock_.Now(), call.who.member, call.who.device);
  });
}

absl::StatusOr<KeyPackageClaim> KeyPackages::Claim(const Call& call, const std::string& claim_id,
                                                   const ConversationId& conversation,
                                                   absl::Span<const DeviceId> devices) {
  std::vector<DeviceId> wanted(devices.begin(), devices.end());
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  if (std::binary_search(wanted.begin(), wanted.end(), call.who.device)) {
    return FieldError("devices", "names the calling device");
  }
  auto claim = KnowingDevice(call, [&] {
    return store_.Claim(call.deadline, clock_.Now(), call.who.member, call.who.device, claim_id,
                        conversation, wanted);
  });
  if (!claim.ok()) return claim;
  std::vector<WakeUp> wake_ups;
  for (const DeviceId& device : claim->running_low) wake_ups.push_back({device, ConversationId()});
  spread_(wake_ups);
  return claim;
}

}  // namespace handrail::messaging
