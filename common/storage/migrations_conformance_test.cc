// Migrations and the request log, on each backend.

#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/storage/database_test_backends.h"
#include "common/storage/request_log.h"
#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"

namespace handrail::storage {
namespace {

constexpr absl::Time kNever = absl::InfiniteFuture();

class SchemaConformanceTest : public ::testing::TestWithParam<TestBackend> {
 protected:
  SchemaConformanceTest() : test_database_(GetParam()), database_(test_database_.Open()) {}

  int64_t Count(absl::string_view sql) {
    int64_t count = -1;
    EXPECT_TRUE(database_
                    ->Read(kNever,
                           [&](Transaction& tx) -> absl::Status {
                             ASSIGN_OR_RETURN(const Rows rows, tx.Query(sql, {}));
                             count = rows.front().Int(0);
                             return absl::OkStatus();
                           })
                    .ok());
    return count;
  }

  TestDatabase test_database_;
  std::unique_ptr<Database> database_;
};

Migration First() { return {"0001_a", {"CREATE TABLE a (id {int} NOT NULL) {strict}"}}; }
Migration Second() {
  return {"0002_b",
          {"CREATE TABLE b (id {int} NOT NULL) {strict}", "INSERT INTO b (id) VALUES (1)"}};
}

TEST_P(SchemaConformanceTest, MigrationsRunOnceInOrder) {
  ASSERT_TRUE(database_->Migrate({First()}).ok());
  ASSERT_TRUE(database_->Migrate({First(), Second()}).ok());
  ASSERT_TRUE(database_->Migrate({First(), Second()}).ok());
  EXPECT_EQ(Count("SELECT COUNT(*) FROM handrail_migrations"), 2);
  EXPECT_EQ(Count("SELECT COUNT(*) FROM b"), 1);
}

TEST_P(SchemaConformanceTest, AMigrationWithAnotherTextIsRefused) {
  ASSERT_TRUE(database_->Migrate({First(), Second()}).ok());
  Migration changed = First();
  changed.statements.push_back("CREATE TABLE c (id {int} NOT NULL) {strict}");
  const absl::Status status = database_->Migrate({changed});
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_FALSE(
      database_
          ->Read(kNever, [](Transaction& tx) { return tx.Query("SELECT id FROM c", {}).status(); })
          .ok());
}

TEST_P(SchemaConformanceTest, AMigrationThatFailsLeavesNothing) {
  Migration broken = Second();
  broken.statements.push_back("INSERT INTO nowhere (id) VALUES (1)");
  EXPECT_FALSE(database_->Migrate({First(), broken}).ok());
  EXPECT_EQ(Count("SELECT COUNT(*) FROM handrail_migrations"), 1);
  EXPECT_TRUE(database_->Migrate({First(), Second()}).ok()) << "nothing of the failed one is left";
}

TEST_P(SchemaConformanceTest, ConcurrentMigrationsAreSafe) {
  std::vector<std::unique_ptr<Database>> others;
  std::vector<Database*> databases(4, database_.get());
  if (test_database_.IsPostgres()) {  // as several processes do
    for (Database*& database : databases) {
      others.push_back(test_database_.Open());
      database = others.back().get();
    }
  }
  std::vector<std::thread> threads;
  for (Database* database : databases) {
    threads.emplace_back([database] {
      const absl::Status status = database->Migrate({First(), Second()});
      EXPECT_TRUE(status.ok()) << status;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Count("SELECT COUNT(*) FROM b"), 1);
}

class RequestLogConformanceTest : public SchemaConformanceTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(database_->Migrate({RequestLogMigration()}).ok());
    testing::SeededRandom random(1);
    call_.who.kind = Principal::Kind::kMember;
    call_.who.member = MemberId::Random(random);
    call_.method = "/test/Write";
    call_.request_id = "r1";
    call_.request_hash = std::string("\0hash", 5);
    other_member_ = MemberId::Random(random);
  }

  // One idempotent write: the answer that counts.
  absl::StatusOr<std::string> Ask(const Call& call, absl::string_view answer) {
    std::string result;
    RETURN_IF_ERROR(database_->Write(kNever, [&](Transaction& tx) -> absl::Status {
      ASSIGN_OR_RETURN(const auto replay, FindAnswer(tx, call));
      if (replay.has_value()) {
        result = *replay;
        return absl::OkStatus();
      }
      result = std::string(answer);
      return RecordAnswer(tx, call, now_, answer);
    }));
    return result;
  }

  Call call_;
  MemberId other_member_;
  absl::Time now_ = absl::FromUnixSeconds(1'772'366'400);
};

TEST_P(RequestLogConformanceTest, RepeatsTheFirstAnswerInItsScope) {
  EXPECT_EQ(*Ask(call_, "one"), "one");
  EXPECT_EQ(*Ask(call_, "two"), "one");
  testing::SeededRandom random(2);
  Call other_device = call_;
  other_device.who.device = DeviceId::Random(random);
  EXPECT_EQ(*Ask(other_device, "three"), "one") << "a member has one scope over all devices";
  Call other_member = call_;
  other_member.who.member = other_member_;
  EXPECT_EQ(*Ask(other_member, "four"), "four");
  Call other_method = call_;
  other_method.method = "/test/Other";
  EXPECT_EQ(*Ask(other_method, "five"), "five");
  Call service = call_;
  service.who = Principal();
  service.who.kind = Principal::Kind::kService;
  service.who.service = "profiles";
  EXPECT_EQ(*Ask(service, "six"), "six");
  service.who.service = "matching";
  EXPECT_EQ(*Ask(service, "seven"), "seven");
}

TEST_P(RequestLogConformanceTest, EachOperatorHasAScopeOfTheirOwn) {
  Call one = call_;
  one.who.kind = Principal::Kind::kOperator;
  EXPECT_EQ(*Ask(one, "one"), "one");
  EXPECT_EQ(*Ask(one, "two"), "one") << "a repetition";
  testing::SeededRandom random(3);
  Call other_device = one;
  other_device.who.device = DeviceId::Random(random);
  EXPECT_EQ(*Ask(other_device, "three"), "one") << "over all devices";
  Call other = one;
  other.who.member = other_member_;
  other.request_hash = "other";  // the same id for another request is no fault of theirs
  EXPECT_EQ(*Ask(other, "four"), "four");
  EXPECT_EQ(*Ask(call_, "five"), "five") << "the same person as a member";
}

TEST_P(RequestLogConformanceTest, RefusesNoIdAndAnIdForAnotherRequest) {
  ASSERT_TRUE(Ask(call_, "one").ok());
  Call changed = call_;
  changed.request_hash = "other";
  const auto reused = Ask(changed, "two");
  EXPECT_TRUE(absl::IsFailedPrecondition(reused.status()));
  EXPECT_TRUE(HasReason(reused.status(), reason::kRequestIdReused));
  Call without = call_;
  without.request_id.clear();
  const auto missing = Ask(without, "three");
  EXPECT_TRUE(absl::IsInvalidArgument(missing.status()));
  EXPECT_TRUE(HasReason(missing.status(), reason::kRequestIdRequired));
}

TEST_P(RequestLogConformanceTest, ConcurrentFirstUsesGetOneAnswer) {
  std::vector<std::string> answers(8);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < answers.size(); ++i) {
    threads.emplace_back([&, i] {
      auto answer = Ask(call_, std::to_string(i));
      EXPECT_TRUE(answer.ok()) << answer.status();
      answers[i] = answer.value_or("none");
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& answer : answers) EXPECT_EQ(answer, answers.front());
  EXPECT_EQ(Count("SELECT COUNT(*) FROM request_log"), 1);
}

TEST_P(RequestLogConformanceTest, TrimsWhatIsOlderThanSevenDaysInBoundedSteps) {
  for (int i = 0; i < 5; ++i) {
    call_.request_id = std::to_string(i);
    ASSERT_TRUE(Ask(call_, "x").ok());
    now_ += absl::Hours(24);
  }
  // Now is day 5; the row of day 0 gets 7 days old at day 7.
  const auto trim = [&](absl::Time now) {
    int64_t trimmed = -1;
    EXPECT_TRUE(database_
                    ->Write(kNever,
                            [&](Transaction& tx) -> absl::Status {
                              ASSIGN_OR_RETURN(trimmed, TrimRequestLog(tx, now, 2));
                              return absl::OkStatus();
                            })
                    .ok());
    return trimmed;
  };
  EXPECT_EQ(trim(now_ + absl::Hours(48)), 0) << "exactly seven days are kept";
  EXPECT_EQ(trim(now_ + absl::Hours(49)), 1);
  EXPECT_EQ(trim(now_ + absl::Hours(24 * 30)), 2);
  EXPECT_EQ(trim(now_ + absl::Hours(24 * 30)), 2);
  EXPECT_EQ(trim(now_ + absl::Hours(24 * 30)), 0);
}

const auto kName = [](const auto& info) { return TestBackendName(info.param); };
INSTANTIATE_TEST_SUITE_P(Backends, SchemaConformanceTest, ::testing::ValuesIn(AllTestBackends()),
                         kName);
INSTANTIATE_TEST_SUITE_P(Backends, RequestLogConformanceTest,
                         ::testing::ValuesIn(AllTestBackends()), kName);

}  // namespace
}  // namespace handrail::storage
