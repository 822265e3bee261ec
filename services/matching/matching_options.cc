#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/folders.h"
#include "common/base/status.h"
#include "common/crypto/vault.h"
#include "common/storage/redis_url_check.h"
#include "services/matching/adapters/crisis_table.h"
#include "services/matching/adapters/message_catalogue.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/adapters/weights_file.h"
#include "services/matching/matching_parts.h"
#include "services/matching/matching_process.h"

// What the flags may say.
namespace handrail::matching {

std::string DatabaseUrl(const rpc::CommonOptions& common) {
  if (!common.database_url.empty() || common.data_folder.empty()) return common.database_url;
  return absl::StrCat("sqlite://", InFolder(common.data_folder, "matching.db"));
}

void SetDefaults(const rpc::CommonOptions& common, MatchingOptions& options) {
  if (common.data_folder.empty() || !options.key_ring_file.empty()) return;
  options.key_ring_file = InFolder(common.data_folder, "keys/matching.keyring");
  options.create_keys = true;
}

std::vector<std::string> Validate(const rpc::CommonOptions& common,
                                  const MatchingOptions& options) {
  std::vector<std::string> faults;
  const auto need = [&faults](bool ok, const char* text) {
    if (!ok) faults.emplace_back(text);
  };
  need(!DatabaseUrl(common).empty(), "--database_url or --data_folder must be set");
  need(!common.redis_url.empty(), "--redis_url must be set");
  for (std::string& fault : storage::RedisUrlFaults(common.redis_url)) {
    faults.push_back(std::move(fault));
  }
  need(!common.server.internal_address.empty(), "--internal_address must be set");
  need(!common.profiles_internal_address.empty(), "--profiles_internal_address must be set");
  need(!common.messaging_internal_address.empty(), "--messaging_internal_address must be set");
  need(options.waiting_limit > 0, "--waiting_limit must be positive");
  need(options.member_cache > 0, "--member_cache must be positive");
  need(options.coalesce >= absl::ZeroDuration() && options.coalesce <= absl::Milliseconds(10),
       "--coalesce must lie between 0 and 10ms");
  need(options.window >= absl::ZeroDuration() && options.window <= absl::Hours(24),
       "--window must lie between 0 and 24h");
  need(options.response_deadline >= absl::ZeroDuration() &&
           options.response_deadline <= absl::Hours(168),
       "--response_deadline must lie between 0 and 168h");
  if (const absl::Status care = options.care.Validate(); !care.ok()) {
    faults.emplace_back(care.message());
  }
  need(!options.key_ring_file.empty(), "--key_ring_file or --data_folder must be set");
  if (!options.programs_file.empty()) {
    const absl::Status status = LoadProgramTable(options.programs_file).status();
    if (!status.ok()) {
      faults.push_back(absl::StrCat("--programs_file: ", absl::string_view(status.message())));
    }
  }
  if (!options.messages_folder.empty()) {
    const absl::Status status =
        MessageCatalogue(BuiltInMessages()).AddFolder(options.messages_folder);
    if (!status.ok()) {
      faults.push_back(absl::StrCat("--messages_folder: ", absl::string_view(status.message())));
    }
  }
  if (!options.weights_file.empty()) {
    const absl::Status status = LoadWeights(options.weights_file).status();
    if (!status.ok()) {
      faults.push_back(absl::StrCat("--weights_file: ", absl::string_view(status.message())));
    }
  }
  if (!options.crisis_file.empty()) {
    // A row dated in the future is found a moment later, by the service's own clock.
    const absl::Status status =
        LoadCrisisTable(options.crisis_file, absl::CivilDay::max()).status();
    if (!status.ok()) {
      faults.push_back(absl::StrCat("--crisis_file: ", absl::string_view(status.message())));
    }
  }
  if (!options.key_ring_file.empty() &&
      (!options.create_keys || std::filesystem::exists(options.key_ring_file))) {
    const auto policy = options.group_readable_keys ? crypto::KeyFilePolicy::kGroupMayRead
                                                    : crypto::KeyFilePolicy::kOwnerOnly;
    const absl::Status status = crypto::KeyRing::Load(options.key_ring_file, policy).status();
    if (!status.ok()) {
      faults.push_back(absl::StrCat("--key_ring_file: ", absl::string_view(status.message())));
    }
  }
  return faults;
}

}  // namespace handrail::matching
