// Each sentence of database.h is a case here; each backend runs them all.

#include <atomic>
#include <limits>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/storage/database_test_backends.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace handrail::storage {
namespace {

using ::testing::ElementsAre;

constexpr absl::Time kNever = absl::InfiniteFuture();

const Migration& TestSchema() {
  static const Migration* const schema = new Migration{
      "0001_things",
      {"CREATE TABLE things (id {int} NOT NULL PRIMARY KEY CHECK (id >= 0), name TEXT UNIQUE, "
       "bytes {blob}, amount {int} NOT NULL DEFAULT 0 CHECK (amount <= 1000000)) {strict}",
       "CREATE TABLE parts (thing {int} NOT NULL REFERENCES things (id), part {int} NOT NULL, "
       "PRIMARY KEY (thing, part)) {strict}",
       "CREATE UNIQUE INDEX one_flagged ON things (amount) WHERE amount = 77"}};
  return *schema;
}

class Gate {
 public:
  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    changed_.SignalAll();
  }
  // False when nobody opened it within 20 s, so that a broken test ends.
  bool Wait() {
    MutexLock lock(mutex_);
    while (!open_) {
      if (!changed_.WaitFor(mutex_, absl::Seconds(20))) return open_;
    }
    return true;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

class DatabaseConformanceTest : public ::testing::TestWithParam<TestBackend> {
 protected:
  DatabaseConformanceTest() : test_database_(GetParam()) {}

  void SetUp() override { Reopen(); }

  void Reopen() {
    database_.reset();
    database_ = test_database_.Open();
    ASSERT_NE(database_, nullptr);
    ASSERT_TRUE(database_->Migrate({TestSchema()}).ok());
  }

  absl::Status Put(int64_t id) {
    return database_->Write(kNever, [&](Transaction& tx) {
      return tx.Execute("INSERT INTO things (id) VALUES ($1)", {id}).status();
    });
  }

  int64_t Number(absl::string_view sql, const Args& args = {}) {
    int64_t number = -1;
    EXPECT_TRUE(database_
                    ->Read(kNever,
                           [&](Transaction& tx) -> absl::Status {
                             ASSIGN_OR_RETURN(const Rows rows, tx.Query(sql, args));
                             number = rows.front().Int(0);
                             return absl::OkStatus();
                           })
                    .ok());
    return number;
  }
  int64_t CountThings() { return Number("SELECT COUNT(*) FROM things"); }

  absl::Status Execute(absl::string_view sql, const Args& args = {}) {
    return database_->Write(kNever,
                            [&](Transaction& tx) { return tx.Execute(sql, args).status(); });
  }

  // Keeps every connection that may write busy until the gate opens.
  std::vector<std::thread> OccupyWriters(Gate& gate) {
    const int writers = test_database_.IsPostgres() ? test_database_.options.connections : 1;
    std::atomic<int> begun{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < writers; ++i) {
      threads.emplace_back([&, this] {
        EXPECT_TRUE(database_
                        ->Write(kNever,
                                [&](Transaction&) -> absl::Status {
                                  ++begun;
                                  return gate.Wait() ? absl::OkStatus()
                                                     : absl::InternalError("gate stayed shut");
                                })
                        .ok());
      });
    }
    while (begun < writers) std::this_thread::yield();
    return threads;
  }

  TestDatabase test_database_;
  std::unique_ptr<Database> database_;
};

TEST_P(DatabaseConformanceTest, EveryKindOfValueComesBackAsItWas) {
  const std::string bytes("\0\x01\xff'\\", 5);
  ASSERT_TRUE(database_
                  ->Write(kNever,
                          [&](Transaction& tx) -> absl::Status {
                            for (const auto& [id, name, blob, amount] :
                                 {std::tuple<int64_t, Value, Value, int64_t>{1, "Zoë \"'$1 {int}",
                                                                             Blob{bytes}, -5},
                                  {2, Null{}, Null{}, std::numeric_limits<int64_t>::min()},
                                  {std::numeric_limits<int64_t>::max(), "", Blob{""}, 0}}) {
                              RETURN_IF_ERROR(
                                  tx.Execute("INSERT INTO things (id, name, bytes, amount) "
                                             "VALUES ($1, $2, $3, $4)",
                                             {id, name, blob, amount})
                                      .status());
                            }
                            return absl::OkStatus();
                          })
                  .ok());
  ASSERT_TRUE(database_
                  ->Read(kNever,
                         [&](Transaction& tx) -> absl::Status {
                           ASSIGN_OR_RETURN(const Rows rows,
                                            tx.Query("SELECT id, name, bytes, amount, amount < 0, "
                                                     "'$1 {int}' FROM things ORDER BY id",
                                                     {}));
                           EXPECT_EQ(rows.size(), 3u);
                           EXPECT_EQ(rows[0].Text(1), "Zoë \"'$1 {int}");
                           EXPECT_EQ(rows[0].Bytes(2), bytes);
                           EXPECT_EQ(rows[0].Int(3), -5);
                           EXPECT_TRUE(rows[0].Bool(4));
                           EXPECT_EQ(rows[0].Text(5), "$1 {int}");
                           EXPECT_TRUE(rows[1].IsNull(1));
                           EXPECT_TRUE(rows[1].IsNull(2));
                           EXPECT_EQ(rows[1].Int(3), std::numeric_limits<int64_t>::min());
                           EXPECT_EQ(rows[2].Int(0), std::numeric_limits<int64_t>::max());
                           EXPECT_EQ(rows[2].Text(1), "");
                           EXPECT_EQ(rows[2].Bytes(2), "");
                           EXPECT_FALSE(rows[2].IsNull(2));
                           return absl::OkStatus();
                         })
                  .ok());
}

TEST_P(DatabaseConformanceTest, ParametersOfEachTypeCompareWithTheirColumns) {
  ASSERT_TRUE(Execute("INSERT INTO things (id, name, bytes) VALUES ($1, $2, $3)",
                      {7, "seven", Blob{"\x07"}})
                  .ok());
  constexpr absl::string_view kSql =
      "SELECT COUNT(*) FROM things WHERE id = $1 AND name = $2 AND bytes = $3";
  EXPECT_EQ(Number(kSql, {7, "seven", Blob{"\x07"}}), 1);
  // The same text with other types of arguments, repeatedly, as prepared statements must allow.
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Number(kSql, {7, Null{}, Blob{"\x07"}}), 0);
    EXPECT_EQ(Number(kSql, {7, "seven", Blob{"\x07"}}), 1);
  }
  EXPECT_EQ(Number("SELECT COUNT(*) FROM things WHERE id = $1 OR id = $1 + $2", {7, 1}), 1);
  EXPECT_EQ(Number("SELECT SUM(id) FROM things WHERE id <= $1 LIMIT $2", {7, 1}), 7);
}

