#include "common/storage/redis_sentinel.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/storage/redis_locator.h"
#include "common/storage/redis_subscriber.h"

namespace handrail::storage {

SentinelRedis::SentinelRedis(RedisTarget target, const RedisOptions& options)
    : link_(LocatePrimary(target, options.connect_timeout), options),
      announcements_(MakeRedisSubscriber(
          LocateAny(target.seeds, target.sentinel_access), options,
          [this, name = target.master_name](absl::string_view, absl::string_view payload) {
            OnAnnouncement(name, payload);
          },
          {})) {
  announcements_->Subscribe("+switch-master");
}

// "<name> <old host> <old port> <new host> <new port>"
void SentinelRedis::OnAnnouncement(absl::string_view name, absl::string_view payload) {
  const std::vector<absl::string_view> words = absl::StrSplit(payload, ' ');
  if (words.size() != 5 || words[0] != name) return;
  const auto endpoint = ParseRedisAddress(absl::StrCat(words[3], ":", words[4]));
  if (endpoint.ok()) link_.ReconnectUnlessAt(endpoint->Address());
}

void SentinelRedis::DoCommand(absl::Time deadline, absl::Span<const absl::string_view> args,
                              Done done) {
  link_.CommandAsync(deadline, args, std::move(done));
}

void SentinelRedis::DoEval(absl::Time deadline, const RedisScript& script,
                           absl::Span<const std::string> keys, absl::Span<const std::string> args,
                           Done done) {
  link_.EvalAsync(deadline, script, keys, args, std::move(done));
}

}  // namespace handrail::storage
