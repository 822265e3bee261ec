#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tools/handrail/commands/operator_context.h"
#include "tools/handrail/operators/tables.h"

namespace handrail::tools {
namespace {

using matching::v1::OperatorService;

absl::Status ListActions(Context& context, const OperatorOptions& options,
                         const std::string& member) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadOperator(options.as));
  matching::v1::ListOperatorActionsRequest request;
  if (!member.empty()) request.set_operator_(FullName("members", member));
  matching::v1::ListOperatorActionsResponse all;
  do {
    request.set_page_size(std::min(100, options.limit - all.actions_size()));
    ASSIGN_OR_RETURN(const auto page,
                     person->Call(person->services().operators(),
                                  &OperatorService::Stub::ListOperatorActions, request));
    all.MergeFrom(page);
    all.set_next_page_token(page.next_page_token());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && all.actions_size() < options.limit);
  if (options.json) return PrintJson(all);
  std::cout << ActionTable({all.actions().begin(), all.actions().end()});
  return absl::OkStatus();
}

absl::Status Verify(Context& context, const OperatorOptions& options, int64_t sequence,
                    const std::string& seal) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadOperator(options.as));
  matching::v1::VerifyOperatorActionsRequest request;
  request.set_known_sequence(sequence);
  request.set_known_seal(seal);
  ASSIGN_OR_RETURN(
      const auto report,
      person->Call(person->services().operators(), &OperatorService::Stub::VerifyOperatorActions,
                   request, {.total = absl::Seconds(35), .attempt = absl::Seconds(30)}));
  if (options.json) RETURN_IF_ERROR(PrintJson(report));
  if (!report.whole()) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message(absl::StrCat("the record of what operators did is broken at row ",
                              report.first_broken_sequence(),
                              ": it was changed, removed or moved. Keep the database as it is, and "
                              "find out who can write to it."));
  }
  if (!report.known_found()) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message(
            "the record is whole and is not the one that was seen before: it was put back "
            "from an older copy, or its end was cut off");
  }
  if (!options.json) {
    std::cout << "The record is whole: " << report.last_sequence() << " rows.\n"
              << "Keep this elsewhere, and give it to the next check as --after and --seal:\n  "
              << report.last_sequence() << " " << report.last_seal() << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddAuditCommands(CLI::App& app, Context& context) {
  CLI::App* audit = app.add_subcommand("audit", "For operators: what operators did");
  audit->require_subcommand(1);
  CLI::App* list = audit->add_subcommand("list", "The newest first");
  const auto list_options = AddOperatorOptions(*list);
  auto member = std::make_shared<std::string>();
  list->add_option("--limit", list_options->limit, "At most so many rows")
      ->check(CLI::Range(1, 10'000));
  list->add_option("--operator", *member, "members/…: only what this operator did");
  list->callback([=, &context] {
    context.action = [=, &context] { return ListActions(context, *list_options, *member); };
  });
  CLI::App* verify = audit->add_subcommand("verify", "Checks that no row was changed or removed");
  verify->footer("Exit status 1 when the record is not whole, or older than --after and --seal.");
  const auto options = AddOperatorOptions(*verify);
  auto sequence = std::make_shared<int64_t>(0);
  auto seal = std::make_shared<std::string>();
  CLI::Option* after = verify->add_option("--after", *sequence, "The last row of an earlier check");
  after->needs(verify->add_option("--seal", *seal, "Its seal"));
  verify->callback([=, &context] {
    context.action = [=, &context] { return Verify(context, *options, *sequence, *seal); };
  });
}

}  // namespace handrail::tools
