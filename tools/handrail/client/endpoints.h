#ifndef HANDRAIL_TOOLS_HANDRAIL_CLIENT_ENDPOINTS_H_
#define HANDRAIL_TOOLS_HANDRAIL_CLIENT_ENDPOINTS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace handrail::tools {

// Where the three services of a deployment listen. `handrail up` writes them to endpoints.json in
// its data folder; commands read them from there or take them as options.
struct Endpoints {
  std::string profiles;  // host:port or unix:/path, public listener
  std::string matching;
  std::string messaging;
  // PEM of the authorities that the services' certificates are checked against. Empty: no TLS, for
  // Unix sockets and this machine. Never written to endpoints.json.
  std::string ca_file;
  // Admin addresses by service name, for `handrail status`.
  std::map<std::string, std::string> admin;
  // Process ids by name ("profiles", "matching", "messaging", "redis", "up"), for people and the
  // demo.
  std::map<std::string, int> pids;
  std::string redis_url;
};

// NOT_FOUND when nothing runs on this folder, with a text that says what to do.
absl::StatusOr<Endpoints> ReadEndpoints(const std::string& data_folder);
// Replaces the file in one step.
absl::Status WriteEndpoints(const std::string& data_folder, const Endpoints& endpoints);
void RemoveEndpoints(const std::string& data_folder);

// Writes `text` to `path` in one step (a temporary file, fsync, rename), readable by the owner
// only.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view text);
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_CLIENT_ENDPOINTS_H_
