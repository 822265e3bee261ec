#ifndef HANDRAIL_COMMON_BASE_FOLDERS_H_
#define HANDRAIL_COMMON_BASE_FOLDERS_H_

#include <string>

#include "absl/status/status.h"

namespace handrail {

// The absolute path of `name` in `folder`.
std::string InFolder(const std::string& folder, const std::string& name);

// Makes the folder that `path` lies in, with those above it; for its owner only where it is new.
// FAILED_PRECONDITION / CONFIGURATION_INVALID.
absl::Status MakeFolderOf(const std::string& path);

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_FOLDERS_H_
