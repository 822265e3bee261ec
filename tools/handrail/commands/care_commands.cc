#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tools/handrail/client/words.h"
#include "tools/handrail/commands/context.h"
#include "tools/handrail/commands/print.h"

namespace handrail::tools {
namespace {

using matching::v1::CareService;
using matching::v1::CheckIn;
using matching::v1::Notice;

// The words that an app would find; a notice has none of its own.
std::string TextOf(const Notice& notice) {
  switch (notice.kind()) {
    case matching::v1::NOTICE_KIND_OFFER_REMINDER:
      return absl::StrCat("An offer waits for your answer until ", TimeWord(notice.due_time()),
                          "; passing it on is fine.");
    case matching::v1::NOTICE_KIND_ATTESTATION_DUE:
      return absl::StrCat("Please confirm that you are still available by ",
                          TimeWord(notice.due_time()), ".");
    case matching::v1::NOTICE_KIND_ATTESTATION_LAPSED:
      return "New offers rest until you confirm that you are still available.";
    case matching::v1::NOTICE_KIND_PAUSED_AFTER_MISSED_OFFERS:
      return "You seem to be busy, so new offers are paused. Come back whenever you like.";
    case matching::v1::NOTICE_KIND_PAUSE_OVER: return "Your pause is over: offers come again.";
    case matching::v1::NOTICE_KIND_PROBATION_OVER: return "From now on all your seats are used.";
    case matching::v1::NOTICE_KIND_CHECK_IN_DUE:
      return absl::StrCat("Day ", notice.step(), ": how is it going?");
    case matching::v1::NOTICE_KIND_STILL_LOOKING:
      return absl::StrCat("You have waited ", notice.step(),
                          " hours. We are sorry that it takes so long, and still looking.");
    case matching::v1::NOTICE_KIND_TICKET_EXPIRES_SOON:
      return absl::StrCat("Your request ends on ", TimeWord(notice.due_time()),
                          " unless somebody is found.");
    case matching::v1::NOTICE_KIND_TICKET_EXPIRED:
      return "Nobody suitable was free in time. You are welcome to ask again.";
    case matching::v1::NOTICE_KIND_TEMPORARY_CONTACT_AVAILABLE:
      return "While you wait you can ask for a temporary contact for the first days.";
    case matching::v1::NOTICE_KIND_TEMPORARY_CONTACT_REQUESTED:
      return "As you wished, we look for a temporary contact too.";
    case matching::v1::NOTICE_KIND_REMATCH_AVAILABLE:
      return "If you like, another person can be found for you.";
    default: return "Something is new.";
  }
}

absl::Status MarkRead(Person& person, const Notice& notice) {
  matching::v1::MarkNoticeReadRequest request;
  request.set_name(notice.name());
  request.set_request_id(person.NewRequestId());
  return person.Call(person.services().care(), &CareService::Stub::MarkNoticeRead, request)
      .status();
}

absl::Status ShowNotices(Context& context, const std::string& name, const bool* keep) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  ASSIGN_OR_RETURN(const matching::v1::ListNoticesResponse list,
                   person->Call(person->services().care(), &CareService::Stub::ListNotices,
                                matching::v1::ListNoticesRequest()));
  for (const Notice& notice : list.notices()) {
    std::cout << TimeWord(notice.create_time()) << "  " << TextOf(notice) << "\n    "
              << notice.subject() << "\n";
    if (!*keep) RETURN_IF_ERROR(MarkRead(*person, notice));
  }
  if (list.notices_size() == 0) std::cout << "Nothing new.\n";
  return absl::OkStatus();
}

void PrintCheckIn(const CheckIn& check_in) {
  std::cout << check_in.pairing() << "  day " << check_in.day() << ": "
            << (check_in.answer() == matching::v1::CHECK_IN_ANSWER_UNSPECIFIED
                    ? "not answered"
                    : Word(check_in.answer()))
            << "\n";
  for (const int step : check_in.next_steps()) {
    std::cout << "    you may: " << Word(static_cast<matching::v1::NextStep>(step)) << "\n";
  }
}

// Of the pairings of a person, newest first: the one that was named, or the first.
absl::StatusOr<std::string> ChoosePairing(Person& person, const std::string& given) {
  if (!given.empty()) return given;
  ASSIGN_OR_RETURN(
      const matching::v1::ListPairingsResponse list,
      person.Call(person.services().matching(), &matching::v1::MatchingService::Stub::ListPairings,
                  matching::v1::ListPairingsRequest()));
  if (list.pairings_size() > 0) return list.pairings(0).name();
  return Error(absl::StatusCode::kNotFound, reason::kNotFound).Message("there is no pairing");
}

absl::Status DoCheckIn(Context& context, const std::string& name, const std::string& which,
                       const std::string& answer) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  matching::v1::ListCheckInsRequest request;
  ASSIGN_OR_RETURN(*request.mutable_pairing(), ChoosePairing(*person, which));
  ASSIGN_OR_RETURN(
      const matching::v1::ListCheckInsResponse list,
      person->Call(person->services().care(), &CareService::Stub::ListCheckIns, request));
  if (list.check_ins_size() == 0) {
    std::cout << "Nobody asks yet: check-ins come on days 3, 14, 30 and 90.\n";
    return absl::OkStatus();
  }
  if (answer.empty()) {
    for (const CheckIn& check_in : list.check_ins()) PrintCheckIn(check_in);
    return absl::OkStatus();
  }
  matching::v1::AnswerCheckInRequest say;
  say.set_pairing(request.pairing());
  say.set_day(list.check_ins().rbegin()->day());
  ASSIGN_OR_RETURN(const auto word, FromWord<matching::v1::CheckInAnswer>(answer));
  say.set_answer(word);
  say.set_request_id(person->NewRequestId());
  ASSIGN_OR_RETURN(const CheckIn answered,
                   person->Call(person->services().care(), &CareService::Stub::AnswerCheckIn, say));
  PrintCheckIn(answered);
  return absl::OkStatus();
}

