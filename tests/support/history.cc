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

History::Content History::Take() const {
  MutexLock lock(mutex_);
  return content_;
}

}  // namespace handrail::tests
