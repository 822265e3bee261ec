#ifndef HANDRAIL_SERVICES_PROFILES_ADAPTERS_SNAPSHOT_PROTO_H_
#define HANDRAIL_SERVICES_PROFILES_ADAPTERS_SNAPSHOT_PROTO_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "google/protobuf/repeated_field.h"
#include "google/protobuf/timestamp.pb.h"
#include "handrail/common/v1/device_key.pb.h"
#include "handrail/common/v1/traits.pb.h"
#include "services/profiles/domain/types.h"

namespace handrail::profiles {

google::protobuf::Timestamp ToTimestamp(absl::Time time);

// What matching may know of a member. A side is there when the member has it; what is in it only
// when the member consents to matching and to the use of health data, and never a field whose
// audience is nobody. DATA_LOSS / DATA_CORRUPT when stored traits cannot be read.
absl::Status ToSnapshotForMatching(const MemberSnapshot& snapshot, common::v1::MemberSnapshot* out);
// What messaging may know: standing and devices.
void ToSnapshotForMessaging(const MemberSnapshot& snapshot, common::v1::MemberSnapshot* out);
// Adds what goes beside it, to messaging alone.
void AddDeviceKeys(const MemberSnapshot& snapshot,
                   google::protobuf::RepeatedPtrField<common::v1::DeviceKey>* out);
void ToProto(const Block& block, common::v1::Block* out);

// True when `path`, such as "person.age_band", names a field within messages of this type.
bool IsFieldPath(const google::protobuf::Descriptor& type, absl::string_view path);
// Clears the field that `path` names; in a path through a repeated message, in each of them. A path
// that names nothing clears nothing.
void ClearFieldPath(google::protobuf::Message& message, absl::string_view path);

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_ADAPTERS_SNAPSHOT_PROTO_H_
