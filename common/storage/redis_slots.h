#ifndef HANDRAIL_COMMON_STORAGE_REDIS_SLOTS_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_SLOTS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/storage/redis.h"

// How a Redis Cluster divides its keys. Pure functions.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
namespace handrail::storage {

inline constexpr int kRedisSlots = 16384;

// CRC16 (XMODEM) of the key, or of what stands between the first '{' and the next '}' if that is
// not empty, modulo kRedisSlots.
int RedisKeySlot(absl::string_view key);

// Where a command goes.
struct RedisRoute {
  std::optional<int> slot;  // none: any node will do
};
// INTERNAL / REDIS_ERROR for what a cluster cannot do on a shared link: keys of several slots,
// transactions, and what would tell of one node only (KEYS, SCAN, DBSIZE, FLUSHALL).
absl::StatusOr<RedisRoute> RouteRedisCommand(absl::Span<const absl::string_view> args);
absl::StatusOr<RedisRoute> RouteRedisScript(absl::Span<const std::string> keys);

// Who owns which slot.
struct RedisSlotMap {
  static constexpr uint16_t kNobody = UINT16_MAX;
  std::vector<std::string> masters;         // "host:port"
  std::vector<std::string> nodes;           // masters and replicas
  std::array<uint16_t, kRedisSlots> owner;  // index of a master, or kNobody
  int covered = 0;                          // slots with an owner
};
// Of the answer to CLUSTER SLOTS. `asked_host` stands for an address that the server does not know
// of itself. INTERNAL / REDIS_ERROR when it cannot be read.
absl::StatusOr<RedisSlotMap> ParseClusterSlots(const RedisReply& reply,
                                               absl::string_view asked_host);

// "MOVED 3999 127.0.0.1:6381" or "ASK …". An empty host means that of the server that said so.
struct RedisRedirect {
  bool ask = false;
  int slot = 0;
  std::string address;  // "host:port"
};
std::optional<RedisRedirect> ParseRedisRedirect(absl::string_view text,
                                                absl::string_view asked_host);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_SLOTS_H_
