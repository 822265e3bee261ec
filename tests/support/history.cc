#include "tests/support/history.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace handrail::tests {

void History::TicketOpened(const MemberId& newcomer, const TicketId& ticket) {
  MutexLock lock(mutex_);
  ++content_.acknowledged;
  content_.tickets[ticket].newcomer = newcomer;
}

void History::TicketCancelled(const TicketId& ticket) {
  MutexLock lock(mutex_);
  ++content_.acknowledged;
  content_.tickets[ticket].cancelled = true;
}

void History::CapacitySet(const MemberId& sponsor, int capacity) {
  MutexLock lock(mutex_);
  ++content_.acknowledged;
  content_.capacities[sponsor] = std::max(content_.capacities[sponsor], capacity);
}

void History::OfferAccepted(const MemberId& sponsor, const PairingId& pairing,
                            absl::Time answered) {
  MutexLock lock(mutex_);
  ++content_.acknowledged;
  Pairing& entry = content_.pairings[pairing];
  entry.sponsor = sponsor;
  entry.held_from = answered;
}

void History::OfferDeclined(const OfferId& offer) {
  MutexLock lock(mutex_);
  ++content_.acknowledged;
  content_.declined[offer] = true;
}

void History::EndingPairing(const PairingId& pairing, absl::Time asked) {
  MutexLock lock(mutex_);
  Pairing& entry = content_.pairings[pairing];
  entry.held_until = std::min(entry.held_until, asked);
}

void History::PairingEnded(const PairingId& pairing) {
  MutexLock lock(mutex_);
  ++content_.acknowledged;
  content_.pairings[pairing].ended = true;
}

void History::Blocked(const MemberId& blocker, const MemberId& blocked) {
  MutexLock lock(mutex_);
  ++content_.acknowledged;
  content_.blocks.emplace_back(blocker, blocked);
}

void History::MessageSent(const MemberId& sender, const MessageId& id, Message message) {
  MutexLock lock(mutex_);
  ++content_.acknowledged;
  const auto [entry, inserted] = content_.messages.try_emplace({sender, id}, message);
  if (!inserted && entry->second.sequence != message.sequence) {
    content_.contradictions.push_back("one message was given two places");
  }
}

void History::Acknowledged(const DeviceId& device, const ConversationId& conversation,
                           int64_t sequence) {
  MutexLock lock(mutex_);
  ++content_.acknowledged;
  int64_t& held = content_.cursors[{device, conversation}];
  held = std::max(held, sequence);
}

void History::Count(const char* kind) {
  ++content_.acknowledged;
  ++content_.by_kind[kind];
}

void History::TicketHasAge(const TicketId& ticket, absl::Time create_time) {
  MutexLock lock(mutex_);
  std::optional<absl::Time>& known = content_.tickets[ticket].create_time;
  if (known.has_value() && *known != create_time) {
    content_.contradictions.push_back("M6: a ticket was said to have two ages");
  }
  known = create_time;
}

void History::Rematched(const PairingId& pairing, const TicketId& ticket) {
  MutexLock lock(mutex_);
  Count("rematch");
  const auto [entry, inserted] = content_.rematches.emplace(pairing, ticket);
  if (!inserted && entry->second != ticket) {
    content_.contradictions.push_back("one pairing led to two rematches");
  }
}

void History::ContactConfirmed(const PairingId& pairing, const MemberId& member) {
  MutexLock lock(mutex_);
  Count("contact confirmed");
  content_.pairings[pairing].confirmed.insert(member);
}

void History::ChangingPause(const PairingId& pairing) {
  MutexLock lock(mutex_);
  content_.pairings[pairing].paused.reset();
}

void History::PauseChanged(const PairingId& pairing, bool paused) {
  MutexLock lock(mutex_);
  Count(paused ? "pairing paused" : "pairing resumed");
  content_.pairings[pairing].paused = paused;
}

void History::CheckInAnswered(const PairingId& pairing, const MemberId& member) {
  MutexLock lock(mutex_);
  Count("check-in answered");
  content_.check_ins.emplace(pairing, member);
}

void History::ChangingAvailability(const MemberId& sponsor) {
  MutexLock lock(mutex_);
  content_.availabilities[sponsor].changing = true;
}

void History::AvailabilitySet(const MemberId& sponsor, const Availability& availability) {
  MutexLock lock(mutex_);
  Count(availability.accepting ? "sponsor back" : "sponsor paused");
  content_.availabilities[sponsor] = availability;
}

void History::Attested(const MemberId& sponsor, absl::Time not_before) {
  MutexLock lock(mutex_);
  Count("attestation");
  absl::Time& known = content_.attested[sponsor];
  known = std::max(known, not_before);
}

void History::Choosing(const TicketId& ticket) {
  MutexLock lock(mutex_);
  content_.choices[ticket].changing = true;
}

void History::Chosen(const TicketId& ticket, int count, bool then_handrail) {
  MutexLock lock(mutex_);
  Count("choice");
  content_.choices[ticket] = {count, then_handrail, false};
}

void History::HelpCallOpened(const matching::HelpCallId& call, const MemberId& caller) {
  MutexLock lock(mutex_);
  Count("call for help");
  MemberId& known = content_.help_calls[call].caller;  // zero when it was answered at once
  if (known.IsZero()) {
    known = caller;
  } else if (known != caller) {
    content_.contradictions.push_back("one call for help was given to two callers");
  }
}

void History::HelpCallCancelled(const matching::HelpCallId& call) {
  MutexLock lock(mutex_);
  Count("call for help taken back");
  content_.help_calls[call].cancelled = true;
}

void History::HelpCallAnswered(const matching::HelpCallId& call, const MemberId& helper) {
  MutexLock lock(mutex_);
  Count("call for help answered");
  std::optional<MemberId>& first = content_.help_calls[call].answered_by;
  if (first.has_value() && *first != helper) {
    content_.contradictions.push_back("two were told that they had answered a call first");
  }
  first = helper;
}

void History::HelpCallTakenCareOf(const matching::HelpCallId& call, const MemberId& helper) {
  MutexLock lock(mutex_);
  Count("call for help answered too late");
  content_.help_calls[call].too_late.insert(helper);
}

void History::OtherDone() {
  MutexLock lock(mutex_);
  ++content_.acknowledged;
}

void History::Contradiction(absl::string_view what) {
  MutexLock lock(mutex_);
  content_.contradictions.push_back(std::string(what));
}

int64_t History::acknowledged() const {
  MutexLock lock(mutex_);
  return content_.acknowledged;
}

std::map<TicketId, History::Choice> History::TakeChoices() const {
  MutexLock lock(mutex_);
  return content_.choices;
}

History::Content History::Take() const {
  MutexLock lock(mutex_);
  return content_;
}

}  // namespace handrail::tests
