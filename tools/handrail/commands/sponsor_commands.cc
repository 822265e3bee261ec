#include <iostream>
#include <memory>

#include "common/base/status.h"
#include "tools/handrail/commands/context.h"
#include "tools/handrail/commands/print.h"

namespace handrail::tools {
namespace {

using matching::v1::Availability;
using matching::v1::MatchingService;
using matching::v1::Offer;

void PrintAvailability(const Availability& availability) {
  std::cout << availability.sponsor() << "  "
            << (availability.accepting() ? "takes new offers" : "takes no new offers") << ", "
            << availability.capacity() << " seats: " << availability.pairing_count() << " paired, "
            << availability.open_offer_count() << " offered\n";
  if (availability.has_probation_end_time()) {
    std::cout << "    new: " << availability.effective_capacity() << " seat until "
              << TimeWord(availability.probation_end_time()) << "\n";
  }
  if (availability.pause_reason() == matching::v1::PAUSE_REASON_MISSED_OFFERS) {
    std::cout
        << "    paused, because some offers passed on without an answer; `sponsor set` ends it\n";
  }
  if (availability.has_resume_time()) {
    std::cout << "    back on " << TimeWord(availability.resume_time()) << "\n";
  }
}

absl::Status SetSeats(Context& context, const std::string& name, int capacity, const bool* pause,
                      int pause_days) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  matching::v1::SetAvailabilityRequest request;
  request.set_capacity(capacity);
  request.set_accepting(!*pause && pause_days == 0);
  if (pause_days > 0) {
    const absl::Time until = context.clock.Now() + absl::Hours(24 * pause_days);
    request.mutable_resume_time()->set_seconds(absl::ToUnixSeconds(until));
  }
  request.set_request_id(person->NewRequestId());
  ASSIGN_OR_RETURN(const Availability availability,
                   person->Call(person->services().matching(),
                                &MatchingService::Stub::SetAvailability, request));
  PrintAvailability(availability);
  return absl::OkStatus();
}

absl::Status ShowSeats(Context& context, const std::string& name) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  ASSIGN_OR_RETURN(
      const Availability availability,
      person->Call(person->services().matching(), &MatchingService::Stub::GetAvailability,
                   matching::v1::GetAvailabilityRequest()));
  PrintAvailability(availability);
  return absl::OkStatus();
}

absl::Status Attest(Context& context, const std::string& name) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  profiles::v1::AttestAvailabilityRequest request;
  request.set_request_id(person->NewRequestId());
  RETURN_IF_ERROR(person
                      ->Call(person->services().profile(),
                             &profiles::v1::ProfileService::Stub::AttestAvailability, request)
                      .status());
  std::cout << "Confirmed for 30 days.\n";
  return absl::OkStatus();
}

absl::StatusOr<matching::v1::ListOffersResponse> OpenOffers(Person& person) {
  return person.Call(person.services().matching(), &MatchingService::Stub::ListOffers,
                     matching::v1::ListOffersRequest());
}

absl::Status ListOffers(Person& person) {
  ASSIGN_OR_RETURN(const matching::v1::ListOffersResponse list, OpenOffers(person));
  for (const Offer& offer : list.offers()) PrintOffer(offer);
  if (list.offers_size() == 0) std::cout << "No open offers.\n";
  return absl::OkStatus();
}

// Shows offers as they come, until it is interrupted.
absl::Status WatchOffers(Person& person) {
  while (true) {
    grpc::ClientContext context;
    RETURN_IF_ERROR(person.Authorize(context));
    auto stream =
        person.services().matching().WatchOffers(&context, matching::v1::WatchOffersRequest());
    matching::v1::WatchOffersResponse event;
    while (stream->Read(&event)) {
      if (!event.has_offer()) continue;
      PrintOffer(event.offer());
      std::cout << std::flush;
    }
    const absl::Status status = rpc::FromGrpcStatus(stream->Finish());
    if (!status.ok() && !absl::IsUnavailable(status)) return status;
    RETURN_IF_ERROR(OpenOffers(person).status());  // waits until the service is back
  }
}

