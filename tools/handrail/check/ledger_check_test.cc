#include "tools/handrail/check/ledger_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/base/status.h"
#include "services/matching/stores/ledger_test_env.h"
#include "services/messaging/stores/schema.h"

namespace handrail::tools {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr absl::Time kNever = absl::InfiniteFuture();

// Two files as running services have them open.
class LedgerCheckTest : public ::testing::Test {
 protected:
  LedgerCheckTest() {
    messaging_->Migrate(messaging::Migrations()).IgnoreError();
    matching_.Pair(matching_.AddSponsor(1));
  }
  LedgerReport Check() {
    const auto report =
        CheckLedgerFiles(matching_.test_database.options.url, messaging_backend_.options.url);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(LedgerReport());
  }

  matching::LedgerTestEnv matching_{storage::TestBackend::kSqliteFile};
  storage::TestDatabase messaging_backend_{storage::TestBackend::kSqliteFile};
  std::unique_ptr<storage::Database> messaging_ = messaging_backend_.Open();
};

TEST_F(LedgerCheckTest, SoundLedgersAreCalledSound) {
  const LedgerReport report = Check();
  EXPECT_EQ(report.violations, 0);
  EXPECT_EQ(report.lines.size(), 2u);
  for (const std::string& line : report.lines) EXPECT_THAT(line, HasSubstr("all hold"));
}

TEST_F(LedgerCheckTest, DamageInEitherLedgerIsToldAndCounted) {
  matching_.Execute("DELETE FROM seats");
  ASSERT_TRUE(messaging_
                  ->Write(kNever,
                          [](storage::Transaction& tx) {
                            return tx
                                .Execute(
                                    "INSERT INTO messages (conversation_key, sequence, sender_key, "
                                    "sender_device, message_id, created_at, payload) "
                                    "VALUES (1, 1, 1, x'01', x'02', 1, x'03')",
                                    {})
                                .status();
                          })
                  .ok());
  const LedgerReport report = Check();
  EXPECT_GE(report.violations, 2);
  EXPECT_THAT(report.lines,
              Contains(HasSubstr("M2: a pairing that has not ended holds no seat (1 rows)")));
  EXPECT_THAT(report.lines, Contains(HasSubstr("C1: a message belongs to no conversation (1)")));
  EXPECT_THAT(report.lines, Contains(HasSubstr("VIOLATED")));
}

TEST_F(LedgerCheckTest, AFileThatIsNotThereIsAnErrorAndNotSound) {
  EXPECT_FALSE(
      CheckLedgerFiles("sqlite:///nowhere/at/all.db", messaging_backend_.options.url).ok());
}

}  // namespace
}  // namespace handrail::tools
