#ifndef HANDRAIL_COMMON_RPC_KEY_SOURCE_H_
#define HANDRAIL_COMMON_RPC_KEY_SOURCE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/rpc/authenticator.h"

namespace handrail::crypto {
class TokenVerifier;
}  // namespace handrail::crypto

namespace handrail::rpc {

// The public keys that tokens are checked with, and whether they could be refreshed lately. Keys
// come from configuration or from profiles, never from a token. Until the first Update every token
// is answered with UNAVAILABLE / PEER_UNAVAILABLE. Thread-safe.
class KeySource final : public TokenChecker {
 public:
  KeySource(const Clock& clock, std::string issuer, std::string audience);
  ~KeySource() override;

  // Replaces the key set by a JSON Web Key Set (RFC 7517, RFC 8037). INVALID_ARGUMENT, and the keys
  // held stay, when it cannot be read. Counts as a successful refresh.
  absl::Status Update(absl::string_view json_web_key_set);
  // The revocations were read, too.
  void NoteRevocationsRead();
  // From now on SourceReachable looks at the age of the last refresh (a minute at most); without
  // this, in profiles itself, the source is always reachable.
  void ExpectRefreshes();

  absl::StatusOr<Principal> Check(absl::string_view token, absl::Duration grace) const override;
  bool SourceReachable() const override;
  bool HasKeys() const;

 private:
  const Clock& clock_;
  const std::unique_ptr<crypto::TokenVerifier> verifier_;
  std::atomic<bool> has_keys_{false};
  std::atomic<bool> refreshed_from_afar_{false};
  std::atomic<int64_t> keys_read_us_{0};
  std::atomic<int64_t> revocations_read_us_{0};
  Mutex mutex_;
  std::string key_set_
      ABSL_GUARDED_BY(mutex_);  // as last set, so that nothing is set again in vain
};

// One revoked device.
struct Revocation {
  DeviceId device;
  absl::Time revoke_time;
};

// Reads keys and revocations again every 15 s (1 s after a failure) on a thread of its own.
class KeyRefresher {
 public:
  struct Sources {
    // Returns the JSON Web Key Set.
    std::function<absl::StatusOr<std::string>()> keys;
    // Returns what was revoked at or after a time.
    std::function<absl::StatusOr<std::vector<Revocation>>(absl::Time since)> revocations;
  };
  KeyRefresher(const Clock& clock, Sources sources, KeySource& keys, RevocationSet& revocations);
  void Stop();  // idempotent; also on destruction

 private:
  void Refresh();

  const Clock& clock_;
  const Sources sources_;
  KeySource& keys_;
  RevocationSet& revocations_;
  absl::Time read_until_ = absl::InfinitePast();  // touched by the refreshing thread only
  absl::Time next_ = absl::InfinitePast();
  PeriodicTask task_;
};

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_KEY_SOURCE_H_
