#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_REDIS_QUEUE_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_REDIS_QUEUE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/storage/redis.h"
#include "services/matching/domain/queue.h"
#include "services/matching/stores/seal.h"

namespace handrail::matching {

// The queues on Redis 7, by the scripts of lua/. Everything of a pool lies in one slot: its keys
// are "hr:{<opaque name of the pool>}:…". A batch goes in chunks, one call of a script each, and
// pipelined. Thread-safe.
class RedisQueue : public Queue {
 public:
  // Entries of one call: what a call of a script costs by itself is shared, and nobody else waits
  // for the server longer than a millisecond or two.
  static constexpr size_t kChunk = 64;

  // Both must outlive the queue. `stream_length` bounds each pool's stream, roughly.
  RedisQueue(storage::Redis& redis, const PoolNames& pools, int stream_length = 100'000)
      : redis_(redis), pools_(pools), stream_length_(std::to_string(stream_length)) {}

  absl::Status PutTickets(absl::Time deadline, const PoolKey& pool,
                          absl::Span<const QueueTicket> tickets, Announce announce) override;
  absl::Status PutSponsors(absl::Time deadline, const PoolKey& pool,
                           absl::Span<const QueueSponsor> sponsors, Announce announce) override;
  absl::StatusOr<std::vector<ClaimResult>> TakeClaims(absl::Time deadline, const PoolKey& pool,
                                                      absl::Time now,
                                                      absl::Span<const Claim> claims) override;
  absl::Status Settle(absl::Time deadline, const PoolKey& pool,
                      absl::Span<const Settlement> settlements, Announce announce) override;
  absl::StatusOr<std::vector<Claim>> ExpiredClaims(absl::Time deadline, const PoolKey& pool,
                                                   absl::Time now, int limit) override;
  absl::StatusOr<LeaseAnswer> Lease(absl::Time deadline, const PoolKey& pool,
                                    const std::string& owner, absl::Duration hold) override;
  absl::StatusOr<std::vector<std::string>> Replicas(absl::Time deadline, absl::Time now,
                                                    const std::string& replica,
                                                    absl::Duration hold) override;
  absl::Status RebuildTickets(absl::Time deadline, const PoolKey& pool,
                              absl::Span<const QueueTicket> tickets) override;
  absl::Status RebuildSponsors(absl::Time deadline, const PoolKey& pool,
                               absl::Span<const QueueSponsor> sponsors) override;
  absl::StatusOr<QueueEvents> ReadEvents(absl::Time deadline, const PoolKey& pool,
                                         const std::string& cursor, int limit) override;
  absl::StatusOr<std::string> ReadEpoch(absl::Time deadline, const PoolKey& pool) override;
  absl::StatusOr<bool> ReplaceEpoch(absl::Time deadline, const PoolKey& pool,
                                    const std::string& expected, const std::string& next) override;
  absl::StatusOr<std::map<PoolKey, std::string>> ServerRuns(
      absl::Time deadline, absl::Span<const PoolKey> pools) override;
  absl::StatusOr<Part> ScanTickets(absl::Time deadline, const PoolKey& pool,
                                   const std::string& cursor) override;
  absl::StatusOr<Part> ScanSponsors(absl::Time deadline, const PoolKey& pool,
                                    const std::string& cursor) override;
  absl::StatusOr<Depth> ReadDepth(absl::Time deadline, const PoolKey& pool) override;

 private:
  std::string Prefix(const PoolKey& pool) const;
  // Keys and arguments of a script.
  struct Words {
    std::vector<std::string> keys;
    std::vector<std::string> args;
  };
  // Runs a script over all entries, a chunk of them at once: what is `common` to all comes first,
  // then what `add` says of each. One reply a chunk.
  template <typename Entry>
  absl::StatusOr<std::vector<storage::RedisReply>> EvalInChunks(
      absl::Time deadline, const storage::RedisScript& script, const Words& common,
      absl::Span<const Entry> entries, size_t chunk,
      absl::FunctionRef<void(const Entry&, Words& words)> add);
  // The members of a ZSET in parts; sets `next` to "" at the end.
  absl::StatusOr<std::vector<std::string>> ScanSet(absl::Time deadline, const std::string& key,
                                                   const std::string& cursor, std::string& next);

  storage::Redis& redis_;
  const PoolNames& pools_;
  const std::string stream_length_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_REDIS_QUEUE_H_
