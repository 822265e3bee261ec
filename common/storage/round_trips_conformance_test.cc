// Statements that travel together: that they mean what they mean one by one, on every backend.

#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/storage/database_test_backends.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace handrail::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Time kNever = absl::InfiniteFuture();
constexpr absl::string_view kInsert = "INSERT INTO things (id, amount) VALUES ($1, $2)";
constexpr absl::string_view kAll = "SELECT id FROM things WHERE amount >= $1 ORDER BY id";

std::vector<int64_t> Ids(const Rows& rows) {
  std::vector<int64_t> ids;
  for (const Row& row : rows) ids.push_back(row.Int(0));
  return ids;
}

class RoundTripsConformanceTest : public ::testing::TestWithParam<TestBackend> {
 protected:
  RoundTripsConformanceTest() : test_database_(GetParam()) {
    test_database_.options.connections = 1;  // what one unit leaves behind, the next one meets
    database_ = test_database_.Open();
    const Migration schema{"0001_things",
                           {"CREATE TABLE things (id {int} NOT NULL PRIMARY KEY CHECK (id >= 0), "
                            "amount {int} NOT NULL) {strict}"}};
    EXPECT_TRUE(database_->Migrate({schema}).ok());
  }

  std::vector<int64_t> Stored() {
    std::vector<int64_t> ids;
    const absl::Status status = database_->Read(kNever, [&](Transaction& tx) -> absl::Status {
      ASSIGN_OR_RETURN(const Rows rows, tx.Query(kAll, {0}));
      ids = Ids(rows);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return ids;
  }
  absl::Status Write(const Database::AsyncWork& work) { return database_->Write(kNever, work); }

  TestDatabase test_database_;
  std::unique_ptr<Database> database_;
};

TEST_P(RoundTripsConformanceTest, AUnitOfNothingElseIsKept) {
  const absl::Status status = Write([](Transaction& tx) -> absl::Status {
    for (int64_t id = 1; id <= 3; ++id) RETURN_IF_ERROR(tx.Later(kInsert, {id, 0}));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(Stored(), ElementsAre(1, 2, 3));
  EXPECT_EQ(database_->Stats().retries, 0);
}

TEST_P(RoundTripsConformanceTest, TheNextStatementSeesWhatWasToRunBeforeIt) {
  std::vector<int64_t> seen;
  int64_t changed = 0;
  const absl::Status status = Write([&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(tx.Later(kInsert, {1, 5}));
    RETURN_IF_ERROR(tx.Later(kInsert, {2, 5}));
    RETURN_IF_ERROR(tx.Later("DELETE FROM things WHERE id = $1", {1}));
    ASSIGN_OR_RETURN(const Rows rows, tx.Query(kAll, {0}));
    seen = Ids(rows);
    RETURN_IF_ERROR(tx.Later(kInsert, {3, 5}));
    ASSIGN_OR_RETURN(changed, tx.Execute("UPDATE things SET amount = 6 WHERE amount = 5", {}));
    return tx.Later(kInsert, {4, 5});
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(seen, ElementsAre(2));
  EXPECT_EQ(changed, 2) << "the count of the statement itself";
  EXPECT_THAT(Stored(), ElementsAre(2, 3, 4));
}

TEST_P(RoundTripsConformanceTest, AFailureIsToldByTheCommit) {
  for (int round = 0; round < 3; ++round) {  // so that what is prepared is met again
    const absl::Status status = Write([](Transaction& tx) -> absl::Status {
      // SQLite knows at once and PostgreSQL later; both end the unit.
      const absl::Status first = tx.Later(kInsert, {1, 0});
      const absl::Status second = tx.Later(kInsert, {1, 0});
      EXPECT_TRUE(first.ok()) << first;
      return second.ok() ? tx.Later(kInsert, {2, 0}) : second;
    });
    EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
    EXPECT_TRUE(HasReason(status, reason::kConstraintViolated)) << status;
    EXPECT_THAT(Stored(), IsEmpty());
  }
  EXPECT_TRUE(Write([](Transaction& tx) { return tx.Later(kInsert, {7, 0}); }).ok());
  EXPECT_THAT(Stored(), ElementsAre(7));
}

TEST_P(RoundTripsConformanceTest, AFailureIsToldByTheNextAnswerAndEndsTheUnit) {
  const absl::Status status = Write([](Transaction& tx) -> absl::Status {
    tx.Later(kInsert, {-1, 0}).IgnoreError();
    EXPECT_FALSE(tx.Query(kAll, {0}).ok());
    EXPECT_FALSE(tx.Later(kInsert, {1, 0}).ok());
    const Args zero = {0};
    EXPECT_FALSE(tx.QueryAll({{kAll, zero}}).ok());
    return absl::OkStatus();  // carries on as if nothing were
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(Stored(), IsEmpty());
}

TEST_P(RoundTripsConformanceTest, WhatTheWorkGaveUpIsTakenBack) {
  for (const int64_t id : {1, -1}) {  // also when it would have failed
    const absl::Status status = Write([id](Transaction& tx) -> absl::Status {
      RETURN_IF_ERROR(tx.Later(kInsert, {5, 0}));
      tx.Later(kInsert, {id, 0}).IgnoreError();
      return Error(absl::StatusCode::kNotFound, reason::kNotFound);
    });
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_THAT(Stored(), IsEmpty());
  }
  EXPECT_TRUE(Write([](Transaction& tx) { return tx.Later(kInsert, {7, 0}); }).ok());
  EXPECT_THAT(Stored(), ElementsAre(7));
}

TEST_P(RoundTripsConformanceTest, QuestionsAreAnsweredInTheirOrder) {
  ASSERT_TRUE(Write([](Transaction& tx) -> absl::Status {
                for (int64_t id = 1; id <= 4; ++id) RETURN_IF_ERROR(tx.Later(kInsert, {id, id}));
                return absl::OkStatus();
              }).ok());
  std::vector<std::vector<int64_t>> answers;
  const absl::Status status = Write([&](Transaction& tx) -> absl::Status {
    answers.clear();
    RETURN_IF_ERROR(tx.Later("DELETE FROM things WHERE id = $1", {4}));
    const Args two = {2};
    const Args nine = {9};
    ASSIGN_OR_RETURN(const std::vector<Rows> all,
                     tx.QueryAll({{kAll, two},
                                  {kAll, nine},
                                  {"UPDATE things SET amount = 0 WHERE id = $1 RETURNING id", two},
                                  {kAll, two}}));
    for (const Rows& rows : all) answers.push_back(Ids(rows));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(answers, ElementsAre(ElementsAre(2, 3), IsEmpty(), ElementsAre(2), ElementsAre(3)));
}

TEST_P(RoundTripsConformanceTest, AQuestionThatFailsLeavesNoneAnswered) {
  const absl::Status status = Write([](Transaction& tx) -> absl::Status {
    const Args none;
    const Args zero = {0};
    RETURN_IF_ERROR(tx.Later(kInsert, {1, 0}));
    return tx.QueryAll({{kAll, zero}, {"SELECT nothing FROM nowhere", none}, {kAll, zero}})
        .status();
  });
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(Stored(), IsEmpty());
}

TEST_P(RoundTripsConformanceTest, ManyStatementsFillNoBuffer) {
  constexpr int64_t kMany = 20'000;  // more than a socket takes, in both directions
  const absl::Status status = Write([](Transaction& tx) -> absl::Status {
    for (int64_t id = 0; id < kMany; ++id) RETURN_IF_ERROR(tx.Later(kInsert, {id, 1}));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(Stored().size(), static_cast<size_t>(kMany));
}

INSTANTIATE_TEST_SUITE_P(Backends, RoundTripsConformanceTest,
                         ::testing::ValuesIn(AllTestBackends()),
                         [](const auto& backend) { return TestBackendName(backend.param); });

}  // namespace
}  // namespace handrail::storage
