#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tools/handrail/client/words.h"
#include "tools/handrail/commands/context.h"
#include "tools/handrail/commands/print.h"

namespace handrail::tools {
namespace {

using matching::v1::MatchingService;
using matching::v1::Ticket;

bool IsFinal(const Ticket& ticket) {
  return ticket.state() != matching::v1::TICKET_STATE_WAITING &&
         ticket.state() != matching::v1::TICKET_STATE_OFFERED;
}

// The newest ticket of a person, open ones first.
absl::StatusOr<Ticket> NewestTicket(Person& person) {
  ASSIGN_OR_RETURN(const matching::v1::ListTicketsResponse list,
                   person.Call(person.services().matching(), &MatchingService::Stub::ListTickets,
                               matching::v1::ListTicketsRequest()));
  for (const Ticket& ticket : list.tickets()) {
    if (!IsFinal(ticket)) return ticket;
  }
  if (list.tickets_size() > 0) return list.tickets(0);
  return Error(absl::StatusCode::kNotFound, reason::kNotFound)
      .Message("this person has not asked for anyone yet; see: handrail match request --help");
}

// Prints the ticket after every change until it is final. A stream that ends is opened again.
absl::Status Watch(Person& person, const std::string& ticket_name) {
  matching::v1::WatchTicketRequest request;
  request.set_name(ticket_name);
  while (true) {
    grpc::ClientContext context;
    RETURN_IF_ERROR(person.Authorize(context));
    auto stream = person.services().matching().WatchTicket(&context, request);
    matching::v1::WatchTicketResponse event;
    while (stream->Read(&event)) {
      if (event.has_ticket()) {
        PrintTicket(event.ticket());
        std::cout << std::flush;
        if (IsFinal(event.ticket())) {
          context.TryCancel();
          return absl::OkStatus();
        }
      }
    }
    const absl::Status status = rpc::FromGrpcStatus(stream->Finish());
    if (!status.ok() && !absl::IsUnavailable(status)) return status;
    // Down or draining: asking for the ticket waits until the service is back.
    matching::v1::GetTicketRequest get;
    get.set_name(ticket_name);
    RETURN_IF_ERROR(
        person.Call(person.services().matching(), &MatchingService::Stub::GetTicket, get).status());
  }
}

absl::Status Request(Context& context, const std::string& name, const std::string& program,
                     const std::string& relationship, const bool* wait) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  matching::v1::RequestMatchRequest request;
  ASSIGN_OR_RETURN(const auto philosophy, FromWord<common::v1::Philosophy>(program));
  ASSIGN_OR_RETURN(const auto type, FromWord<common::v1::RelationshipType>(relationship));
  request.set_philosophy(philosophy);
  request.set_relationship_type(type);
  request.set_request_id(person->NewRequestId());
  ASSIGN_OR_RETURN(
      const Ticket ticket,
      person->Call(person->services().matching(), &MatchingService::Stub::RequestMatch, request));
  PrintTicket(ticket);
  return *wait ? Watch(*person, ticket.name()) : absl::OkStatus();
}

absl::Status Cancel(Person& person, const Ticket& ticket) {
  matching::v1::CancelTicketRequest request;
  request.set_name(ticket.name());
  request.set_request_id(person.NewRequestId());
  ASSIGN_OR_RETURN(
      const Ticket cancelled,
      person.Call(person.services().matching(), &MatchingService::Stub::CancelTicket, request));
  PrintTicket(cancelled);
  return absl::OkStatus();
}

}  // namespace

void AddMatchCommands(CLI::App& app, Context& context) {
  CLI::App* match = app.add_subcommand("match", "As a newcomer: asks for someone, and waits");
  match->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto program = std::make_shared<std::string>("aa");
  auto relationship = std::make_shared<std::string>("sponsor");
  auto wait = std::make_shared<bool>(false);

  CLI::App* request = match->add_subcommand("request", "Asks for someone");
  request->add_option("name", *name, "Who asks")->required();
  request->add_option("--program", *program, "In which program");
  request->add_option(
      "--relationship", *relationship,
      absl::StrCat("What for: ",
                   WordsOf(google::protobuf::GetEnumDescriptor<common::v1::RelationshipType>())));
  request->add_flag("--wait", *wait, "Stay and show every change");
  request->callback([=, &context] {
    context.action = [=, &context] {
      return Request(context, *name, *program, *relationship, wait.get());
    };
  });

  const auto add = [&](const char* word, const char* help,
                       absl::Status (*act)(Person&, const Ticket&)) {
    CLI::App* command = match->add_subcommand(word, help);
    command->add_option("name", *name, "Who asked")->required();
    command->callback([=, &context] {
      context.action = [=, &context]() -> absl::Status {
        ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(*name));
        ASSIGN_OR_RETURN(const Ticket ticket, NewestTicket(*person));
        return act(*person, ticket);
      };
    });
  };
  add("show", "Where the newest request stands", [](Person&, const Ticket& ticket) {
    PrintTicket(ticket);
    return absl::OkStatus();
  });
  add("watch", "Shows every change until it is final",
      [](Person& person, const Ticket& ticket) { return Watch(person, ticket.name()); });
  add("cancel", "Takes the request back", Cancel);
}

}  // namespace handrail::tools
