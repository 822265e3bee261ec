#include "services/messaging/handlers/group_handler.h"

#include <utility>
#include <vector>

#include "common/base/status.h"
#include "services/messaging/adapters/proto_conversion.h"

namespace handrail::messaging {
namespace {

absl::StatusOr<std::vector<DeviceId>> DevicesOf(
    const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<DeviceId> devices;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const DeviceId device, DeviceId::FromName(name));
    devices.push_back(device);
  }
  return devices;
}

// What CommitBundle and ResetConversation have in common.
template <typename Request>
absl::StatusOr<Groups::Proposed> ReadProposed(const Request& proto) {
  Groups::Proposed proposed;
  ASSIGN_OR_RETURN(proposed.conversation, ConversationId::FromName(proto.conversation()));
  const auto id = MessageId::Parse(proto.commit_id());
  if (!id.ok()) return FieldError("commit_id", "must be 32 lower-case hexadecimal digits");
  proposed.commit_id = *id;
  proposed.commit = proto.commit();
  for (const v1::WelcomeBundle& welcome : proto.welcomes()) {
    ASSIGN_OR_RETURN(std::vector<DeviceId> devices, DevicesOf(welcome.devices()));
    proposed.welcomes.push_back({welcome.welcome(), std::move(devices)});
  }
  ASSIGN_OR_RETURN(proposed.added, DevicesOf(proto.devices_added()));
  proposed.group_info = proto.group_info();
  return proposed;
}

absl::StatusOr<Groups::Proposed> FromProto(const v1::CommitBundleRequest& proto) {
  ASSIGN_OR_RETURN(Groups::Proposed proposed, ReadProposed(proto));
  ASSIGN_OR_RETURN(proposed.removed, DevicesOf(proto.devices_removed()));
  return proposed;
}

absl::StatusOr<Groups::Proposed> FromProto(const v1::ResetConversationRequest& proto) {
  ASSIGN_OR_RETURN(Groups::Proposed proposed, ReadProposed(proto));
  proposed.replaces = ReplacedGroup{proto.replaced_group_id(), proto.replaced_epoch()};
  return proposed;
}

v1::GroupDeviceState StateOf(GroupDeviceState state) {
  switch (state) {
    case GroupDeviceState::kInGroup: return v1::GROUP_DEVICE_STATE_IN_GROUP;
    case GroupDeviceState::kOutside: return v1::GROUP_DEVICE_STATE_OUTSIDE;
    case GroupDeviceState::kRevoked: return v1::GROUP_DEVICE_STATE_REVOKED;
  }
  return v1::GROUP_DEVICE_STATE_UNSPECIFIED;
}

void ToProto(const Group& group, v1::Group* proto) {
  proto->set_conversation(group.conversation.Name());
  proto->set_group_id(group.group_id);
  proto->set_epoch(group.epoch);
  proto->set_head_sequence(group.head_sequence);
  for (const GroupDevice& device : group.devices) {
    v1::GroupDevice* added = proto->add_devices();
    added->set_device(device.device.Name());
    added->set_member(device.member.Name());
    added->set_state(StateOf(device.state));
  }
  proto->set_group_info(group.group_info);
  proto->set_generation(group.generation);
  proto->set_state(group.state == ConversationState::kOpen ? v1::CONVERSATION_STATE_OPEN
                                                           : v1::CONVERSATION_STATE_CLOSED);
}

}  // namespace

grpc::ServerUnaryReactor* GroupHandler::CommitBundle(grpc::CallbackServerContext* context,
                                                     const v1::CommitBundleRequest* request,
                                                     v1::CommitBundleResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::CommitBundleRequest& bundle,
                            v1::CommitBundleResponse* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(Groups::Proposed proposed, FromProto(bundle));
                       ASSIGN_OR_RETURN(const Committed committed,
                                        groups_.Commit(call, std::move(proposed)));
                       answer->set_sequence(committed.sequence);
                       answer->set_epoch(committed.epoch);
                       ToProto(committed.create_time, answer->mutable_create_time());
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* GroupHandler::GetGroup(grpc::CallbackServerContext* context,
                                                 const v1::GetGroupRequest* request,
                                                 v1::Group* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::GetGroupRequest& get, v1::Group* answer) -> absl::Status {
        ASSIGN_OR_RETURN(const auto id, ConversationId::FromName(get.conversation()));
        ASSIGN_OR_RETURN(const Group group, groups_.GetGroup(call, id));
        ToProto(group, answer);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* GroupHandler::FetchWelcomes(grpc::CallbackServerContext* context,
                                                      const v1::FetchWelcomesRequest* request,
                                                      v1::FetchWelcomesResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::FetchWelcomesRequest&,
                            v1::FetchWelcomesResponse* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const WelcomePage page, groups_.FetchWelcomes(call));
                       for (const WelcomePtr& welcome : page.welcomes) {
                         messaging::ToProto(*welcome, answer->add_welcomes());
                       }
                       answer->set_has_more(page.has_more);
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* GroupHandler::AckWelcome(grpc::CallbackServerContext* context,
                                                   const v1::AckWelcomeRequest* request,
                                                   v1::AckWelcomeResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::AckWelcomeRequest& ack,
                            v1::AckWelcomeResponse*) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id,
                                        ConversationId::FromName(ack.conversation()));
                       return groups_.AckWelcome(call, id, ack.sequence());
                     });
}

grpc::ServerUnaryReactor* GroupHandler::ResetConversation(
    grpc::CallbackServerContext* context, const v1::ResetConversationRequest* request,
    v1::ResetConversationResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::ResetConversationRequest& reset,
                            v1::ResetConversationResponse* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(Groups::Proposed proposed, FromProto(reset));
                       ASSIGN_OR_RETURN(const Committed committed,
                                        groups_.Commit(call, std::move(proposed)));
                       if (!committed.wake_ups.empty()) meter_.OnGroupReset();
                       answer->set_sequence(committed.sequence);
                       answer->set_epoch(committed.epoch);
                       answer->set_generation(committed.generation);
                       ToProto(committed.create_time, answer->mutable_create_time());
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* GroupHandler::ReportInvalidCommit(
    grpc::CallbackServerContext* context, const v1::ReportInvalidCommitRequest* request,
    v1::ReportInvalidCommitResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::ReportInvalidCommitRequest& report,
             v1::ReportInvalidCommitResponse* answer) -> absl::Status {
        ASSIGN_OR_RETURN(const auto id, ConversationId::FromName(report.conversation()));
        const InvalidCommit commit{id, report.group_id(), report.epoch(), report.commit_digest()};
        ASSIGN_OR_RETURN(const ReportedCommit reported, groups_.ReportInvalidCommit(call, commit));
        if (reported.fresh) meter_.OnInvalidCommit(reported.mending);
        answer->set_mending(reported.mending == Mending::kReset ? v1::GROUP_MENDING_RESET
                                                                : v1::GROUP_MENDING_JOIN_AGAIN);
        return absl::OkStatus();
      });
}

}  // namespace handrail::messaging
