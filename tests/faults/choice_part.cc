#include "tests/faults/choice_part.h"

#include <algorithm>
#include <vector>

namespace handrail::tests {

using matching::v1::CandidateService;
using matching::v1::ListCandidatesResponse;

void Chooser::Look(const matching::v1::Ticket& ticket) {
  if (ticket.mode() != matching::v1::MATCH_MODE_LET_ME_CHOOSE || !ticket.choice_expected()) return;
  if (ticket.state() != matching::v1::TICKET_STATE_WAITING) return;
  if (chosen_for_ == ticket.name()) return LeaveItToHandrail(ticket.name());
  matching::v1::ListCandidatesRequest request;
  request.set_ticket(ticket.name());
  const auto list = Insist(person_, stage_.clock, stage_.services.candidates(),
                           &CandidateService::Stub::ListCandidates, request);
  if (HasReason(list.status(), reason::kCandidatesSpent)) return LeaveItToHandrail(ticket.name());
  if (!list.ok()) return Unexpected(stage_, "ListCandidates", list.status());
  stage_.history.OtherDone();
  if (list->candidates().empty()) return LeaveItToHandrail(ticket.name());
  // The same question has the same answer all day, but for the handles and what is left.
  std::string answer;
  for (auto candidate : list->candidates()) {
    candidate.clear_handle();
    answer += candidate.SerializeAsString();
  }
  if (!answer_.empty() && answer_ != answer) {
    stage_.history.Contradiction("one question about candidates was given two answers");
  }
  answer_ = answer;
  ChooseFrom(ticket.name(), *list);
}

void Chooser::ChooseFrom(const std::string& ticket, const ListCandidatesResponse& list) {
  std::vector<std::string> handles;
  for (const auto& candidate : list.candidates()) handles.push_back(candidate.handle());
  for (size_t i = handles.size(); i > 1; --i) {
    std::swap(handles[i - 1], handles[stage_.random.Below(i)]);
  }
  handles.resize(1 + stage_.random.Below(handles.size()));
  matching::v1::ChooseCandidatesRequest request;
  request.set_ticket(ticket);
  for (const std::string& handle : handles) request.add_handles(handle);
  request.set_then_handrail(Chance(stage_, 50));
  chosen_for_ = ticket;
  Choose(request);
}

void Chooser::LeaveItToHandrail(const std::string& ticket) {
  matching::v1::ChooseCandidatesRequest request;
  request.set_ticket(ticket);
  request.set_then_handrail(true);
  Choose(request);
}

void Chooser::Choose(const matching::v1::ChooseCandidatesRequest& wish) {
  matching::v1::ChooseCandidatesRequest request = wish;
  request.set_request_id(person_.NewRequestId());
  const TicketId id = IdOf<TicketId>(request.ticket());
  stage_.history.Choosing(id);
  const auto ticket = Insist(person_, stage_.clock, stage_.services.candidates(),
                             &CandidateService::Stub::ChooseCandidates, request);
  if (ticket.ok()) {
    stage_.history.Chosen(id, request.handles_size(), request.then_handrail());
  } else if (!HasReason(ticket.status(), reason::kTicketNotOpen) &&
             !HasReason(ticket.status(), reason::kChoiceNotExpected)) {
    Unexpected(stage_, "ChooseCandidates", ticket.status());
  }
}

}  // namespace handrail::tests
