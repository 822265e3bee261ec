#ifndef HANDRAIL_SERVICES_PROFILES_HANDLERS_PROFILE_PROTO_H_
#define HANDRAIL_SERVICES_PROFILES_HANDLERS_PROFILE_PROTO_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "handrail/profiles/v1/identity.pb.h"
#include "handrail/profiles/v1/profile.pb.h"
#include "services/profiles/domain/profile.h"
#include "services/profiles/domain/types.h"

namespace handrail::profiles {

DeviceProof FromProto(const v1::DeviceProof& proof);
void ToProto(const Device& device, v1::Device* out);
void ToProto(const AccessToken& token, v1::AccessToken* out);
void ToProto(const ConsentReceipt& receipt, v1::ConsentReceipt* out);
// DATA_LOSS / DATA_CORRUPT when stored traits cannot be read.
absl::Status ToProto(const Profile& profile, v1::Profile* out);

// What an UpdateProfile asks for. INVALID_ARGUMENT / FIELD_INVALID for a path of the mask or of an
// audience that names no field that can be written, or an audience named twice.
absl::StatusOr<ProfileUpdate> FromProto(const v1::UpdateProfileRequest& request);

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_HANDLERS_PROFILE_PROTO_H_
