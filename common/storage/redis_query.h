#ifndef HANDRAIL_COMMON_STORAGE_REDIS_QUERY_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_QUERY_H_

#include <chrono>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/storage/redis.h"
#include "common/storage/redis_endpoint.h"
#include "common/storage/redis_transport.h"

namespace handrail::storage {

// One question to one server on a connection of its own; blocks until the answer or `give_up_at`.
// UNAVAILABLE / REDIS_UNAVAILABLE when there is none, else as Redis::Command.
absl::StatusOr<RedisReply> AskRedis(const RedisAddress& address, const RedisAccess& access,
                                    absl::Span<const absl::string_view> command,
                                    std::chrono::steady_clock::time_point give_up_at);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_QUERY_H_
