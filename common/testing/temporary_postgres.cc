#include "common/testing/temporary_postgres.h"

#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/macros.h"

namespace handrail::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kOldestVersion = 15;
constexpr auto kReadyTimeout = std::chrono::seconds(30);
constexpr auto kStopTimeout = std::chrono::seconds(20);

// Who runs the server: ourselves, or "postgres" when we are root.
struct ServerUser {
  uid_t uid = 0;
  gid_t gid = 0;
  bool change = false;
};

absl::StatusOr<ServerUser> FindServerUser() {
  if (geteuid() != 0) return ServerUser{geteuid(), getegid(), false};
  const passwd* entry = getpwnam("postgres");
  if (entry == nullptr) return absl::NotFoundError("no user \"postgres\" to run the server as");
  return ServerUser{entry->pw_uid, entry->pw_gid, true};
}

// The newest installed PostgreSQL's bin folder.
absl::StatusOr<std::string> FindBinaries(int& version) {
  version = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
    int found = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &found) &&
        fs::exists(entry.path() / "bin" / "postgres")) {
      version = std::max(version, found);
    }
  }
  if (version < kOldestVersion) return absl::NotFoundError("no PostgreSQL 15 or later installed");
  return absl::StrCat("/usr/lib/postgresql/", version, "/bin");
}

// Starts a program as the server's user, output appended to `log`. The child dies with the thread
// that calls this, so it must be one that lives as long as the test.
absl::StatusOr<pid_t> Spawn(const ServerUser& user, const std::vector<std::string>& command,
                            const std::string& log, const std::string& working_directory) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  char path[] = "PATH=/usr/bin:/bin";
  char locale[] = "LC_ALL=C";
  char* environment[] = {path, locale, nullptr};
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::InternalError("fork failed");
  if (pid > 0) return pid;
  // Only async-signal-safe calls from here on: the parent may have threads.
  const int output = open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  const int input = open("/dev/null", O_RDONLY);
  dup2(input, STDIN_FILENO);
  setpgid(0, 0);  // a Ctrl-C for the test is not one for the server
  if (user.change &&
      (setgroups(0, nullptr) != 0 || setgid(user.gid) != 0 || setuid(user.uid) != 0)) {
    _exit(126);
  }
  // After setuid, which clears it. A fast shutdown, or a kill for helpers that ignore it.
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (getppid() != parent) _exit(125);
  if (chdir(working_directory.c_str()) != 0) _exit(124);
  execve(arguments[0], arguments.data(), environment);
  _exit(127);
}

bool WaitForExit(pid_t pid, std::chrono::steady_clock::duration timeout, int& status) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid || ended < 0) return true;
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

absl::Status RunToEnd(const ServerUser& user, const std::vector<std::string>& command,
                      const std::string& log, const std::string& working_directory) {
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(user, command, log, working_directory));
  int status = 0;
  if (!WaitForExit(pid, std::chrono::minutes(2), status)) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return absl::InternalError(absl::StrCat(command.front(), " did not end"));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(command.front(), " failed; see ", log));
}

