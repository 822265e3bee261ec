#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_INVITATION_TEST_UTIL_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_INVITATION_TEST_UTIL_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/crypto/hash.h"
#include "services/messaging/stores/group_test_util.h"
#include "services/messaging/stores/sql_invitation_store.h"

namespace handrail::messaging {

// A GroupTest whose conversation is one that Ann has begun, with words for inviting and accepting.
class InvitationTest : public GroupTest {
 protected:
  explicit InvitationTest(const InvitationLimits& limits = {}) {
    invitations_ = std::make_unique<SqlInvitationStore>(*database_, random_, limits);
    id_ = Begin(ann_phone_);
  }

  // Somebody of whom profiles has told, with so many devices.
  std::vector<DeviceId> MakePerson(int count = 1) {
    const MemberId member = MemberId::Random(random_);
    std::vector<DeviceId> devices;
    for (int i = 0; i < count; ++i) {
      devices.push_back(DeviceId::Random(random_));
      others_[devices.back()] = member;
    }
    Apply(member, devices);
    return devices;
  }
  Call FreshCall(const DeviceId& device) {
    return CallOf(device, MessageId::Random(random_).ToString());
  }
  ConversationId Begin(const DeviceId& device) {
    const auto opened = invitations_->CreateGroup(FreshCall(device), clock_.Now());
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? opened->id : ConversationId();
  }

  std::string MakeSecret() { return std::string(MessageId::Random(random_).Bytes()); }
  absl::StatusOr<Invitation> TryToInvite(const DeviceId& device) {
    const std::string secret = MakeSecret();
    auto made =
        invitations_->Invite(FreshCall(device), clock_.Now(), {id_, crypto::Sha256(secret)});
    if (made.ok()) secrets_[made->id] = secret;
    return made;
  }
  InvitationId Invite(const DeviceId& device) {
    const auto made = TryToInvite(device);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? made->id : InvitationId();
  }
  ShownInvitation Show(const InvitationId& id) { return {id, secrets_[id]}; }
  absl::StatusOr<OpenedConversation> Accept(const DeviceId& device, const InvitationId& id) {
    return invitations_->Accept(FreshCall(device), clock_.Now(), Show(id));
  }
  // Ann invites, and this one comes.
  void LetIn(const DeviceId& device) {
    const auto joined = Accept(device, Invite(ann_phone_));
    ASSERT_TRUE(joined.ok()) << joined.status();
    ASSERT_EQ(joined->id, id_);
  }
  std::vector<InvitationId> OpenSeenBy(const DeviceId& device) {
    const auto open = invitations_->List(FreshCall(device), clock_.Now(), id_);
    EXPECT_TRUE(open.ok()) << open.status();
    std::vector<InvitationId> ids;
    if (!open.ok()) return ids;
    for (const Invitation& invitation : *open) ids.push_back(invitation.id);
    return ids;
  }
  absl::Status Revoke(const DeviceId& device, const InvitationId& id) {
    return invitations_->Revoke(FreshCall(device), clock_.Now(), id);
  }

  void BlockOf(const DeviceId& blocker, const DeviceId& blocked) {
    const Block block{BlockId::Random(random_), MemberOf(blocker), MemberOf(blocked)};
    const auto wake_ups = store_->ApplyBlock(kForever, clock_.Now(), block);
    EXPECT_TRUE(wake_ups.ok()) << wake_ups.status();
  }
  Conversation SeenBy(const DeviceId& device) {
    const auto conversation = store_->GetConversation(kForever, MemberOf(device), device, id_);
    EXPECT_TRUE(conversation.ok()) << conversation.status();
    return conversation.ok() ? *conversation : Conversation();
  }
  // In a conversation that has no group yet.
  absl::StatusOr<Appended> SayAs(const DeviceId& device, const std::string& text) {
    Append append = MakeAppend(id_, text);
    append.member = MemberOf(device);
    append.device = device;
    return Send(std::move(append));
  }
  GroupDeviceState StateOf(const DeviceId& wanted) {
    for (const GroupDevice& device : GroupNow().devices) {
      if (device.device == wanted) return device.state;
    }
    return GroupDeviceState{};
  }
  std::vector<std::string> Violations() {
    const auto violations = CheckMessages(*database_, kForever);
    EXPECT_TRUE(violations.ok()) << violations.status();
    return violations.ok() ? *violations : std::vector<std::string>();
  }

  std::unique_ptr<SqlInvitationStore> invitations_;
  std::map<InvitationId, std::string> secrets_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_INVITATION_TEST_UTIL_H_
