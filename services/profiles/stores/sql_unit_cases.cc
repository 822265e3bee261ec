// Cases that reports have opened.
#include <utility>

#include "common/base/status.h"
#include "services/profiles/stores/sql_unit.h"

namespace handrail::profiles {
namespace {

using storage::Row;
using storage::Rows;

// What somebody reports, and why, goes with their key: it is theirs, and is about others too.
constexpr SealedColumn kEvidenceColumn = {"cases", "sealed_evidence"};

}  // namespace

absl::Status SqlUnit::InsertCase(const Case& opened) {
  ASSIGN_OR_RETURN(
      const storage::Value evidence,
      Seal(opened.reporter, kEvidenceColumn, opened.id.Bytes(), opened.evidence.Reveal()));
  return transaction_
      .Execute(
          "INSERT INTO cases (case_id, reporter, sealed_evidence, reported_at, opened_at) "
          "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (case_id) DO NOTHING",
          {opened.id, opened.reporter, evidence, opened.report_time, opened.open_time})
      .status();
}

absl::StatusOr<std::optional<Case>> SqlUnit::FindCase(const CaseId& id) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      transaction_.Query("SELECT case_id, reporter, sealed_evidence, reported_at, opened_at "
                         "FROM cases WHERE case_id = $1",
                         {id}));
  if (rows.empty()) return std::optional<Case>();
  const Row& row = rows.front();
  Case found;
  found.id = row.Id<CaseId>(0);
  found.reporter = row.Id<MemberId>(1);
  ASSIGN_OR_RETURN(std::string evidence,
                   Open(found.reporter, kEvidenceColumn, found.id.Bytes(), row.Bytes(2)));
  found.evidence = Secret<std::string>(std::move(evidence));
  found.report_time = row.Time(3);
  found.open_time = row.Time(4);
  return std::optional<Case>(std::move(found));
}

}  // namespace handrail::profiles
