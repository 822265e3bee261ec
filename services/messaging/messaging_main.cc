// handrail_messaging: conversations and their delivery.
#include <string>
#include <utility>
#include <vector>

#include "common/rpc/main_support.h"
#include "common/storage/redis_url_check.h"
#include "handrail/messaging/v1/attachment.grpc.pb.h"
#include "handrail/messaging/v1/conversation_sync.grpc.pb.h"
#include "handrail/messaging/v1/group.grpc.pb.h"
#include "handrail/messaging/v1/invitation.grpc.pb.h"
#include "handrail/messaging/v1/key_service.grpc.pb.h"
#include "handrail/messaging/v1/messaging.grpc.pb.h"
#include "services/messaging/messaging_process.h"

namespace handrail::messaging {
namespace {

std::vector<std::string> Validate(const rpc::CommonOptions& options) {
  std::vector<std::string> faults;
  if (options.database_url.empty() && options.data_folder.empty()) {
    faults.push_back("--database_url or --data_folder must be set");
  }
  if (options.server.internal_address.empty()) {
    faults.push_back("--internal_address must be set: matching and profiles call there");
  }
  for (std::string& fault : storage::RedisUrlFaults(options.redis_url)) {
    faults.push_back(std::move(fault));
  }
  return faults;
}

rpc::MainSpec Spec() {
  rpc::MainSpec spec;
  spec.service = "messaging";
  spec.description =
      "Conversations of paired members and of small groups: stores opaque messages and delivers "
      "them to every device, in order, at least once.";
  spec.public_services = {
      rpc::DescriptorOf<v1::MessagingService>(), rpc::DescriptorOf<v1::KeyService>(),
      rpc::DescriptorOf<v1::GroupService>(), rpc::DescriptorOf<v1::AttachmentService>(),
      rpc::DescriptorOf<v1::InvitationService>()};
  spec.internal_services = {rpc::DescriptorOf<v1::ConversationSyncService>()};
  spec.validate = Validate;
  spec.build = BuildMessaging;
  return spec;
}

}  // namespace
}  // namespace handrail::messaging

int main(int argc, char** argv) {
  return handrail::rpc::RunMain(argc, argv, handrail::messaging::Spec());
}
