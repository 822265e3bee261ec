// The Redis URL of an operator: what is accepted is a usable address, and neither it nor an error
// shows the password.

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/storage/redis_endpoint.h"
#include "common/testing/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  using storage::RedisEndpoint;
  const auto endpoint = storage::ParseRedisUrl(testing::FuzzText(data, size));
  if (!endpoint.ok()) {
    FUZZ_CHECK(endpoint.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  FUZZ_CHECK(endpoint->has_password == !endpoint->password.Reveal().empty());
  if (endpoint->kind == RedisEndpoint::Kind::kUnix) {
    FUZZ_CHECK(absl::StartsWith(endpoint->path, "/") && endpoint->path.size() < 108);
    FUZZ_CHECK(!absl::StrContains(endpoint->path, absl::string_view("\0", 1)));
    return 0;
  }
  FUZZ_CHECK(!endpoint->host.empty() && endpoint->port >= 1 && endpoint->port <= 65535);
  // The address alone is a URL of the same place.
  const auto again = storage::ParseRedisUrl(absl::StrCat("redis://", endpoint->Address()));
  FUZZ_CHECK(again.ok() && again->host == endpoint->host && again->port == endpoint->port);
  FUZZ_CHECK(!again->has_password);
  return 0;
}
