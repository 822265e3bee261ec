#include "services/messaging/adapters/proto_conversion.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"

namespace handrail::messaging {
namespace {

constexpr size_t kDeviceKeyBytes = 32;  // of Ed25519

// An unknown standing, one that a newer profiles may send, is treated as suspended.
Standing StandingOf(handrail::common::v1::Standing standing) {
  switch (standing) {
    case handrail::common::v1::STANDING_GOOD: return Standing::kGood;
    case handrail::common::v1::STANDING_ERASED: return Standing::kErased;
    default: return Standing::kSuspended;
  }
}

v1::ClosingCause CauseOf(ClosingCause cause) {
  switch (cause) {
    case ClosingCause::kDraining: return v1::CLOSING_CAUSE_DRAINING;
    case ClosingCause::kAge: return v1::CLOSING_CAUSE_AGE;
    case ClosingCause::kReplaced: return v1::CLOSING_CAUSE_REPLACED;
    case ClosingCause::kRevoked: return v1::CLOSING_CAUSE_REVOKED;
  }
  return v1::CLOSING_CAUSE_UNSPECIFIED;
}

v1::EnvelopeKind KindOf(EnvelopeKind kind) {
  switch (kind) {
    case EnvelopeKind::kOpaque: return v1::ENVELOPE_KIND_UNSPECIFIED;
    case EnvelopeKind::kApplication: return v1::ENVELOPE_KIND_APPLICATION;
    case EnvelopeKind::kProposal: return v1::ENVELOPE_KIND_PROPOSAL;
    case EnvelopeKind::kCommit: return v1::ENVELOPE_KIND_COMMIT;
  }
  return v1::ENVELOPE_KIND_UNSPECIFIED;
}

struct EventWriter {
  v1::SubscribeResponse* proto;
  void operator()(const Started& started) const {
    proto->mutable_started()->set_generation(started.generation);
  }
  void operator()(const EnvelopePtr& envelope) const {
    ToProto(*envelope, proto->mutable_envelope());
  }
  void operator()(const WelcomePtr& welcome) const { ToProto(*welcome, proto->mutable_welcome()); }
  void operator()(const Gap& gap) const { ToProto(gap, proto->mutable_gap()); }
  void operator()(const CaughtUp&) const { proto->mutable_caught_up(); }
  void operator()(const Ping&) const { proto->mutable_ping(); }
  void operator()(const ConversationChanged& changed) const {
    ToProto(changed.conversation, proto->mutable_conversation_changed()->mutable_conversation());
  }
  void operator()(const KeyPackagesLow& low) const {
    ToProto(low.count, proto->mutable_key_packages_low()->mutable_count());
  }
  void operator()(const Closing& closing) const {
    proto->mutable_closing()->set_cause(CauseOf(closing.cause));
    proto->mutable_closing()->set_retry_after_ms(
        static_cast<int32_t>(absl::ToInt64Milliseconds(closing.retry_after)));
  }
};

}  // namespace

absl::StatusOr<MemberSnapshot> FromProto(const handrail::common::v1::MemberSnapshot& proto) {
  MemberSnapshot snapshot;
  ASSIGN_OR_RETURN(snapshot.member, MemberId::FromName(proto.member()));
  snapshot.version = proto.version();
  snapshot.standing = StandingOf(proto.standing());
  for (const std::string& name : proto.devices()) {
    ASSIGN_OR_RETURN(const DeviceId device, DeviceId::FromName(name));
    snapshot.devices.push_back(device);
  }
  return snapshot;
}

absl::Status TakeDeviceKeys(
    const google::protobuf::RepeatedPtrField<handrail::common::v1::DeviceKey>& protos,
    MemberSnapshot& snapshot) {
  for (const auto& proto : protos) {
    ASSIGN_OR_RETURN(const DeviceId device, DeviceId::FromName(proto.device()));
    if (proto.public_key().size() != kDeviceKeyBytes) {
      return FieldError("device_keys", "a public_key is not 32 bytes long");
    }
    const auto& devices = snapshot.devices;
    if (std::find(devices.begin(), devices.end(), device) == devices.end()) continue;
    snapshot.device_keys[device] = proto.public_key();
  }
  return absl::OkStatus();
}

absl::StatusOr<Block> FromProto(const handrail::common::v1::Block& proto) {
  Block block;
  ASSIGN_OR_RETURN(block.id, BlockId::FromName(proto.name()));
  ASSIGN_OR_RETURN(block.blocker, MemberId::FromName(proto.blocker()));
  ASSIGN_OR_RETURN(block.blocked, MemberId::FromName(proto.blocked()));
  return block;
}

absl::StatusOr<std::vector<Cursor>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Cursor>& protos) {
  std::vector<Cursor> cursors;
  for (const v1::Cursor& proto : protos) {
    ASSIGN_OR_RETURN(const ConversationId id, ConversationId::FromName(proto.conversation()));
    cursors.push_back({id, proto.after_sequence()});
  }
  return cursors;
}

