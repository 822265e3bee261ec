#ifndef HANDRAIL_COMMON_TESTING_TEMPORARY_POSTGRES_H_
#define HANDRAIL_COMMON_TESTING_TEMPORARY_POSTGRES_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/testing/temporary_directory.h"

namespace handrail::testing {

// A private PostgreSQL (15 or later) on a Unix socket in a temporary folder, with an empty database
// "handrail". The first start on a machine makes a template cluster below /tmp, later ones copy it:
// about half a second. As root the server runs as the user "postgres", because PostgreSQL refuses
// root. It dies with this object, and with the test process. Not thread-safe.
class TemporaryPostgres {
 public:
  struct Options {
    // Lines for postgresql.conf, for example "fsync = off".
    std::vector<std::string> settings;
    // Where the cluster lives; empty: a temporary folder. Must be writable by the server's user.
    std::string data_parent;
  };
  // kFast ends sessions and shuts down cleanly, kImmediate is a crash with recovery.
  enum class StopMode { kFast, kImmediate };

  // NOT_FOUND when no PostgreSQL >= 15 is installed; INTERNAL with the log's tail otherwise.
  static absl::StatusOr<std::unique_ptr<TemporaryPostgres>> Start(const Options& options);
  static absl::StatusOr<std::unique_ptr<TemporaryPostgres>> Start() { return Start(Options()); }
  ~TemporaryPostgres();
  TemporaryPostgres(const TemporaryPostgres&) = delete;
  TemporaryPostgres& operator=(const TemporaryPostgres&) = delete;

  // postgres://… of the database "handrail".
  std::string url() const;
  // postgres://… of a new empty database in this server. `name` is [a-z0-9_]+.
  absl::StatusOr<std::string> CreateDatabase(const std::string& name);
  // The folder of the Unix socket.
  const std::string& socket_directory() const { return directory_.path(); }
  std::string data_directory() const;
  pid_t pid() const { return pid_; }

  void Stop(StopMode mode);
  // kill -9 of the server process. Its children notice and end.
  void Kill();
  // Starts again on the same folder after Stop or Kill, and waits until it answers.
  absl::Status Restart();

 private:
  explicit TemporaryPostgres(Options options) : options_(std::move(options)) {}
  absl::Status Prepare();
  absl::Status Launch();
  absl::Status WaitUntilReady();
  std::string LogTail() const;

  const Options options_;
  TemporaryDirectory directory_;
  std::string binaries_;
  pid_t pid_ = -1;
};

}  // namespace handrail::testing

#endif  // HANDRAIL_COMMON_TESTING_TEMPORARY_POSTGRES_H_
