#include "services/messaging/domain/invitations.h"

#include "common/base/status.h"
#include "services/messaging/domain/known_device.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;

constexpr size_t kDigestBytes = 32;
constexpr size_t kSecretBytes = 16;
// What a caller is told of who asks for something that they cannot have.
constexpr absl::string_view kConversation = "no such conversation";
constexpr absl::string_view kInvitation = "no such invitation";

}  // namespace

template <typename Step>
auto Invitations::KnowingDevice(const Call& call, absl::string_view what, Step step)
    -> decltype(step()) {
  return WithKnownDevice([&] { return learn_caller_(call); },
                         Error(StatusCode::kNotFound, reason::kNotFound).Message(what), step);
}

absl::StatusOr<ConversationId> Invitations::CreateGroup(const Call& call) {
  ASSIGN_OR_RETURN(const OpenedConversation opened, KnowingDevice(call, kConversation, [&] {
                     return store_.CreateGroup(call, clock_.Now());
                   }));
  spread_(opened.wake_ups);
  return opened.id;
}

absl::StatusOr<Invitation> Invitations::Invite(const Call& call, const NewInvitation& wanted) {
  if (wanted.secret_digest.size() != kDigestBytes) {
    return FieldError("secret_digest", "must be the 32 bytes of a SHA-256");
  }
  return KnowingDevice(call, kConversation,
                       [&] { return store_.Invite(call, clock_.Now(), wanted); });
}

absl::StatusOr<std::vector<Invitation>> Invitations::List(const Call& call,
                                                          const ConversationId& conversation) {
  return KnowingDevice(call, kConversation,
                       [&] { return store_.List(call, clock_.Now(), conversation); });
}

absl::Status Invitations::Revoke(const Call& call, const InvitationId& id) {
  return KnowingDevice(call, kInvitation, [&] { return store_.Revoke(call, clock_.Now(), id); });
}

absl::StatusOr<ConversationId> Invitations::Accept(const Call& call, const ShownInvitation& shown) {
  if (shown.secret.size() != kSecretBytes) return FieldError("secret", "must be 16 bytes");
  ASSIGN_OR_RETURN(const OpenedConversation joined, KnowingDevice(call, kInvitation, [&] {
                     return store_.Accept(call, clock_.Now(), shown);
                   }));
  spread_(joined.wake_ups);
  return joined.id;
}

}  // namespace handrail::messaging
