#ifndef HANDRAIL_COMMON_STORAGE_REDIS_SENTINEL_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_SENTINEL_H_

#include <memory>
#include <string>

#include "common/storage/redis.h"
#include "common/storage/redis_endpoint.h"
#include "common/storage/redis_link.h"

namespace handrail::storage {

// A link to the primary that sentinels name. Before each attempt a sentinel is asked, and the
// server must call itself a primary. When the sentinels announce another primary, the link goes
// there at once, also when the old one hangs and closes nothing. Thread-safe.
class SentinelRedis final : public Redis {
 public:
  SentinelRedis(RedisTarget target, const RedisOptions& options);

  bool IsConnected() const override { return link_.IsConnected(); }
  int64_t ConnectionEpoch() const override { return link_.ConnectionEpoch(); }
  std::string OwnerOf(absl::string_view key) const override { return link_.OwnerOf(key); }

 private:
  void OnAnnouncement(absl::string_view name, absl::string_view payload);
  void DoCommand(absl::Time deadline, absl::Span<const absl::string_view> args, Done done) override;
  void DoEval(absl::Time deadline, const RedisScript& script, absl::Span<const std::string> keys,
              absl::Span<const std::string> args, Done done) override;

  RedisLink link_;
  const std::unique_ptr<RedisSubscriber> announcements_;  // last: it uses the link
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_SENTINEL_H_
