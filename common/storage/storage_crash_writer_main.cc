// Writes rows for ever and prints the id of each once it is acknowledged, for a test that kills it:
//   storage_crash_writer <database url> <first id>

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "common/base/macros.h"
#include "common/storage/database.h"

namespace handrail::storage {
namespace {

constexpr int kThreads = 8;

int Run(const char* url, int64_t first_id) {
  DatabaseOptions options;
  options.url = url;
  auto database = OpenDatabase(options);
  if (!database.ok()) {
    std::fprintf(stderr, "%s\n", database.status().ToString().c_str());
    return 1;
  }
  std::atomic<int64_t> next{first_id};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      while (true) {
        const int64_t id = next++;
        // Two rows a unit: after the crash there must be both or none.
        const absl::Status status =
            (*database)->Write(absl::InfiniteFuture(), [&](Transaction& tx) -> absl::Status {
              RETURN_IF_ERROR(
                  tx.Execute("INSERT INTO acknowledged (id) VALUES ($1)", {id}).status());
              return tx.Execute("INSERT INTO acknowledged (id) VALUES ($1)", {-id}).status();
            });
        if (!status.ok()) std::_Exit(2);
        const std::string line = std::to_string(id) + "\n";
        if (write(STDOUT_FILENO, line.data(), line.size()) < 0) std::_Exit(3);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace handrail::storage

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: storage_crash_writer <database url> <first id>\n");
    return 64;
  }
  return handrail::storage::Run(argv[1], std::atoll(argv[2]));
}
