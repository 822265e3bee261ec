#include "common/base/folders.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail {

namespace fs = std::filesystem;

std::string InFolder(const std::string& folder, const std::string& name) {
  return fs::absolute(fs::path(folder) / name).lexically_normal();
}

absl::Status MakeFolderOf(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  std::error_code error;
  if (folder.empty() || fs::exists(folder, error)) return absl::OkStatus();
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (!error) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
      .Message(absl::StrCat(folder.string(), " cannot be made: ", error.message()));
}

}  // namespace handrail
