#ifndef HANDRAIL_TESTS_SUPPORT_HISTORY_H_
#define HANDRAIL_TESTS_SUPPORT_HISTORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"

namespace handrail::tests {

// What clients were told, and nothing else: an entry is made when a service has answered OK. The
// audit (ledger_audit.h) holds the ledgers against it. Thread-safe.
class History {
 public:
  struct Ticket {
    MemberId newcomer;
    bool cancelled = false;
  };
  struct Pairing {
    MemberId sponsor;
    bool ended = false;
    // The sponsor surely held the seat from the answer to the accept until the end was asked for.
    absl::Time held_from;
    absl::Time held_until = absl::InfiniteFuture();
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
  // Any other acknowledged operation.
  void OtherDone();
  // A client saw something that must not be: two answers to one request, a hole in a conversation.
  void Contradiction(absl::string_view what);

  int64_t acknowledged() const;
  Content Take() const;

 private:
  mutable Mutex mutex_;
  Content content_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_SUPPORT_HISTORY_H_
