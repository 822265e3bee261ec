#include <utility>

#include "common/base/macros.h"
#include "common/crypto/key_set.h"
#include "services/profiles/adapters/snapshot_proto.h"
#include "services/profiles/handlers/handlers.h"
#include "services/profiles/handlers/profile_proto.h"

namespace handrail::profiles {

IdentityHandler::IdentityHandler(rpc::Edge& edge, Identity& identity, const SigningKeys& keys,
                                 const PageTokens& pages,
                                 std::function<void(const Device&)> revoked)
    : edge_(edge), identity_(identity), keys_(keys), pages_(pages), revoked_(std::move(revoked)) {}

grpc::ServerUnaryReactor* IdentityHandler::CreateChallenge(
    grpc::CallbackServerContext* context, const v1::CreateChallengeRequest* request,
    v1::CreateChallengeResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::CreateChallengeRequest& request,
                            v1::CreateChallengeResponse* response) {
                       const Challenge challenge =
                           identity_.CreateChallenge(call, request.public_key());
                       response->set_challenge(challenge.bytes);
                       response->set_signing_context(challenge.signing_context);
                       *response->mutable_expire_time() = ToTimestamp(challenge.expire_time);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* IdentityHandler::RegisterDevice(grpc::CallbackServerContext* context,
                                                          const v1::RegisterDeviceRequest* request,
                                                          v1::RegisterDeviceResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::RegisterDeviceRequest& request,
                            v1::RegisterDeviceResponse* response) -> absl::Status {
                       ASSIGN_OR_RETURN(const SignedInDevice signed_in,
                                        identity_.RegisterDevice(call, FromProto(request.proof())));
                       ToProto(signed_in.device, response->mutable_device());
                       ToProto(signed_in.token, response->mutable_access_token());
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* IdentityHandler::CreateToken(grpc::CallbackServerContext* context,
                                                       const v1::CreateTokenRequest* request,
                                                       v1::AccessToken* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::CreateTokenRequest& request,
                            v1::AccessToken* response) -> absl::Status {
                       ASSIGN_OR_RETURN(const AccessToken token,
                                        identity_.CreateToken(call, FromProto(request.proof())));
                       ToProto(token, response);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* IdentityHandler::AddDevice(grpc::CallbackServerContext* context,
                                                     const v1::AddDeviceRequest* request,
                                                     v1::Device* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::AddDeviceRequest& request,
                            v1::Device* response) -> absl::Status {
                       ASSIGN_OR_RETURN(const Device device,
                                        identity_.AddDevice(call, FromProto(request.proof())));
                       ToProto(device, response);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* IdentityHandler::ListDevices(grpc::CallbackServerContext* context,
                                                       const v1::ListDevicesRequest* request,
                                                       v1::ListDevicesResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListDevicesRequest& request,
             v1::ListDevicesResponse* response) -> absl::Status {
        ASSIGN_OR_RETURN(const PageRequest page,
                         pages_.Read(call, "", request.page_size(), request.page_token()));
        ASSIGN_OR_RETURN(const Page<Device> devices, identity_.ListDevices(call, page));
        for (const Device& device : devices.items) ToProto(device, response->add_devices());
        response->set_next_page_token(pages_.Write(call, "", devices.next));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* IdentityHandler::RevokeDevice(grpc::CallbackServerContext* context,
                                                        const v1::RevokeDeviceRequest* request,
                                                        v1::Device* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::RevokeDeviceRequest& request,
                            v1::Device* response) -> absl::Status {
                       ASSIGN_OR_RETURN(const DeviceId id, DeviceId::FromName(request.name()));
                       ASSIGN_OR_RETURN(const Device device, identity_.RevokeDevice(call, id));
                       revoked_(device);
                       ToProto(device, response);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* IdentityHandler::ListSigningKeys(
    grpc::CallbackServerContext* context, const v1::ListSigningKeysRequest* request,
    v1::ListSigningKeysResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call&, const v1::ListSigningKeysRequest&,
                            v1::ListSigningKeysResponse* response) {
                       response->set_json_web_key_set(crypto::EncodeKeySet(keys_.Published()));
                       response->set_issuer(keys_.issuer());
                       return absl::OkStatus();
                     });
}

}  // namespace handrail::profiles
