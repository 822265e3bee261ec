#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "handrail/matching/v1/operator_care.grpc.pb.h"
#include "tools/handrail/client/words.h"
#include "tools/handrail/commands/batch_commands.h"
#include "tools/handrail/commands/operator_context.h"
#include "tools/handrail/operators/tables.h"

namespace handrail::tools {

using matching::v1::OperatorCareService;
using matching::v1::OperatorService;
using matching::v1::Pool;

std::shared_ptr<OperatorOptions> AddOperatorOptions(CLI::App& command) {
  auto options = std::make_shared<OperatorOptions>();
  command.add_option("--as", options->as, "The operator, made by `handrail up` or `operator new`");
  command.add_flag("--json", options->json, "One JSON document instead of a table");
  return options;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> MatchingChannel(Context& context) {
  ASSIGN_OR_RETURN(const Endpoints endpoints, context.GetEndpoints());
  return MakeServiceChannel(endpoints, endpoints.matching);
}

std::string FullName(const std::string& collection, const std::string& given) {
  return given.find('/') == std::string::npos ? absl::StrCat(collection, "/", given) : given;
}

absl::Status PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  options.add_whitespace = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) {
    return Error(absl::StatusCode::kInternal, reason::kInternal)
        .Message("the answer could not be written as JSON");
  }
  std::cout << text;
  return absl::OkStatus();
}

