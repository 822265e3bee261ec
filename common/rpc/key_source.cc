#include "common/rpc/key_source.h"

#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/key_set.h"
#include "common/crypto/token.h"

namespace handrail::rpc {
namespace {

constexpr absl::Duration kFreshFor = absl::Minutes(1);
constexpr absl::Duration kRefreshInterval = absl::Seconds(15);
constexpr absl::Duration kRetryInterval = absl::Seconds(1);
// Revocations are asked for again from a little before the newest that was seen, since they are
// written with the clock of whichever replica took them.
constexpr absl::Duration kOverlap = absl::Minutes(2);
// At the first time: as long as a token can live, with its grace.
constexpr absl::Duration kFirstLookBack = absl::Hours(26);

Principal PrincipalOf(const crypto::TokenClaims& claims) {
  Principal who;
  switch (claims.role) {
    case crypto::TokenClaims::Role::kMember: who.kind = Principal::Kind::kMember; break;
    case crypto::TokenClaims::Role::kStaff: who.kind = Principal::Kind::kStaff; break;
    case crypto::TokenClaims::Role::kOperator: who.kind = Principal::Kind::kOperator; break;
  }
  who.member = claims.member;
  who.device = claims.device;
  return who;
}

crypto::TokenVerifierOptions VerifierOptions(std::string issuer, std::string audience) {
  crypto::TokenVerifierOptions options;
  options.issuer = std::move(issuer);
  options.audience = std::move(audience);
  return options;
}

}  // namespace

KeySource::KeySource(const Clock& clock, std::string issuer, std::string audience)
    : clock_(clock),
      verifier_(std::make_unique<crypto::TokenVerifier>(
          VerifierOptions(std::move(issuer), std::move(audience)), clock)) {}

KeySource::~KeySource() = default;

absl::Status KeySource::Update(absl::string_view json_web_key_set) {
  ASSIGN_OR_RETURN(crypto::KeySet keys, crypto::ParseKeySet(json_web_key_set));
  if (keys.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message("a key set without a key that is of use");
  }
  MutexLock lock(mutex_);
  keys_read_us_ = absl::ToUnixMicros(clock_.Now());
  if (key_set_ == json_web_key_set) return absl::OkStatus();  // keeps what was verified
  key_set_ = std::string(json_web_key_set);
  verifier_->SetKeys(std::move(keys));
  has_keys_ = true;
  return absl::OkStatus();
}

void KeySource::NoteRevocationsRead() { revocations_read_us_ = absl::ToUnixMicros(clock_.Now()); }

void KeySource::ExpectRefreshes() { refreshed_from_afar_ = true; }

absl::StatusOr<Principal> KeySource::Check(absl::string_view token, absl::Duration grace) const {
  if (!has_keys_) {
    return Error(absl::StatusCode::kUnavailable, reason::kPeerUnavailable)
        .Message("tokens cannot be checked yet")
        .RetryAfter(absl::Seconds(1));
  }
  if (grace > absl::ZeroDuration()) {
    ASSIGN_OR_RETURN(const crypto::TokenClaims claims,
                     verifier_->VerifyAllowingExpired(token, grace));
    return PrincipalOf(claims);
  }
  ASSIGN_OR_RETURN(const crypto::TokenClaims claims, verifier_->Verify(token));
  return PrincipalOf(claims);
}

bool KeySource::SourceReachable() const {
  if (!refreshed_from_afar_) return true;
  const int64_t oldest = absl::ToUnixMicros(clock_.Now() - kFreshFor);
  return keys_read_us_ >= oldest && revocations_read_us_ >= oldest;
}

bool KeySource::HasKeys() const { return has_keys_; }

KeyRefresher::KeyRefresher(const Clock& clock, Sources sources, KeySource& keys,
                           RevocationSet& revocations)
    : clock_(clock),
      sources_(std::move(sources)),
      keys_(keys),
      revocations_(revocations),
      read_until_(clock.Now() - kFirstLookBack),
      task_(kRetryInterval, [this] { Refresh(); }) {
  keys_.ExpectRefreshes();
  task_.Wake();
}

void KeyRefresher::Stop() { task_.Stop(); }

void KeyRefresher::Refresh() {
  const absl::Time now = clock_.Now();
  if (now < next_ && next_ - now <= kRefreshInterval) return;
  bool ok = true;
  if (sources_.keys) {
    absl::StatusOr<std::string> key_set = sources_.keys();
    const absl::Status status = key_set.ok() ? keys_.Update(*key_set) : key_set.status();
    if (!status.ok()) {
      ok = false;
      Log(Severity::kWarning, "keys_not_refreshed", {{LogField::kReason, ReasonOf(status)}});
    }
  }
  if (sources_.revocations) {
    const auto revoked = sources_.revocations(read_until_ - kOverlap);
    if (revoked.ok()) {
      for (const Revocation& revocation : *revoked) {
        revocations_.Add(revocation.device, revocation.revoke_time);
        read_until_ = std::max(read_until_, std::min(revocation.revoke_time, now));
      }
      keys_.NoteRevocationsRead();
    } else {
      ok = false;
      Log(Severity::kWarning, "revocations_not_read",
          {{LogField::kReason, ReasonOf(revoked.status())}});
    }
  } else {
    keys_.NoteRevocationsRead();
  }
  next_ = ok ? now + kRefreshInterval : now;
}

}  // namespace handrail::rpc