absl::StatusOr<Messaging::Message> TakeMessage(v1::SendMessageRequest& proto) {
  Messaging::Message message;
  ASSIGN_OR_RETURN(message.conversation, ConversationId::FromName(proto.conversation()));
  const auto id = MessageId::Parse(proto.message_id());
  if (!id.ok()) {
    return FieldError("message_id", "must be 32 lower-case hexadecimal digits");
  }
  message.message_id = *id;
  message.payload = std::move(*proto.mutable_payload());
  return message;
}

void ToProto(absl::Time time, google::protobuf::Timestamp* proto) {
  const int64_t micros = absl::ToUnixMicros(time);
  proto->set_seconds(micros / 1'000'000);
  proto->set_nanos(static_cast<int32_t>(micros % 1'000'000 * 1'000));
}

void ToProto(const Envelope& envelope, v1::Envelope* proto) {
  proto->set_conversation(envelope.conversation.Name());
  proto->set_sequence(envelope.sequence);
  proto->set_sender(envelope.sender.Name());
  proto->set_sender_device(envelope.sender_device.Name());
  proto->set_message_id(envelope.message_id.ToString());
  proto->set_payload(envelope.payload);
  ToProto(envelope.create_time, proto->mutable_create_time());
  proto->set_kind(KindOf(envelope.kind));
  proto->set_epoch(envelope.epoch);
  if (!envelope.franking.has_value()) return;
  proto->mutable_franking()->set_stamp(envelope.franking->stamp);
  proto->mutable_franking()->set_previous_commitment(envelope.franking->previous_commitment);
  proto->mutable_franking()->set_key_id(envelope.franking->key_id);
}

void ToProto(const Welcome& welcome, v1::Welcome* proto) {
  proto->set_conversation(welcome.conversation.Name());
  proto->set_sequence(welcome.sequence);
  proto->set_epoch(welcome.epoch);
  proto->set_welcome(welcome.message);
  ToProto(welcome.create_time, proto->mutable_create_time());
}

void ToProto(const Gap& gap, v1::Gap* proto) {
  proto->set_conversation(gap.conversation.Name());
  proto->set_first_sequence(gap.first_sequence);
  proto->set_last_sequence(gap.last_sequence);
}

void ToProto(const Conversation& conversation, v1::Conversation* proto) {
  proto->set_name(conversation.id.Name());
  for (const MemberId& member : conversation.members) proto->add_members(member.Name());
  for (const MemberId& member : conversation.members_left) proto->add_members_left(member.Name());
  proto->set_state(conversation.state == ConversationState::kOpen ? v1::CONVERSATION_STATE_OPEN
                                                                  : v1::CONVERSATION_STATE_CLOSED);
  ToProto(conversation.create_time, proto->mutable_create_time());
  proto->set_head_sequence(conversation.head_sequence);
  proto->set_first_sequence(conversation.first_sequence);
  proto->set_acked_sequence(conversation.acked_sequence);
  proto->set_group_id(conversation.group_id);
  proto->set_epoch(conversation.epoch);
  proto->set_group_generation(conversation.generation);
}

void ToProto(const KeyPackageCount& count, v1::KeyPackageCount* proto) {
  proto->set_available(static_cast<int32_t>(count.available));
  proto->set_has_last_resort(count.has_last_resort);
  proto->set_low(count.low);
}

void ToProto(const Event& event, v1::SubscribeResponse* proto) {
  std::visit(EventWriter{proto}, event);
}

}  // namespace handrail::messaging
