#include "tests/faults/help_part.h"

#include "absl/strings/match.h"

namespace handrail::tests {

using matching::HelpCallId;
using matching::v1::HelpService;

void CheckLines(History& history, const matching::v1::CrisisHelp& crisis) {
  bool has_988 = false;
  bool can_be_reached = crisis.lines_size() > 0;
  for (const auto& line : crisis.lines()) {
    can_be_reached = can_be_reached && line.contacts_size() > 0;
    for (const auto& contact : line.contacts()) has_988 |= contact.value() == "988";
  }
  const bool says_so = absl::StrContains(crisis.text(), "not an emergency service");
  if (!can_be_reached || !has_988 || !says_so || crisis.country() != kCallersCountry) {
    history.Contradiction("a reply to a call for help came without the crisis lines");
  }
}

void HelpSeeker::Step() {
  if (call_.empty()) {
    if (!limited_ && Chance(stage_, 4)) Reach();
  } else if (Chance(stage_, 50)) {
    Look();
  }
}

void HelpSeeker::Reach() {
  matching::v1::ReachRequest request;
  request.set_country(kCallersCountry);
  request.set_language("en");
  request.set_request_id(person_.NewRequestId());
  // What could not be kept is asked again under the same id: it may have been kept all the same.
  const absl::Time give_up = stage_.clock.Now() + absl::Minutes(2);
  while (true) {
    const auto reached =
        Insist(person_, stage_.clock, stage_.services.help(), &HelpService::Stub::Reach, request);
    if (!reached.ok()) return Unexpected(stage_, "Reach", reached.status());
    CheckLines(stage_.history, reached->crisis());
    switch (reached->outcome()) {
      case matching::v1::REACH_OUTCOME_ASKING:
      case matching::v1::REACH_OUTCOME_NOBODY:
        call_ = reached->help_call().name();
        CheckLines(stage_.history, reached->help_call().crisis());
        return stage_.history.HelpCallOpened(IdOf<HelpCallId>(call_),
                                             IdOf<MemberId>(person_.member()));
      case matching::v1::REACH_OUTCOME_LIMITED: limited_ = true; return;
      case matching::v1::REACH_OUTCOME_UNAVAILABLE:
        if (stage_.clock.Now() < give_up) continue;
        return stage_.history.Contradiction("nobody could be reached for two minutes");
      default: return stage_.history.Contradiction("Reach had an outcome that it should not have");
    }
  }
}

void HelpSeeker::Look() {
  matching::v1::GetHelpCallRequest request;
  request.set_name(call_);
  request.set_country(kCallersCountry);
  const auto call = Insist(person_, stage_.clock, stage_.services.help(),
                           &HelpService::Stub::GetHelpCall, request);
  if (!call.ok()) return Unexpected(stage_, "GetHelpCall", call.status());
  CheckLines(stage_.history, call->crisis());
  const bool open = call->state() == matching::v1::HELP_CALL_STATE_OPEN;
  if (open ? Chance(stage_, 5) : Chance(stage_, 20)) return Cancel();
  if (!open) call_.clear();
}

void HelpSeeker::Cancel() {
  matching::v1::CancelHelpCallRequest request;
  request.set_name(call_);
  request.set_country(kCallersCountry);
  request.set_request_id(person_.NewRequestId());
  const auto call = Insist(person_, stage_.clock, stage_.services.help(),
                           &HelpService::Stub::CancelHelpCall, request);
  if (!call.ok()) return Unexpected(stage_, "CancelHelpCall", call.status());
  CheckLines(stage_.history, call->crisis());
  stage_.history.HelpCallCancelled(IdOf<HelpCallId>(call_));
  call_.clear();
}

void HelpSeeker::Finish() {
  if (!call_.empty()) Cancel();
}

void HelpGiver::Step() {
  if (!on_call_) return GoOnCall();
  if (!Chance(stage_, 40)) return;
  matching::v1::ListHelpCallsRequest request;
  request.set_page_size(20);
  const auto calls = Insist(person_, stage_.clock, stage_.services.help(),
                            &HelpService::Stub::ListHelpCalls, request);
  if (!calls.ok()) return Unexpected(stage_, "ListHelpCalls", calls.status());
  for (const auto& call : calls->help_calls()) {
    if (call.state() != matching::v1::HELP_ASK_STATE_OPEN || passed_.contains(call.name())) {
      continue;
    }
    Chance(stage_, 10) ? Pass(call.name()) : Answer(call.name());
  }
}

void HelpGiver::GoOnCall() {
  matching::v1::SetOnCallRequest request;
  request.set_hours(12);
  request.set_request_id(person_.NewRequestId());
  const auto duty =
      Insist(person_, stage_.clock, stage_.services.help(), &HelpService::Stub::SetOnCall, request);
  if (!duty.ok()) return Unexpected(stage_, "SetOnCall", duty.status());
  on_call_ = true;
  stage_.history.OtherDone();
}

void HelpGiver::Answer(const std::string& name) {
  matching::v1::AnswerHelpCallRequest request;
  request.set_name(name);
  request.set_request_id(person_.NewRequestId());
  const auto answer = [&] {
    return Insist(person_, stage_.clock, stage_.services.help(), &HelpService::Stub::AnswerHelpCall,
                  request);
  };
  const auto ask = answer();
  if (!ask.ok()) return Unexpected(stage_, "AnswerHelpCall", ask.status());
  const MemberId me = IdOf<MemberId>(person_.member());
  if (ask->state() == matching::v1::HELP_ASK_STATE_ANSWERED) {
    stage_.history.HelpCallAnswered(IdOf<HelpCallId>(name), me);
  } else if (ask->state() == matching::v1::HELP_ASK_STATE_TAKEN_CARE_OF) {
    stage_.history.HelpCallTakenCareOf(IdOf<HelpCallId>(name), me);
  } else if (ask->state() != matching::v1::HELP_ASK_STATE_OVER) {
    stage_.history.Contradiction("a call for help is open after it was answered");
  }
  if (!Chance(stage_, 10)) return;
  const auto again = answer();
  if (!again.ok()) return Unexpected(stage_, "a repeated AnswerHelpCall", again.status());
  if (again->state() != ask->state()) {
    stage_.history.Contradiction("a repeated answer to a call for help had another outcome");
  }
}

void HelpGiver::Pass(const std::string& name) {
  matching::v1::PassHelpCallRequest request;
  request.set_name(name);
  request.set_request_id(person_.NewRequestId());
  const auto passed = Insist(person_, stage_.clock, stage_.services.help(),
                             &HelpService::Stub::PassHelpCall, request);
  if (!passed.ok()) return Unexpected(stage_, "PassHelpCall", passed.status());
  passed_.insert(name);
  stage_.history.OtherDone();
}

}  // namespace handrail::tests
