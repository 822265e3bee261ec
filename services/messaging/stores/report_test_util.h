#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_REPORT_TEST_UTIL_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_REPORT_TEST_UTIL_H_

#include <memory>
#include <string>

#include "services/messaging/stores/group_test_util.h"
#include "services/messaging/stores/sql_report_store.h"
#include "services/messaging/testing/franked.h"

namespace handrail::messaging {

// A GroupTest in which Bob reports.
class ReportTest : public GroupTest {
 protected:
  ReportTest() { UseLimits(ReportLimits()); }

  void UseLimits(const ReportLimits& limits) {
    reports_ = std::make_unique<SqlReportStore>(*database_, ring_, random_, limits);
  }
  absl::StatusOr<FiledReport> File(const std::string& request_id, const std::string& evidence) {
    Call call = CallOf(bob_phone_, request_id);
    call.request_hash = evidence;
    return reports_->File(call, clock_.Now(), ReportId::Random(random_), evidence);
  }
  std::vector<QueuedReport> Due(int limit = 100) {
    const auto due = reports_->Due(kForever, clock_.Now(), limit);
    EXPECT_TRUE(due.ok()) << due.status();
    return due.ok() ? *due : std::vector<QueuedReport>();
  }

  const crypto::KeyRing ring_ = *crypto::KeyRing::Parse(RingText({"k1"}));
  std::unique_ptr<SqlReportStore> reports_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_REPORT_TEST_UTIL_H_
