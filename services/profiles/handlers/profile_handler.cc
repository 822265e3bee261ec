#include "common/base/macros.h"
#include "services/profiles/domain/member_guard.h"
#include "services/profiles/handlers/handlers.h"
#include "services/profiles/handlers/profile_proto.h"

namespace handrail::profiles {
namespace {

// A profile is always the caller's own; its name may be left out.
absl::Status CheckOwn(const Call& call, const std::string& name) {
  if (name.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const MemberId member, MemberId::FromName(name));
  return member == call.who.member ? absl::OkStatus() : NotFoundError();
}

// The edge has refused unknown and unset purposes; the numbers are the same.
ConsentPurpose FromProto(v1::ConsentPurpose purpose) {
  return static_cast<ConsentPurpose>(purpose);
}

}  // namespace

ProfileHandler::ProfileHandler(rpc::Edge& edge, Profiles& profiles, Consent& consent,
                               const PageTokens& pages)
    : edge_(edge), profiles_(profiles), consent_(consent), pages_(pages) {}

grpc::ServerUnaryReactor* ProfileHandler::GetProfile(grpc::CallbackServerContext* context,
                                                     const v1::GetProfileRequest* request,
                                                     v1::Profile* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::GetProfileRequest& request,
                            v1::Profile* response) -> absl::Status {
                       RETURN_IF_ERROR(CheckOwn(call, request.name()));
                       ASSIGN_OR_RETURN(const Profile profile, profiles_.Get(call));
                       return ToProto(profile, response);
                     });
}

grpc::ServerUnaryReactor* ProfileHandler::UpdateProfile(grpc::CallbackServerContext* context,
                                                        const v1::UpdateProfileRequest* request,
                                                        v1::Profile* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::UpdateProfileRequest& request,
                            v1::Profile* response) -> absl::Status {
                       RETURN_IF_ERROR(CheckOwn(call, request.profile().name()));
                       ASSIGN_OR_RETURN(const ProfileUpdate update, profiles::FromProto(request));
                       ASSIGN_OR_RETURN(const Profile profile, profiles_.Update(call, update));
                       return ToProto(profile, response);
                     });
}

grpc::ServerUnaryReactor* ProfileHandler::AttestAvailability(
    grpc::CallbackServerContext* context, const v1::AttestAvailabilityRequest* request,
    v1::Profile* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::AttestAvailabilityRequest&,
                            v1::Profile* response) -> absl::Status {
                       ASSIGN_OR_RETURN(const Profile profile, profiles_.AttestAvailability(call));
                       return ToProto(profile, response);
                     });
}

grpc::ServerUnaryReactor* ProfileHandler::GrantConsent(grpc::CallbackServerContext* context,
                                                       const v1::GrantConsentRequest* request,
                                                       v1::ConsentReceipt* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::GrantConsentRequest& request,
                            v1::ConsentReceipt* response) -> absl::Status {
                       ASSIGN_OR_RETURN(
                           const ConsentReceipt receipt,
                           consent_.Grant(call, FromProto(request.purpose()),
                                          {request.notice_version(), request.notice_language()}));
                       ToProto(receipt, response);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* ProfileHandler::WithdrawConsent(grpc::CallbackServerContext* context,
                                                          const v1::WithdrawConsentRequest* request,
                                                          v1::ConsentReceipt* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::WithdrawConsentRequest& request,
                            v1::ConsentReceipt* response) -> absl::Status {
                       ASSIGN_OR_RETURN(const ConsentReceipt receipt,
                                        consent_.Withdraw(call, FromProto(request.purpose())));
                       ToProto(receipt, response);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* ProfileHandler::ListConsentReceipts(
    grpc::CallbackServerContext* context, const v1::ListConsentReceiptsRequest* request,
    v1::ListConsentReceiptsResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListConsentReceiptsRequest& request,
             v1::ListConsentReceiptsResponse* response) -> absl::Status {
        ASSIGN_OR_RETURN(const PageRequest page,
                         pages_.Read(call, "", request.page_size(), request.page_token()));
        ASSIGN_OR_RETURN(const Page<ConsentReceipt> receipts, consent_.List(call, page));
        for (const ConsentReceipt& receipt : receipts.items) {
          ToProto(receipt, response->add_consent_receipts());
        }
        response->set_next_page_token(pages_.Write(call, "", receipts.next));
        return absl::OkStatus();
      });
}

}  // namespace handrail::profiles
