#include "tools/handrail/up/layout.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::tools {
namespace {

constexpr size_t kSocketPathLimit = 107;

absl::Status ConfigurationError(std::string message) {
  return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
      .Message(message);
}

}  // namespace

std::string Layout::Database(absl::string_view service) const {
  return absl::StrCat("sqlite://", root, "/db/", service, ".db");
}
std::string Layout::Keys() const { return absl::StrCat(root, "/keys"); }
std::string Layout::KeyRing(absl::string_view service) const {
  return absl::StrCat(root, "/keys/", service, ".keyring");
}
std::string Layout::RedisSocket() const { return absl::StrCat(root, "/run/redis.sock"); }
std::string Layout::InternalSocket(absl::string_view service) const {
  return absl::StrCat(root, "/run/", service, ".sock");
}
std::string Layout::Log(absl::string_view process) const {
  return absl::StrCat(root, "/log/", process, ".log");
}
std::string Layout::PersonFile(absl::string_view name) const {
  return absl::StrCat(root, "/people/", name, ".json");
}
std::string Layout::OperatorsFile() const { return absl::StrCat(root, "/operators"); }

absl::StatusOr<Layout> MakeLayout(const std::string& data_folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path root = fs::absolute(data_folder, error).lexically_normal();
  if (error) return ConfigurationError(absl::StrCat(data_folder, ": ", error.message()));
  Layout layout{root.string()};
  while (layout.root.size() > 1 && layout.root.back() == '/') layout.root.pop_back();
  if (layout.InternalSocket("messaging").size() > kSocketPathLimit) {
    return ConfigurationError(absl::StrCat(
        "the path of the data folder is too long for Unix sockets (", layout.root,
        "); choose one of at most ",
        kSocketPathLimit - layout.InternalSocket("messaging").size() + layout.root.size(),
        " bytes"));
  }
  for (const char* folder : {"", "db", "keys", "run", "log", "people"}) {
    const fs::path path = fs::path(layout.root) / folder;
    fs::create_directories(path, error);
    if (!error) fs::permissions(path, fs::perms::owner_all, error);
    if (error) {
      return ConfigurationError(
          absl::StrCat("cannot make the folder ", path.string(), ": ", error.message()));
    }
  }
  return layout;
}

absl::StatusOr<std::unique_ptr<FolderLock>> FolderLock::Take(const Layout& layout) {
  const std::string path = absl::StrCat(layout.root, "/lock");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return ConfigurationError(absl::StrCat(path, ": ", std::strerror(errno)));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t size = read(fd, holder, sizeof(holder) - 1);
    close(fd);
    return ConfigurationError(
        absl::StrCat("another `handrail up` runs on ", layout.root,
                     size > 0 ? absl::StrCat(" (process ", holder, ")") : std::string(),
                     ". Stop it first, or choose another folder with --data."));
  }
  const std::string pid = absl::StrCat(getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    close(fd);
    return ConfigurationError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  return std::unique_ptr<FolderLock>(new FolderLock(fd));
}

FolderLock::~FolderLock() { close(fd_); }

absl::Status CheckPersonName(absl::string_view name) {
  bool valid = !name.empty() && name.size() <= 32;
  for (const char c : name) {
    valid = valid && (absl::ascii_islower(static_cast<unsigned char>(c)) ||
                      absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '-' || c == '_');
  }
  if (valid) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
      .Message("a name here is 1 to 32 of a-z, 0-9, '-' and '_'; it stays on this machine");
}

}  // namespace handrail::tools
