#include "tools/handrail/check/ledger_check.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "services/matching/stores/invariants.h"
#include "services/messaging/stores/invariants.h"

namespace handrail::tools {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(5);

absl::StatusOr<std::unique_ptr<storage::Database>> OpenToRead(const std::string& url) {
  storage::DatabaseOptions options;
  options.url = url;
  options.connections = 2;
  options.read_only = true;
  return storage::OpenDatabase(options);
}

void Add(absl::string_view what, const std::vector<std::string>& violations, LedgerReport& report) {
  report.lines.push_back(absl::StrCat(
      what, ": ",
      violations.empty() ? std::string("all hold") : absl::StrCat(violations.size(), " VIOLATED")));
  for (const std::string& violation : violations) {
    report.lines.push_back(absl::StrCat("    ", violation));
  }
  report.violations += static_cast<int>(violations.size());
}

}  // namespace

absl::StatusOr<LedgerReport> CheckLedgerFiles(const std::string& matching_url,
                                              const std::string& messaging_url) {
  const absl::Time deadline = SystemClock().Now() + kPatience;
  ASSIGN_OR_RETURN(const auto matching, OpenToRead(matching_url));
  ASSIGN_OR_RETURN(const auto messaging, OpenToRead(messaging_url));
  LedgerReport report;
  ASSIGN_OR_RETURN(const auto violations, matching::CheckLedger(*matching, SystemClock().Now()));
  std::vector<std::string> ledger;
  for (const matching::Violation& violation : violations) {
    ledger.push_back(
        absl::StrCat(violation.invariant, ": ", violation.text, " (", violation.count, " rows)"));
  }
  Add("matching, M1 to M7 (one open ticket, capacity, one pairing an offer, nobody lost)", ledger,
      report);
  ASSIGN_OR_RETURN(const auto messages, messaging::CheckMessages(*messaging, deadline));
  Add("messaging, C1 to C7 (every message once, dense sequences, members only)", messages, report);
  return report;
}

}  // namespace handrail::tools
