#include <iostream>

#include "common/base/status.h"
#include "tools/handrail/commands/operator_context.h"
#include "tools/handrail/operators/tables.h"

namespace handrail::tools {
namespace {

using matching::v1::OperatorService;

absl::Status Explain(Context& context, const OperatorOptions& options, const std::string& ticket) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadOperator(options.as));
  matching::v1::ExplainTicketRequest request;
  request.set_name(FullName("tickets", ticket));
  ASSIGN_OR_RETURN(
      const auto explanation,
      person->Call(person->services().operators(), &OperatorService::Stub::ExplainTicket, request,
                   {.total = absl::Seconds(35), .attempt = absl::Seconds(30)}));
  if (options.json) return PrintJson(explanation);
  std::cout << ExplanationText(explanation, context.clock.Now());
  return absl::OkStatus();
}

}  // namespace

void AddExplainCommand(CLI::App& app, Context& context) {
  CLI::App* explain = app.add_subcommand(
      "explain", "For operators: why a ticket waits, rule by rule, and what would help");
  explain->footer(
      "Counts, never who: from 1 to 4 sponsors are told as fewer than 5, more of them in fives "
      "(5+ is\n"
      "5 to 9). Everything that operators do, this too, is on record: see `handrail audit`.");
  auto ticket = std::make_shared<std::string>();
  explain->add_option("ticket", *ticket, "tickets/…, or its 32 digits")->required();
  const auto options = AddOperatorOptions(*explain);
  explain->callback([=, &context] {
    context.action = [=, &context] { return Explain(context, *options, *ticket); };
  });
}

}  // namespace handrail::tools
