#ifndef HANDRAIL_COMMON_STORAGE_REDIS_ENDPOINT_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_ENDPOINT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/secret.h"

namespace handrail::storage {

// Where one Redis node is and how to log in.
struct RedisEndpoint {
  enum class Kind { kTcp, kUnix };
  Kind kind = Kind::kTcp;
  std::string host;  // kTcp: a name or a literal address, without brackets
  int port = 6379;   // kTcp
  std::string path;  // kUnix
  std::string user;  // empty: the default user
  Secret<std::string> password;
  bool has_password = false;

  // "host:port" or the socket's path, for logs and errors: never with credentials.
  std::string Address() const;
};

// redis://[user[:password]@]host[:port][/0] or unix:///path; user and password percent-encoded.
// INVALID_ARGUMENT / CONFIGURATION_INVALID otherwise. The text of the error quotes nothing of the
// URL, which may hold a password.
absl::StatusOr<RedisEndpoint> ParseRedisUrl(absl::string_view url);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_ENDPOINT_H_