TEST_P(DatabaseConformanceTest, ExecuteCountsRows) {
  ASSERT_TRUE(Put(1).ok());
  ASSERT_TRUE(Put(2).ok());
  std::vector<int64_t> counts;
  ASSERT_TRUE(database_
                  ->Write(kNever,
                          [&](Transaction& tx) -> absl::Status {
                            counts.clear();
                            for (const char* sql :
                                 {"UPDATE things SET amount = 3", "DELETE FROM things WHERE id = 9",
                                  "INSERT INTO things (id) VALUES (2) ON CONFLICT DO NOTHING",
                                  "CREATE TABLE other (id {int} NOT NULL)",
                                  "INSERT INTO things (id) VALUES (3), (4)",
                                  "DELETE FROM things"}) {
                              ASSIGN_OR_RETURN(const int64_t count, tx.Execute(sql, {}));
                              counts.push_back(count);
                            }
                            return absl::OkStatus();
                          })
                  .ok());
  EXPECT_THAT(counts, ElementsAre(2, 0, 0, 0, 2, 4));
}

TEST_P(DatabaseConformanceTest, ReturningGivesRows) {
  int64_t amount = 0;
  ASSERT_TRUE(database_
                  ->Write(kNever,
                          [&](Transaction& tx) -> absl::Status {
                            ASSIGN_OR_RETURN(
                                const Rows rows,
                                tx.Query("INSERT INTO things (id, amount) VALUES ($1, $2) "
                                         "ON CONFLICT (id) DO UPDATE SET amount = 9 "
                                         "RETURNING amount",
                                         {1, 5}));
                            amount = rows.front().Int(0);
                            return absl::OkStatus();
                          })
                  .ok());
  EXPECT_EQ(amount, 5);
  EXPECT_EQ(CountThings(), 1);
}

