#include "tools/handrail/commands/batch_commands.h"

#include <iostream>

#include "common/base/status.h"
#include "handrail/matching/v1/batch.grpc.pb.h"
#include "tools/handrail/commands/operator_context.h"
#include "tools/handrail/operators/batch_view.h"
#include "tools/handrail/operators/tables.h"

namespace handrail::tools {
namespace {

using matching::v1::BatchService;

// A large pool is read whole, and its offers are made one by one.
constexpr Patience kPatience = {.total = absl::Seconds(90), .attempt = absl::Seconds(30)};

absl::Status Plan(Context& context, const OperatorOptions& options, const std::string& word,
                  int max_tickets) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadOperator(options.as));
  ASSIGN_OR_RETURN(const matching::v1::Pool pool, FindPool(*person, word));
  matching::v1::PlanBatchRequest request;
  request.set_pool(pool.name());
  request.set_max_tickets(max_tickets);
  ASSIGN_OR_RETURN(const auto channel, MatchingChannel(context));
  BatchService::Stub batches(channel);
  ASSIGN_OR_RETURN(const auto plan,
                   person->Call(batches, &BatchService::Stub::PlanBatch, request, kPatience));
  if (options.json) return PrintJson(plan);
  std::cout << BatchPlanText(plan, PoolWord(pool), options.limit);
  return absl::OkStatus();
}

// All but what is refused before anything is offered.
bool MayHaveBegun(absl::StatusCode code) {
  return code != absl::StatusCode::kInvalidArgument && code != absl::StatusCode::kNotFound &&
         code != absl::StatusCode::kPermissionDenied &&
         code != absl::StatusCode::kFailedPrecondition;
}

absl::Status Run(Context& context, const OperatorOptions& options, const std::string& word,
                 const std::string& plan, const std::string& request_id) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadOperator(options.as));
  ASSIGN_OR_RETURN(const matching::v1::Pool pool, FindPool(*person, word));
  matching::v1::RunBatchRequest request;
  request.set_pool(pool.name());
  request.set_plan(plan);
  request.set_request_id(request_id.empty() ? person->NewRequestId() : request_id);
  ASSIGN_OR_RETURN(const auto channel, MatchingChannel(context));
  BatchService::Stub batches(channel);
  const auto run = person->Call(batches, &BatchService::Stub::RunBatch, request, kPatience);
  if (!run.ok()) {
    if (MayHaveBegun(run.status().code())) {
      std::cerr << "Some offers may have been made. To finish, repeat the command with\n"
                << "  --request-id " << request.request_id() << "\n";
    }
    return run.status();
  }
  if (options.json) return PrintJson(*run);
  std::cout << BatchRunText(*run, PoolWord(pool));
  return absl::OkStatus();
}

}  // namespace

void AddBatchCommands(CLI::App& app, Context& context) {
  CLI::App* batch = app.add_subcommand(
      "batch", "For operators: plans a whole pool together, and makes the offers of a plan");
  batch->require_subcommand(1);
  batch->footer(
      "A batch clears a queue: everybody who waits in a pool and every free seat are planned\n"
      "together. In this order:\n"
      "  handrail drain pool 'aa online' --minutes 30     # the matcher holds still; open offers\n"
      "                                                   # are withdrawn, nobody loses a place\n"
      "  handrail batch plan 'aa online'                  # a dry run: nothing is changed\n"
      "  handrail batch run 'aa online' --plan …          # offers, as the plan printed it\n"
      "  handrail resume 'aa online'\n"
      "Offers are like all others: sponsors accept or pass them on, and nobody is paired by you.");
  auto pool = std::make_shared<std::string>();
  CLI::App* plan = batch->add_subcommand("plan", "A dry run: what would be offered");
  const auto plan_options = AddOperatorOptions(*plan);
  auto max_tickets = std::make_shared<int>(500);
  plan->add_option("pool", *pool, "pools/…, or words such as 'aa online'")->required();
  plan->add_option("--max-tickets", *max_tickets, "At most so many, the longest waiting")
      ->check(CLI::Range(5, 500));
  plan->add_option("--limit", plan_options->limit, "Show at most so many pairs")
      ->check(CLI::Range(1, 10'000));
  plan->callback([=, &context] {
    context.action = [=, &context] { return Plan(context, *plan_options, *pool, *max_tickets); };
  });
  CLI::App* run = batch->add_subcommand("run", "Makes the offers of a dry run");
  run->footer(
      "Refused with BATCH_PLAN_OUTDATED, and nothing is offered, when the plan is older than ten\n"
      "minutes or another one would have other pairs by now: plan again, and look at it.");
  const auto run_options = AddOperatorOptions(*run);
  auto name = std::make_shared<std::string>();
  auto request_id = std::make_shared<std::string>();
  run->add_option("pool", *pool, "pools/…, or words such as 'aa online'")->required();
  run->add_option("--plan", *name, "What the dry run printed")->required();
  run->add_option("--request-id", *request_id, "Of a run that was cut off, to finish it");
  run->callback([=, &context] {
    context.action = [=, &context] {
      return Run(context, *run_options, *pool, *name, *request_id);
    };
  });
}

}  // namespace handrail::tools