// One process makes the template, under a lock; the rename makes it whole or absent.
absl::StatusOr<std::string> EnsureTemplate(const ServerUser& user, const std::string& binaries,
                                           int version) {
  const std::string root = absl::StrCat("/tmp/handrail-postgres-", version, "-", user.uid);
  std::error_code failed;
  fs::create_directory(root, failed);
  if (failed) return absl::InternalError(absl::StrCat("cannot create ", root));
  if (user.change && chown(root.c_str(), user.uid, user.gid) != 0) {
    return absl::InternalError(absl::StrCat("cannot chown ", root));
  }
  fs::permissions(root, fs::perms::owner_all, failed);
  const std::string ready = absl::StrCat(root, "/template");
  const int lock = open(absl::StrCat(root, "/lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (lock < 0 || flock(lock, LOCK_EX) != 0) {
    if (lock >= 0) close(lock);
    return absl::InternalError(absl::StrCat("cannot lock ", root));
  }
  absl::Status status = absl::OkStatus();
  if (!fs::exists(ready)) {
    const std::string making = absl::StrCat(root, "/making");
    fs::remove_all(making, failed);
    status = RunToEnd(user,
                      {binaries + "/initdb", "-D", making, "-U", "handrail", "-A", "trust", "-E",
                       "UTF8", "--no-locale", "--no-sync"},
                      absl::StrCat(root, "/initdb.log"), root);
    if (status.ok()) fs::rename(making, ready);
  }
  close(lock);
  if (!status.ok()) return status;
  return ready;
}

absl::Status ExecuteOnce(const std::string& url, const std::string& sql) {
  PGconn* connection = PQconnectdb(url.c_str());
  absl::Status status = absl::OkStatus();
  if (PQstatus(connection) != CONNECTION_OK) {
    status = absl::UnavailableError(PQerrorMessage(connection));
  } else if (!sql.empty()) {
    PGresult* result = PQexec(connection, sql.c_str());
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
      status = absl::InternalError(PQresultErrorMessage(result));
    }
    PQclear(result);
  }
  PQfinish(connection);
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TemporaryPostgres>> TemporaryPostgres::Start(
    const Options& options) {
  std::unique_ptr<TemporaryPostgres> server(new TemporaryPostgres(options));
  RETURN_IF_ERROR(server->Prepare());
  RETURN_IF_ERROR(server->Launch());
  RETURN_IF_ERROR(server->CreateDatabase("handrail").status());
  return server;
}

TemporaryPostgres::~TemporaryPostgres() {
  Stop(StopMode::kImmediate);
  std::error_code ignored;
  if (!options_.data_parent.empty()) fs::remove_all(data_directory(), ignored);
}

std::string TemporaryPostgres::data_directory() const {
  const std::string& parent =
      options_.data_parent.empty() ? directory_.path() : options_.data_parent;
  return parent + "/data";
}

std::string TemporaryPostgres::url() const {
  return absl::StrCat("postgres:///handrail?user=handrail&host=", directory_.path());
}

absl::StatusOr<std::string> TemporaryPostgres::CreateDatabase(const std::string& name) {
  const std::string base = absl::StrCat("?user=handrail&host=", directory_.path());
  RETURN_IF_ERROR(ExecuteOnce(absl::StrCat("postgres:///postgres", base),
                              absl::StrCat("CREATE DATABASE ", name, " STRATEGY wal_log")));
  return absl::StrCat("postgres:///", name, base);
}

absl::Status TemporaryPostgres::Prepare() {
  int version = 0;
  ASSIGN_OR_RETURN(binaries_, FindBinaries(version));
  ASSIGN_OR_RETURN(const ServerUser user, FindServerUser());
  ASSIGN_OR_RETURN(const std::string ready, EnsureTemplate(user, binaries_, version));
  if (user.change && chown(directory_.path().c_str(), user.uid, user.gid) != 0) {
    return absl::InternalError("cannot chown the server's folder");
  }
  const std::string log = directory_.File("copy.log");
  RETURN_IF_ERROR(RunToEnd(user, {"/bin/cp", "-a", ready, data_directory()}, log, "/"));
  std::ofstream configuration(data_directory() + "/postgresql.conf", std::ios::app);
  configuration << "\nlisten_addresses = ''\nunix_socket_directories = '" << directory_.path()
                << "'\nmax_connections = 200\nlogging_collector = off\n"
                << "log_min_messages = warning\nautovacuum_naptime = 10s\n"
                << absl::StrJoin(options_.settings, "\n") << "\n";
  configuration.close();
  if (!configuration) return absl::InternalError("cannot write postgresql.conf");
  return absl::OkStatus();
}

absl::Status TemporaryPostgres::Launch() {
  ASSIGN_OR_RETURN(const ServerUser user, FindServerUser());
  ASSIGN_OR_RETURN(pid_, Spawn(user, {binaries_ + "/postgres", "-D", data_directory()},
                               directory_.File("server.log"), "/"));
  return WaitUntilReady();
}

absl::Status TemporaryPostgres::WaitUntilReady() {
  const std::string base =
      absl::StrCat("postgres:///postgres?user=handrail&host=", directory_.path());
  const auto end = std::chrono::steady_clock::now() + kReadyTimeout;
  while (true) {
    if (PQping(base.c_str()) == PQPING_OK) return absl::OkStatus();
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return absl::InternalError(absl::StrCat("the server ended while starting: ", LogTail()));
    }
    if (std::chrono::steady_clock::now() >= end) {
      Kill();
      return absl::InternalError(absl::StrCat("the server does not answer: ", LogTail()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void TemporaryPostgres::Stop(StopMode mode) {
  if (pid_ < 0) return;
  kill(pid_, mode == StopMode::kFast ? SIGINT : SIGQUIT);
  int status = 0;
  if (!WaitForExit(pid_, kStopTimeout, status)) {
    Kill();
    return;
  }
  pid_ = -1;
}

void TemporaryPostgres::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
}

absl::Status TemporaryPostgres::Restart() {
  Stop(StopMode::kFast);
  // After a kill the sessions end by themselves; until then the server refuses to start.
  const auto end = std::chrono::steady_clock::now() + kReadyTimeout;
  while (true) {
    const absl::Status status = Launch();
    if (status.ok() || std::chrono::steady_clock::now() >= end) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

std::string TemporaryPostgres::LogTail() const {
  std::ifstream log(directory_.File("server.log"));
  const std::string text((std::istreambuf_iterator<char>(log)), std::istreambuf_iterator<char>());
  return text.size() <= 2000 ? text : text.substr(text.size() - 2000);
}

}  // namespace handrail::testing
