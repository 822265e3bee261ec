#ifndef HANDRAIL_TOOLS_BENCHMARK_WAITING_FIXTURE_H_
#define HANDRAIL_TOOLS_BENCHMARK_WAITING_FIXTURE_H_

#include <string>

#include "absl/status/status.h"
#include "services/matching/domain/types.h"

namespace handrail::benchmark {

// Fills matching's database, before the service starts, with `count` newcomers who wait in one pool
// since some time: rows as the ledger itself writes them, each person's traits under a key of their
// own, and no mark that a hint is due. A fixture: nobody of them has ever called. Makes the key
// ring at `key_ring_file`, which the service then uses. Some 20 us each.
absl::Status FillWithWaiting(const std::string& database_url, const std::string& key_ring_file,
                             const matching::PoolKey& pool, int count);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_WAITING_FIXTURE_H_