// The offer that was named, or the only open one.
absl::StatusOr<std::string> ChooseOffer(Person& person, const std::string& given) {
  if (!given.empty()) return given;
  ASSIGN_OR_RETURN(const matching::v1::ListOffersResponse list, OpenOffers(person));
  if (list.offers_size() == 1) return list.offers(0).name();
  return Error(absl::StatusCode::kFailedPrecondition, reason::kFieldInvalid)
      .Message(list.offers_size() == 0 ? "there is no open offer"
                                       : "there are several open offers; name one of them");
}

absl::Status Accept(Person& person, const std::string& given) {
  matching::v1::AcceptOfferRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), ChooseOffer(person, given));
  request.set_request_id(person.NewRequestId());
  ASSIGN_OR_RETURN(
      const matching::v1::Pairing pairing,
      person.Call(person.services().matching(), &MatchingService::Stub::AcceptOffer, request));
  PrintPairing(pairing, person.member());
  return absl::OkStatus();
}

absl::Status Decline(Person& person, const std::string& given) {
  matching::v1::DeclineOfferRequest request;
  ASSIGN_OR_RETURN(*request.mutable_name(), ChooseOffer(person, given));
  request.set_request_id(person.NewRequestId());
  RETURN_IF_ERROR(
      person.Call(person.services().matching(), &MatchingService::Stub::DeclineOffer, request)
          .status());
  std::cout << "Passed on to the next sponsor. Thank you for answering.\n";
  return absl::OkStatus();
}

}  // namespace

void AddSponsorCommands(CLI::App& app, Context& context) {
  CLI::App* sponsor = app.add_subcommand("sponsor", "As a sponsor: says how many seats are free");
  sponsor->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto capacity = std::make_shared<int>(3);
  auto pause = std::make_shared<bool>(false);
  auto pause_days = std::make_shared<int>(0);
  CLI::App* set = sponsor->add_subcommand("set", "Sets the seats, and whether offers are welcome");
  set->add_option("name", *name, "The sponsor")->required();
  set->add_option("--capacity", *capacity, "Seats, 0 to 10")->check(CLI::Range(0, 10));
  set->add_flag("--pause", *pause, "Take no new offers for now");
  set->add_option("--pause-days", *pause_days, "Take none for so many days, then again")
      ->check(CLI::Range(0, 365));
  set->callback([=, &context] {
    context.action = [=, &context] {
      return SetSeats(context, *name, *capacity, pause.get(), *pause_days);
    };
  });
  const auto add = [&](const char* word, const char* help,
                       absl::Status (*act)(Context&, const std::string&)) {
    CLI::App* command = sponsor->add_subcommand(word, help);
    command->add_option("name", *name, "The sponsor")->required();
    command->callback(
        [=, &context] { context.action = [=, &context] { return act(context, *name); }; });
  };
  add("show", "Seats and what holds them", ShowSeats);
  add("attest", "Confirms: still in recovery, still available (needed every 30 days)", Attest);
}

void AddOffersCommands(CLI::App& app, Context& context) {
  CLI::App* offers = app.add_subcommand("offers", "As a sponsor: sees and answers offers");
  offers->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto offer = std::make_shared<std::string>();
  const auto add = [&](const char* word, const char* help,
                       std::function<absl::Status(Person&)> act) {
    CLI::App* command = offers->add_subcommand(word, help);
    command->add_option("name", *name, "The sponsor")->required();
    command->callback([=, &context] {
      context.action = [=, &context]() -> absl::Status {
        ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(*name));
        return act(*person);
      };
    });
    return command;
  };
  add("list", "Open offers, and why each was made", ListOffers);
  add("watch", "Shows offers as they come, until Ctrl-C", WatchOffers);
  add("accept", "Accepts an offer", [offer](Person& person) {
    return Accept(person, *offer);
  })->add_option("offer", *offer, "offers/…; may be left out when there is one");
  add("decline", "Passes an offer on; no reason is asked", [offer](Person& person) {
    return Decline(person, *offer);
  })->add_option("offer", *offer, "offers/…; may be left out when there is one");
}

}  // namespace handrail::tools
