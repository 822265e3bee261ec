#ifndef HANDRAIL_SERVICES_MESSAGING_MESSAGING_PROCESS_H_
#define HANDRAIL_SERVICES_MESSAGING_MESSAGING_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/crypto/vault.h"
#include "common/rpc/main_support.h"
#include "common/storage/database.h"
#include "services/messaging/push_options.h"

namespace handrail::messaging {

// What messaging is told beside the flags that every service has.
struct MessagingOptions {
  // Its keys stamp messages and seal reports that wait. Empty: <data_folder>/keys/messaging.keyring
  std::string key_ring_file;
  // Make the key ring that is missing; implied in the data folder. Never for a database in which
  // messages were stamped already: only its own ring can verify them.
  bool create_keys = false;
  bool group_readable_keys = false;  // the key file may be 0640
  PushOptions push;
};

crypto::KeyFilePolicy PolicyOf(const MessagingOptions& options);
// Fills what is empty from `common.data_folder`.
void SetDefaults(const rpc::CommonOptions& common, MessagingOptions& options);
// Every fault at once, each a sentence that names the flag; looks at the key file too.
std::vector<std::string> Validate(const rpc::CommonOptions& common,
                                  const MessagingOptions& options);
// Makes the key ring where there is none and `create_keys` is set. FAILED_PRECONDITION /
// CONFIGURATION_INVALID, also when it is missing and `database` holds what needs it.
absl::Status CreateMissingKeyRing(const MessagingOptions& options, storage::Database& database,
                                  const Clock& clock, Random& random);

// The whole service, from the database to the handlers. Opens and migrates the database: its codes,
// and INVALID_ARGUMENT / CONFIGURATION_INVALID for a bad URL, address or secret; codes of
// CreateMissingKeyRing and crypto::KeyRing::Load. `options` has its defaults set. A Redis, a
// profiles or a push gateway that is down does not keep it from starting.
absl::StatusOr<std::unique_ptr<rpc::ServiceProcess>> BuildMessaging(
    const MessagingOptions& options, const rpc::MainContext& context);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_MESSAGING_PROCESS_H_
