#include "common/rpc/authenticator.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace handrail::rpc {
namespace {

constexpr absl::Duration kSafetyGrace = absl::Hours(1);
// Longer than any token and its grace together.
constexpr absl::Duration kRevocationLife = absl::Hours(26);
constexpr absl::Duration kPruneInterval = absl::Minutes(1);

Error Unauthenticated(absl::string_view reason, absl::string_view message) {
  return Error(absl::StatusCode::kUnauthenticated, reason).Message(message);
}

// The one value of a metadata key; empty when there is none or, which is somebody playing, several.
absl::string_view OnlyValue(const grpc::CallbackServerContext& context, const char* key) {
  const auto [first, last] = context.client_metadata().equal_range(key);
  if (first == last || std::next(first) != last) return {};
  return {first->second.data(), first->second.size()};
}

absl::string_view BearerToken(const grpc::CallbackServerContext& context) {
  absl::string_view value = OnlyValue(context, "authorization");
  if (!absl::ConsumePrefix(&value, "Bearer ") && !absl::ConsumePrefix(&value, "bearer ")) return {};
  return value;
}

}  // namespace

RevocationSet::RevocationSet(const Clock& clock, size_t limit) : clock_(clock), limit_(limit) {}

void RevocationSet::Add(const DeviceId& device, absl::Time revoke_time) {
  MutexLock lock(mutex_);
  const absl::Time now = clock_.Now();
  if (now - last_prune_ > kPruneInterval || devices_.size() >= limit_) Prune();
  absl::Time& known = devices_[device];
  known = std::max(known, revoke_time);
}

bool RevocationSet::IsRevoked(const DeviceId& device) const {
  MutexLock lock(mutex_);
  return devices_.contains(device);
}

size_t RevocationSet::size() const {
  MutexLock lock(mutex_);
  return devices_.size();
}

void RevocationSet::Prune() {
  last_prune_ = clock_.Now();
  const absl::Time oldest_that_counts = last_prune_ - kRevocationLife;
  absl::erase_if(devices_, [&](const auto& entry) { return entry.second < oldest_that_counts; });
  if (devices_.size() < limit_ || devices_.empty()) return;
  // Still full: a tenth, the oldest, gives way in one go, so that this is rare.
  std::vector<absl::Time> times;
  times.reserve(devices_.size());
  for (const auto& [device, time] : devices_) times.push_back(time);
  const auto tenth = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 10);
  std::nth_element(times.begin(), tenth, times.end());
  absl::erase_if(devices_, [&](const auto& entry) { return entry.second <= *tenth; });
}

absl::StatusOr<Principal> TokenAuthenticator::Authenticate(
    const grpc::CallbackServerContext& context, const MethodRow& row) {
  const absl::string_view token = BearerToken(context);
  if (token.empty()) {
    return Unauthenticated(reason::kTokenMissing, "the call needs a token: authorization: Bearer");
  }
  const bool lenient =
      row.call_class == common::v1::CALL_CLASS_SAFETY && !checker_.SourceReachable();
  ASSIGN_OR_RETURN(Principal who,
                   checker_.Check(token, lenient ? kSafetyGrace : absl::ZeroDuration()));
  if (revocations_.IsRevoked(who.device)) {
    return Unauthenticated(reason::kTokenRevoked, "the device was removed");
  }
  return who;
}

ServiceAuthenticator::ServiceAuthenticator(ServiceIdentityOptions options)
    : options_(std::move(options)) {}

absl::StatusOr<Principal> ServiceAuthenticator::Authenticate(
    const grpc::CallbackServerContext& context, const MethodRow& /*row*/) {
  const auto allowed = [this](absl::string_view name) -> absl::StatusOr<Principal> {
    const auto& names = options_.allowed_services;
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return Error(absl::StatusCode::kPermissionDenied, reason::kRoleRequired)
          .Message("the peer is no service of this deployment");
    }
    Principal who;
    who.kind = Principal::Kind::kService;
    who.service = std::string(name);
    return who;
  };
  const std::string peer = context.peer();
  if (absl::StartsWith(peer, "unix:")) {
    const absl::string_view name = OnlyValue(context, kServiceMetadata);
    if (name.empty()) {
      return Unauthenticated(reason::kTokenMissing, "the call needs the name of a service");
    }
    return allowed(name);
  }
  const auto auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated()) {
    return Unauthenticated(reason::kTokenMissing, "the call needs a certificate of a service");
  }
  const std::string prefix = absl::StrCat("spiffe://", options_.trust_domain, "/");
  absl::string_view service;
  for (const grpc::string_ref& uri : auth->FindPropertyValues("peer_uri")) {
    absl::string_view path(uri.data(), uri.size());
    // A SPIFFE certificate has exactly one URI; two would leave the choice to the peer.
    if (!service.empty()) return Unauthenticated(reason::kTokenInvalid, "two identities in one");
    if (!absl::ConsumePrefix(&path, prefix) || path.empty()) {
      return Unauthenticated(reason::kTokenInvalid, "an identity of another trust domain");
    }
    service = path;
  }
  if (service.empty()) {
    return Unauthenticated(reason::kTokenInvalid, "a certificate without a SPIFFE identity");
  }
  return allowed(service);
}

}  // namespace handrail::rpc
