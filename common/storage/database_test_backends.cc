#include "common/storage/database_test_backends.h"

#include <atomic>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/testing/temporary_directory.h"
#include "common/testing/temporary_postgres.h"
#include "gtest/gtest.h"

namespace handrail::storage {
namespace {

using handrail::testing::TemporaryDirectory;
using handrail::testing::TemporaryPostgres;

std::unique_ptr<TemporaryPostgres>& SharedServer() {
  static std::unique_ptr<TemporaryPostgres> server;
  return server;
}

class ServerEnvironment : public ::testing::Environment {
 public:
  void TearDown() override { SharedServer().reset(); }
};

[[maybe_unused]] const ::testing::Environment* const environment =
    ::testing::AddGlobalTestEnvironment(new ServerEnvironment);

std::string NewPostgresDatabase() {
  static std::atomic<int> count{0};
  std::unique_ptr<TemporaryPostgres>& server = SharedServer();
  if (server == nullptr) {
    auto started = TemporaryPostgres::Start();
    if (!started.ok()) {
      ADD_FAILURE() << started.status();
      return "";
    }
    server = *std::move(started);
  }
  auto url = server->CreateDatabase(absl::StrCat("test_", ++count));
  if (!url.ok()) ADD_FAILURE() << url.status();
  return url.value_or("");
}

}  // namespace

struct TestDatabase::State {
  TemporaryDirectory directory;
};

std::vector<TestBackend> AllTestBackends() {
  return {TestBackend::kSqliteMemory, TestBackend::kSqliteFile, TestBackend::kPostgres,
          TestBackend::kPostgresUnprepared};
}

std::vector<TestBackend> DurableTestBackends() {
  return {TestBackend::kSqliteFile, TestBackend::kPostgres};
}

std::string TestBackendName(TestBackend backend) {
  switch (backend) {
    case TestBackend::kSqliteMemory: return "SqliteMemory";
    case TestBackend::kSqliteFile: return "SqliteFile";
    case TestBackend::kPostgres: return "Postgres";
    case TestBackend::kPostgresUnprepared: return "PostgresUnprepared";
  }
  return "unknown";
}

TestDatabase::TestDatabase(TestBackend backend) : state_(std::make_unique<State>()) {
  switch (backend) {
    case TestBackend::kSqliteMemory: options.url = "sqlite::memory:"; break;
    case TestBackend::kSqliteFile:
      options.url = absl::StrCat("sqlite://", state_->directory.File("test.db"));
      break;
    case TestBackend::kPostgresUnprepared: options.prepare_statements = false; [[fallthrough]];
    case TestBackend::kPostgres: options.url = NewPostgresDatabase(); break;
  }
}

TestDatabase::~TestDatabase() = default;

bool TestDatabase::IsPostgres() const { return absl::StartsWith(options.url, "postgres"); }

std::unique_ptr<Database> TestDatabase::Open() const {
  auto database = OpenDatabase(options);
  if (!database.ok()) {
    ADD_FAILURE() << database.status();
    return nullptr;
  }
  return *std::move(database);
}

}  // namespace handrail::storage