TEST_P(DatabaseConformanceTest, AnErrorOfTheWorkRollsBackAndPassesThrough) {
  const absl::Status status = database_->Write(kNever, [](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(tx.Execute("INSERT INTO things (id) VALUES (1)", {}).status());
    return Error(absl::StatusCode::kNotFound, reason::kNotFound).Detail("k", "v");
  });
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(DetailsOf(status).metadata["k"], "v");
  EXPECT_EQ(CountThings(), 0);
}

TEST_P(DatabaseConformanceTest, AUnitThatCarriesOnAfterAFailedStatementDoesNotCommit) {
  ASSERT_TRUE(Put(1).ok());
  const absl::Status status = database_->Write(kNever, [](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(tx.Execute("INSERT INTO things (id) VALUES (2)", {}).status());
    EXPECT_FALSE(tx.Execute("INSERT INTO things (id) VALUES (1)", {}).ok());
    EXPECT_FALSE(tx.Query("SELECT COUNT(*) FROM things", {}).ok());
    return absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_EQ(CountThings(), 1);
}

TEST_P(DatabaseConformanceTest, ConstraintsHaveTheirCodes) {
  ASSERT_TRUE(Execute("INSERT INTO things (id, name, amount) VALUES (1, 'a', 77)").ok());
  struct Case {
    const char* sql;
    absl::StatusCode code;
  };
  for (const Case& test : {
           Case{"INSERT INTO things (id) VALUES (1)", absl::StatusCode::kAlreadyExists},
           Case{"INSERT INTO things (id, name) VALUES (2, 'a')", absl::StatusCode::kAlreadyExists},
           Case{"INSERT INTO things (id, amount) VALUES (2, 77)", absl::StatusCode::kAlreadyExists},
           Case{"INSERT INTO things (id) VALUES (-1)", absl::StatusCode::kFailedPrecondition},
           Case{"INSERT INTO things (id, amount) VALUES (2, NULL)",
                absl::StatusCode::kFailedPrecondition},
           Case{"INSERT INTO parts (thing, part) VALUES (5, 1)",
                absl::StatusCode::kFailedPrecondition},
       }) {
    const absl::Status status = Execute(test.sql);
    EXPECT_EQ(status.code(), test.code) << test.sql << ": " << status;
    EXPECT_TRUE(HasReason(status, reason::kConstraintViolated)) << status;
  }
}

TEST_P(DatabaseConformanceTest, OurOwnMistakesInSqlAreInternal) {
  for (const char* sql : {"SELEKT 1", "INSERT INTO nowhere (id) VALUES (1)", "SELECT {nonsense}",
                          "SELECT 1; SELECT 2"}) {
    const absl::Status status = Execute(sql);
    EXPECT_TRUE(absl::IsInternal(status)) << sql << ": " << status;
  }
  EXPECT_TRUE(absl::IsInternal(Execute("INSERT INTO things (id) VALUES ($1)", {1, 2})));
  EXPECT_TRUE(Put(1).ok()) << "the database must still work";
}

TEST_P(DatabaseConformanceTest, ReadsWriteNothing) {
  const absl::Status status = database_->Read(kNever, [](Transaction& tx) {
    return tx.Execute("INSERT INTO things (id) VALUES (1)", {}).status();
  });
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(CountThings(), 0);
  EXPECT_TRUE(Put(1).ok());
}

TEST_P(DatabaseConformanceTest, AReadSeesOneSnapshotBesideWrites) {
  if (GetParam() == TestBackend::kSqliteMemory) GTEST_SKIP() << "reads and writes take turns there";
  ASSERT_TRUE(Put(1).ok());
  const absl::Status status = database_->Read(kNever, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const Rows before, tx.Query("SELECT COUNT(*) FROM things", {}));
    std::thread writer([&] { EXPECT_TRUE(Put(2).ok()); });
    writer.join();
    ASSIGN_OR_RETURN(const Rows after, tx.Query("SELECT COUNT(*) FROM things", {}));
    EXPECT_EQ(before.front().Int(0), 1);
    EXPECT_EQ(after.front().Int(0), 1);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(CountThings(), 2);
}

TEST_P(DatabaseConformanceTest, ConcurrentIncrementsAllCount) {
  ASSERT_TRUE(Put(1).ok());
  constexpr int kThreads = 8;
  constexpr int kRounds = 25;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const absl::Status status = database_->Write(kNever, [](Transaction& tx) -> absl::Status {
          ASSIGN_OR_RETURN(const Rows rows,
                           tx.Query("SELECT amount FROM things WHERE id = 1 {for_update}", {}));
          return tx.Execute("UPDATE things SET amount = $1 WHERE id = 1", {rows.front().Int(0) + 1})
              .status();
        });
        EXPECT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Number("SELECT amount FROM things WHERE id = 1"), kThreads * kRounds);
}

TEST_P(DatabaseConformanceTest, ConcurrentFailuresStayAlone) {
  constexpr int kThreads = 16;
  constexpr int kRounds = 20;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        const int64_t id = i * kRounds + round;
        const absl::Status status = database_->Write(kNever, [&](Transaction& tx) -> absl::Status {
          RETURN_IF_ERROR(tx.Execute("INSERT INTO things (id) VALUES ($1)", {id}).status());
          if (id % 3 == 0) return absl::CancelledError();
          if (id % 3 == 1) return tx.Execute("INSERT INTO things (id) VALUES ($1)", {id}).status();
          return absl::OkStatus();
        });
        EXPECT_EQ(status.code(), id % 3 == 0   ? absl::StatusCode::kCancelled
                                 : id % 3 == 1 ? absl::StatusCode::kAlreadyExists
                                               : absl::StatusCode::kOk);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const int64_t expected = (kThreads * kRounds) / 3;
  EXPECT_EQ(CountThings(), expected);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM things WHERE id % 3 <> 2"), 0);
}

TEST_P(DatabaseConformanceTest, ConflictsAreRetriedUpToTheLimit) {
  int runs = 0;
  EXPECT_TRUE(database_
                  ->Write(kNever,
                          [&](Transaction& tx) -> absl::Status {
                            RETURN_IF_ERROR(
                                tx.Execute("INSERT INTO things (id) VALUES (1)", {}).status());
                            if (++runs < 3) {
                              return Error(absl::StatusCode::kAborted, reason::kDatabaseConflict);
                            }
                            return absl::OkStatus();
                          })
                  .ok());
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(CountThings(), 1);
  EXPECT_EQ(database_->Stats().retries, 2);

  runs = 0;
  const absl::Status status = database_->Write(kNever, [&](Transaction&) -> absl::Status {
    ++runs;
    return Error(absl::StatusCode::kAborted, reason::kDatabaseConflict);
  });
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_EQ(runs, test_database_.options.retry_limit + 1);

  runs = 0;
  EXPECT_TRUE(absl::IsAborted(database_->Write(kNever, [&](Transaction&) -> absl::Status {
    ++runs;
    return Error(absl::StatusCode::kAborted, reason::kEtagMismatch);
  })));
  EXPECT_EQ(runs, 1) << "only the database's own conflicts are repeated";
}

TEST_P(DatabaseConformanceTest, AWriteWhoseDeadlinePassesInTheQueueIsWithdrawn) {
  Gate gate;
  std::vector<std::thread> writers = OccupyWriters(gate);
  bool ran = false;
  const absl::Status status = database_->Write(SystemClock().Now() + absl::Milliseconds(30),
                                               [&](Transaction&) -> absl::Status {
                                                 ran = true;
                                                 return absl::OkStatus();
                                               });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_TRUE(HasReason(status, reason::kDeadlineExceeded));
  gate.Open();
  for (std::thread& thread : writers) thread.join();
  EXPECT_TRUE(Put(1).ok());
  EXPECT_FALSE(ran);
}

TEST_P(DatabaseConformanceTest, APastDeadlineRunsNothing) {
  const auto work = [](Transaction&) -> absl::Status {
    ADD_FAILURE() << "ran";
    return absl::OkStatus();
  };
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(database_->Write(SystemClock().Now() - absl::Seconds(1), work)));
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(database_->Read(SystemClock().Now() - absl::Seconds(1), work)));
}

