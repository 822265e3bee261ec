#ifndef HANDRAIL_SERVICES_MESSAGING_ADAPTERS_PROTO_CONVERSION_H_
#define HANDRAIL_SERVICES_MESSAGING_ADAPTERS_PROTO_CONVERSION_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/repeated_field.h"
#include "google/protobuf/timestamp.pb.h"
#include "handrail/common/v1/device_key.pb.h"
#include "handrail/common/v1/traits.pb.h"
#include "handrail/messaging/v1/messaging.pb.h"
#include "services/messaging/domain/messages.h"
#include "services/messaging/domain/messaging.h"

namespace handrail::messaging {

// Proto to domain and back. Codes of the first: INVALID_ARGUMENT / RESOURCE_NAME_INVALID or
// FIELD_INVALID.
absl::StatusOr<MemberSnapshot> FromProto(const handrail::common::v1::MemberSnapshot& proto);
// Gives the snapshot those of the keys that are of its devices.
absl::Status TakeDeviceKeys(
    const google::protobuf::RepeatedPtrField<handrail::common::v1::DeviceKey>& protos,
    MemberSnapshot& snapshot);
absl::StatusOr<Block> FromProto(const handrail::common::v1::Block& proto);
absl::StatusOr<std::vector<Cursor>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Cursor>& protos);
// Takes the payload out of `proto`.
absl::StatusOr<Messaging::Message> TakeMessage(v1::SendMessageRequest& proto);

void ToProto(absl::Time time, google::protobuf::Timestamp* proto);
void ToProto(const Envelope& envelope, v1::Envelope* proto);
void ToProto(const Welcome& welcome, v1::Welcome* proto);
void ToProto(const Gap& gap, v1::Gap* proto);
void ToProto(const Conversation& conversation, v1::Conversation* proto);
void ToProto(const KeyPackageCount& count, v1::KeyPackageCount* proto);
void ToProto(const Event& event, v1::SubscribeResponse* proto);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_ADAPTERS_PROTO_CONVERSION_H_
