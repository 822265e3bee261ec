#ifndef HANDRAIL_TOOLS_BENCHMARK_POSTGRES_SQL_H_
#define HANDRAIL_TOOLS_BENCHMARK_POSTGRES_SQL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace handrail::benchmark {

// How PostgreSQL is set for whoever is measured on it.
std::vector<std::string> PostgresSettings();

// The fsync calls of a whole server on its log.
inline constexpr char kWalSyncs[] = "SELECT wal_sync FROM pg_stat_wal";

// The one number that a query gives, on a connection of its own; -1 when it gives none.
int64_t QueryNumber(const std::string& url, const std::string& sql);

// Runs statements one after the other. INTERNAL with the server's message.
absl::Status RunStatements(const std::string& url, const std::string& sql);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_POSTGRES_SQL_H_
