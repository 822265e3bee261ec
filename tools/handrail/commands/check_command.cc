#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tools/handrail/check/ledger_check.h"
#include "tools/handrail/commands/context.h"

namespace handrail::tools {
namespace {

absl::Status Check(Context& context, std::string matching_url, std::string messaging_url) {
  if (matching_url.empty() || messaging_url.empty()) {
    ASSIGN_OR_RETURN(const Layout layout, context.GetLayout());
    if (matching_url.empty()) matching_url = layout.Database("matching");
    if (messaging_url.empty()) messaging_url = layout.Database("messaging");
  }
  ASSIGN_OR_RETURN(const LedgerReport report, CheckLedgerFiles(matching_url, messaging_url));
  for (const std::string& line : report.lines) std::cout << line << "\n";
  if (report.violations == 0) return absl::OkStatus();
  return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
      .Message(absl::StrCat(report.violations, " violations; see above"));
}

}  // namespace

void AddCheckCommand(CLI::App& app, Context& context) {
  auto matching_url = std::make_shared<std::string>();
  auto messaging_url = std::make_shared<std::string>();
  CLI::App* check = app.add_subcommand(
      "check", "For operators: compares the ledgers with what must always hold; reads only");
  check->footer(
      "Works beside running services. Names no person. Exit status 1 when something does not hold: "
      "keep\n"
      "the ledgers as they are, stop matching, and report it.");
  check->add_option("--matching_database_url", *matching_url,
                    "matching's ledger; default: the SQLite file of the data folder");
  check->add_option("--messaging_database_url", *messaging_url,
                    "messaging's ledger; default: the SQLite file of the data folder");
  check->callback([=, &context] {
    context.action = [=, &context] { return Check(context, *matching_url, *messaging_url); };
  });
}

}  // namespace handrail::tools
