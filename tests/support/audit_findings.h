#ifndef HANDRAIL_TESTS_SUPPORT_AUDIT_FINDINGS_H_
#define HANDRAIL_TESTS_SUPPORT_AUDIT_FINDINGS_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "tests/support/ledger_audit.h"

// What the parts of the audit are made of.
namespace handrail::tests {

// Everything that the query finds, in one snapshot.
inline absl::StatusOr<storage::Rows> Select(storage::Database& database, absl::string_view sql) {
  storage::Rows rows;
  RETURN_IF_ERROR(
      database.Read(absl::InfiniteFuture(), [&](storage::Transaction& tx) -> absl::Status {
        ASSIGN_OR_RETURN(rows, tx.Query(sql, {}));
        return absl::OkStatus();
      }));
  return rows;
}

// Counts one kind of finding and says it once, however often it is made.
class Findings {
 public:
  explicit Findings(AuditReport& report) : report_(report) {}
  ~Findings() {
    for (const auto& [text, count] : counts_) {
      report_.findings.push_back(absl::StrCat(text, " (", count, ")"));
    }
  }
  // Acknowledged, and not there.
  void Lost(const std::string& what) {
    ++report_.lost;
    ++counts_[absl::StrCat("lost: ", what)];
  }
  // There, and never acknowledged, or there twice.
  void Doubled(const std::string& what) {
    ++report_.doubled;
    ++counts_[absl::StrCat("doubled: ", what)];
  }
  void Wrong(const std::string& what) { ++counts_[what]; }

 private:
  AuditReport& report_;
  std::map<std::string, int64_t> counts_;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_SUPPORT_AUDIT_FINDINGS_H_
