#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_INVITATIONS_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_INVITATIONS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/domain/messages.h"

// Group conversations: who begins one, and who comes into it by an invitation (C5).
namespace handrail::messaging {

struct InvitationTag {
  static constexpr absl::string_view kCollection = "invitations";
};
using InvitationId = Id<InvitationTag>;

struct InvitationLimits {
  // Who take part in a conversation, and the places that are kept for others.
  int64_t members = 8;
  int64_t devices = 32;       // of those who take part
  int64_t members_ever = 64;  // of a conversation, those who have left included
  absl::Duration open_for = absl::Hours(7 * 24);
  // What is told of an invitation that is over: only that it was there, and only for so long.
  absl::Duration keep_after = absl::Hours(7 * 24);
  int64_t open_conversations = 32;  // group conversations in which a member takes part
  int64_t conversations_a_day = 8;  // that a member begins
  int64_t invitations_a_day = 64;   // of a conversation
};

// A place that is kept for somebody.
struct Invitation {
  InvitationId id;
  ConversationId conversation;
  MemberId inviter;
  absl::Time create_time;
  absl::Time expire_time;
};

// What its maker says of an invitation.
struct NewInvitation {
  ConversationId conversation;
  std::string secret_digest;  // SHA-256 of a secret that messaging is not told
};

// What somebody shows who was invited.
struct ShownInvitation {
  InvitationId id;
  std::string secret;
};

// The truth about group conversations and invitations. Thread-safe. Every method is one atomic step
// and may also give the errors of storage::Database. A caller whose device was never heard of gets
// NOT_FOUND / DEVICE_UNKNOWN, one whose device was removed PERMISSION_DENIED / DEVICE_REVOKED; "not
// yours" and "not there" are both NOT_FOUND / NOT_FOUND. Writes are idempotent by the request id of
// `call`: FAILED_PRECONDITION / REQUEST_ID_REUSED.
class InvitationStore {
 public:
  virtual ~InvitationStore() = default;

  // A conversation in which the caller takes part alone. FAILED_PRECONDITION / MEMBER_SUSPENDED;
  // RESOURCE_EXHAUSTED / QUEUE_FULL, RATE_LIMITED.
  virtual absl::StatusOr<OpenedConversation> CreateGroup(const Call& call, absl::Time now) = 0;
  // Members and open invitations stay within the limit. INVALID_ARGUMENT / FIELD_INVALID for the
  // conversation of a pairing; FAILED_PRECONDITION / CONVERSATION_CLOSED, MEMBER_SUSPENDED;
  // RESOURCE_EXHAUSTED / QUEUE_FULL with the detail `limit`, RATE_LIMITED.
  virtual absl::StatusOr<Invitation> Invite(const Call& call, absl::Time now,
                                            const NewInvitation& wanted) = 0;
  // Those that are open, the newest first.
  virtual absl::StatusOr<std::vector<Invitation>> List(const Call& call, absl::Time now,
                                                       const ConversationId& conversation) = 0;
  virtual absl::Status Revoke(const Call& call, absl::Time now, const InvitationId& id) = 0;
  // The caller takes part and the invitation is used, or neither. Who takes part already uses none.
  // NOT_FOUND for whatever is the matter with the invitation, the conversation or who is in it;
  // FAILED_PRECONDITION / MEMBER_SUSPENDED; RESOURCE_EXHAUSTED / QUEUE_FULL with the detail
  // `limit`.
  virtual absl::StatusOr<OpenedConversation> Accept(const Call& call, absl::Time now,
                                                    const ShownInvitation& shown) = 0;
};

// What members do with group conversations. Thread-safe; blocks until `call.deadline`. Codes as of
// InvitationStore.
class Invitations {
 public:
  // Asks profiles of the caller, of whom messaging was never told.
  using LearnCaller = std::function<absl::Status(const Call&)>;
  using Spread = std::function<void(absl::Span<const WakeUp>)>;

  // All must outlive it.
  Invitations(InvitationStore& store, const Clock& clock, LearnCaller learn_caller, Spread spread)
      : store_(store),
        clock_(clock),
        learn_caller_(std::move(learn_caller)),
        spread_(std::move(spread)) {}

  absl::StatusOr<ConversationId> CreateGroup(const Call& call);
  // INVALID_ARGUMENT / FIELD_INVALID for a digest that is none.
  absl::StatusOr<Invitation> Invite(const Call& call, const NewInvitation& wanted);
  absl::StatusOr<std::vector<Invitation>> List(const Call& call,
                                               const ConversationId& conversation);
  absl::Status Revoke(const Call& call, const InvitationId& id);
  // INVALID_ARGUMENT / FIELD_INVALID for a secret of another length.
  absl::StatusOr<ConversationId> Accept(const Call& call, const ShownInvitation& shown);

 private:
  // Runs `step`; when the caller's device is unknown, asks profiles and runs it once more.
  template <typename Step>
  auto KnowingDevice(const Call& call, absl::string_view what, Step step) -> decltype(step());

  InvitationStore& store_;
  const Clock& clock_;
  const LearnCaller learn_caller_;
  const Spread spread_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_INVITATIONS_H_
