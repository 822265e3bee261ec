// The matching service: who waits, who is free, and who is paired with whom.
#include <memory>

#include "common/rpc/main_support.h"
#include "common/rpc/server_options.h"
#include "handrail/matching/v1/batch.grpc.pb.h"
#include "handrail/matching/v1/candidates.grpc.pb.h"
#include "handrail/matching/v1/care.grpc.pb.h"
#include "handrail/matching/v1/help.grpc.pb.h"
#include "handrail/matching/v1/matching.grpc.pb.h"
#include "handrail/matching/v1/member_sync.grpc.pb.h"
#include "handrail/matching/v1/operator.grpc.pb.h"
#include "handrail/matching/v1/operator_care.grpc.pb.h"
#include "handrail/matching/v1/program_service.grpc.pb.h"
#include "services/matching/matching_process.h"

namespace {

using handrail::matching::MatchingOptions;

void AddFlags(CLI::App& app, MatchingOptions* options) {
  using handrail::rpc::AddFlag;
  AddFlag(app, "key_ring_file", &options->key_ring_file,
          "keys that wrap the keys of members (default: in the data folder)");
  AddFlag(app, "create_keys", &options->create_keys,
          "make the key ring that is missing (always in the data folder)");
  AddFlag(app, "group_readable_keys", &options->group_readable_keys,
          "key files may be readable by their group, as Kubernetes mounts them");
  AddFlag(app, "programs_file", &options->programs_file,
          "the table of programs, replacing the built-in one whole (services/matching/"
          "programs.textproto is its form and its default)");
  AddFlag(
      app, "messages_folder", &options->messages_folder,
      "languages beside English, Spanish and French, or instead of one of them: a folder of files "
      "like those in services/matching/messages");
  AddFlag(app, "weights_file", &options->weights_file,
          "the weights of the score, replacing the built-in ones whole (services/matching/"
          "weights.textproto is their form and their default)");
  AddFlag(app, "crisis_file", &options->crisis_file,
          "crisis lines that replace, add to or withdraw rows of the built-in ones (services/"
          "matching/crisis_lines.textproto is its form)");
  AddFlag(app, "waiting_limit", &options->waiting_limit,
          "how many tickets may wait at once, 0.8 KB of memory each");
  AddFlag(app, "member_cache", &options->member_cache, "how many members are kept in memory");
  AddFlag(app, "coalesce", &options->coalesce,
          "how long events are collected before people are matched, 0 to 10ms");
  AddFlag(app, "window", &options->window,
          "while more people wait for a seat than there are seats: how long a free one waits for "
          "others, so that all are given together, 0 to 24h; 0 gives each at once");
  AddFlag(app, "response_deadline", &options->response_deadline,
          "how long a sponsor has to answer an offer; 0 leaves it to the programs' policies");
  AddFlag(app, "probation", &options->care.probation,
          "how long a new sponsor has one seat at most, up to 8760h; 0 switches it off");
  AddFlag(app, "missed_offers_limit", &options->care.missed_offers_limit,
          "so many offers in a row without an answer pause a sponsor; 0 switches it off");
  AddFlag(app, "temporary_contact_after", &options->care.temporary_contact_after,
          "how long a newcomer waits before a temporary contact is offered");
}

}  // namespace

int main(int argc, char** argv) {
  namespace rpc = handrail::rpc;
  namespace v1 = handrail::matching::v1;
  MatchingOptions options;
  rpc::MainSpec spec;
  spec.service = "matching";
  spec.description = "Handrail matching: tickets, offers, pairings.";
  // Every service that MatchingProcess::Services registers; a missing one stops the start.
  spec.public_services = {
      rpc::DescriptorOf<v1::BatchService>(),        rpc::DescriptorOf<v1::CandidateService>(),
      rpc::DescriptorOf<v1::CareService>(),         rpc::DescriptorOf<v1::HelpService>(),
      rpc::DescriptorOf<v1::MatchingService>(),     rpc::DescriptorOf<v1::OperatorService>(),
      rpc::DescriptorOf<v1::OperatorCareService>(), rpc::DescriptorOf<v1::ProgramService>(),
  };
  spec.internal_services = {rpc::DescriptorOf<v1::MemberSyncService>()};
  spec.add_flags = [&options](CLI::App& app) { AddFlags(app, &options); };
  spec.validate = [&options](const rpc::CommonOptions& common) {
    SetDefaults(common, options);
    return Validate(common, options);
  };
  spec.build = [&options](const rpc::MainContext& context) {
    return MakeMatchingProcess(options, context);
  };
  return rpc::RunMain(argc, argv, spec);
}
