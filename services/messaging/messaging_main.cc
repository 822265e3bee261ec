// handrail_messaging: conversations and their delivery.
#include "common/rpc/main_support.h"
#include "common/rpc/server_options.h"
#include "handrail/messaging/v1/attachment.grpc.pb.h"
#include "handrail/messaging/v1/conversation_sync.grpc.pb.h"
#include "handrail/messaging/v1/group.grpc.pb.h"
#include "handrail/messaging/v1/invitation.grpc.pb.h"
#include "handrail/messaging/v1/key_service.grpc.pb.h"
#include "handrail/messaging/v1/messaging.grpc.pb.h"
#include "handrail/messaging/v1/push.grpc.pb.h"
#include "handrail/messaging/v1/report.grpc.pb.h"
#include "services/messaging/messaging_process.h"

namespace handrail::messaging {
namespace {

void AddFlags(CLI::App& app, MessagingOptions* options) {
  using rpc::AddFlag;
  AddFlag(app, "key_ring_file", &options->key_ring_file,
          "keys that stamp messages and seal reports (default: in the data folder)");
  AddFlag(app, "create_keys", &options->create_keys,
          "make the key ring that is missing (always in the data folder)");
  AddFlag(app, "group_readable_keys", &options->group_readable_keys,
          "key files may be readable by their group, as Kubernetes mounts them");
  AddFlag(app, "push_gateway_url", &options->push.gateway_url,
          "who is told of devices that have something waiting and no stream; docs/push.md");
  AddFlag(app, "push_secrets_file", &options->push.secrets_file,
          "what pushes are signed with: lines whsec_..., the first for good, more to rotate");
  AddFlag(app, "push_ca_file", &options->push.ca_file,
          "certificates that the gateway's is checked with (default: the system's)");
}

rpc::MainSpec Spec(MessagingOptions& options) {
  rpc::MainSpec spec;
  spec.service = "messaging";
  spec.description =
      "Conversations of paired members and of small groups: stores opaque messages and delivers "
      "them to every device, in order, at least once. Without --profiles_internal_address it says "
      "so at the start: what members report then waits, up to 1,000 reports, and reaches nobody.";
  spec.public_services = {
      rpc::DescriptorOf<v1::MessagingService>(),  rpc::DescriptorOf<v1::KeyService>(),
      rpc::DescriptorOf<v1::GroupService>(),      rpc::DescriptorOf<v1::AttachmentService>(),
      rpc::DescriptorOf<v1::InvitationService>(), rpc::DescriptorOf<v1::PushService>(),
      rpc::DescriptorOf<v1::ReportService>()};
  spec.internal_services = {rpc::DescriptorOf<v1::ConversationSyncService>()};
  spec.add_flags = [&options](CLI::App& app) { AddFlags(app, &options); };
  spec.validate = [&options](const rpc::CommonOptions& common) {
    SetDefaults(common, options);
    return Validate(common, options);
  };
  spec.build = [&options](const rpc::MainContext& context) {
    return BuildMessaging(options, context);
  };
  return spec;
}

}  // namespace
}  // namespace handrail::messaging

int main(int argc, char** argv) {
  handrail::messaging::MessagingOptions options;
  return handrail::rpc::RunMain(argc, argv, handrail::messaging::Spec(options));
}
