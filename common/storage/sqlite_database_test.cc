// What only the SQLite backend promises.

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "common/testing/temporary_directory.h"
#include "gtest/gtest.h"

namespace handrail::storage {
namespace {

using handrail::testing::TemporaryDirectory;

constexpr absl::Time kNever = absl::InfiniteFuture();

std::unique_ptr<Database> OpenWithTable(const std::string& path) {
  auto database = OpenDatabase({.url = absl::StrCat("sqlite://", path)});
  EXPECT_TRUE(database.ok()) << database.status();
  if (!database.ok()) return nullptr;
  EXPECT_TRUE(
      (*database)
          ->Migrate(
              {{"0001", {"CREATE TABLE t (id {int} NOT NULL PRIMARY KEY, b {blob}) {strict}"}}})
          .ok());
  return *std::move(database);
}

absl::Status Put(Database& database, int64_t id, size_t bytes) {
  return database.Write(kNever, [&](Transaction& tx) {
    return tx.Execute("INSERT INTO t (id, b) VALUES ($1, $2)", {id, Blob{std::string(bytes, 'x')}})
        .status();
  });
}

int64_t Count(Database& database) {
  int64_t count = -1;
  EXPECT_TRUE(database
                  .Read(kNever,
                        [&](Transaction& tx) -> absl::Status {
                          ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT COUNT(*) FROM t", {}));
                          count = rows.front().Int(0);
                          return absl::OkStatus();
                        })
                  .ok());
  return count;
}

TEST(SqliteDatabaseTest, ASecondOpenOfTheSameFileIsRefusedUntilTheFirstCloses) {
  const TemporaryDirectory directory;
  const std::string url = absl::StrCat("sqlite://", directory.File("a.db"));
  auto first = OpenDatabase({.url = url});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = OpenDatabase({.url = url});
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  first->reset();
  EXPECT_TRUE(OpenDatabase({.url = url}).ok());
}

TEST(SqliteDatabaseTest, AReaderWorksBesideTheWriterAndNeverWrites) {
  const TemporaryDirectory directory;
  const auto writer = OpenWithTable(directory.File("a.db"));
  const auto reader =
      OpenDatabase({.url = absl::StrCat("sqlite://", directory.File("a.db")), .read_only = true});
  ASSERT_TRUE(reader.ok()) << reader.status();
  ASSERT_TRUE(Put(*writer, 1, 10).ok());
  EXPECT_EQ(Count(**reader), 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(Put(**reader, 2, 10)));
  absl::Status async;
  (*reader)->WriteAsync(
      kNever, [](Transaction&) { return absl::OkStatus(); },
      [&async](absl::Status status) { async = status; });
  EXPECT_TRUE(absl::IsFailedPrecondition(async));
  EXPECT_EQ(Count(*writer), 1);
}

TEST(SqliteDatabaseTest, FilesAreForOurOwnUserOnly) {
  const TemporaryDirectory directory;
  const auto database = OpenWithTable(directory.File("a.db"));
  for (const char* name : {"a.db", "a.db-wal", "a.db-shm", "a.db.lock"}) {
    struct stat info {};
    ASSERT_EQ(stat(directory.File(name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
}

TEST(SqliteDatabaseTest, BadUrlsAndLimitsAreRefused) {
  for (const char* url : {"", "sqlite:", "sqlite:relative.db", "sqlite://relative.db",
                          "sqlite:///a.db?mode=memory", "mysql://x", "nonsense"}) {
    const auto database = OpenDatabase({.url = url});
    EXPECT_TRUE(absl::IsInvalidArgument(database.status())) << url << ": " << database.status();
    EXPECT_TRUE(HasReason(database.status(), reason::kConfigurationInvalid)) << url;
  }
  DatabaseOptions options{.url = "sqlite::memory:"};
  options.queue_limit = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(OpenDatabase(options).status()));
}

TEST(SqliteDatabaseTest, AFolderThatIsNotThereAndAFileThatIsNoDatabaseAreRefused) {
  const TemporaryDirectory directory;
  EXPECT_TRUE(absl::IsInvalidArgument(
      OpenDatabase({.url = absl::StrCat("sqlite://", directory.File("none/a.db"))}).status()));
  std::ofstream(directory.File("b.db")) << std::string(8192, 'z');
  const auto database = OpenDatabase({.url = absl::StrCat("sqlite://", directory.File("b.db"))});
  EXPECT_TRUE(absl::IsDataLoss(database.status())) << database.status();
}

TEST(SqliteDatabaseTest, UnitsThatArriveDuringACommitShareTheNextOne) {
  const TemporaryDirectory directory;
  const auto database = OpenWithTable(directory.File("a.db"));
  const DatabaseStats before = database->Stats();
  constexpr int kThreads = 32;
  constexpr int kRounds = 40;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        EXPECT_TRUE(Put(*database, i * kRounds + round, 10).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const DatabaseStats after = database->Stats();
  EXPECT_EQ(after.units - before.units, kThreads * kRounds);
  EXPECT_LT(after.commits - before.commits, kThreads * kRounds / 2);
  EXPECT_LE(after.largest_batch, 128);
  int64_t histogram = 0;
  for (const int64_t count : after.batch_sizes) histogram += count;
  EXPECT_EQ(histogram, after.commits);
}

TEST(SqliteDatabaseTest, ALongReadIsInterruptedAtItsDeadline) {
  const TemporaryDirectory directory;
  const auto database = OpenWithTable(directory.File("a.db"));
  const absl::Status status =
      database->Read(SystemClock().Now() + absl::Milliseconds(50), [](Transaction& tx) {
        return tx
            .Query(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                "SELECT COUNT(*) FROM n",
                {})
            .status();
      });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_EQ(Count(*database), 0) << "the connection is good again";
}

TEST(SqliteDatabaseTest, TheLogIsCopiedBackAndStaysBounded) {
  const TemporaryDirectory directory;
  const auto database = OpenWithTable(directory.File("a.db"));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Put(*database, i, 1 << 20).ok());
  struct stat info {};
  ASSERT_EQ(stat(directory.File("a.db-wal").c_str(), &info), 0);
  EXPECT_LT(info.st_size, 64 << 20);
  ASSERT_EQ(stat(directory.File("a.db").c_str(), &info), 0);
  EXPECT_GT(info.st_size, 60 << 20) << "most of it has been copied into the database";
  EXPECT_EQ(Count(*database), 100);
}

// A small file system of its own, where we may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const char* size) {
    mounted_ = mount("tmpfs", directory_.path().c_str(), "tmpfs", 0,
                     absl::StrCat("size=", size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(directory_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const TemporaryDirectory& directory() const { return directory_; }

 private:
  TemporaryDirectory directory_;
  bool mounted_ = false;
};

TEST(SqliteDatabaseTest, AFullDiskRefusesWritesLosesNothingAndHeals) {
  const SmallDisk disk("24m");
  if (!disk.mounted()) GTEST_SKIP() << "needs the right to mount a tmpfs (errno " << errno << ")";
  const std::string filler = disk.directory().File("filler");
  std::ofstream(filler) << std::string(16 << 20, 'f');
  auto database = OpenWithTable(disk.directory().File("a.db"));
  ASSERT_NE(database, nullptr);
  // Many at once, so that batches meet the full disk.
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> written{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      while (refused < 40) {
        const absl::Status status = Put(*database, next++, 20'000);
        if (status.ok()) {
          ++written;
          continue;
        }
        EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
        EXPECT_TRUE(HasReason(status, reason::kDatabaseFull)) << status;
        ++refused;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(written.load(), 0);
  EXPECT_EQ(Count(*database), written.load()) << "reads go on";
  ASSERT_EQ(std::remove(filler.c_str()), 0);
  EXPECT_TRUE(Put(*database, next++, 20'000).ok()) << "heals by itself";
  EXPECT_EQ(Count(*database), written.load() + 1);
  database.reset();
  database = OpenWithTable(disk.directory().File("a.db"));
  ASSERT_NE(database, nullptr);
  EXPECT_EQ(Count(*database), written.load() + 1);
}

}  // namespace
}  // namespace handrail::storage
