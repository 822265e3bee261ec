#include <iostream>
#include <memory>

#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/rpc/client.h"
#include "services/matching/adapters/crisis_table.h"
#include "services/matching/handlers/crisis_lines.h"
#include "tools/handrail/commands/context.h"
#include "tools/handrail/commands/print.h"

// Reaching out, and being reached.
namespace handrail::tools {
namespace {

using matching::v1::HelpService;

constexpr absl::Duration kLinesTimeout = absl::Seconds(3);

std::string ContactWord(const matching::v1::CrisisContact& contact) {
  std::string word;
  switch (contact.kind()) {
    case matching::v1::CRISIS_CONTACT_KIND_CALL: word = "call "; break;
    case matching::v1::CRISIS_CONTACT_KIND_TEXT: word = "text "; break;
    default: break;
  }
  word += contact.value();
  if (!contact.detail().empty()) word += ", " + contact.detail();
  return word;
}

void PrintCrisisHelp(const matching::v1::CrisisHelp& help) {
  std::cout << help.text() << "\n";
  for (const matching::v1::CrisisLine& line : help.lines()) {
    std::cout << "  " << line.name() << ": "
              << absl::StrJoin(line.contacts(), "; ",
                               [](std::string* out, const matching::v1::CrisisContact& contact) {
                                 *out += ContactWord(contact);
                               });
    if (!line.hours().empty()) std::cout << " (" << line.hours() << ")";
    if (line.verification() == matching::v1::CRISIS_VERIFICATION_NONE) std::cout << " [unverified]";
    std::cout << "\n";
    if (!line.note().empty()) std::cout << "    " << line.note() << "\n";
  }
}

absl::StatusOr<matching::v1::CrisisHelp> AskForLines(Context& context, const std::string& country,
                                                     const std::string& language) {
  ASSIGN_OR_RETURN(Services * services, context.GetServices());
  matching::v1::ListCrisisLinesRequest request;
  request.set_country(country);
  request.set_language(language);
  matching::v1::ListCrisisLinesResponse response;
  grpc::ClientContext call;
  call.set_deadline(absl::ToChronoTime(context.clock.Now() + kLinesTimeout));
  RETURN_IF_ERROR(rpc::FromGrpcStatus(services->help().ListCrisisLines(&call, request, &response)));
  return std::move(*response.mutable_crisis());
}

absl::Status Lines(Context& context, const std::string& country, const std::string& language) {
  const auto lines = AskForLines(context, country, language);
  if (lines.ok()) {
    PrintCrisisHelp(*lines);
    return absl::OkStatus();
  }
  // Who asks for these does not care what is down.
  matching::v1::CrisisHelp built_in;
  matching::FillCrisisHelp(matching::BuiltInCrisisTable(), country, language, &built_in);
  PrintCrisisHelp(built_in);
  std::cerr << "(Handrail does not answer; these lines are built into this program.)\n";
  return absl::OkStatus();
}

void PrintHelpCall(const matching::v1::HelpCall& call) {
  std::cout << call.name() << "  " << matching::v1::HelpCallState_Name(call.state()) << "  "
            << call.text() << "\n";
  if (!call.conversation().empty()) std::cout << "  talk in " << call.conversation() << "\n";
}

absl::Status Watch(Person& person, const std::string& name) {
  matching::v1::WatchHelpCallRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  RETURN_IF_ERROR(person.Authorize(context));
  auto stream = person.services().help().WatchHelpCall(&context, request);
  matching::v1::WatchHelpCallResponse event;
  while (stream->Read(&event)) {
    if (event.has_help_call()) PrintHelpCall(event.help_call());
    std::cout << std::flush;
  }
  return rpc::FromGrpcStatus(stream->Finish());
}

absl::Status Reach(Context& context, const std::string& name, const std::string& country,
                   const std::string& language, const bool* wait) {
  auto person = context.LoadPerson(name);
  if (!person.ok()) {
    RETURN_IF_ERROR(Lines(context, country, language));
    return person.status();
  }
  matching::v1::ReachRequest request;
  request.set_country(country);
  request.set_language(language);
  request.set_request_id((*person)->NewRequestId());
  const auto response = (*person)->Call((*person)->services().help(), &HelpService::Stub::Reach,
                                        request, Patience{absl::Seconds(10), absl::Seconds(5)});
  if (!response.ok()) {
    RETURN_IF_ERROR(Lines(context, country, language));
    return response.status();
  }
  std::cout << response->text() << "\n";
  PrintCrisisHelp(response->crisis());
  if (!response->has_help_call()) return absl::OkStatus();
  PrintHelpCall(response->help_call());
  return *wait ? Watch(**person, response->help_call().name()) : absl::OkStatus();
}

void PrintAsk(const matching::v1::HelpAsk& ask) {
  std::cout << ask.name() << "  " << matching::v1::HelpAskState_Name(ask.state()) << "  since "
            << TimeWord(ask.create_time()) << "\n  " << ask.text() << "\n";
  if (!ask.conversation().empty()) std::cout << "  talk in " << ask.conversation() << "\n";
}

absl::StatusOr<matching::v1::ListHelpCallsResponse> Asks(Person& person) {
  return person.Call(person.services().help(), &HelpService::Stub::ListHelpCalls,
                     matching::v1::ListHelpCallsRequest());
}

absl::Status List(Person& person) {
  ASSIGN_OR_RETURN(const matching::v1::ListHelpCallsResponse list, Asks(person));
  if (list.help_calls().empty()) std::cout << "Nobody is calling for you now.\n";
  for (const matching::v1::HelpAsk& ask : list.help_calls()) PrintAsk(ask);
  return absl::OkStatus();
}

// The call that was named, else the newest open one.
absl::StatusOr<std::string> Chosen(Person& person, const std::string& named) {
  if (!named.empty()) return named;
  ASSIGN_OR_RETURN(const matching::v1::ListHelpCallsResponse list, Asks(person));
  if (!list.help_calls().empty()) return list.help_calls(0).name();
  return Error(absl::StatusCode::kNotFound, reason::kNotFound)
      .Message("nobody is calling for this person now");
}

absl::Status Answer(Person& person, const std::string& named) {
  matching::v1::AnswerHelpCallRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), Chosen(person, named));
  request.set_request_id(person.NewRequestId());
  ASSIGN_OR_RETURN(
      const matching::v1::HelpAsk ask,
      person.Call(person.services().help(), &HelpService::Stub::AnswerHelpCall, request));
  PrintAsk(ask);
  return absl::OkStatus();
}

