#ifndef HANDRAIL_SERVICES_MATCHING_MATCHING_PARTS_H_
#define HANDRAIL_SERVICES_MATCHING_MATCHING_PARTS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/crypto/vault.h"
#include "common/rpc/main_support.h"
#include "common/storage/database.h"
#include "common/storage/redis.h"
#include "services/matching/adapters/crisis_table.h"
#include "services/matching/adapters/message_catalogue.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/adapters/redis_wake_channel.h"
#include "services/matching/adapters/weights_file.h"
#include "services/matching/domain/batch_desk.h"
#include "services/matching/domain/outbox.h"
#include "services/matching/matching_process.h"
#include "services/matching/stores/operator_record.h"

// What the process of matching is built on. For matching_process.cc alone.
namespace handrail::matching {

// What is opened before anything is built on it.
struct MatchingParts {
  ProgramTable programs;
  ScoreWeights weights;
  MessageCatalogue messages;
  v1::CrisisTable crisis;
  crypto::KeyRing ring;
  std::unique_ptr<storage::Database> database;
  std::unique_ptr<storage::Redis> redis;
  std::unique_ptr<RedisWakeChannel> channel;
  std::unique_ptr<Conversations> conversations;
  std::unique_ptr<MemberDirectory> directory;
};

// Opens all of it: the key ring that is missing is made where that is allowed, the database is
// migrated. Errors as of MakeMatchingProcess.
absl::StatusOr<MatchingParts> OpenMatchingParts(const MatchingOptions& options,
                                                const rpc::MainContext& context);

// The flag, or the database in the data folder.
std::string DatabaseUrl(const rpc::CommonOptions& common);

// Keys derived from the ring's index key. Those of the functions stay in them.
crypto::SecretKey PageKey(const crypto::KeyRing& ring);
OperatorRecord::Mac RecordMac(const crypto::KeyRing& ring);
BatchDesk::Mac PlanMac(const crypto::KeyRing& ring);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_MATCHING_PARTS_H_
