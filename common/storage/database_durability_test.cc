// What was acknowledged is there after kill -9 of the writer.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "common/base/macros.h"
#include "common/storage/database_test_backends.h"
#include "gtest/gtest.h"

namespace handrail::storage {
namespace {

constexpr int kRounds = 5;
constexpr size_t kAcknowledgedEachRound = 400;

const Migration& Schema() {
  static const Migration* const schema = new Migration{
      "0001_acknowledged", {"CREATE TABLE acknowledged (id {int} NOT NULL PRIMARY KEY) {strict}"}};
  return *schema;
}

std::string CrashWriterPath() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "storage_crash_writer")
      .string();
}

// Runs the writer until it has acknowledged enough, kills it, and returns every id that it printed
// as a whole line.
std::set<int64_t> RunAndKill(const std::string& url, int64_t first_id) {
  const std::string program = CrashWriterPath();
  const std::string first = std::to_string(first_id);
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execl(program.c_str(), program.c_str(), url.c_str(), first.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  std::set<int64_t> acknowledged;
  std::string text;
  char buffer[4096];
  bool killed = false;
  // After the kill, what is left in the pipe was acknowledged too.
  for (ssize_t size = 0; (size = read(ends[0], buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(size));
    size_t begin = 0;
    for (size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      acknowledged.insert(std::stoll(text.substr(begin, end - begin)));
    }
    text.erase(0, begin);
    if (!killed && acknowledged.size() >= kAcknowledgedEachRound) {
      killed = true;
      kill(child, SIGKILL);
    }
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself, status " << status;
  return acknowledged;
}

class DatabaseDurabilityTest : public ::testing::TestWithParam<TestBackend> {};

TEST_P(DatabaseDurabilityTest, EveryAcknowledgedWriteSurvivesAKill) {
  const TestDatabase test_database(GetParam());
  {
    const auto database = test_database.Open();
    ASSERT_NE(database, nullptr);
    ASSERT_TRUE(database->Migrate({Schema()}).ok());
  }
  std::set<int64_t> acknowledged;
  for (int round = 0; round < kRounds; ++round) {
    const std::set<int64_t> more = RunAndKill(test_database.options.url, 1 + round * 1'000'000);
    EXPECT_GE(more.size(), kAcknowledgedEachRound);
    acknowledged.insert(more.begin(), more.end());
  }
  const auto database = test_database.Open();
  ASSERT_NE(database, nullptr);
  std::set<int64_t> stored;
  ASSERT_TRUE(database
                  ->Read(absl::InfiniteFuture(),
                         [&](Transaction& tx) -> absl::Status {
                           ASSIGN_OR_RETURN(const Rows rows,
                                            tx.Query("SELECT id FROM acknowledged", {}));
                           for (const Row& row : rows) stored.insert(row.Int(0));
                           return absl::OkStatus();
                         })
                  .ok());
  size_t lost = 0;
  for (const int64_t id : acknowledged) lost += stored.count(id) == 0 ? 1 : 0;
  EXPECT_EQ(lost, 0u) << "of " << acknowledged.size();
  size_t halves = 0;
  for (const int64_t id : stored) halves += stored.count(-id) == 0 ? 1 : 0;
  EXPECT_EQ(halves, 0u) << "units of which only a part is there";
}

INSTANTIATE_TEST_SUITE_P(Backends, DatabaseDurabilityTest,
                         ::testing::ValuesIn(DurableTestBackends()),
                         [](const auto& info) { return TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::storage