absl::Status PassOn(Person& person, const std::string& named) {
  matching::v1::PassHelpCallRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), Chosen(person, named));
  request.set_request_id(person.NewRequestId());
  ASSIGN_OR_RETURN(
      const matching::v1::HelpAsk ask,
      person.Call(person.services().help(), &HelpService::Stub::PassHelpCall, request));
  PrintAsk(ask);
  return absl::OkStatus();
}

absl::Status SetOnCall(Person& person, int hours) {
  matching::v1::SetOnCallRequest request;
  request.set_hours(hours);
  request.set_request_id(person.NewRequestId());
  ASSIGN_OR_RETURN(const matching::v1::OnCall duty,
                   person.Call(person.services().help(), &HelpService::Stub::SetOnCall, request));
  if (duty.on_call()) {
    std::cout << "On call until " << TimeWord(duty.end_time()) << ". Thank you.\n";
  } else {
    std::cout << "Not on call.\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddHelpCommands(CLI::App& app, Context& context) {
  auto name = std::make_shared<std::string>();
  auto country = std::make_shared<std::string>();
  auto language = std::make_shared<std::string>("en");
  auto named = std::make_shared<std::string>();
  auto hours = std::make_shared<int>(2);
  auto wait = std::make_shared<bool>(false);

  CLI::App* lines = app.add_subcommand("help-lines", "Crisis lines of a country, for anybody");
  lines->add_option("country", *country, "ISO 3166-1, such as US; may be left out");
  lines->add_option("--language", *language, "en, es or fr");
  lines->callback([=, &context] {
    context.action = [=, &context] { return Lines(context, *country, *language); };
  });

  CLI::App* reach =
      app.add_subcommand("reach", "Calls for help: one's own people, and crisis lines");
  reach->add_option("name", *name, "Who calls")->required();
  reach->add_option("--country", *country, "Where they are now, such as US");
  reach->add_option("--language", *language, "en, es or fr");
  reach->add_flag("--wait", *wait, "Stay and show every change");
  reach->callback([=, &context] {
    context.action = [=, &context] {
      return Reach(context, *name, *country, *language, wait.get());
    };
  });

  CLI::App* calls =
      app.add_subcommand("help-calls", "As a sponsor: sees and answers calls for help");
  calls->require_subcommand(1);
  const auto add = [&](const char* word, const char* help,
                       std::function<absl::Status(Person&)> act) {
    CLI::App* command = calls->add_subcommand(word, help);
    command->add_option("name", *name, "The sponsor")->required();
    command->callback([=, &context] {
      context.action = [=, &context]() -> absl::Status {
        ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(*name));
        return act(*person);
      };
    });
    return command;
  };
  add("list", "Who is calling now", List);
  add("answer", "Answers; the first one wins", [named](Person& person) {
    return Answer(person, *named);
  })->add_option("call", *named, "helpCalls/…; may be left out: the newest");
  add("pass", "Cannot be there now; no reason is asked", [named](Person& person) {
    return PassOn(person, *named);
  })->add_option("call", *named, "helpCalls/…; may be left out: the newest");
  add("on-call", "Goes on call for some hours",
      [hours](Person& person) { return SetOnCall(person, *hours); })
      ->add_option("--hours", *hours, "0 goes off call")
      ->check(CLI::Range(0, 24));
}

}  // namespace handrail::tools
