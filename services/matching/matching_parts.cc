#include "services/matching/matching_parts.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/folders.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"
#include "services/matching/adapters/peers.h"
#include "services/matching/stores/schema.h"

namespace handrail::matching {
namespace {

absl::Status CreateMissingKeyRing(const MatchingOptions& options, storage::Database& database,
                                  const Clock& clock, Random& random) {
  namespace fs = std::filesystem;
  if (!options.create_keys || fs::exists(options.key_ring_file)) return absl::OkStatus();
  bool empty = false;
  RETURN_IF_ERROR(
      database.Read(clock.Now() + absl::Seconds(10), [&](storage::Transaction& tx) -> absl::Status {
        ASSIGN_OR_RETURN(const storage::Rows rows, tx.Query("SELECT id FROM members LIMIT 1", {}));
        empty = rows.empty();
        return absl::OkStatus();
      }));
  if (!empty) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
        .Message(absl::StrCat(options.key_ring_file,
                              " is missing, and the database holds members whose data only it "
                              "can open: restore it from a backup"));
  }
  RETURN_IF_ERROR(MakeFolderOf(options.key_ring_file));
  return crypto::KeyRing::Generate(options.key_ring_file, "first", random);
}

}  // namespace

crypto::SecretKey PageKey(const crypto::KeyRing& ring) {
  std::string bytes = crypto::HmacSha256(ring.index_key().Reveal(),
                                         "handrail-derived-key-v1\nmatching/page-tokens");
  crypto::SecretKey key = *crypto::SecretKey::FromBytes(bytes);  // HMAC-SHA-256 gives 32 bytes
  crypto::Wipe(bytes);
  return key;
}

// The key of the record's seals stays in here.
OperatorRecord::Mac RecordMac(const crypto::KeyRing& ring) {
  return [key = crypto::HmacSha256(ring.index_key().Reveal(),
                                   "handrail-derived-key-v1\nmatching/operator-record")](
             absl::string_view bytes) { return crypto::HmacSha256(key, bytes); };
}

// Keeps who is in a plan out of its name.
BatchDesk::Mac PlanMac(const crypto::KeyRing& ring) {
  return [key = crypto::HmacSha256(ring.index_key().Reveal(),
                                   "handrail-derived-key-v1\nmatching/batch-plan")](
             absl::string_view bytes) { return crypto::HmacSha256(key, bytes); };
}

absl::StatusOr<MatchingParts> OpenMatchingParts(const MatchingOptions& options,
                                                const rpc::MainContext& context) {
  storage::DatabaseOptions database_options;
  database_options.url = DatabaseUrl(context.options);
  database_options.clock = &context.clock;
  ASSIGN_OR_RETURN(auto database, storage::OpenDatabase(database_options));
  RETURN_IF_ERROR(database->Migrate(LedgerMigrations()));
  RETURN_IF_ERROR(CreateMissingKeyRing(options, *database, context.clock, context.random));
  const auto policy = options.group_readable_keys ? crypto::KeyFilePolicy::kGroupMayRead
                                                  : crypto::KeyFilePolicy::kOwnerOnly;
  ASSIGN_OR_RETURN(crypto::KeyRing ring, crypto::KeyRing::Load(options.key_ring_file, policy));
  storage::RedisOptions redis_options;
  redis_options.url = context.options.redis_url;
  redis_options.clock = &context.clock;
  // SQL alone matches as well: what waits for a failover would only wait.
  redis_options.owner_patience = absl::Milliseconds(250);
  ASSIGN_OR_RETURN(auto redis, storage::ConnectRedis(redis_options));
  ASSIGN_OR_RETURN(auto channel,
                   RedisWakeChannel::Create(*redis, redis_options, context.clock, context.random));
  ASSIGN_OR_RETURN(auto messaging,
                   context.InternalChannel(context.options.messaging_internal_address));
  ASSIGN_OR_RETURN(auto profiles,
                   context.InternalChannel(context.options.profiles_internal_address));
  ProgramTable programs = BuiltInProgramTable();
  if (!options.programs_file.empty()) {
    ASSIGN_OR_RETURN(programs, LoadProgramTable(options.programs_file));
  }
  ScoreWeights weights = BuiltInWeights();
  if (!options.weights_file.empty()) {
    ASSIGN_OR_RETURN(weights, LoadWeights(options.weights_file));
  }
  v1::CrisisTable crisis = BuiltInCrisisTable();
  if (!options.crisis_file.empty()) {
    const auto today = absl::ToCivilDay(context.clock.Now(), absl::UTCTimeZone());
    ASSIGN_OR_RETURN(crisis, LoadCrisisTable(options.crisis_file, today));
  }
  MessageCatalogue messages = BuiltInMessages();
  if (!options.messages_folder.empty()) {
    RETURN_IF_ERROR(messages.AddFolder(options.messages_folder));
  }
  return MatchingParts{std::move(programs),
                       weights,
                       std::move(messages),
                       std::move(crisis),
                       std::move(ring),
                       std::move(database),
                       std::move(redis),
                       std::move(channel),
                       MakeConversations(std::move(messaging), context.clock),
                       MakeMemberDirectory(std::move(profiles), context.clock)};
}

}  // namespace handrail::matching
