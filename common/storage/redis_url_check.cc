#include "common/storage/redis_url_check.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/redis_endpoint.h"

namespace handrail::storage {

std::vector<std::string> RedisUrlFaults(absl::string_view url) {
  if (url.empty()) return {};
  const absl::Status status = [url]() -> absl::Status {
    ASSIGN_OR_RETURN(RedisTarget target, ParseRedisUrl(url));
    return OpenRedisFiles(target);
  }();
  if (status.ok()) return {};
  return {absl::StrCat("--redis_url: ", status.message())};
}

}  // namespace handrail::storage
