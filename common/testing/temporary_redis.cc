#include "common/testing/temporary_redis.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/testing/temporary_certificates.h"

namespace handrail::testing {
namespace {

constexpr std::chrono::seconds kPatience{20};

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "TemporaryRedis: %s\n", what);
  std::abort();
}

template <typename Condition>
void WaitFor(const char* what, const Condition& condition) {
  const auto give_up_at = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up_at) Die(what);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

// Runs between fork and exec: only what is safe there.
[[noreturn]] void BecomeRedis(pid_t parent, const char* configuration, const char* mode) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // the parent died before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDWR);
  dup2(null, STDIN_FILENO);
  dup2(null, STDOUT_FILENO);
  execlp("redis-server", "redis-server", configuration, mode, static_cast<char*>(nullptr));
  _exit(127);
}

// What the server answers: its first line, or with `whole` the text that this line announces. Empty
// when it does not answer within a second.
std::string Converse(const std::string& socket_path, const std::string& request, int skip_lines,
                     bool whole) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Die("no socket");
  const timeval patience = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size())) {
    size_t text_left = 0;
    char byte = 0;
    while (recv(fd, &byte, 1, 0) == 1) {
      if (text_left > 0) {
        answer += byte;
        if (--text_left == 0) break;
      } else if (byte == '\r') {
        continue;
      } else if (byte != '\n') {
        answer += byte;
      } else if (skip_lines-- > 0) {
        answer.clear();
      } else if (whole && answer.size() > 1 && answer[0] == '$' && answer[1] != '-') {
        text_left = std::stoul(answer.substr(1));
        answer.clear();
      } else {
        break;
      }
    }
  }
  close(fd);
  return answer;
}

}  // namespace

int FreeTcpPort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (fd < 0 || bind(fd, generic, size) != 0 || getsockname(fd, generic, &size) != 0) {
    Die("no free port");
  }
  close(fd);
  return ntohs(address.sin_port);
}

TemporaryRedis::TemporaryRedis(const Options& options)
    : options_(options), socket_path_(directory_.File("redis.sock")) {
  if (options_.tcp) port_ = FreeTcpPort();
  WriteConfiguration();
  Start();
}

TemporaryRedis::~TemporaryRedis() {
  if (pid_ > 0) Kill();
}

void TemporaryRedis::WriteConfiguration() const {
  const std::string path = directory_.File("redis.conf");
  std::ofstream file(path);
  file << "unixsocket " << socket_path_ << "\nunixsocketperm 700\n"
       << "bind 127.0.0.1\n"
       << (options_.tls == nullptr ? "port " : "port 0\ntls-port ") << port_ << "\n"
       << "daemonize no\nloglevel notice\n"
       << "dir " << directory_.path() << "\nlogfile " << directory_.File("redis.log") << "\n";
  if (!options_.sentinel) file << "save \"\"\nappendonly no\n";
  if (!options_.password.empty()) file << "requirepass " << options_.password << "\n";
  if (options_.tls != nullptr) {
    file << "tls-cert-file " << options_.tls->server_certificate() << "\n"
         << "tls-key-file " << options_.tls->server_key() << "\n"
         << "tls-ca-cert-file " << options_.tls->authority() << "\n"
         << "tls-auth-clients " << (options_.tls_asks_clients ? "yes" : "no") << "\n";
  }
  for (const std::string& line : options_.configuration) file << line << "\n";
  file.close();
  chmod(path.c_str(), 0600);
}

std::string TemporaryRedis::url() const { return absl::StrCat("unix://", socket_path_); }

std::string TemporaryRedis::tcp_url(absl::string_view user_info) const {
  if (port_ == 0) Die("tcp_url without Options::tcp");
  return absl::StrCat(options_.tls == nullptr ? "redis://" : "rediss://", user_info,
                      user_info.empty() ? "" : "@", "127.0.0.1:", port_);
}

void TemporaryRedis::Start() {
  if (pid_ > 0) Die("Start of a server that runs");
  const std::string configuration = directory_.File("redis.conf");
  const pid_t parent = getpid();
  std::promise<pid_t> spawned;
  const bool accepted = spawner_.TryRun([&] {
    const pid_t child = fork();
    if (child == 0) {
      BecomeRedis(parent, configuration.c_str(), options_.sentinel ? "--sentinel" : nullptr);
    }
    spawned.set_value(child);
  });
  if (!accepted) Die("no thread to fork from");
  pid_ = spawned.get_future().get();
  if (pid_ < 0) Die("fork");
  WaitFor("redis-server did not start", [this] {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) Die("redis-server ended; is it installed?");
    return IsAnswering();
  });
}

bool TemporaryRedis::IsAnswering() const {
  const std::string answer = Converse(socket_path_, "PING\r\n", 0, false);
  if (absl::string_view(answer).substr(0, 8) == "-LOADING") return false;
  return answer == "+PONG" || absl::string_view(answer).substr(0, 7) == "-NOAUTH";
}

void TemporaryRedis::Signal(int signal) const {
  if (pid_ <= 0) Die("a signal to a server that does not run");
  kill(pid_, signal);
}

void TemporaryRedis::Reap() {
  WaitFor("redis-server did not end", [this] { return waitpid(pid_, nullptr, WNOHANG) == pid_; });
  pid_ = -1;
  // A server that was killed leaves its socket; nobody shall mistake it for a living one.
  unlink(socket_path_.c_str());
}

void TemporaryRedis::Stop() {
  Signal(SIGTERM);
  Reap();
}

void TemporaryRedis::Kill() {
  Signal(SIGKILL);
  Reap();
}

void TemporaryRedis::Pause() {
  Signal(SIGSTOP);
  int status = 0;
  WaitFor("redis-server did not stop", [&] {
    return waitpid(pid_, &status, WUNTRACED | WNOHANG) == pid_ && WIFSTOPPED(status);
  });
}

void TemporaryRedis::Resume() {
  Signal(SIGCONT);
  WaitFor("redis-server did not go on", [this] { return IsAnswering(); });
}

std::string TemporaryRedis::Login() const {
  return options_.password.empty() ? "" : absl::StrCat("AUTH ", options_.password, "\r\n");
}

std::string TemporaryRedis::Run(absl::string_view command) {
  const std::string login = Login();
  return Converse(socket_path_, absl::StrCat(login, command, "\r\n"), login.empty() ? 0 : 1, false);
}

std::string TemporaryRedis::Ask(absl::string_view command) {
  const std::string login = Login();
  return Converse(socket_path_, absl::StrCat(login, command, "\r\n"), login.empty() ? 0 : 1, true);
}

}  // namespace handrail::testing
