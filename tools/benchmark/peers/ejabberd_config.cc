#include "tools/benchmark/peers/ejabberd_config.h"

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace handrail::benchmark {
namespace {

// Connections to PostgreSQL: more than ejabberd's default of 10.
constexpr int kPool = 16;

// The folder of the Erlang run-time, which is named for its version.
std::string RuntimeFolder(const std::string& erlang) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(erlang, ignored)) {
    if (absl::StartsWith(entry.path().filename().string(), "erts-")) return entry.path().string();
  }
  return absl::StrCat(erlang, "/erts");
}

}  // namespace

std::string EjabberdYaml(const EjabberdOptions& options) {
  return absl::StrCat("hosts: [\"", kPeerDomain,
                      "\"]\n"
                      "loglevel: error\n"
                      "log_rotate_count: 0\n"
                      "default_db: sql\n"
                      "auth_method: sql\n"
                      "auth_password_format: plain\n"
                      "sql_type: pgsql\n"
                      "sql_server: \"",
                      options.database_address, "\"\nsql_database: \"", options.database,
                      "\"\nsql_username: handrail\nsql_password: \"\"\nsql_pool_size: ", kPool,
                      "\nlisten:\n"
                      "  - module: ejabberd_c2s\n"
                      "    ip: \"127.0.0.1\"\n"
                      "    port: ",
                      options.port,
                      "\n    backlog: 256\n"
                      "    max_stanza_size: 262144\n"
                      "    starttls: false\n"
                      "    zlib: false\n"
                      "modules:\n"
                      "  mod_mam:\n"
                      "    db_type: sql\n"
                      "    default: always\n"
                      "  mod_stream_mgmt: {}\n");
}

std::vector<std::string> EjabberdCommand(const EjabberdOptions& options) {
  const std::string erlang = options.root + "/usr/lib/erlang";
  const std::string libraries = options.root + "/usr/lib/x86_64-linux-gnu";
  const std::string runtime = RuntimeFolder(erlang);
  return {"/usr/bin/env",
          "ROOTDIR=" + erlang,
          "BINDIR=" + runtime + "/bin",
          "EMU=beam",
          "PROGNAME=erl",
          "ERL_LIBS=" + libraries,
          "LD_LIBRARY_PATH=" + libraries,
          "HOME=" + options.folder,
          "ERL_CRASH_DUMP=" + options.folder + "/crash",
          "EJABBERD_CONFIG_PATH=" + options.folder + "/ejabberd.yml",
          "EJABBERD_LOG_PATH=" + options.folder + "/ejabberd.log",
          runtime + "/bin/erlexec",
          "-noinput",
          "+K",
          "true",
          "+P",
          "250000",
          "-mnesia",
          "dir",
          absl::StrCat("\"", options.folder, "/spool\""),
          "-s",
          "ejabberd"};
}

std::string EjabberdAccounts(int count) {
  return absl::StrCat("INSERT INTO users (username, password) SELECT 'u' || n, '", kPeerPassword,
                      "' FROM generate_series(0, ", count - 1, ") AS n");
}

}  // namespace handrail::benchmark
