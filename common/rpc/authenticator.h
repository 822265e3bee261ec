#ifndef HANDRAIL_COMMON_RPC_AUTHENTICATOR_H_
#define HANDRAIL_COMMON_RPC_AUTHENTICATOR_H_

#include <grpcpp/server_context.h>

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/rpc/policy_table.h"

namespace handrail::rpc {

// Says who calls, from what the transport carries. Thread-safe and never blocks: it runs in gRPC's
// reactions. UNAUTHENTICATED with TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED or TOKEN_REVOKED;
// UNAVAILABLE / PEER_UNAVAILABLE while there are no keys at all to check a token with.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  virtual absl::StatusOr<Principal> Authenticate(const grpc::CallbackServerContext& context,
                                                 const MethodRow& row) = 0;
};

// Devices whose tokens no longer count, and since when. A token outlives a revocation by no more
// than its own life and the safety grace, so entries are forgotten after 3 hours; at most `limit`
// are kept, and when full, the oldest go first. Thread-safe.
class RevocationSet {
 public:
  RevocationSet(const Clock& clock, size_t limit = 1'000'000);

  void Add(const DeviceId& device, absl::Time revoke_time);
  bool IsRevoked(const DeviceId& device) const;
  size_t size() const;

 private:
  const Clock& clock_;
  const size_t limit_;
  mutable Mutex mutex_;
  absl::flat_hash_map<DeviceId, absl::Time> devices_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_prune_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  void Prune() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
};

// Checks signature, issuer, audience, key id and form of a token. A narrow view of
// crypto::TokenVerifier, which also remembers what it has verified.
class TokenChecker {
 public:
  virtual ~TokenChecker() = default;
  // Codes as of Authenticator. `grace` is added to the token's life.
  virtual absl::StatusOr<Principal> Check(absl::string_view token, absl::Duration grace) const = 0;
  // False while the keys or the revocations could not be refreshed for a minute.
  virtual bool SourceReachable() const = 0;
};

// `authorization: Bearer <token>`. Safety calls accept a token that expired up to an hour ago, but
// only while the source of keys and revocations cannot be reached.
class TokenAuthenticator final : public Authenticator {
 public:
  TokenAuthenticator(const TokenChecker& checker, const RevocationSet& revocations)
      : checker_(checker), revocations_(revocations) {}
  absl::StatusOr<Principal> Authenticate(const grpc::CallbackServerContext& context,
                                         const MethodRow& row) override;

 private:
  const TokenChecker& checker_;
  const RevocationSet& revocations_;
};

// Who may call the internal listener.
struct ServiceIdentityOptions {
  // The names that are let in, such as "profiles". Empty: nobody.
  std::vector<std::string> allowed_services;
  // spiffe://<trust_domain>/<service> must be a URI in the peer's certificate.
  std::string trust_domain = "handrail";
};

// The identity of another service of the deployment. Over a Unix socket it is the metadata
// `x-handrail-service`: the socket lies in a folder that only our own user may enter. Over TCP it
// is the SPIFFE URI of the certificate that mTLS verified, and metadata counts for nothing.
class ServiceAuthenticator final : public Authenticator {
 public:
  explicit ServiceAuthenticator(ServiceIdentityOptions options);
  absl::StatusOr<Principal> Authenticate(const grpc::CallbackServerContext& context,
                                         const MethodRow& row) override;

 private:
  const ServiceIdentityOptions options_;
};

inline constexpr char kServiceMetadata[] = "x-handrail-service";

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_AUTHENTICATOR_H_
