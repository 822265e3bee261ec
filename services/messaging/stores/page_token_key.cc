#include "services/messaging/stores/page_token_key.h"

#include <string>

#include "common/base/macros.h"

namespace handrail::messaging {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr absl::string_view kName = "page_token_key";

}  // namespace

absl::StatusOr<crypto::SecretKey> LoadOrCreatePageTokenKey(storage::Database& database,
                                                           const Clock& clock, Random& random) {
  std::string bytes;
  RETURN_IF_ERROR(
      database.Write(clock.Now() + kTimeout, [&](storage::Transaction& tx) -> absl::Status {
        const crypto::SecretKey fresh = crypto::SecretKey::Generate(random);
        RETURN_IF_ERROR(tx.Execute("INSERT INTO settings (name, value) VALUES ($1, $2)"
                                   " ON CONFLICT DO NOTHING",
                                   {kName, storage::Blob{std::string(fresh.Reveal())}})
                            .status());
        ASSIGN_OR_RETURN(const storage::Rows rows,
                         tx.Query("SELECT value FROM settings WHERE name = $1", {kName}));
        bytes = std::string(rows.front().Bytes(0));
        return absl::OkStatus();
      }));
  auto key = crypto::SecretKey::FromBytes(bytes);
  crypto::Wipe(bytes);
  return key;
}

}  // namespace handrail::messaging
