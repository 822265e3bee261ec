#ifndef HANDRAIL_COMMON_TESTING_TEMPORARY_REDIS_H_
#define HANDRAIL_COMMON_TESTING_TEMPORARY_REDIS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/base/executor.h"
#include "common/testing/temporary_directory.h"

namespace handrail::testing {

class TemporaryCertificates;

// A port of 127.0.0.1 that nobody listens on.
int FreeTcpPort();

// A real redis-server of its own, on a Unix socket in a short temporary folder, without
// persistence. It is running when the constructor returns and dies with this process, however that
// ends. What goes wrong in here ends the process: a test without its server can say nothing. Not
// thread-safe.
class TemporaryRedis {
 public:
  struct Options {
    bool tcp = false;      // listens on a free port of 127.0.0.1 as well
    std::string password;  // of the default user; empty: none
    // With `tcp`: only TLS is spoken there, with certificates that must outlive the server.
    const TemporaryCertificates* tls = nullptr;
    bool tls_asks_clients = false;           // a client must show a certificate
    bool sentinel = false;                   // a sentinel instead of a server
    std::vector<std::string> configuration;  // more lines of redis.conf
  };
  TemporaryRedis() : TemporaryRedis(Options()) {}
  explicit TemporaryRedis(const Options& options);
  ~TemporaryRedis();
  TemporaryRedis(const TemporaryRedis&) = delete;
  TemporaryRedis& operator=(const TemporaryRedis&) = delete;

  std::string url() const;  // unix:///…; without a password, which such URLs cannot carry
  // redis://[user_info@]127.0.0.1:port, rediss:// when it speaks TLS.
  std::string tcp_url(absl::string_view user_info = "") const;
  const std::string& socket_path() const { return socket_path_; }
  int port() const { return port_; }
  pid_t pid() const { return pid_; }

  // Each waits until it has taken effect. Start keeps socket and port; the data are gone, unless
  // a SAVE was Run: then it begins with what was saved.
  void Start();
  void Stop();    // SIGTERM
  void Kill();    // SIGKILL
  void Pause();   // SIGSTOP: connections stay, nothing is answered
  void Resume();  // SIGCONT
  // Sends one inline command on a connection of its own; returns the first line of the answer.
  std::string Run(absl::string_view command);
  // The same for an answer of one text of any length, which is returned without its length.
  std::string Ask(absl::string_view command);
  void FlushAll() { Run("FLUSHALL"); }

 private:
  void WriteConfiguration() const;
  std::string Login() const;
  bool IsAnswering() const;
  void Signal(int signal) const;
  void Reap();

  const Options options_;
  const TemporaryDirectory directory_;
  const std::string socket_path_;
  int port_ = 0;
  pid_t pid_ = -1;
  // Forks: a child's parent-death signal follows the thread that forked it, and the caller's thread
  // may end earlier than this object.
  Executor spawner_{1, 1};
};

}  // namespace handrail::testing

#endif  // HANDRAIL_COMMON_TESTING_TEMPORARY_REDIS_H_
