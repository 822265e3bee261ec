#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "tools/handrail/check/ledger_check.h"
#include "tools/handrail/commands/context.h"

namespace handrail::tools {
namespace {

// One ledger as the command line names it.
struct LedgerOptions {
  std::string url;
  std::string url_file;  // its first line is the URL
};

absl::StatusOr<std::string> UrlOf(const LedgerOptions& options) {
  if (options.url_file.empty()) return options.url;
  ASSIGN_OR_RETURN(const std::string text, ReadFile(options.url_file));
  const std::vector<absl::string_view> lines = absl::StrSplit(text, absl::MaxSplits('\n', 1));
  std::string url(absl::StripAsciiWhitespace(lines.front()));
  if (!url.empty()) return url;
  return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
      .Message(absl::StrCat("the first line of ", options.url_file, " is empty"));
}

absl::Status Check(Context& context, const LedgerOptions& matching,
                   const LedgerOptions& messaging) {
  ASSIGN_OR_RETURN(std::string matching_url, UrlOf(matching));
  ASSIGN_OR_RETURN(std::string messaging_url, UrlOf(messaging));
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

void AddLedgerOptions(CLI::App& check, const std::string& service, LedgerOptions& options) {
  const std::string flag = absl::StrCat("--", service, "_database_url");
  CLI::Option* url = check.add_option(
      flag, options.url, service + "'s ledger; default: the SQLite file of the data folder");
  check
      .add_option(flag + "_file", options.url_file,
                  "A file whose first line is that URL, for one with a password: what is on the\n"
                  "command line is seen by everybody on the machine")
      ->excludes(url);
}

}  // namespace

void AddCheckCommand(CLI::App& app, Context& context) {
  auto matching = std::make_shared<LedgerOptions>();
  auto messaging = std::make_shared<LedgerOptions>();
  CLI::App* check = app.add_subcommand(
      "check", "For operators: compares the ledgers with what must always hold; reads only");
  check->footer(
      "Works beside running services. Names no person. Exit status 1 when something does not hold: "
      "keep\n"
      "the ledgers as they are, stop matching, and report it.");
  AddLedgerOptions(*check, "matching", *matching);
  AddLedgerOptions(*check, "messaging", *messaging);
  check->callback([=, &context] {
    context.action = [=, &context] { return Check(context, *matching, *messaging); };
  });
}

}  // namespace handrail::tools
