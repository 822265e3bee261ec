#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/folders.h"
#include "common/base/status.h"
#include "common/crypto/vault.h"
#include "services/profiles/adapters/operator_list.h"
#include "services/profiles/adapters/signing_keys.h"
#include "services/profiles/profiles_process.h"

namespace handrail::profiles {
namespace {

constexpr char kFirstKeyId[] = "first";
constexpr absl::Duration kReadTimeout = absl::Seconds(10);

crypto::KeyFilePolicy PolicyOf(const ProfilesOptions& options) {
  return options.group_readable_keys ? crypto::KeyFilePolicy::kGroupMayRead
                                     : crypto::KeyFilePolicy::kOwnerOnly;
}

// A new key ring could not open what an older one enciphered, and would hide that it is lost.
absl::Status CheckNobodyIsHere(const std::string& key_ring_file, storage::Database& database,
                               const Clock& clock) {
  bool empty = false;
  RETURN_IF_ERROR(database.Read(
      clock.Now() + kReadTimeout, [&](storage::Transaction& transaction) -> absl::Status {
        ASSIGN_OR_RETURN(const storage::Rows rows,
                         transaction.Query("SELECT member_id FROM member_keys LIMIT 1", {}));
        empty = rows.empty();
        return absl::OkStatus();
      }));
  if (empty) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
      .Message(absl::StrCat(key_ring_file,
                            " is missing, and the database holds members whose data ",
                            "only it can open: restore it from a backup"));
}

void AddFault(const char* flag, const absl::Status& status, std::vector<std::string>& faults) {
  if (!status.ok()) {
    faults.push_back(absl::StrCat("--", flag, ": ", absl::string_view(status.message())));
  }
}

}  // namespace

void SetDefaults(const rpc::CommonOptions& common, ProfilesOptions& options) {
  if (common.data_folder.empty()) return;
  if (options.key_ring_file.empty()) {
    options.key_ring_file = InFolder(common.data_folder, "keys/profiles.keyring");
    options.create_keys = true;
  }
  if (options.signing_keys_folder.empty()) {
    options.signing_keys_folder = InFolder(common.data_folder, "keys/profiles-signing");
    options.create_keys = true;
  }
}

std::string DatabaseUrl(const rpc::CommonOptions& common) {
  if (!common.database_url.empty() || common.data_folder.empty()) return common.database_url;
  return absl::StrCat("sqlite://", InFolder(common.data_folder, "profiles.db"));
}

std::vector<std::string> Validate(const rpc::CommonOptions& common,
                                  const ProfilesOptions& options) {
  std::vector<std::string> faults;
  if (DatabaseUrl(common).empty()) faults.push_back("--database_url or --data_folder must be set");
  if (common.server.internal_address.empty()) faults.push_back("--internal_address must be set");
  if (common.matching_internal_address.empty()) {
    faults.push_back("--matching_internal_address must be set");
  }
  if (common.messaging_internal_address.empty()) {
    faults.push_back("--messaging_internal_address must be set");
  }
  if (options.deployment.empty() || options.deployment.size() > 64) {
    faults.push_back("--deployment must have 1 to 64 characters");
  }
  if (options.rotate_signing_keys_after < absl::ZeroDuration()) {
    faults.push_back("--rotate_signing_keys_after must not be negative");
  }
  AddFault("operators_file", OperatorList::Load(options.operators_file).status(), faults);
  if (options.key_ring_file.empty()) {
    faults.push_back("--key_ring_file or --data_folder must be set");
  } else if (!options.create_keys || std::filesystem::exists(options.key_ring_file)) {
    AddFault("key_ring_file",
             crypto::KeyRing::Load(options.key_ring_file, PolicyOf(options)).status(), faults);
  }
  if (options.signing_keys_folder.empty()) {
    faults.push_back("--signing_keys_folder or --data_folder must be set");
  } else if (!options.create_keys && !SigningKeys::HasKey(options.signing_keys_folder)) {
    faults.push_back(absl::StrCat("--signing_keys_folder: ", options.signing_keys_folder,
                                  " holds no signing key; --create_keys makes one"));
  }
  return faults;
}

absl::Status CreateMissingKeys(const ProfilesOptions& options, storage::Database& database,
                               const Clock& clock, Random& random) {
  if (!options.create_keys) return absl::OkStatus();
  if (!std::filesystem::exists(options.key_ring_file)) {
    RETURN_IF_ERROR(CheckNobodyIsHere(options.key_ring_file, database, clock));
    RETURN_IF_ERROR(MakeFolderOf(options.key_ring_file));
    RETURN_IF_ERROR(crypto::KeyRing::Generate(options.key_ring_file, kFirstKeyId, random));
  }
  if (!SigningKeys::HasKey(options.signing_keys_folder)) {
    RETURN_IF_ERROR(MakeFolderOf(options.signing_keys_folder));
    RETURN_IF_ERROR(SigningKeys::CreateKey(options.signing_keys_folder, clock.Now(), random));
  }
  return absl::OkStatus();
}

}  // namespace handrail::profiles
