#ifndef HANDRAIL_SERVICES_PROFILES_HANDLERS_HANDLERS_H_
#define HANDRAIL_SERVICES_PROFILES_HANDLERS_HANDLERS_H_

#include <functional>

#include "common/rpc/edge.h"
#include "handrail/profiles/v1/directory.grpc.pb.h"
#include "handrail/profiles/v1/identity.grpc.pb.h"
#include "handrail/profiles/v1/profile.grpc.pb.h"
#include "handrail/profiles/v1/safety.grpc.pb.h"
#include "services/profiles/adapters/signing_keys.h"
#include "services/profiles/domain/consent.h"
#include "services/profiles/domain/directory.h"
#include "services/profiles/domain/identity.h"
#include "services/profiles/domain/profile.h"
#include "services/profiles/domain/safety.h"
#include "services/profiles/handlers/page_tokens.h"

namespace handrail::profiles {

// The gRPC services of profiles: each method turns messages into domain types and back, and nothing
// more. The edge has checked caller and fields before. References outlive the handlers.
// Thread-safe.

class IdentityHandler final : public v1::IdentityService::CallbackService {
 public:
  // `revoked` is told of every device that is revoked here, so that its tokens end at once.
  IdentityHandler(rpc::Edge& edge, Identity& identity, const SigningKeys& keys,
                  const PageTokens& pages, std::function<void(const Device&)> revoked);

  grpc::ServerUnaryReactor* CreateChallenge(grpc::CallbackServerContext* context,
                                            const v1::CreateChallengeRequest* request,
                                            v1::CreateChallengeResponse* response) override;
  grpc::ServerUnaryReactor* RegisterDevice(grpc::CallbackServerContext* context,
                                           const v1::RegisterDeviceRequest* request,
                                           v1::RegisterDeviceResponse* response) override;
  grpc::ServerUnaryReactor* CreateToken(grpc::CallbackServerContext* context,
                                        const v1::CreateTokenRequest* request,
                                        v1::AccessToken* response) override;
  grpc::ServerUnaryReactor* AddDevice(grpc::CallbackServerContext* context,
                                      const v1::AddDeviceRequest* request,
                                      v1::Device* response) override;
  grpc::ServerUnaryReactor* ListDevices(grpc::CallbackServerContext* context,
                                        const v1::ListDevicesRequest* request,
                                        v1::ListDevicesResponse* response) override;
  grpc::ServerUnaryReactor* RevokeDevice(grpc::CallbackServerContext* context,
                                         const v1::RevokeDeviceRequest* request,
                                         v1::Device* response) override;
  grpc::ServerUnaryReactor* ListSigningKeys(grpc::CallbackServerContext* context,
                                            const v1::ListSigningKeysRequest* request,
                                            v1::ListSigningKeysResponse* response) override;

 private:
  rpc::Edge& edge_;
  Identity& identity_;
  const SigningKeys& keys_;
  const PageTokens& pages_;
  const std::function<void(const Device&)> revoked_;
};

class ProfileHandler final : public v1::ProfileService::CallbackService {
 public:
  ProfileHandler(rpc::Edge& edge, Profiles& profiles, Consent& consent, const PageTokens& pages);

  grpc::ServerUnaryReactor* GetProfile(grpc::CallbackServerContext* context,
                                       const v1::GetProfileRequest* request,
                                       v1::Profile* response) override;
  grpc::ServerUnaryReactor* UpdateProfile(grpc::CallbackServerContext* context,
                                          const v1::UpdateProfileRequest* request,
                                          v1::Profile* response) override;
  grpc::ServerUnaryReactor* AttestAvailability(grpc::CallbackServerContext* context,
                                               const v1::AttestAvailabilityRequest* request,
                                               v1::Profile* response) override;
  grpc::ServerUnaryReactor* GrantConsent(grpc::CallbackServerContext* context,
                                         const v1::GrantConsentRequest* request,
                                         v1::ConsentReceipt* response) override;
  grpc::ServerUnaryReactor* WithdrawConsent(grpc::CallbackServerContext* context,
                                            const v1::WithdrawConsentRequest* request,
                                            v1::ConsentReceipt* response) override;
  grpc::ServerUnaryReactor* ListConsentReceipts(grpc::CallbackServerContext* context,
                                                const v1::ListConsentReceiptsRequest* request,
                                                v1::ListConsentReceiptsResponse* response) override;

 private:
  rpc::Edge& edge_;
  Profiles& profiles_;
  Consent& consent_;
  const PageTokens& pages_;
};

class SafetyHandler final : public v1::SafetyService::CallbackService {
 public:
  SafetyHandler(rpc::Edge& edge, Safety& safety, const PageTokens& pages);

  grpc::ServerUnaryReactor* BlockMember(grpc::CallbackServerContext* context,
                                        const v1::BlockMemberRequest* request,
                                        v1::BlockMemberResponse* response) override;
  grpc::ServerUnaryReactor* ListBlocks(grpc::CallbackServerContext* context,
                                       const v1::ListBlocksRequest* request,
                                       v1::ListBlocksResponse* response) override;

 private:
  rpc::Edge& edge_;
  Safety& safety_;
  const PageTokens& pages_;
};

// For the internal listener.
class DirectoryHandler final : public v1::DirectoryService::CallbackService {
 public:
  DirectoryHandler(rpc::Edge& edge, Directory& directory, const PageTokens& pages);

  grpc::ServerUnaryReactor* GetMemberSnapshot(grpc::CallbackServerContext* context,
                                              const v1::GetMemberSnapshotRequest* request,
                                              v1::GetMemberSnapshotResponse* response) override;
  grpc::ServerUnaryReactor* ListRevocations(grpc::CallbackServerContext* context,
                                            const v1::ListRevocationsRequest* request,
                                            v1::ListRevocationsResponse* response) override;

 private:
  rpc::Edge& edge_;
  Directory& directory_;
  const PageTokens& pages_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_HANDLERS_HANDLERS_H_