namespace {

// Reads pages into the first one's message until there are no more, or enough.
template <typename Request, typename Response, typename Rows>
absl::StatusOr<Response> ReadAll(
    Person& person,
    grpc::Status (OperatorService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    Request request, int limit, Rows rows, Patience patience = Patience()) {
  Response all;
  while (true) {
    request.set_page_size(std::min(100, limit - rows(all)->size()));
    ASSIGN_OR_RETURN(Response page,
                     person.Call(person.services().operators(), method, request, patience));
    for (auto& row : *rows(page)) *rows(all)->Add() = std::move(row);
    all.set_next_page_token(page.next_page_token());
    if (page.next_page_token().empty() || rows(all)->size() >= limit) return all;
    request.set_page_token(page.next_page_token());
  }
}

template <typename T>
std::vector<T> VectorOf(const google::protobuf::RepeatedPtrField<T>& rows) {
  return {rows.begin(), rows.end()};
}

void TellMore(const std::string& next_page_token) {
  if (!next_page_token.empty()) std::cout << "There are more; see --limit.\n";
}

absl::StatusOr<matching::v1::ListPoolsResponse> ReadPoolPages(Person& person, int limit,
                                                              Patience patience = Patience()) {
  return ReadAll(
      person, &OperatorService::Stub::ListPools, matching::v1::ListPoolsRequest(), limit,
      [](auto& response) { return response.mutable_pools(); }, patience);
}

absl::Status ShowPools(Context& context, Person& person, const OperatorOptions& options) {
  ASSIGN_OR_RETURN(const auto pools, ReadPoolPages(person, options.limit));
  if (options.json) return PrintJson(pools);
  std::cout << PoolTable(VectorOf(pools.pools()), context.clock.Now());
  TellMore(pools.next_page_token());
  return absl::OkStatus();
}

// The pools that a list goes over: the one that was named, or all.
absl::StatusOr<std::vector<Pool>> ChosenPools(Person& person, const std::string& word) {
  if (word.empty()) return ReadPools(person, 1000);
  ASSIGN_OR_RETURN(Pool pool, FindPool(person, word));
  return std::vector<Pool>{std::move(pool)};
}

absl::Status ShowTickets(Context& context, Person& person, const OperatorOptions& options,
                         const std::string& pool_word, const std::string& state_word) {
  ASSIGN_OR_RETURN(const auto state, FromWord<matching::v1::TicketState>(state_word));
  ASSIGN_OR_RETURN(const std::vector<Pool> pools, ChosenPools(person, pool_word));
  matching::v1::ListOpenTicketsResponse all;
  for (const Pool& pool : pools) {
    const int left = options.limit - all.tickets_size();
    if (left <= 0) break;
    matching::v1::ListOpenTicketsRequest request;
    request.set_pool(pool.name());
    request.set_state(state);
    ASSIGN_OR_RETURN(auto tickets,
                     ReadAll(person, &OperatorService::Stub::ListOpenTickets, request, left,
                             [](auto& response) { return response.mutable_tickets(); }));
    all.MergeFrom(tickets);
    if (!options.json && tickets.tickets_size() > 0) {
      std::cout << PoolWord(pool) << "\n"
                << TicketTable(VectorOf(tickets.tickets()), context.clock.Now()) << "\n";
      TellMore(tickets.next_page_token());
    }
  }
  if (options.json) return PrintJson(all);
  if (all.tickets_size() == 0) std::cout << "None.\n";
  return absl::OkStatus();
}

absl::Status ShowOffers(Context& context, Person& person, const OperatorOptions& options,
                        const std::string& pool_word) {
  ASSIGN_OR_RETURN(const std::vector<Pool> pools, ChosenPools(person, pool_word));
  matching::v1::ListOpenOffersResponse all;
  for (const Pool& pool : pools) {
    const int left = options.limit - all.offers_size();
    if (left <= 0) break;
    matching::v1::ListOpenOffersRequest request;
    request.set_pool(pool.name());
    ASSIGN_OR_RETURN(auto offers,
                     ReadAll(person, &OperatorService::Stub::ListOpenOffers, request, left,
                             [](auto& response) { return response.mutable_offers(); }));
    all.MergeFrom(offers);
  }
  if (options.json) return PrintJson(all);
  std::cout << OfferTable(VectorOf(all.offers()), context.clock.Now());
  TellMore(all.next_page_token());
  return absl::OkStatus();
}

absl::Status ShowSponsors(Context& context, Person& person, const OperatorOptions& options) {
  ASSIGN_OR_RETURN(
      const auto sponsors,
      ReadAll(person, &OperatorService::Stub::ListSponsors, matching::v1::ListSponsorsRequest(),
              options.limit, [](auto& response) { return response.mutable_sponsors(); }));
  if (options.json) return PrintJson(sponsors);
  std::cout << SponsorTable(VectorOf(sponsors.sponsors()), context.clock.Now());
  TellMore(sponsors.next_page_token());
  return absl::OkStatus();
}

absl::Status PrintTicketNow(Context& context, const OperatorOptions& options,
                            const matching::v1::OpenTicket& ticket) {
  if (options.json) return PrintJson(ticket);
  std::cout << TicketTable({ticket}, context.clock.Now());
  return absl::OkStatus();
}

absl::Status Requeue(Context& context, Person& person, const OperatorOptions& options,
                     const std::string& ticket) {
  matching::v1::RequeueTicketRequest request;
  request.set_name(FullName("tickets", ticket));
  request.set_request_id(person.NewRequestId());
  ASSIGN_OR_RETURN(const auto now, person.Call(person.services().operators(),
                                               &OperatorService::Stub::RequeueTicket, request));
  return PrintTicketNow(context, options, now);
}

absl::Status Boost(Context& context, Person& person, const OperatorOptions& options,
                   const std::string& ticket, int percent, const std::string& reason_word) {
  matching::v1::BoostTicketRequest request;
  request.set_name(FullName("tickets", ticket));
  request.set_request_id(person.NewRequestId());
  request.set_boost_percent(percent);
  ASSIGN_OR_RETURN(const auto why, FromWord<matching::v1::BoostReason>(reason_word));
  request.set_reason(why);
  ASSIGN_OR_RETURN(const auto now, person.Call(person.services().operators(),
                                               &OperatorService::Stub::BoostTicket, request));
  return PrintTicketNow(context, options, now);
}

absl::Status DrainSponsor(Context& context, Person& person, const OperatorOptions& options,
                          const std::string& member, const bool* withdraw) {
  matching::v1::DrainSponsorRequest request;
  request.set_member(FullName("members", member));
  request.set_request_id(person.NewRequestId());
  request.set_withdraw_offers(*withdraw);
  ASSIGN_OR_RETURN(const auto seats, person.Call(person.services().operators(),
                                                 &OperatorService::Stub::DrainSponsor, request));
  if (options.json) return PrintJson(seats);
  std::cout << SponsorTable({seats}, context.clock.Now());
  return absl::OkStatus();
}

absl::Status EndProbation(Context& context, Person& person, const OperatorOptions& options,
                          const std::string& member, const std::string& reason_word) {
  matching::v1::EndProbationRequest request;
  request.set_member(FullName("members", member));
  request.set_request_id(person.NewRequestId());
  ASSIGN_OR_RETURN(const auto why, FromWord<matching::v1::ProbationEndReason>(reason_word));
  request.set_reason(why);
  ASSIGN_OR_RETURN(const auto channel, MatchingChannel(context));
  OperatorCareService::Stub care(channel);
  ASSIGN_OR_RETURN(const auto seats,
                   person.Call(care, &OperatorCareService::Stub::EndProbation, request));
  if (options.json) return PrintJson(seats);
  std::cout
      << SponsorTable({seats}, context.clock.Now())
      << "The probation is over: the seats above hold from now on, and the sponsor is told.\n";
  return absl::OkStatus();
}

// Calls until nothing is left to withdraw, and for as long as another replica may not have heard.
absl::Status DrainPool(Context& context, Person& person, const OperatorOptions& options,
                       const std::string& word, int minutes) {
  ASSIGN_OR_RETURN(const Pool pool, FindPool(person, word));
  const absl::Time begun = context.clock.Now();
  matching::v1::DrainPoolResponse answer;
  int withdrawn = 0;
  while (true) {
    matching::v1::DrainPoolRequest request;
    request.set_name(pool.name());
    request.set_minutes(minutes);
    request.set_request_id(person.NewRequestId());
    ASSIGN_OR_RETURN(answer, person.Call(person.services().operators(),
                                         &OperatorService::Stub::DrainPool, request));
    withdrawn += answer.withdrawn();
    const absl::Duration spent = context.clock.Now() - begun;
    if (spent > absl::Seconds(30)) break;
    if (spent > absl::Seconds(2) && answer.pool().open_offers() == 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
  }
  answer.set_withdrawn(withdrawn);
  if (options.json) return PrintJson(answer);
  std::cout << "Withdrew " << withdrawn << " open offers; their tickets keep their place.\n"
            << PoolTable({answer.pool()}, context.clock.Now())
            << "Goes on by itself then, or now with: handrail resume '" << PoolWord(pool) << "'\n";
  return absl::OkStatus();
}

absl::Status ResumePool(Context& context, Person& person, const OperatorOptions& options,
                        const std::string& word) {
  ASSIGN_OR_RETURN(const Pool pool, FindPool(person, word));
  matching::v1::ResumePoolRequest request;
  request.set_name(pool.name());
  request.set_request_id(person.NewRequestId());
  ASSIGN_OR_RETURN(const Pool now, person.Call(person.services().operators(),
                                               &OperatorService::Stub::ResumePool, request));
  if (options.json) return PrintJson(now);
  std::cout << PoolTable({now}, context.clock.Now());
  return absl::OkStatus();
}

absl::Status NewOperator(Context& context, const std::string& name) {
  RETURN_IF_ERROR(CheckPersonName(name));
  ASSIGN_OR_RETURN(const Layout layout, context.GetLayout());
  ASSIGN_OR_RETURN(const std::string key, EnsureDeviceKey(context.random, layout.PersonFile(name)));
  std::cout << "operator " << key << "\n";
  std::cerr << "The key of " << name << " lies in " << layout.PersonFile(name)
            << ". To make it an operator, add the line above to the operators file of profiles\n"
            << "(--operators_file; " << layout.OperatorsFile()
            << " under `handrail up`) and start profiles again.\n";
  return absl::OkStatus();
}

void AddLists(CLI::App& app, Context& context) {
  const auto add = [&](CLI::App* command,
                       absl::Status (*show)(Context&, Person&, const OperatorOptions&)) {
    const auto options = AddOperatorOptions(*command);
    command->add_option("--limit", options->limit, "At most so many rows")
        ->check(CLI::Range(1, 10'000));
    command->callback([=, &context] {
      if (!command->get_subcommands().empty()) return;  // that one acts
      context.action = [=, &context]() -> absl::Status {
        ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadOperator(options->as));
        return show(context, *person, *options);
      };
    });
  };
  add(app.add_subcommand("pools", "For operators: who waits where, for how long, and who is free"),
      ShowPools);
  add(app.add_subcommand("sponsors", "For operators: sponsors with their seats"), ShowSponsors);

  CLI::App* tickets = app.add_subcommand("tickets", "For operators: open tickets, oldest first");
  const auto options = AddOperatorOptions(*tickets);
  auto pool = std::make_shared<std::string>();
  auto state = std::make_shared<std::string>("waiting");
  tickets->add_option("--limit", options->limit, "At most so many rows")
      ->check(CLI::Range(1, 10'000));
  tickets->add_option("--pool", *pool, "pools/…, or words such as 'aa online'; default: all");
  tickets->add_option("--state", *state, "waiting or offered");
  tickets->callback([=, &context] {
    context.action = [=, &context]() -> absl::Status {
      ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadOperator(options->as));
      return ShowTickets(context, *person, *options, *pool, *state);
    };
  });

  CLI::App* open = app.get_subcommand("offers")->add_subcommand(
      "open", "For operators: offers that nobody has answered yet");
  const auto open_options = AddOperatorOptions(*open);
  auto open_pool = std::make_shared<std::string>();
  open->add_option("--limit", open_options->limit, "At most so many rows")
      ->check(CLI::Range(1, 10'000));
  open->add_option("--pool", *open_pool, "pools/…, or words such as 'aa online'; default: all");
  open->callback([=, &context] {
    context.action = [=, &context]() -> absl::Status {
      ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadOperator(open_options->as));
      return ShowOffers(context, *person, *open_options, *open_pool);
    };
  });
}

void AddLevers(CLI::App& app, Context& context) {
  auto subject = std::make_shared<std::string>();
  auto number = std::make_shared<int>(30);
  auto word = std::make_shared<std::string>();
  auto flag = std::make_shared<bool>(false);
  const auto run = [&](CLI::App* command,
                       std::function<absl::Status(Person&, const OperatorOptions&)> act) {
    const auto options = AddOperatorOptions(*command);
    command->callback([=, &context] {
      context.action = [=, &context]() -> absl::Status {
        ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadOperator(options->as));
        return act(*person, *options);
      };
    });
  };
  CLI::App* requeue = app.add_subcommand(
      "requeue", "For operators: puts a waiting ticket into the queue again, in its old place");
  requeue->add_option("ticket", *subject, "tickets/…")->required();
  run(requeue, [=, &context](Person& person, const OperatorOptions& options) {
    return Requeue(context, person, options, *subject);
  });

  CLI::App* boost = app.add_subcommand("boost", "For operators: prefers a ticket, within bounds");
  boost->add_option("ticket", *subject, "tickets/…")->required();
  boost->add_option("--percent", *number, "0 to 100; 100 is worth a wait of 42 hours")
      ->required()
      ->check(CLI::Range(0, 100));
  boost->add_option("--reason", *word, WordsOf(matching::v1::BoostReason_descriptor()))->required();
  run(boost, [=, &context](Person& person, const OperatorOptions& options) {
    return Boost(context, person, options, *subject, *number, *word);
  });

  CLI::App* probation =
      app.get_subcommand("sponsors")
          ->add_subcommand(
              "end-probation",
              "Ends a new sponsor's probation early; the seats they chose hold at once");
  probation->add_option("member", *subject, "members/…")->required();
  probation->add_option("--reason", *word, WordsOf(matching::v1::ProbationEndReason_descriptor()))
      ->required();
  run(probation, [=, &context](Person& person, const OperatorOptions& options) {
    return EndProbation(context, person, options, *subject, *word);
  });

  CLI::App* drain = app.add_subcommand("drain", "For operators: stops offers, gently");
  drain->require_subcommand(1);
  CLI::App* sponsor = drain->add_subcommand("sponsor", "No new offers to one sponsor");
  sponsor->add_option("member", *subject, "members/…")->required();
  sponsor->add_flag("--withdraw", *flag, "Withdraw open offers too");
  run(sponsor, [=, &context](Person& person, const OperatorOptions& options) {
    return DrainSponsor(context, person, options, *subject, flag.get());
  });
  CLI::App* pool = drain->add_subcommand(
      "pool", "No offers in a pool for a while, before maintenance; open ones are withdrawn");
  pool->add_option("pool", *subject, "pools/…, or words such as 'aa online'")->required();
  pool->add_option("--minutes", *number, "For how long")->check(CLI::Range(1, 1440));
  run(pool, [=, &context](Person& person, const OperatorOptions& options) {
    return DrainPool(context, person, options, *subject, *number);
  });

  CLI::App* resume = app.add_subcommand("resume", "For operators: ends the drain of a pool");
  resume->add_option("pool", *subject, "pools/…, or words such as 'aa online'")->required();
  run(resume, [=, &context](Person& person, const OperatorOptions& options) {
    return ResumePool(context, person, options, *subject);
  });
}

}  // namespace

absl::StatusOr<std::vector<Pool>> ReadPools(Person& person, int limit, Patience patience) {
  ASSIGN_OR_RETURN(const auto pools, ReadPoolPages(person, limit, patience));
  return VectorOf(pools.pools());
}

absl::StatusOr<Pool> FindPool(Person& person, const std::string& word) {
  ASSIGN_OR_RETURN(const std::vector<Pool> pools, ReadPools(person, 1000));
  const std::string wanted = absl::StrReplaceAll(word, {{".", " "}, {",", " "}});
  std::vector<std::string> words;
  for (const Pool& pool : pools) {
    const std::string name = PoolWord(pool);
    if (pool.name() == word || name == wanted || name == absl::StrCat(wanted, " online")) {
      return pool;
    }
    words.push_back(absl::StrCat("'", name, "'"));
  }
  return Error(absl::StatusCode::kNotFound, reason::kNotFound)
      .Message(
          absl::StrCat("no pool is called '", word, "'. There are: ", absl::StrJoin(words, ", ")));
}

void AddOperatorCommands(CLI::App& app, Context& context) {
  AddBatchCommands(app, context);
  AddLists(app, context);
  AddLevers(app, context);
  CLI::App* people = app.add_subcommand("operator", "For operators: who may act as one");
  people->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  CLI::App* make = people->add_subcommand("new", "Makes a key, and prints its line of the file");
  make->add_option("name", *name, "1 to 32 of a-z, 0-9, '-' and '_'")->required();
  make->callback(
      [=, &context] { context.action = [=, &context] { return NewOperator(context, *name); }; });
}

}  // namespace handrail::tools
