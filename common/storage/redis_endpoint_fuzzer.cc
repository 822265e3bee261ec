// The Redis URL of an operator: what is accepted is a usable address, and neither it nor an error
// shows the password.

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/storage/redis_endpoint.h"
#include "common/testing/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  using storage::RedisEndpoint;
  using storage::RedisTarget;
  const auto target = storage::ParseRedisUrl(testing::FuzzText(data, size));
  if (!target.ok()) {
    FUZZ_CHECK(target.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  FUZZ_CHECK(!target->seeds.empty() && target->seeds.size() <= 64);
  FUZZ_CHECK(target->topology != RedisTarget::Topology::kSingle || target->seeds.size() == 1);
  FUZZ_CHECK((target->topology == RedisTarget::Topology::kSentinel) ==
             !target->master_name.empty());
  FUZZ_CHECK(target->tls || target->tls_files.ca_file.empty());
  FUZZ_CHECK(target->access.user.empty() || target->access.HasPassword());
  for (const RedisEndpoint& endpoint : target->seeds) {
    if (endpoint.kind == RedisEndpoint::Kind::kUnix) {
      FUZZ_CHECK(absl::StartsWith(endpoint.path, "/") && endpoint.path.size() < 108);
      FUZZ_CHECK(!absl::StrContains(endpoint.path, absl::string_view("\0", 1)));
      continue;
    }
    FUZZ_CHECK(!endpoint.host.empty() && endpoint.port >= 1 && endpoint.port <= 65535);
    // The address alone is a URL of the same place.
    const auto again = storage::ParseRedisUrl(absl::StrCat("redis://", endpoint.Address()));
    FUZZ_CHECK(again.ok() && again->seeds[0].host == endpoint.host &&
               again->seeds[0].port == endpoint.port && !again->access.HasPassword());
    const auto address = storage::ParseRedisAddress(endpoint.Address());
    FUZZ_CHECK(address.ok() && address->host == endpoint.host && address->port == endpoint.port);
  }
  return 0;
}
