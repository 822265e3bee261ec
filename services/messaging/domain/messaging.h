#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_MESSAGING_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_MESSAGING_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "services/messaging/domain/delivery_hub.h"
#include "services/messaging/domain/member_directory.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/domain/messages.h"

namespace handrail::messaging {

// What the members of conversations, and the services behind them, can do. Every method is
// idempotent. The caller is `call.who`, established by the edge. A device that messaging was never
// told of (registered seconds ago) is asked of profiles once, then treated as what it is.
// Thread-safe; the methods block until `call.deadline` unless they say otherwise.
class Messaging {
 public:
  struct Options {
    Limits limits;
    int asking_threads = 4;
    size_t asking_queue_limit = 1024;
    absl::Duration asking_timeout = absl::Seconds(2);
    int max_page_size = 500;
    int default_page_size = 100;
    int max_list_size = 100;
    int default_list_size = 50;
  };
  // What a member says; who they are comes from the call.
  struct Message {
    ConversationId conversation;
    MessageId message_id;
    std::string payload;  // 1 byte to 64 KiB
  };

  // All must outlive it.
  Messaging(MessageStore& store, MemberDirectory& directory, DeliveryHub& hub, const Clock& clock,
            const Options& options);

  // Stores a message and answers after it is on disk. Does not block; `done` is called exactly once
  // on a thread that must not be blocked. Order of one caller is kept. Codes as of
  // MessageStore::AppendAsync, and INVALID_ARGUMENT / FIELD_INVALID for the payload's size.
  void Send(const Call& call, Message message, const std::shared_ptr<Wakeable>& wake_after,
            MessageStore::AppendDone done);

  // Cumulative, on disk when it returns. NOT_FOUND; INVALID_ARGUMENT / SEQUENCE_INVALID.
  absl::Status Acknowledge(const Call& call, const std::vector<Cursor>& cursors);
  // For streams: does not block, is stored within a tick, and drops what Acknowledge would refuse.
  void AcknowledgeLazily(const Call& call, StreamSession& session,
                         const std::vector<Cursor>& cursors);

  // `page_size` 0 means the default; more than the most is cut.
  absl::StatusOr<MessagePage> Fetch(const Call& call, const ConversationId& conversation,
                                    int64_t after_sequence, int page_size);
  absl::StatusOr<Conversation> GetConversation(const Call& call, const ConversationId& id);
  // `page_size` as above. `has_more` tells whether to ask again after the last one.
  struct ConversationPage {
    std::vector<Conversation> conversations;
    bool has_more = false;
  };
  absl::StatusOr<ConversationPage> ListConversations(
      const Call& call, const std::optional<MessageStore::ListPosition>& after, int page_size);

  // Codes and meaning as of MessageStore::LeaveConversation.
  absl::Status LeaveConversation(const Call& call, const ConversationId& id);

  // Codes and meaning as of DeliveryHub::OpenStream.
  absl::StatusOr<std::shared_ptr<StreamSession>> OpenStream(const Call& call,
                                                            absl::Span<const Cursor> cursors,
                                                            std::function<void()> wake);
  void CloseStream(const std::shared_ptr<StreamSession>& session) { hub_.CloseStream(session); }

  // Between services. INVALID_ARGUMENT / FIELD_INVALID unless there are two different members.
  absl::StatusOr<ConversationId> OpenConversation(const Call& call, const PairingId& pairing,
                                                  const std::vector<MemberId>& members);
  absl::Status CloseConversation(const Call& call, const PairingId& pairing);
  absl::Status ApplyMembers(const Call& call, absl::Span<const MemberSnapshot> members);
  absl::Status ApplyBlock(const Call& call, const Block& block);

  // Asks profiles for the caller, of whom messaging was never told. NOT_FOUND when nobody knows
  // them; UNAVAILABLE / PEER_UNAVAILABLE.
  absl::Status LearnCaller(const Call& call) { return Ask(call.deadline, call.who.member); }

  // The same of another member, of whom messaging was not told all.
  absl::Status LearnMember(const Call& call, const MemberId& member) {
    return Ask(call.deadline, member);
  }

  // Ends questions to profiles that are under way. Idempotent.
  void Stop() { askers_.Stop(); }

 private:
  // Asks profiles for a member and applies the answer.
  absl::Status Ask(absl::Time deadline, const MemberId& member);
  // Runs `step`; when the caller's device is unknown, asks profiles and runs it once more.
  template <typename Step>
  auto KnowingDevice(const Call& call, Step step) -> decltype(step());
  void AppendAgain(Append append, const std::shared_ptr<Wakeable>& wake_after,
                   const MessageStore::AppendDone& done);

  MessageStore& store_;
  MemberDirectory& directory_;
  DeliveryHub& hub_;
  const Clock& clock_;
  const Options options_;
  Executor askers_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_MESSAGING_H_
