#ifndef HANDRAIL_TOOLS_HANDRAIL_UP_PROCESS_H_
#define HANDRAIL_TOOLS_HANDRAIL_UP_PROCESS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace handrail::tools {

// A child process whose output goes to a log file. It is killed when its parent dies, so that
// nothing is left behind by a `handrail up` that was killed. Not thread-safe.
class Process {
 public:
  struct Options {
    std::string name;
    std::vector<std::string> command;  // program and arguments
    std::string log_path;              // appended to
  };

  explicit Process(Options options) : options_(std::move(options)) {}
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // FAILED_PRECONDITION when the program cannot be started.
  absl::Status Start();
  // Has it ended? Then what it ended with, as a text such as "exit status 2" or "signal 9".
  std::optional<std::string> Ended();
  bool running() const { return pid_ > 0; }
  void Signal(int signal);
  // SIGTERM, then SIGKILL after `grace`. Returns once it is gone.
  void Stop(absl::Duration grace);

  pid_t pid() const { return pid_; }
  const std::string& name() const { return options_.name; }
  const std::string& log_path() const { return options_.log_path; }

 private:
  const Options options_;
  pid_t pid_ = -1;
  bool asked_to_stop_ = false;  // a second SIGTERM would cut the drain short
};

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_UP_PROCESS_H_
