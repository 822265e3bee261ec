#ifndef HANDRAIL_TOOLS_BENCHMARK_PEERS_EJABBERD_CONFIG_H_
#define HANDRAIL_TOOLS_BENCHMARK_PEERS_EJABBERD_CONFIG_H_

#include <string>
#include <vector>

namespace handrail::benchmark {

// The domain that our ejabberd serves, and the password of all of its accounts, which are called
// u0, u1, …: nobody else can reach it.
inline constexpr char kPeerDomain[] = "bench.localhost";
inline constexpr char kPeerPassword[] = "bench";

struct EjabberdOptions {
  std::string root;              // the unpacked packages
  std::string folder;            // where it may write
  int port = 0;                  // for clients, on 127.0.0.1
  std::string database_address;  // of PostgreSQL, by TCP: this ejabberd knows no Unix sockets
  std::string database;
};

// ejabberd.yml: clients without TLS, accounts and the archive of every message in PostgreSQL,
// stream management, and nothing else that costs anything.
std::string EjabberdYaml(const EjabberdOptions& options);

// The program with its arguments and its environment. No distribution, so no epmd is started.
std::vector<std::string> EjabberdCommand(const EjabberdOptions& options);

// Registers `count` accounts in its database.
std::string EjabberdAccounts(int count);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_PEERS_EJABBERD_CONFIG_H_
