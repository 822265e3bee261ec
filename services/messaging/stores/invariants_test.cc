// Each violation is planted, and must be found.
#include "services/messaging/stores/invariants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/messaging/stores/schema.h"
#include "services/messaging/stores/store_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class InvariantsTest : public StoreTest {
 protected:
  void SetUp() override {
    check_invariants_ = false;
    id_ = OpenBetweenKnown();
    SayMany(id_, 5);
    ASSERT_THAT(Violations(), IsEmpty());
  }
  std::vector<std::string> Violations() {
    const auto violations = CheckMessages(*database_, kForever);
    EXPECT_TRUE(violations.ok()) << violations.status();
    return violations.ok() ? *violations : std::vector<std::string>();
  }
  void ExpectFound(absl::string_view text) {
    EXPECT_THAT(Violations(), Contains(HasSubstr(std::string(text))));
  }
  ConversationId id_;
};

TEST_P(InvariantsTest, FindsAMessageStoredTwice) {
  Plant("DROP INDEX messages_by_id");
  Plant(
      "UPDATE messages SET message_id = (SELECT message_id FROM messages WHERE sequence = 1)"
      " WHERE sequence = 2");
  ExpectFound("C1: a sender's message id");
}

TEST_P(InvariantsTest, FindsAStampThatTheNextOneWouldNotKnowOf) {
  Plant("UPDATE messages SET franking = $1 WHERE sequence = 4",
        {storage::Blob{std::string(64, 'f') + "key"}});
  ExpectFound("C7: a stamped message is of a conversation that knows of none");
}

TEST_P(InvariantsTest, FindsAMessageWithoutAConversation) {
  Plant(
      "INSERT INTO messages (conversation_key, sequence, sender_key, sender_device, message_id,"
      " created_at, payload) SELECT 1, sequence, sender_key, sender_device,"
      " CAST('0123456789abcdef' AS {blob}), created_at, payload FROM messages"
      " WHERE sequence = 1");
  ExpectFound("C1: a message belongs to no conversation");
}

TEST_P(InvariantsTest, FindsASequenceTakenTwice) {
  Plant("DROP INDEX messages_by_place");
  Plant("UPDATE messages SET sequence = 2 WHERE sequence = 3");
  ExpectFound("C2: a sequence is taken more than once");
  ExpectFound("C2: the kept sequences");
}

TEST_P(InvariantsTest, FindsAHole) {
  Plant("DELETE FROM messages WHERE sequence = 3");
  ExpectFound("C2: the kept sequences");
}

TEST_P(InvariantsTest, FindsALostTail) {
  Plant("DELETE FROM messages WHERE sequence = 5");
  ExpectFound("C2: the kept sequences");
}

TEST_P(InvariantsTest, FindsAHeadThatDoesNotMatch) {
  Plant("UPDATE conversations SET head_sequence = 6");
  ExpectFound("C2: the kept sequences");
}

TEST_P(InvariantsTest, FindsASenderWhoIsNoMember) {
  Plant("UPDATE messages SET sender_key = 1 WHERE sequence = 1");
  ExpectFound("C5: a message was sent by somebody who is no member");
}

TEST_P(InvariantsTest, FindsASendersForeignDevice) {
  Plant("UPDATE messages SET sender_device = $1 WHERE sequence = 1", {bob_phone_});
  ExpectFound("C5: a message was sent by a device that is none of its sender's");
}

TEST_P(InvariantsTest, FindsAReaderWhoIsNoMember) {
  Plant("UPDATE conversation_devices SET member_id = $1 WHERE device_id = $2",
        {MemberId::Random(random_), bob_phone_});
  ExpectFound("C5: a device reads a conversation whose member its owner is not");
}

TEST_P(InvariantsTest, FindsARemovedDeviceThatReads) {
  Plant("UPDATE devices SET revoked = 1 WHERE device_id = $1", {bob_phone_});
  ExpectFound("C5: a removed device still reads");
}

TEST_P(InvariantsTest, FindsARemovedDeviceWithAToken) {
  Plant("INSERT INTO push_devices (device_id, token) VALUES ($1, 'token')", {bob_phone_});
  ASSERT_THAT(Violations(), IsEmpty());
  Plant("UPDATE devices SET revoked = 1 WHERE device_id = $1", {bob_phone_});
  ExpectFound("C5: a removed device still has a push token");
}

TEST_P(InvariantsTest, FindsADeviceThatReadsBeyondTheEnd) {
  Plant("UPDATE conversation_devices SET end_sequence = 9 WHERE device_id = $1", {bob_phone_});
  ExpectFound("C5: a device reads beyond the newest message");
}

