#ifndef HANDRAIL_TOOLS_HANDRAIL_CLIENT_PERSON_H_
#define HANDRAIL_TOOLS_HANDRAIL_CLIENT_PERSON_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/crypto/ed25519.h"
#include "common/rpc/status_conversion.h"
#include "handrail/matching/v1/candidates.grpc.pb.h"
#include "handrail/matching/v1/care.grpc.pb.h"
#include "handrail/matching/v1/help.grpc.pb.h"
#include "handrail/matching/v1/matching.grpc.pb.h"
#include "handrail/matching/v1/operator.grpc.pb.h"
#include "handrail/messaging/v1/messaging.grpc.pb.h"
#include "handrail/profiles/v1/avoid.grpc.pb.h"
#include "handrail/profiles/v1/identity.grpc.pb.h"
#include "handrail/profiles/v1/profile.grpc.pb.h"
#include "handrail/profiles/v1/safety.grpc.pb.h"
#include "tools/handrail/client/endpoints.h"

namespace handrail::tools {

// To one service, with TLS when the endpoints have a CA file. INVALID_ARGUMENT /
// CONFIGURATION_INVALID for a bad address, FAILED_PRECONDITION for a CA file that cannot be read.
// Does not wait for anything.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeServiceChannel(const Endpoints& endpoints,
                                                                  const std::string& address);

// The public API of one deployment, as an app sees it. Many people share one. Thread-safe.
class Services {
 public:
  // Fails as MakeServiceChannel does. Does not wait for anything.
  static absl::StatusOr<std::unique_ptr<Services>> Create(const Endpoints& endpoints);

  profiles::v1::IdentityService::Stub& identity() { return *identity_; }
  profiles::v1::ProfileService::Stub& profile() { return *profile_; }
  profiles::v1::SafetyService::Stub& safety() { return *safety_; }
  profiles::v1::AvoidService::Stub& avoid() { return *avoid_; }
  matching::v1::MatchingService::Stub& matching() { return *matching_; }
  matching::v1::CareService::Stub& care() { return *care_; }
  matching::v1::CandidateService::Stub& candidates() { return *candidates_; }
  matching::v1::HelpService::Stub& help() { return *help_; }
  matching::v1::OperatorService::Stub& operators() { return *operators_; }
  messaging::v1::MessagingService::Stub& messaging() { return *messaging_; }

 private:
  Services() = default;

  std::unique_ptr<profiles::v1::IdentityService::Stub> identity_;
  std::unique_ptr<profiles::v1::ProfileService::Stub> profile_;
  std::unique_ptr<profiles::v1::SafetyService::Stub> safety_;
  std::unique_ptr<profiles::v1::AvoidService::Stub> avoid_;
  std::unique_ptr<matching::v1::MatchingService::Stub> matching_;
  std::unique_ptr<matching::v1::CareService::Stub> care_;
  std::unique_ptr<matching::v1::CandidateService::Stub> candidates_;
  std::unique_ptr<matching::v1::HelpService::Stub> help_;
  std::unique_ptr<matching::v1::OperatorService::Stub> operators_;
  std::unique_ptr<messaging::v1::MessagingService::Stub> messaging_;
};

// How long a call may take with its repetitions, and one attempt of it.
struct Patience {
  absl::Duration total = absl::Seconds(30);
  absl::Duration attempt = absl::Seconds(10);
};

// One member on one device: a key that signs in, and the token it got. Thread-safe.
class Person {
 public:
  // Makes a key and registers it as a new member.
  static absl::StatusOr<std::unique_ptr<Person>> Register(Services& services, Clock& clock,
                                                          Random& random);
  // Reads a person that Save wrote. NOT_FOUND when there is none.
  static absl::StatusOr<std::unique_ptr<Person>> Load(Services& services, Clock& clock,
                                                      Random& random, const std::string& path);
  // Reads a key that EnsureDeviceKey wrote, and registers it unless that was done before; the names
  // it got are added to the file. NOT_FOUND when there is none.
  static absl::StatusOr<std::unique_ptr<Person>> LoadOrRegister(Services& services, Clock& clock,
                                                                Random& random,
                                                                const std::string& path);
  // Writes key and names to `path`, readable by the owner only. Whoever has the file is this
  // person.
  absl::Status Save(const std::string& path) const;

  const std::string& member() const { return member_; }  // members/{member}
  const std::string& device() const { return device_; }  // devices/{device}
  Services& services() { return services_; }

  // A fresh request id: 32 hexadecimal digits.
  std::string NewRequestId();

  // Calls `method` of `stub` with this person's token. UNAVAILABLE, lost answers and an expired
  // token are repeated with jitter until patience ends, with the same request and so the same
  // request id.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request, Patience patience = Patience()) {
    Response response;
    RETURN_IF_ERROR(Repeat(patience, [&](grpc::ClientContext& context) {
      response.Clear();
      return (stub.*method)(&context, request, &response);
    }));
    return response;
  }

  // An access token that is good for at least `remaining`; signs in when the one held is not.
  absl::StatusOr<std::string> TokenGoodFor(absl::Duration remaining);
  // Adds the token to the context of a stream; signs in again when it is about to expire.
  absl::Status Authorize(grpc::ClientContext& context);

 private:
  Person(Services& services, Clock& clock, Random& random, crypto::SigningKey key);

  absl::Status Repeat(Patience patience,
                      const std::function<grpc::Status(grpc::ClientContext&)>& attempt);
  absl::StatusOr<profiles::v1::DeviceProof> Prove();
  void KeepToken(const profiles::v1::AccessToken& token);
  absl::Status SignIn(bool register_device);

  Services& services_;
  Clock& clock_;
  Random& random_;
  const crypto::SigningKey key_;
  std::string member_;
  std::string device_;
  Mutex mutex_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  absl::Time token_expires_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

// Writes a new device key to `path`, readable by the owner only, unless one lies there; asks no
// service. The 64 hexadecimal digits of its public key, as an operators file names it.
absl::StatusOr<std::string> EnsureDeviceKey(Random& random, const std::string& path);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_CLIENT_PERSON_H_
