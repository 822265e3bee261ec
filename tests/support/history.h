#ifndef HANDRAIL_TESTS_SUPPORT_HISTORY_H_
#define HANDRAIL_TESTS_SUPPORT_HISTORY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"
#include "services/matching/domain/help.h"

namespace handrail::tests {

// What clients were told, and nothing else: an entry is made when a service has answered OK. The
// audit (ledger_audit.h) holds the ledgers against it. Thread-safe.
class History {
 public:
  struct Ticket {
    MemberId newcomer;
    bool cancelled = false;
    std::optional<absl::Time> create_time;  // its age, which it keeps (M6)
  };
  struct Pairing {
    MemberId sponsor;
    bool ended = false;
    // The sponsor surely held the seat from the answer to the accept until the end was asked for.
    absl::Time held_from;
    absl::Time held_until = absl::InfiniteFuture();
    std::set<MemberId> confirmed;
    std::optional<bool> paused;  // empty while it is being changed
  };
  struct HelpCall {
    MemberId caller;
    bool cancelled = false;
    std::optional<MemberId> answered_by;
    // Who was told that somebody else had been the first.
    std::set<MemberId> too_late;
  };
  // What a newcomer chose for a ticket.
  struct Choice {
    int count = 0;
    bool then_handrail = false;
    bool changing = false;
  };
  struct Availability {
    int capacity = 0;
    bool accepting = false;
    absl::Time resume = absl::InfiniteFuture();
    bool changing = false;
  };
  struct Message {
    ConversationId conversation;
    int64_t sequence = 0;
    std::string payload;
  };
  using MessageKey = std::pair<MemberId, MessageId>;
  using CursorKey = std::pair<DeviceId, ConversationId>;

  struct Content {
    std::map<TicketId, Ticket> tickets;
    std::map<PairingId, Pairing> pairings;
    std::map<OfferId, bool> declined;
    std::map<MessageKey, Message> messages;
    std::map<CursorKey, int64_t> cursors;
    std::map<MemberId, int> capacities;
    std::vector<std::pair<MemberId, MemberId>> blocks;
    std::map<matching::HelpCallId, HelpCall> help_calls;
    std::map<TicketId, Choice> choices;
    std::map<MemberId, Availability> availabilities;
    std::map<MemberId, absl::Time> attested;             // not before this
    std::map<PairingId, TicketId> rematches;             // the ticket that came of a pairing
    std::set<std::pair<PairingId, MemberId>> check_ins;  // answered
    std::map<std::string, int64_t> by_kind;  // what of help, choice and care was acknowledged
    std::vector<std::string> contradictions;
    int64_t acknowledged = 0;
  };

  void TicketOpened(const MemberId& newcomer, const TicketId& ticket);
  void TicketCancelled(const TicketId& ticket);
  void CapacitySet(const MemberId& sponsor, int capacity);
  void OfferAccepted(const MemberId& sponsor, const PairingId& pairing, absl::Time answered);
  void OfferDeclined(const OfferId& offer);
  // Before the call that ends it is sent.
  void EndingPairing(const PairingId& pairing, absl::Time asked);
  void PairingEnded(const PairingId& pairing);
  void Blocked(const MemberId& blocker, const MemberId& blocked);
  void MessageSent(const MemberId& sender, const MessageId& id, Message message);
  void Acknowledged(const DeviceId& device, const ConversationId& conversation, int64_t sequence);

  // ---- Care: what is acknowledged stays, whatever comes in between ----
  // The age that the ticket was said to have.
  void TicketHasAge(const TicketId& ticket, absl::Time create_time);
  void Rematched(const PairingId& pairing, const TicketId& ticket);
  void ContactConfirmed(const PairingId& pairing, const MemberId& member);
  // Before the call that pauses or resumes it is sent, and when it was answered.
  void ChangingPause(const PairingId& pairing);
  void PauseChanged(const PairingId& pairing, bool paused);
  void CheckInAnswered(const PairingId& pairing, const MemberId& member);
  void ChangingAvailability(const MemberId& sponsor);
  void AvailabilitySet(const MemberId& sponsor, const Availability& availability);
  void Attested(const MemberId& sponsor, absl::Time not_before);

  // ---- Let me choose ----
  void Choosing(const TicketId& ticket);
  void Chosen(const TicketId& ticket, int count, bool then_handrail);

  // ---- Calls for help ----
  // Also when the caller was given the call that was open already.
  void HelpCallOpened(const matching::HelpCallId& call, const MemberId& caller);
  void HelpCallCancelled(const matching::HelpCallId& call);
  // The helper was told that they were the first, or that somebody else was.
  void HelpCallAnswered(const matching::HelpCallId& call, const MemberId& helper);
  void HelpCallTakenCareOf(const matching::HelpCallId& call, const MemberId& helper);

  // Any other acknowledged operation.
  void OtherDone();
  // A client saw something that must not be: two answers to one request, a hole in a conversation.
  void Contradiction(absl::string_view what);

  int64_t acknowledged() const;
  Content Take() const;
  // Of it only what newcomers chose.
  std::map<TicketId, Choice> TakeChoices() const;

 private:
  void Count(const char* kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  Content content_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_SUPPORT_HISTORY_H_
