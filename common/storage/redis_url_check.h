#ifndef HANDRAIL_COMMON_STORAGE_REDIS_URL_CHECK_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_URL_CHECK_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace handrail::storage {

// What ConnectRedis would refuse, for those who tell all faults of a configuration at once: at most
// one text, which names every fault of the URL and of the files that it names. It quotes no secret.
// Empty for a URL that will do, and for an empty one.
std::vector<std::string> RedisUrlFaults(absl::string_view url);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_URL_CHECK_H_
