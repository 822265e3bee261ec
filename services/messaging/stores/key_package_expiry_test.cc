// What becomes of key packages whose lifetime ends, over every database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/messaging/stores/sql_key_package_store.h"
#include "services/messaging/stores/store_test_util.h"
#include "services/messaging/stores/watched_database.h"

namespace handrail::messaging {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

class KeyPackageExpiryTest : public StoreTest {
 protected:
  void SetUp() override {
    id_ = OpenBetweenKnown();
    limits_.claims_per_pair = limits_.claims_per_member = 10'000;
    Use(*database_);
  }
  void Use(storage::Database& database) {
    keys_ = std::make_unique<SqlKeyPackageStore>(database, limits_);
  }

  NewKeyPackage Package(absl::string_view text, absl::Duration lives) {
    return {std::string(text), absl::StrCat("body of ", text), clock_.Now() + lives};
  }
  KeyPackageCount Publish(const std::vector<NewKeyPackage>& packages) {
    const auto count = keys_->Publish(kForever, clock_.Now(), bob_, bob_phone_, packages, nullptr);
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(KeyPackageCount());
  }
  KeyPackageCount PublishLast(const NewKeyPackage& last) {
    const auto count = keys_->Publish(kForever, clock_.Now(), bob_, bob_phone_, {}, &last);
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(KeyPackageCount());
  }
  KeyPackageCount Count() { return *keys_->Count(kForever, clock_.Now(), bob_, bob_phone_); }
  // The message of the package that a claim gives; empty when there is none.
  std::string Claim(const std::string& claim_id) {
    const auto claim =
        keys_->Claim(kForever, clock_.Now(), ann_, ann_phone_, claim_id, id_, {{bob_phone_}});
    EXPECT_TRUE(claim.ok()) << claim.status();
    if (!claim.ok() || claim->packages.empty()) return "";
    return claim->packages.front().message;
  }
  KeyPackageTrim Trim() { return *keys_->Trim(kForever, clock_.Now()); }

  // Publishes, claims, trims and lets time pass; the first package that was handed out too late or
  // twice, and empty when none was. Messages say when their package ends.
  std::string Walk() {
    std::set<std::string> given;
    for (int step = 0; step < 150; ++step) {
      const uint64_t what = random_.Below(10);
      const absl::Duration lives = absl::Hours(2 + static_cast<int64_t>(random_.Below(72)));
      const std::string end = absl::StrCat(absl::ToUnixMicros(clock_.Now() + lives));
      if (what < 3) {
        Publish({Package(absl::StrCat(end, " single ", step), lives)});
      } else if (what == 3) {
        PublishLast(Package(absl::StrCat(end, " last ", step), lives));
      } else if (what == 4) {
        clock_.Advance(absl::Hours(static_cast<int64_t>(random_.Below(30))));
      } else if (what == 5) {
        Trim();
      } else {
        const std::string package = Claim(absl::StrCat(step));
        if (package.empty()) continue;
        int64_t micros = 0;
        EXPECT_TRUE(absl::SimpleAtoi(package.substr(0, package.find(' ')), &micros));
        if (absl::FromUnixMicros(micros) <= clock_.Now() + limits_.lifetime_margin) {
          return absl::StrCat("step ", step, ": too late");
        }
        if (!absl::StrContains(package, "last") && !given.insert(package).second) {
          return absl::StrCat("step ", step, ": twice");
        }
      }
    }
    return "";
  }

