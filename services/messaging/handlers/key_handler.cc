#include "services/messaging/handlers/key_handler.h"

#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "services/messaging/adapters/proto_conversion.h"

namespace handrail::messaging {
namespace {

void ToProto(KeyPackageClaim claim, v1::ClaimKeyPackagesResponse* proto) {
  for (ClaimedKeyPackage& package : claim.packages) {
    v1::ClaimedKeyPackage* claimed = proto->add_key_packages();
    claimed->set_member(package.member.Name());
    claimed->set_device(package.device.Name());
    claimed->set_reference(std::move(package.reference));
    claimed->set_key_package(std::move(package.message));
    claimed->set_last_resort(package.last_resort);
  }
  for (const DeviceId& device : claim.without) proto->add_devices_without(device.Name());
}

void ToProto(DeviceLogEntry entry, v1::DeviceLogEntry* proto) {
  proto->set_index(entry.index);
  proto->set_kind(entry.kind == DeviceLogKind::kAdded ? v1::DEVICE_LOG_KIND_ADDED
                                                      : v1::DEVICE_LOG_KIND_REVOKED);
  proto->set_device(entry.device.Name());
  proto->set_public_key(std::move(entry.public_key));
  messaging::ToProto(entry.create_time, proto->mutable_create_time());
  proto->set_previous_hash(std::move(entry.previous_hash));
  proto->set_hash(std::move(entry.hash));
}

}  // namespace

grpc::ServerUnaryReactor* KeyHandler::PublishKeyPackages(
    grpc::CallbackServerContext* context, const v1::PublishKeyPackagesRequest* request,
    v1::PublishKeyPackagesResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::PublishKeyPackagesRequest& publish,
                            v1::PublishKeyPackagesResponse* answer) -> absl::Status {
                       const std::vector<std::string> packages(publish.key_packages().begin(),
                                                               publish.key_packages().end());
                       ASSIGN_OR_RETURN(
                           const KeyPackageCount count,
                           key_packages_.Publish(call, packages, publish.last_resort()));
                       ToProto(count, answer->mutable_count());
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* KeyHandler::CountKeyPackages(grpc::CallbackServerContext* context,
                                                       const v1::CountKeyPackagesRequest* request,
                                                       v1::CountKeyPackagesResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::CountKeyPackagesRequest&,
                            v1::CountKeyPackagesResponse* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const KeyPackageCount count, key_packages_.Count(call));
                       ToProto(count, answer->mutable_count());
                       return absl::OkStatus();
                     });
}

grpc::ServerUnaryReactor* KeyHandler::ClaimKeyPackages(grpc::CallbackServerContext* context,
                                                       const v1::ClaimKeyPackagesRequest* request,
                                                       v1::ClaimKeyPackagesResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::ClaimKeyPackagesRequest& claim,
             v1::ClaimKeyPackagesResponse* answer) -> absl::Status {
        ASSIGN_OR_RETURN(const auto conversation, ConversationId::FromName(claim.conversation()));
        std::vector<DeviceId> devices;
        for (const std::string& name : claim.devices()) {
          ASSIGN_OR_RETURN(const DeviceId device, DeviceId::FromName(name));
          devices.push_back(device);
        }
        ASSIGN_OR_RETURN(KeyPackageClaim claimed,
                         key_packages_.Claim(call, claim.claim_id(), conversation, devices));
        ToProto(std::move(claimed), answer);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* KeyHandler::ListDeviceLog(grpc::CallbackServerContext* context,
                                                    const v1::ListDeviceLogRequest* request,
                                                    v1::ListDeviceLogResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::ListDeviceLogRequest& list,
                            v1::ListDeviceLogResponse* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const MemberId member, MemberId::FromName(list.member()));
                       ASSIGN_OR_RETURN(
                           DeviceLogPage page,
                           device_logs_.List(call, member, list.after_index(), list.page_size()));
                       for (DeviceLogEntry& entry : page.entries) {
                         ToProto(std::move(entry), answer->add_entries());
                       }
                       answer->set_head_index(page.head_index);
                       answer->set_head_hash(std::move(page.head_hash));
                       return absl::OkStatus();
                     });
}

}  // namespace handrail::messaging
