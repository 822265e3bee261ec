#ifndef HANDRAIL_COMMON_STORAGE_REDIS_ENDPOINT_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_ENDPOINT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/secret.h"

namespace handrail::storage {

class RedisTls;

// How to log in. Shared by all nodes of a deployment; thread-safe, for nothing in it changes.
struct RedisAccess {
  std::string user;  // empty: the default user
  Secret<std::string> password;
  std::string password_file;      // instead of `password`: read again at every log-in
  std::shared_ptr<RedisTls> tls;  // null: in the clear

  bool HasPassword() const { return !password.Reveal().empty() || !password_file.empty(); }
  // UNAVAILABLE when the file cannot be read or is empty: another attempt may find it again.
  absl::StatusOr<Secret<std::string>> ReadPassword() const;
};

// Where one Redis node is.
struct RedisEndpoint {
  enum class Kind { kTcp, kUnix };
  Kind kind = Kind::kTcp;
  std::string host;  // kTcp: a name or a literal address, without brackets
  int port = 6379;   // kTcp
  std::string path;  // kUnix

  // "host:port" or the socket's path, for logs and errors: never with credentials.
  std::string Address() const;
};

// "host:port", with a literal IPv6 address in brackets or, as Redis writes it, without.
// INVALID_ARGUMENT when it is neither.
absl::StatusOr<RedisEndpoint> ParseRedisAddress(absl::string_view text);

// Files of PEM. Without `ca_file` the authorities of the system are trusted.
struct RedisTlsFiles {
  std::string ca_file;
  std::string certificate_file;  // ours, if the server asks for one; with `key_file`
  std::string key_file;
  std::string server_name;  // what the server's certificate must name; empty: the host we call
};

// What a Redis URL says:
//
//   redis://[user[:password]@]host[:port][/0]                      one server
//   unix:///path                                                   one server
//   redis+sentinel://[…@]host[:port][,host[:port]…]/master         whom the sentinels name
//   redis-cluster://[…@]host[:port][,host[:port]…]                 a cluster, by any of its nodes
//
// and rediss://, rediss+sentinel://, rediss-cluster:// over TLS. User and password are those of the
// data nodes, percent-encoded. Ports are 6379, of sentinels 26379. Behind a '?' come options,
// name=value, percent-encoded and joined by '&':
//
//   user, password_file                       instead of those in the URL
//   sentinel_user, sentinel_password_file     how to log in to the sentinels
//   ca_file, certificate_file, key_file, server_name    for TLS, see RedisTlsFiles
struct RedisTarget {
  enum class Topology { kSingle, kSentinel, kCluster };
  Topology topology = Topology::kSingle;
  std::vector<RedisEndpoint> seeds;  // at least one; exactly one when kSingle
  bool tls = false;
  RedisTlsFiles tls_files;
  RedisAccess access;           // without its `tls`, until OpenRedisFiles
  RedisAccess sentinel_access;  // likewise
  std::string master_name;      // kSentinel
};

// INVALID_ARGUMENT / CONFIGURATION_INVALID with every fault that was found. The text quotes nothing
// of the URL, which may hold a password. Reads no file.
absl::StatusOr<RedisTarget> ParseRedisUrl(absl::string_view url);
// Reads what the URL names: the certificates, and whether there is a password in its file.
// INVALID_ARGUMENT / CONFIGURATION_INVALID with every fault, naming the files.
absl::Status OpenRedisFiles(RedisTarget& target);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_ENDPOINT_H_
