#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/folders.h"
#include "common/base/status.h"
#include "common/crypto/vault.h"
#include "common/storage/redis_url_check.h"
#include "services/messaging/messaging_process.h"

// What the flags may say.
namespace handrail::messaging {
namespace {

constexpr absl::Duration kReadTimeout = absl::Seconds(10);

// A new key ring could check none of the stamps that an older one made, and would hide that it is
// lost.
absl::Status CheckNothingIsStamped(const std::string& key_ring_file, storage::Database& database,
                                   const Clock& clock) {
  bool empty = false;
  RETURN_IF_ERROR(
      database.Read(clock.Now() + kReadTimeout, [&](storage::Transaction& tx) -> absl::Status {
        ASSIGN_OR_RETURN(const storage::Rows stamped,
                         tx.Query("SELECT 1 FROM conversations WHERE last_commitment IS NOT NULL"
                                  " LIMIT 1",
                                  {}));
        ASSIGN_OR_RETURN(const storage::Rows waiting,
                         tx.Query("SELECT 1 FROM report_queue LIMIT 1", {}));
        empty = stamped.empty() && waiting.empty();
        return absl::OkStatus();
      }));
  if (empty) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
      .Message(absl::StrCat(key_ring_file,
                            " is missing, and the database holds messages or reports that only it "
                            "can verify or open: restore it from a backup"));
}

}  // namespace

crypto::KeyFilePolicy PolicyOf(const MessagingOptions& options) {
  return options.group_readable_keys ? crypto::KeyFilePolicy::kGroupMayRead
                                     : crypto::KeyFilePolicy::kOwnerOnly;
}

void SetDefaults(const rpc::CommonOptions& common, MessagingOptions& options) {
  if (common.data_folder.empty() || !options.key_ring_file.empty()) return;
  options.key_ring_file = InFolder(common.data_folder, "keys/messaging.keyring");
  options.create_keys = true;
}

std::vector<std::string> Validate(const rpc::CommonOptions& common,
                                  const MessagingOptions& options) {
  std::vector<std::string> faults = options.push.Faults();
  if (common.database_url.empty() && common.data_folder.empty()) {
    faults.push_back("--database_url or --data_folder must be set");
  }
  if (common.server.internal_address.empty()) {
    faults.push_back("--internal_address must be set: matching and profiles call there");
  }
  for (std::string& fault : storage::RedisUrlFaults(common.redis_url)) {
    faults.push_back(std::move(fault));
  }
  if (options.key_ring_file.empty()) {
    faults.push_back("--key_ring_file or --data_folder must be set");
  } else if (!options.create_keys || std::filesystem::exists(options.key_ring_file)) {
    const absl::Status ring =
        crypto::KeyRing::Load(options.key_ring_file, PolicyOf(options)).status();
    if (!ring.ok()) {
      faults.push_back(absl::StrCat("--key_ring_file: ", absl::string_view(ring.message())));
    }
  }
  return faults;
}

absl::Status CreateMissingKeyRing(const MessagingOptions& options, storage::Database& database,
                                  const Clock& clock, Random& random) {
  if (!options.create_keys || std::filesystem::exists(options.key_ring_file)) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(CheckNothingIsStamped(options.key_ring_file, database, clock));
  RETURN_IF_ERROR(MakeFolderOf(options.key_ring_file));
  return crypto::KeyRing::Generate(options.key_ring_file, "first", random);
}

}  // namespace handrail::messaging
