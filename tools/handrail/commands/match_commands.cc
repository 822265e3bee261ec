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
                     const std::string& relationship, const bool* wait, const bool* contact) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  matching::v1::RequestMatchRequest request;
  ASSIGN_OR_RETURN(const auto philosophy, FromWord<common::v1::Philosophy>(program));
  ASSIGN_OR_RETURN(const auto type, FromWord<common::v1::RelationshipType>(relationship));
  request.set_philosophy(philosophy);
  request.set_relationship_type(type);
  request.set_temporary_contact_while_waiting(*contact);
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

// "fewer than 5": a count is never exact.
std::string BandWord(matching::v1::CountBand band) {
  switch (band) {
    case matching::v1::COUNT_BAND_UNDER_5: return "fewer than 5, perhaps none";
    case matching::v1::COUNT_BAND_5_TO_9: return "5 to 9";
    case matching::v1::COUNT_BAND_10_TO_49: return "10 to 49";
    case matching::v1::COUNT_BAND_50_OR_MORE: return "50 or more";
    default: return "not known";
  }
}

absl::Status Outlook(Person& person, const Ticket& ticket) {
  matching::v1::GetQueueStatusRequest request;
  request.set_name(ticket.name());
  ASSIGN_OR_RETURN(const matching::v1::QueueStatus status,
                   person.Call(person.services().care(),
                               &matching::v1::CareService::Stub::GetQueueStatus, request));
  std::cout << status.ticket() << "  " << Word(status.state()) << "\n";
  if (status.state() != matching::v1::TICKET_STATE_WAITING) return absl::OkStatus();
  std::cout << "    waiting ahead: at most " << status.waiting_ahead() << "\n";
  if (status.basis_pairings() == 0) {
    std::cout << "    expected wait: too few have been paired here lately to say\n";
  } else {
    std::cout << "    expected wait: " << status.expected_wait_min_hours() << " to "
              << status.expected_wait_max_hours() << " hours, going by the last "
              << status.basis_pairings() << " or more pairings\n";
  }
  std::cout << "    sponsors who suit: " << BandWord(status.suitable_sponsors())
            << "; with a free seat now: " << BandWord(status.free_sponsors()) << "\n";
  for (const auto& effect : status.relaxations()) {
    std::cout << "    with " << Word(effect.relaxation()) << ": "
              << BandWord(effect.more_sponsors()) << " more\n";
  }
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
  auto contact = std::make_shared<bool>(false);

  CLI::App* request = match->add_subcommand("request", "Asks for someone");
  request->add_option("name", *name, "Who asks")->required();
  request->add_option("--program", *program, "In which program");
  request->add_option(
      "--relationship", *relationship,
      absl::StrCat("What for: ",
                   WordsOf(google::protobuf::GetEnumDescriptor<common::v1::RelationshipType>())));
  request->add_flag("--wait", *wait, "Stay and show every change");
  request->add_flag("--contact-while-waiting", *contact,
                    "After a day of waiting, ask for a temporary contact too");
  request->callback([=, &context] {
    context.action = [=, &context] {
      return Request(context, *name, *program, *relationship, wait.get(), contact.get());
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
  add("outlook", "How it looks: who waits ahead, how long others waited, what would help", Outlook);
}

}  // namespace handrail::tools
