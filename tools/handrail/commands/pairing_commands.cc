#include <iostream>
#include <memory>

#include "common/base/status.h"
#include "tools/handrail/client/words.h"
#include "tools/handrail/commands/context.h"
#include "tools/handrail/commands/print.h"

namespace handrail::tools {
namespace {

using matching::v1::MatchingService;
using matching::v1::Pairing;

absl::StatusOr<matching::v1::ListPairingsResponse> Pairings(Person& person) {
  return person.Call(person.services().matching(), &MatchingService::Stub::ListPairings,
                     matching::v1::ListPairingsRequest());
}

absl::Status List(Person& person) {
  ASSIGN_OR_RETURN(const matching::v1::ListPairingsResponse list, Pairings(person));
  for (const Pairing& pairing : list.pairings()) PrintPairing(pairing, person.member());
  if (list.pairings_size() == 0) std::cout << "No pairings.\n";
  return absl::OkStatus();
}

// The pairing that was named, or the only one that goes on.
absl::StatusOr<std::string> ChoosePairing(Person& person, const std::string& given) {
  if (!given.empty()) return given;
  ASSIGN_OR_RETURN(const matching::v1::ListPairingsResponse list, Pairings(person));
  std::string chosen;
  for (const Pairing& pairing : list.pairings()) {
    if (pairing.state() == matching::v1::PAIRING_STATE_ENDED) continue;
    if (!chosen.empty()) {
      return Error(absl::StatusCode::kFailedPrecondition, reason::kFieldInvalid)
          .Message("there are several pairings; name one of them");
    }
    chosen = pairing.name();
  }
  if (!chosen.empty()) return chosen;
  return Error(absl::StatusCode::kNotFound, reason::kNotFound).Message("there is no pairing");
}

// One of the three changes whose requests look alike.
template <typename Request>
absl::Status Change(Person& person, const std::string& given,
                    grpc::Status (MatchingService::Stub::*method)(grpc::ClientContext*,
                                                                  const Request&, Pairing*)) {
  Request request;
  ASSIGN_OR_RETURN(*request.mutable_name(), ChoosePairing(person, given));
  request.set_request_id(person.NewRequestId());
  ASSIGN_OR_RETURN(const Pairing pairing,
                   person.Call(person.services().matching(), method, request));
  PrintPairing(pairing, person.member());
  return absl::OkStatus();
}

absl::Status End(Person& person, const std::string& given, const std::string& word) {
  matching::v1::EndPairingRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), ChoosePairing(person, given));
  if (!word.empty()) {
    ASSIGN_OR_RETURN(const auto end_reason, FromWord<matching::v1::EndReason>(word));
    request.set_reason(end_reason);
  }
  request.set_request_id(person.NewRequestId());
  ASSIGN_OR_RETURN(const Pairing pairing, person.Call(person.services().matching(),
                                                      &MatchingService::Stub::EndPairing, request));
  PrintPairing(pairing, person.member());
  return absl::OkStatus();
}

}  // namespace

void AddPairingCommands(CLI::App& app, Context& context) {
  CLI::App* pairing = app.add_subcommand("pairing", "As either: what two people have agreed to");
  pairing->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto which = std::make_shared<std::string>();
  auto end_reason = std::make_shared<std::string>();
  const auto add = [&](const char* word, const char* help,
                       std::function<absl::Status(Person&)> act) {
    CLI::App* command = pairing->add_subcommand(word, help);
    command->add_option("name", *name, "The person")->required();
    command->add_option("pairing", *which, "pairings/…; may be left out when there is one");
    command->callback([=, &context] {
      context.action = [=, &context]() -> absl::Status {
        ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(*name));
        return act(*person);
      };
    });
    return command;
  };
  add("list", "Pairings, newest first", List);
  add("confirm", "Says that the two have been in touch", [which](Person& person) {
    return Change(person, *which, &MatchingService::Stub::ConfirmContact);
  });
  add("pause", "Pauses it; the seat is kept", [which](Person& person) {
    return Change(person, *which, &MatchingService::Stub::PausePairing);
  });
  add("resume", "Resumes it", [which](Person& person) {
    return Change(person, *which, &MatchingService::Stub::ResumePairing);
  });
  add("end", "Ends it; no reason is needed", [=](Person& person) {
    return End(person, *which, *end_reason);
  })->add_option("--reason", *end_reason, "Private, and only if you want to say");
}

}  // namespace handrail::tools
