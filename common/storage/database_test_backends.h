#ifndef HANDRAIL_COMMON_STORAGE_DATABASE_TEST_BACKENDS_H_
#define HANDRAIL_COMMON_STORAGE_DATABASE_TEST_BACKENDS_H_

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "common/storage/database.h"

namespace handrail::storage {

// Where the conformance suite runs. A new backend joins by a row in AllTestBackends.
enum class TestBackend { kSqliteMemory, kSqliteFile, kPostgres, kPostgresUnprepared };

std::vector<TestBackend> AllTestBackends();
// Those whose data outlives a process.
std::vector<TestBackend> DurableTestBackends();
std::string TestBackendName(TestBackend backend);
inline void PrintTo(TestBackend backend, std::ostream* out) { *out << TestBackendName(backend); }

// An empty database for one test. PostgreSQL tests share one server, started at first use and
// stopped at the end of the program; a missing server fails the test.
class TestDatabase {
 public:
  explicit TestDatabase(TestBackend backend);
  ~TestDatabase();

  // Options whose url names this database; a test may change the rest.
  DatabaseOptions options;
  bool IsPostgres() const;
  // Opens it, failing the test when that fails.
  std::unique_ptr<Database> Open() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_DATABASE_TEST_BACKENDS_H_
