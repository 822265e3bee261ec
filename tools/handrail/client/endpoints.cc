#include "tools/handrail/client/endpoints.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::tools {
namespace {

using nlohmann::json;

std::string EndpointsPath(const std::string& data_folder) {
  return absl::StrCat(data_folder, "/endpoints.json");
}

absl::Status SystemError(absl::string_view what, const std::string& path) {
  return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
      .Message(absl::StrCat(what, " ", path, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return SystemError("cannot read", path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view text) {
  const std::string temporary = absl::StrCat(path, ".new");
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return SystemError("cannot write", temporary);
  const ssize_t written = write(fd, text.data(), text.size());
  const bool complete = written == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  close(fd);
  if (!complete) return SystemError("cannot write", temporary);
  if (rename(temporary.c_str(), path.c_str()) != 0) return SystemError("cannot replace", path);
  return absl::OkStatus();
}

absl::StatusOr<Endpoints> ReadEndpoints(const std::string& data_folder) {
  const auto text = ReadFile(EndpointsPath(data_folder));
  if (!text.ok()) {
    return Error(absl::StatusCode::kNotFound, reason::kConfigurationInvalid)
        .Message(absl::StrCat("nothing runs on the data folder ", data_folder,
                              ". Start it with: handrail up --data ", data_folder));
  }
  const json document = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
        .Message(absl::StrCat(EndpointsPath(data_folder), " is not valid; restart handrail up"));
  }
  Endpoints endpoints;
  endpoints.profiles = document.value("profiles", "");
  endpoints.matching = document.value("matching", "");
  endpoints.messaging = document.value("messaging", "");
  endpoints.redis_url = document.value("redis_url", "");
  endpoints.admin = document.value("admin", std::map<std::string, std::string>());
  endpoints.pids = document.value("pids", std::map<std::string, int>());
  return endpoints;
}

absl::Status WriteEndpoints(const std::string& data_folder, const Endpoints& endpoints) {
  const json document = {
      {"profiles", endpoints.profiles},   {"matching", endpoints.matching},
      {"messaging", endpoints.messaging}, {"redis_url", endpoints.redis_url},
      {"admin", endpoints.admin},         {"pids", endpoints.pids},
  };
  return WriteFileAtomically(EndpointsPath(data_folder), document.dump(2) + "\n");
}

void RemoveEndpoints(const std::string& data_folder) { unlink(EndpointsPath(data_folder).c_str()); }

}  // namespace handrail::tools