TEST_P(DatabaseConformanceTest, AFullQueueRefusesWithRetryInfo) {
  test_database_.options.queue_limit = 3;
  test_database_.options.connections = 2;
  Reopen();
  Gate gate;
  std::vector<std::thread> writers = OccupyWriters(gate);
  constexpr int kWrites = 12;
  std::atomic<int> refused{0};
  std::atomic<int> written{0};
  for (int i = 0; i < kWrites; ++i) {
    database_->WriteAsync(
        kNever,
        [i](Transaction& tx) {
          return tx.Execute("INSERT INTO things (id) VALUES ($1)", {i}).status();
        },
        [&](absl::Status status) {
          if (status.ok()) {
            ++written;
            return;
          }
          EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
          EXPECT_TRUE(HasReason(status, reason::kOverloaded));
          EXPECT_TRUE(DetailsOf(status).retry_after.has_value());
          ++refused;
        });
  }
  EXPECT_GE(refused.load(), kWrites - 3 - test_database_.options.connections);
  EXPECT_GT(kWrites, refused.load());
  gate.Open();
  for (std::thread& thread : writers) thread.join();
  while (refused + written < kWrites) std::this_thread::yield();
  EXPECT_EQ(CountThings(), written.load());
  EXPECT_TRUE(Put(1000).ok()) << "room again";
}