  KeyPackageLimits limits_;
  ConversationId id_;
  std::unique_ptr<SqlKeyPackageStore> keys_;
};

TEST_P(KeyPackageExpiryTest, OneWhoseTimeIsOverIsNotHandedOut) {
  Publish({Package("short", kDay), Package("long", 30 * kDay)});
  EXPECT_EQ(Count().available, 2);
  clock_.Advance(kDay - limits_.lifetime_margin);
  EXPECT_EQ(Count().available, 1) << "it ends within the margin";
  EXPECT_EQ(Claim("1"), "long") << "although the other is older";
  EXPECT_EQ(Claim("2"), "");
  const auto stream = store_->ReadStream(kForever, clock_.Now(), bob_phone_, {}, true, 1);
  EXPECT_EQ(stream->key_packages->available, 0);
}

TEST_P(KeyPackageExpiryTest, OneIsHandedOutUntilItsMargin) {
  Publish({Package("short", kDay)});
  clock_.Advance(kDay - limits_.lifetime_margin - absl::Microseconds(1));
  EXPECT_EQ(Trim().expired, 0);
  EXPECT_EQ(Claim("1"), "short");
}

TEST_P(KeyPackageExpiryTest, TheLastResortRunsOutToo) {
  EXPECT_TRUE(PublishLast(Package("last", kDay)).has_last_resort);
  EXPECT_EQ(Claim("1"), "last");
  clock_.Advance(kDay);
  EXPECT_FALSE(Count().has_last_resort);
  EXPECT_EQ(Claim("2"), "");
  EXPECT_EQ(Trim().expired, 1);
  EXPECT_EQ(Claim("1"), "last") << "the first answer stays";
  EXPECT_TRUE(PublishLast(Package("next", kDay)).has_last_resort);
  EXPECT_EQ(Claim("3"), "next");
}

TEST_P(KeyPackageExpiryTest, RetentionDeletesItAndKeepsItsReference) {
  const NewKeyPackage package = Package("short", kDay);
  Publish({package});
  clock_.Advance(kDay);
  EXPECT_EQ(Trim().expired, 1);
  EXPECT_EQ(Trim().expired, 0);
  ASSERT_TRUE(database_
                  ->Read(kForever,
                         [&](storage::Transaction& tx) -> absl::Status {
                           ASSIGN_OR_RETURN(const storage::Rows rows,
                                            tx.Query("SELECT COUNT(*) FROM key_packages"
                                                     " WHERE message IS NOT NULL",
                                                     {}));
                           EXPECT_EQ(rows.front().Int(0), 0);
                           return absl::OkStatus();
                         })
                  .ok());
  // Said again with another end, it is the same package, which is over.
  EXPECT_EQ(Publish({{package.message, package.body, clock_.Now() + kDay}}).available, 0);
  EXPECT_EQ(Claim("1"), "");
}

TEST_P(KeyPackageExpiryTest, AnAnswerThatWasGivenStaysAfterItsTime) {
  Publish({Package("short", kDay)});
  EXPECT_EQ(Claim("1"), "short");
  clock_.Advance(2 * kDay);
  EXPECT_EQ(Trim().expired, 0) << "it is claimed";
  EXPECT_EQ(Claim("1"), "short");
}

TEST_P(KeyPackageExpiryTest, OneOfBeforeIsGoodForAsLongAsClientsMadeThem) {
  Publish({Package("before", kDay)});
  PublishLast(Package("last", kDay));
  Plant("UPDATE key_packages SET expires_at = NULL");
  clock_.Advance(90 * kDay - 2 * limits_.lifetime_margin);
  EXPECT_EQ(Trim().expired, 0);
  EXPECT_EQ(Count().available, 1);
  EXPECT_TRUE(Count().has_last_resort);
  EXPECT_EQ(Claim("1"), "before");
  clock_.Advance(limits_.lifetime_margin);
  EXPECT_FALSE(Count().has_last_resort);
  EXPECT_EQ(Claim("2"), "");
  EXPECT_EQ(Trim().expired, 1);
}

TEST_P(KeyPackageExpiryTest, AWalkGivesNothingTooLateOrTwice) { EXPECT_EQ(Walk(), ""); }

TEST_P(KeyPackageExpiryTest, AStoreThatHandsOutWhatIsOverIsFound) {
  WatchedDatabase careless(*database_, nullptr, [](absl::string_view sql) {
    if (!absl::StrContains(sql, "SELECT reference, message")) return std::string(sql);
    return absl::StrReplaceAll(sql, {{"> $2", "> $2 - 1000000000000"}});
  });
  Use(careless);
  EXPECT_THAT(Walk(), ::testing::HasSubstr("too late"));
  Use(*database_);
}

INSTANTIATE_TEST_SUITE_P(Backends, KeyPackageExpiryTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