absl::Status Rematch(Context& context, const std::string& name, const std::string& which) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  matching::v1::RequestRematchRequest request;
  ASSIGN_OR_RETURN(*request.mutable_pairing(), ChoosePairing(*person, which));
  request.set_request_id(person->NewRequestId());
  ASSIGN_OR_RETURN(
      const matching::v1::Ticket ticket,
      person->Call(person->services().care(), &CareService::Stub::RequestRematch, request));
  PrintTicket(ticket);
  return absl::OkStatus();
}

}  // namespace

void AddCareCommands(CLI::App& app, Context& context) {
  auto name = std::make_shared<std::string>();
  auto which = std::make_shared<std::string>();
  auto answer = std::make_shared<std::string>();
  auto keep = std::make_shared<bool>(false);

  CLI::App* notices = app.add_subcommand("notices", "As anyone: what you should know");
  notices->add_option("name", *name, "The person")->required();
  notices->add_flag("--keep", *keep, "Do not mark them as read");
  notices->callback([=, &context] {
    context.action = [=, &context] { return ShowNotices(context, *name, keep.get()); };
  });

  CLI::App* check_in = app.add_subcommand("check-in", "As either: how a pairing goes, privately");
  check_in->add_option("name", *name, "The person")->required();
  check_in->add_option(
      "answer", *answer,
      absl::StrCat("Left out: shows them. Else: ",
                   WordsOf(google::protobuf::GetEnumDescriptor<matching::v1::CheckInAnswer>())));
  check_in->add_option("--pairing", *which, "pairings/…; default: the newest");
  check_in->callback([=, &context] {
    context.action = [=, &context] { return DoCheckIn(context, *name, *which, *answer); };
  });

  CLI::App* rematch = app.add_subcommand(
      "rematch", "As a newcomer: asks again after a pairing has ended, with the place kept");
  rematch->add_option("name", *name, "Who asks")->required();
  rematch->add_option("pairing", *which, "pairings/…; default: the newest");
  rematch->callback([=, &context] {
    context.action = [=, &context] { return Rematch(context, *name, *which); };
  });
}

}  // namespace handrail::tools
