// The profiles service: who people are, and what they agreed to.
#include <memory>

#include "common/rpc/main_support.h"
#include "common/rpc/server_options.h"
#include "handrail/profiles/v1/avoid.grpc.pb.h"
#include "handrail/profiles/v1/case_sync.grpc.pb.h"
#include "handrail/profiles/v1/directory.grpc.pb.h"
#include "handrail/profiles/v1/identity.grpc.pb.h"
#include "handrail/profiles/v1/profile.grpc.pb.h"
#include "handrail/profiles/v1/safety.grpc.pb.h"
#include "services/profiles/profiles_process.h"

namespace {

using handrail::profiles::ProfilesOptions;

void AddFlags(CLI::App& app, ProfilesOptions* options) {
  using handrail::rpc::AddFlag;
  AddFlag(app, "deployment", &options->deployment,
          "name of this deployment, part of what devices sign; never change it");
  AddFlag(app, "key_ring_file", &options->key_ring_file,
          "keys that wrap the keys of members (default: in the data folder)");
  AddFlag(app, "signing_keys_folder", &options->signing_keys_folder,
          "keys that sign tokens (default: in the data folder)");
  AddFlag(app, "operators_file", &options->operators_file, "who is staff and who is operator");
  AddFlag(app, "rotate_signing_keys_after", &options->rotate_signing_keys_after,
          "age at which a new signing key is made; 0 to add key files by hand");
  AddFlag(app, "create_keys", &options->create_keys,
          "make the key files that are missing (always in the data folder)");
  AddFlag(app, "group_readable_keys", &options->group_readable_keys,
          "key files may be readable by their group, as Kubernetes mounts them");
}

}  // namespace

int main(int argc, char** argv) {
  namespace rpc = handrail::rpc;
  namespace v1 = handrail::profiles::v1;
  ProfilesOptions options;
  rpc::MainSpec spec;
  spec.service = "profiles";
  spec.description = "Handrail profiles: devices and tokens, profiles, consents, blocks.";
  spec.public_services = {
      rpc::DescriptorOf<v1::IdentityService>(), rpc::DescriptorOf<v1::ProfileService>(),
      rpc::DescriptorOf<v1::SafetyService>(), rpc::DescriptorOf<v1::AvoidService>()};
  spec.internal_services = {rpc::DescriptorOf<v1::DirectoryService>(),
                            rpc::DescriptorOf<v1::CaseSyncService>()};
  spec.add_flags = [&options](CLI::App& app) { AddFlags(app, &options); };
  spec.validate = [&options](const rpc::CommonOptions& common) {
    SetDefaults(common, options);
    return Validate(common, options);
  };
  spec.build = [&options](const rpc::MainContext& context) {
    return MakeProfilesProcess(options, context);
  };
  return rpc::RunMain(argc, argv, spec);
}