TEST_P(DatabaseConformanceTest, AsynchronousWritesAnswerExactlyOnceAndDurably) {
  constexpr int kWrites = 300;
  std::vector<std::atomic<int>> answers(kWrites);
  std::atomic<int> total{0};
  for (int i = 0; i < kWrites; ++i) {
    database_->WriteAsync(
        kNever,
        [i](Transaction& tx) {
          return tx.Execute("INSERT INTO things (id) VALUES ($1)", {i % 100}).status();
        },
        [&, i](absl::Status status) {
          EXPECT_TRUE(status.ok() || absl::IsAlreadyExists(status)) << status;
          ++answers[static_cast<size_t>(i)];
          ++total;
        });
  }
  while (total < kWrites) std::this_thread::yield();
  EXPECT_EQ(CountThings(), 100);
  database_.reset();  // nothing may answer a second time
  for (const auto& count : answers) EXPECT_EQ(count.load(), 1);
}

TEST_P(DatabaseConformanceTest, ClosingAnswersWhatWasAccepted) {
  std::atomic<int> answers{0};
  for (int i = 0; i < 50; ++i) {
    database_->WriteAsync(
        kNever,
        [i](Transaction& tx) {
          return tx.Execute("INSERT INTO things (id) VALUES ($1)", {i}).status();
        },
        [&](absl::Status status) {
          EXPECT_TRUE(status.ok()) << status;
          ++answers;
        });
  }
  database_.reset();
  EXPECT_EQ(answers.load(), 50);
}

TEST_P(DatabaseConformanceTest, StatsCountCommits) {
  const DatabaseStats before = database_->Stats();
  ASSERT_TRUE(Put(1).ok());
  ASSERT_TRUE(Put(2).ok());
  const DatabaseStats after = database_->Stats();
  EXPECT_EQ(after.commits - before.commits, 2);
  EXPECT_EQ(after.units - before.units, 2);
  EXPECT_EQ(after.batch_sizes[0] - before.batch_sizes[0], 2);
  EXPECT_GE(after.largest_batch, 1);
}

TEST_P(DatabaseConformanceTest, TheClockIsCloseToOurs) {
  const auto now = database_->Now(SystemClock().Now() + absl::Seconds(5));
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_LT(absl::AbsDuration(*now - SystemClock().Now()), absl::Seconds(5));
}

TEST_P(DatabaseConformanceTest, NamesItsBackend) {
  EXPECT_EQ(database_->BackendName(), test_database_.IsPostgres() ? "postgres" : "sqlite");
}

INSTANTIATE_TEST_SUITE_P(Backends, DatabaseConformanceTest, ::testing::ValuesIn(AllTestBackends()),
                         [](const auto& info) { return TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::storage
