#ifndef HANDRAIL_SERVICES_PROFILES_ADAPTERS_SIGNING_KEYS_H_
#define HANDRAIL_SERVICES_PROFILES_ADAPTERS_SIGNING_KEYS_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/crypto/token.h"
#include "common/crypto/vault.h"

namespace handrail::profiles {

struct SigningKeyOptions {
  std::string folder;
  std::string issuer = "handrail";
  // How long a new key is published before it signs. Every service reads the published keys each 15
  // s, so by then all of them know it.
  absl::Duration publish_before_use = absl::Minutes(2);
  // How long a key stays published after its successor began to sign: the life of its last token,
  // an hour of grace for safety calls, and room.
  absl::Duration publish_after_use = absl::Hours(3);
  crypto::KeyFilePolicy file_policy = crypto::KeyFilePolicy::kOwnerOnly;
};

// The keys that tokens are signed with: a folder of files `signing-<microseconds since 1970>.key`,
// each 64 hexadecimal digits (an Ed25519 seed), readable by the owner alone. A rotation is one more
// file, which every replica that reads the folder picks up. The newest key that has been published
// long enough signs; the very first one signs at once. Thread-safe.
class SigningKeys {
 public:
  // FAILED_PRECONDITION / CONFIGURATION_INVALID when the folder cannot be read, holds no key, or a
  // file may be read by others or is no key. The error names the file, never its content.
  static absl::StatusOr<std::unique_ptr<SigningKeys>> Open(SigningKeyOptions options,
                                                           const Clock& clock);
  // Writes a new key of mode 0600, and the folder, mode 0700, where it is not there; both are
  // synced. FAILED_PRECONDITION / CONFIGURATION_INVALID when they cannot be written.
  static absl::Status CreateKey(const std::string& folder, absl::Time now, Random& random);
  // True when the folder holds a key file.
  static bool HasKey(const std::string& folder);

  // Reads the folder again. Codes as of Open; the keys held stay when it fails.
  absl::Status Refresh();
  // Makes a new key when the newest is older than `period`, then reads the folder again.
  absl::Status RotateIfOlderThan(absl::Duration period, Random& random);

  // Signs with the key whose turn it is; `claims.issuer` is set.
  std::string Sign(crypto::TokenClaims claims) const;
  // The keys to check tokens with: current, next and previous.
  crypto::KeySet Published() const;
  const std::string& issuer() const { return options_.issuer; }

 private:
  using Signer = std::shared_ptr<const crypto::TokenSigner>;
  using Signers = std::map<absl::Time, Signer>;  // by when the key was made

  SigningKeys(SigningKeyOptions options, const Clock& clock)
      : options_(std::move(options)), clock_(clock) {}
  absl::StatusOr<Signer> LoadKey(const std::string& path) const;
  Signers Held() const;
  // The key whose turn it is; `signers` is not empty.
  Signers::const_iterator Current(const Signers& signers) const;

  const SigningKeyOptions options_;
  const Clock& clock_;
  mutable Mutex mutex_;
  Signers signers_ ABSL_GUARDED_BY(mutex_);  // never empty after Open
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_ADAPTERS_SIGNING_KEYS_H_
