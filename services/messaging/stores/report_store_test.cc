// Reports until profiles has them, on every database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/strings/escaping.h"
#include "common/testing/temporary_directory.h"
#include "services/messaging/stores/report_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReportStoreTest : public ReportTest {
 protected:
  absl::StatusOr<std::vector<ReadingSpan>> Find(const DeviceId& device) {
    return reports_->FindReporter(kForever, CallOf(device, "").who, id_);
  }
};

TEST_P(ReportStoreTest, WhoTakesPartMayReportAndAlsoWhenItIsOver) {
  const auto open = Find(bob_phone_);
  ASSERT_TRUE(open.ok()) << open.status();
  EXPECT_THAT(*open, ElementsAre(ReadingSpan()));
  ASSERT_TRUE(Say(id_, "one").ok());
  ASSERT_TRUE(Leave(bob_phone_).ok());
  const auto left = Find(bob_phone_);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_THAT(*left, ElementsAre(ReadingSpan{1, 1}));
  BlockThem();
  EXPECT_TRUE(Find(bob_phone_).ok());
  EXPECT_TRUE(Find(ann_phone_).ok());
}

TEST_P(ReportStoreTest, NobodyElseMay) {
  Apply(carol_, {carol_phone_});
  others_[carol_phone_] = carol_;
  EXPECT_TRUE(HasReason(Find(carol_phone_).status(), reason::kNotFound));
  const ConversationId there = id_;
  id_ = ConversationId::Random(random_);
  EXPECT_TRUE(HasReason(Find(bob_phone_).status(), reason::kNotFound));
  id_ = there;
  const DeviceId unheard = DeviceId::Random(random_);
  others_[unheard] = bob_;
  EXPECT_TRUE(HasReason(Find(unheard).status(), kDeviceUnknown));
  Apply(bob_, {});
  EXPECT_TRUE(HasReason(Find(bob_phone_).status(), reason::kDeviceRevoked));
}

TEST_P(ReportStoreTest, AReportWaitsOnceUntilItIsRemoved) {
  const auto filed = File("one", "what was said");
  ASSERT_TRUE(filed.ok()) << filed.status();
  clock_.Advance(absl::Seconds(5));
  const auto again = File("one", "what was said");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, filed->id);
  EXPECT_EQ(again->create_time, filed->create_time);
  EXPECT_TRUE(HasReason(File("one", "something else").status(), reason::kRequestIdReused));
  ASSERT_THAT(Due(), SizeIs(1));
  EXPECT_EQ(Due()[0].id, filed->id);
  EXPECT_EQ(Due()[0].reporter, bob_);
  EXPECT_EQ(Due()[0].evidence, "what was said");
  EXPECT_EQ(Due()[0].create_time, filed->create_time);
  EXPECT_TRUE(Due()[0].fault.ok());
  const auto state = reports_->State(kForever);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->entries, 1);
  EXPECT_EQ(state->oldest, filed->create_time);
  ASSERT_TRUE(reports_->Remove(kForever, filed->id).ok());
  EXPECT_THAT(Due(), IsEmpty());
  EXPECT_EQ(CountIn("report_queue"), 0);
  // Repeated after that it is no second report.
  EXPECT_EQ(File("one", "what was said")->id, filed->id);
  EXPECT_THAT(Due(), IsEmpty());
}

TEST_P(ReportStoreTest, OneThatIsRefusedWaitsAlone) {
  const auto first = File("one", "first");
  const auto second = File("two", "second");
  ASSERT_TRUE(first.ok() && second.ok());
  ASSERT_TRUE(reports_->Defer(kForever, first->id, clock_.Now() + absl::Minutes(1), 1).ok());
  ASSERT_THAT(Due(), SizeIs(1));
  EXPECT_EQ(Due()[0].id, second->id);
  clock_.Advance(absl::Minutes(1));
  ASSERT_THAT(Due(), SizeIs(2));
  EXPECT_EQ(Due()[0].id, second->id);
  EXPECT_EQ(Due()[1].attempts, 1);
}

TEST_P(ReportStoreTest, OfWhoIsErasedNoReportStaysOrComes) {
  ASSERT_TRUE(File("one", "first").ok());
  ASSERT_TRUE(Find(bob_phone_).ok());
  // After it was looked whether they may report, and before the report is kept.
  Apply(bob_, {}, Standing::kErased);
  EXPECT_EQ(CountIn("report_queue"), 0);
  EXPECT_TRUE(HasReason(File("two", "second").status(), reason::kDeviceRevoked));
  EXPECT_TRUE(HasReason(File("one", "first").status(), reason::kDeviceRevoked));
  EXPECT_EQ(CountIn("report_queue"), 0);
}

