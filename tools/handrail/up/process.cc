#include "tools/handrail/up/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::tools {
namespace {

// In the child, between fork and exec: only calls that are safe there.
[[noreturn]] void RunChild(char* const* arguments, int log_fd, int error_fd, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // the parent died before the line above
  setpgid(0, 0);  // Ctrl-C at the terminal reaches the parent alone, which stops us in order
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(log_fd, STDOUT_FILENO);
  dup2(log_fd, STDERR_FILENO);
  const int null_fd = open("/dev/null", O_RDONLY);
  dup2(null_fd, STDIN_FILENO);
  execvp(arguments[0], arguments);
  const int code = errno;
  [[maybe_unused]] const ssize_t ignored = write(error_fd, &code, sizeof(code));
  _exit(127);
}

}  // namespace

Process::~Process() {
  if (running()) Stop(absl::Seconds(5));
}

absl::Status Process::Start() {
  const auto failed = [this](absl::string_view what, int code) -> absl::Status {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
        .Message(
            absl::StrCat("cannot start ", options_.name, ": ", what, ": ", std::strerror(code)));
  };
  const int log_fd =
      open(options_.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0) return failed(options_.log_path, errno);
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) != 0) {
    const int code = errno;
    close(log_fd);
    return failed("pipe", code);
  }
  std::vector<char*> arguments;
  for (const std::string& part : options_.command) {
    arguments.push_back(const_cast<char*>(part.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) RunChild(arguments.data(), log_fd, error_pipe[1], parent);
  const int fork_error = errno;
  close(log_fd);
  close(error_pipe[1]);
  // The pipe closes by itself when exec works; else it carries why it did not.
  int code = 0;
  const ssize_t got = pid > 0 ? read(error_pipe[0], &code, sizeof(code)) : 0;
  close(error_pipe[0]);
  if (pid < 0) return failed("fork", fork_error);
  if (got == static_cast<ssize_t>(sizeof(code))) {
    waitpid(pid, nullptr, 0);
    return failed(options_.command.front(), code);
  }
  pid_ = pid;
  asked_to_stop_ = false;
  return absl::OkStatus();
}

std::optional<std::string> Process::Ended() {
  if (pid_ <= 0) return "not started";
  int status = 0;
  const pid_t got = waitpid(pid_, &status, WNOHANG);
  if (got == 0) return std::nullopt;
  pid_ = -1;
  if (got > 0 && WIFSIGNALED(status)) return absl::StrCat("signal ", WTERMSIG(status));
  if (got > 0 && WIFEXITED(status)) return absl::StrCat("exit status ", WEXITSTATUS(status));
  return "gone";
}

void Process::Signal(int signal) {
  if (pid_ <= 0) return;
  if (signal == SIGTERM && std::exchange(asked_to_stop_, true)) return;
  kill(pid_, signal);
}

void Process::Stop(absl::Duration grace) {
  if (pid_ <= 0) return;
  Signal(SIGTERM);
  Signal(SIGCONT);  // a stopped process would never see the signal above
  const auto give_up = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(grace);
  while (!Ended().has_value()) {
    if (std::chrono::steady_clock::now() > give_up) {
      Signal(SIGKILL);
      waitpid(pid_, nullptr, 0);
      pid_ = -1;
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace handrail::tools
