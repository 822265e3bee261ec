#ifndef HANDRAIL_TOOLS_HANDRAIL_UP_LAYOUT_H_
#define HANDRAIL_TOOLS_HANDRAIL_UP_LAYOUT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace handrail::tools {

// The data folder of `handrail up`:
//   lock              held by the one that runs
//   endpoints.json    where things listen, while it runs
//   db/*.db           the SQLite ledgers: what must not be lost
//   keys/             signing keys and key rings: without them the ledgers cannot be read
//   run/*.sock        Unix sockets of Redis and of the services' internal listeners
//   log/*.log         one a process
//   people/*.json     device keys of the people made with `handrail person new`
//   operators         who is operator and who is staff; read when profiles starts
struct Layout {
  std::string root;

  std::string Database(absl::string_view service) const;  // URL
  std::string Keys() const;
  std::string KeyRing(absl::string_view service) const;
  std::string RedisSocket() const;
  std::string InternalSocket(absl::string_view service) const;
  std::string Log(absl::string_view process) const;
  std::string PersonFile(absl::string_view name) const;
  std::string OperatorsFile() const;
};

// Makes the folders, for the owner only. FAILED_PRECONDITION when that is not possible or when the
// path is too long for Unix sockets (the limit is 107 bytes).
absl::StatusOr<Layout> MakeLayout(const std::string& data_folder);

// Keeps the folder ours until it is destroyed, or until the process ends in any way.
class FolderLock {
 public:
  // FAILED_PRECONDITION when another process holds it; names its process id.
  static absl::StatusOr<std::unique_ptr<FolderLock>> Take(const Layout& layout);
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  const int fd_;
};

// Names of people at the command line become file names: 1 to 32 of a-z, 0-9, '-' and '_'.
absl::Status CheckPersonName(absl::string_view name);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_UP_LAYOUT_H_