TEST_P(ReportStoreTest, FilingAndErasingDoNotCross) {
  for (int round = 0; round < 20; ++round) {
    const MemberId member = MemberId::Random(random_);
    const DeviceId phone = DeviceId::Random(random_);
    others_[phone] = member;
    Apply(member, {phone});
    Call call = CallOf(phone, "one");
    std::thread reporter([&] {
      const auto filed =
          reports_->File(call, clock_.Now(), ReportId::Random(random_), "what was said");
      EXPECT_TRUE(filed.ok() || HasReason(filed.status(), reason::kDeviceRevoked));
    });
    Apply(member, {}, Standing::kErased);
    reporter.join();
    EXPECT_EQ(CountIn("report_queue"), 0) << round;
  }
}

TEST_P(ReportStoreTest, ADayAndTheQueueAreBounded) {
  ReportLimits limits;
  limits.reports_a_day = 2;
  UseLimits(limits);
  ASSERT_TRUE(File("one", "1").ok());
  ASSERT_TRUE(File("two", "2").ok());
  const absl::Status refused = File("three", "3").status();
  EXPECT_TRUE(HasReason(refused, reason::kRateLimited)) << refused;
  EXPECT_TRUE(File("two", "2").ok());
  clock_.Advance(absl::Hours(25));
  EXPECT_TRUE(File("three", "3").ok());
  limits.reports_waiting = 3;
  UseLimits(limits);
  EXPECT_TRUE(HasReason(File("four", "4").status(), reason::kQueueFull));
  ASSERT_TRUE(reports_->Remove(kForever, Due()[0].id).ok());
  EXPECT_TRUE(File("four", "4").ok());
}

TEST_P(ReportStoreTest, WhatCannotBeReadHereIsToldAndHoldsNothingUp) {
  ASSERT_TRUE(File("one", "first").ok());
  Plant("UPDATE report_queue SET sealed_evidence = $1", {storage::Blob{std::string(80, 'x')}});
  ASSERT_TRUE(File("two", "second").ok());
  ASSERT_THAT(Due(), SizeIs(2));
  const bool first_is_bad = !Due()[0].fault.ok();
  EXPECT_TRUE(HasReason(Due()[first_is_bad ? 0 : 1].fault, reason::kDataCorrupt));
  EXPECT_EQ(Due()[first_is_bad ? 1 : 0].evidence, "second");
  // Another ring cannot open it.
  const crypto::KeyRing other = *crypto::KeyRing::Parse(RingText({"k2"}));
  SqlReportStore elsewhere(*database_, other, random_, ReportLimits());
  const auto due = elsewhere.Due(kForever, clock_.Now(), 10);
  ASSERT_TRUE(due.ok()) << due.status();
  for (const QueuedReport& report : *due) EXPECT_EQ(report.evidence, "");
}

INSTANTIATE_TEST_SUITE_P(Backends, ReportStoreTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

std::string AllBytesBelow(const std::string& folder) {
  std::string bytes;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    bytes.append((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  }
  return bytes;
}

TEST(ReportsAtRestTest, WhatWaitsIsInNoFileInTheClear) {
  testing::TemporaryDirectory directory;
  testing::SimulatedClock clock;
  testing::SeededRandom random{5};
  storage::DatabaseOptions options;
  options.url = "sqlite://" + directory.File("messaging.db");
  options.clock = &clock;
  auto database = storage::OpenDatabase(options);
  ASSERT_TRUE(database.ok()) << database.status();
  ASSERT_TRUE((*database)->Migrate(Migrations()).ok());
  const crypto::KeyRing ring = *crypto::KeyRing::Parse(RingText({"k1"}));
  SqlReportStore reports(**database, ring, random, ReportLimits());
  Call call;
  call.who = {Principal::Kind::kMember, MemberId::Random(random), DeviceId::Random(random), ""};
  call.method = "a method";
  call.request_id = "canary-open";
  const auto known = (*database)->Write(absl::InfiniteFuture(), [&](storage::Transaction& tx) {
    return tx
        .Execute(
            "INSERT INTO devices (device_id, member_id, revoked, generation, last_seen_at)"
            " VALUES ($1, $2, 0, 0, 0)",
            {call.who.device, call.who.member})
        .status();
  });
  ASSERT_TRUE(known.ok()) << known;
  const std::string evidence = "canary-evidence";
  const auto filed = reports.File(call, clock.Now(), ReportId::Random(random), evidence);
  ASSERT_TRUE(filed.ok()) << filed.status();
  // The log, with everything in it; what is left after it was removed; the files that are closed.
  for (int round = 0; round < 3; ++round) {
    const std::string bytes = AllBytesBelow(directory.path());
    EXPECT_NE(bytes.find("canary-open"), std::string::npos) << round;
    for (const std::string& secret :
         {evidence, absl::BytesToHexString(evidence), absl::WebSafeBase64Escape(evidence)}) {
      EXPECT_EQ(bytes.find(secret), std::string::npos) << round;
    }
    if (round == 0) {
      ASSERT_TRUE(reports.Remove(absl::InfiniteFuture(), filed->id).ok());
    }
    if (round == 1) database->reset();
  }
}

}  // namespace
}  // namespace handrail::messaging