TEST_P(InvariantsTest, FindsADeviceThatOnceReadBeyondTheEnd) {
  const char* const plant =
      "INSERT INTO reading_spans (conversation_key, device_id, first_sequence, last_sequence)"
      " SELECT conversation_key, device_id, $2, $3 FROM conversation_devices WHERE device_id = $1";
  Plant(plant, {bob_phone_, 1, 5});
  ASSERT_THAT(Violations(), IsEmpty());
  Plant(plant, {bob_phone_, 2, 6});
  ExpectFound("C5: a device once read beyond the newest message");
}

TEST_P(InvariantsTest, FindsAConversationWithoutMembers) {
  Plant("DELETE FROM conversation_members WHERE member_id = $1", {bob_});
  ExpectFound("C5: a conversation has less than two members");
}

TEST_P(InvariantsTest, FindsBytesThatAreNotCounted) {
  Plant("UPDATE conversations SET kept_bytes = 3");
  ExpectFound("C6: the bytes that are kept of a conversation");
}

TEST_P(InvariantsTest, FindsAnAcknowledgementOfWhatWasNeverSent) {
  Plant("UPDATE conversation_devices SET acked_sequence = 6 WHERE device_id = $1", {bob_phone_});
  ExpectFound("C6: a device acknowledged what was never sent");
}

TEST_P(InvariantsTest, FindsAMessageTrimmedBeforeItsTime) {
  Plant("DELETE FROM messages WHERE sequence = 1");
  Plant("UPDATE conversations SET first_sequence = 2, trimmed_at = $1, trimmed_newest_at = $1",
        {clock_.Now()});
  ExpectFound("C6: a message was trimmed before its time");
}

TEST_P(InvariantsTest, FindsABlockedPairThatIsOpen) {
  const bool ann_first = ann_ < bob_;
  Plant("INSERT INTO blocks (low_member_id, high_member_id, created_at) VALUES ($1, $2, 0)",
        {ann_first ? ann_ : bob_, ann_first ? bob_ : ann_});
  ExpectFound("M5: a conversation of two who are blocked");
}

TEST_P(InvariantsTest, FindsAnEndedPairingThatIsOpen) {
  Plant("UPDATE pairings SET closed_at = 1");
  ExpectFound("M3: a pairing was closed");
}

TEST_P(InvariantsTest, FindsAKeyPackageThatIsHandedOutTwice) {
  Plant("DROP INDEX key_claim_items_once");
  for (const char* claim : {"one", "two"}) {
    Plant(
        "INSERT INTO key_claim_items (device_id, claim_id, target_device, target_member,"
        " claimer, created_at, reference, last_resort) VALUES ($1, $2, $3, $4, $5, 0, $6, 0)",
        {ann_phone_, claim, bob_phone_, bob_, ann_, storage::Blob{std::string(32, 'r')}});
  }
  ExpectFound("C4: a key package was handed out more than once");
}

TEST_P(InvariantsTest, FindsAHandedOutKeyPackageThatIsFree) {
  Plant(
      "INSERT INTO key_packages (reference, device_id, place, state, changed_at, message)"
      " VALUES ($1, $2, 1, 1, 0, $1)",
      {storage::Blob{std::string(32, 'r')}, bob_phone_});
  Plant(
      "INSERT INTO key_claim_items (device_id, claim_id, target_device, target_member, claimer,"
      " created_at, reference, last_resort) VALUES ($1, 'one', $2, $3, $4, 0, $5, 0)",
      {ann_phone_, bob_phone_, bob_, ann_, storage::Blob{std::string(32, 'r')}});
  ExpectFound("C4: a key package that was handed out can be handed out again");
}

TEST_P(InvariantsTest, FindsADeviceLogThatWasChanged) {
  const DeviceId tablet = DeviceId::Random(random_);
  MemberSnapshot snapshot{bob_, ++version_, Standing::kGood, {bob_phone_, tablet}};
  for (const DeviceId& device : snapshot.devices) {
    snapshot.device_keys[device] = std::string(32, 'k');
  }
  ASSERT_TRUE(store_->ApplyMembers(kForever, clock_.Now(), {&snapshot, 1}).ok());
  ASSERT_THAT(Violations(), IsEmpty());
  Plant("UPDATE device_log SET created_at = created_at + 1 WHERE entry_index = 2");
  ExpectFound("C5: the hash of an entry");
  Plant("UPDATE device_log SET hash = public_key WHERE entry_index = 1");
  ExpectFound("C5: an entry of a device log does not hold");
  Plant("DELETE FROM device_log WHERE entry_index = 1");
  ExpectFound("C5: the indexes of a device log");
  ExpectFound("C5: a device log does not say");
}

INSTANTIATE_TEST_SUITE_P(Backends, InvariantsTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
