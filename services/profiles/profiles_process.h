#ifndef HANDRAIL_SERVICES_PROFILES_PROFILES_PROCESS_H_
#define HANDRAIL_SERVICES_PROFILES_PROFILES_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/main_support.h"
#include "common/storage/database.h"

namespace handrail::profiles {

// What profiles is told beside the flags that every service has.
struct ProfilesOptions {
  std::string deployment = "handrail";
  std::string key_ring_file;        // empty: <data_folder>/keys/profiles.keyring
  std::string signing_keys_folder;  // empty: <data_folder>/keys/profiles-signing
  std::string operators_file;       // empty: nobody is staff or operator
  // A new signing key when the newest is so old; zero: never, the operator adds files.
  absl::Duration rotate_signing_keys_after = absl::Hours(30 * 24);
  // Make the key files that are missing. Implied for those in the data folder. Never a key ring for
  // a database that holds members already: what is enciphered there needs its own.
  bool create_keys = false;
  bool group_readable_keys = false;  // key files may be 0640
};

// Fills what is empty from `common.data_folder`.
void SetDefaults(const rpc::CommonOptions& common, ProfilesOptions& options);
// The database: as given, else a SQLite file in the data folder; empty when neither is set.
std::string DatabaseUrl(const rpc::CommonOptions& common);
// Every fault at once, each a sentence that names the flag; looks at the files too.
std::vector<std::string> Validate(const rpc::CommonOptions& common, const ProfilesOptions& options);
// Makes the key ring and a signing key where there is none and `create_keys` is set.
// FAILED_PRECONDITION / CONFIGURATION_INVALID, also when the key ring is missing and `database`
// holds members.
absl::Status CreateMissingKeys(const ProfilesOptions& options, storage::Database& database,
                               const Clock& clock, Random& random);

// The whole service: opens and migrates the database, reads the keys, makes domain and handlers.
// `options` has its defaults set. Codes of SigningKeys::Open, crypto::KeyRing::Load,
// OperatorList::Load and storage::OpenDatabase.
absl::StatusOr<std::unique_ptr<rpc::ServiceProcess>> MakeProfilesProcess(
    const ProfilesOptions& options, const rpc::MainContext& context);

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_PROFILES_PROCESS_H_
