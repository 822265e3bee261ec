// Every sentence of AttachmentStore, on both databases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "services/messaging/stores/attachment_test_util.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kContent[] = "0123456789";  // chunks of 4, 4 and 2

class AttachmentStoreTest : public AttachmentTest {};

TEST_P(AttachmentStoreTest, WhatWasPutIsFetchedByEveryDeviceOfTheConversation) {
  const NewAttachment announced = Announce(kContent);
  const auto begun = Begin(announced);
  ASSERT_TRUE(begun.ok()) << begun.status();
  EXPECT_EQ(begun->state, AttachmentState::kUploading);
  EXPECT_EQ(begun->conversation, id_);
  EXPECT_EQ(begun->expire_time, clock_.Now() + absl::Hours(24));
  PutAll(announced.id, kContent);
  const auto finished = Finish(announced.id);
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_EQ(finished->state, AttachmentState::kReady);
  EXPECT_EQ(finished->expire_time, clock_.Now() + absl::Hours(30 * 24));
  for (const DeviceId& device : {ann_phone_, ann_tablet_, bob_phone_}) {
    const auto got = GetAs(device, announced.id);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->size, 10);
    EXPECT_EQ(got->digest, announced.digest);
    EXPECT_THAT(got->stored, IsEmpty());
    EXPECT_EQ(FetchChunkAs(device, announced.id, 0).value(), "0123");
    EXPECT_EQ(FetchChunkAs(device, announced.id, 1).value(), "4567");
    EXPECT_EQ(FetchChunkAs(device, announced.id, 2).value(), "89");
    EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(device, announced.id, 3).status()));
  }
}

TEST_P(AttachmentStoreTest, TheLargestAttachmentIsTaken) {
  OpenAttachments(AttachmentLimits());
  std::string content(static_cast<size_t>(attachment_limits_.bytes), '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 >> 7);
  const AttachmentId id = Upload(content);
  std::string fetched;
  for (int64_t index = 0; index < 160; ++index)
    fetched += FetchChunkAs(bob_phone_, id, index).value();
  EXPECT_EQ(fetched, content);
  EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(bob_phone_, id, 160).status()));
}

TEST_P(AttachmentStoreTest, AnUploadGoesOnWhereItStopped) {
  const NewAttachment announced = Announce(kContent);
  ASSERT_TRUE(Begin(announced).ok());
  ASSERT_TRUE(Put(announced.id, 2, "89").ok());
  ASSERT_TRUE(Put(announced.id, 0, "0123").ok());
  // The uploader starts anew, and asks; another store on the same database answers.
  OpenAttachments(SmallLimits());
  const auto repeated = Begin(announced);
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_THAT(repeated->stored, ElementsAre(0, 2));
  EXPECT_THAT(GetAs(ann_tablet_, announced.id)->stored, ElementsAre(0, 2));
  const auto incomplete = Finish(announced.id).status();
  EXPECT_EQ(incomplete.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(incomplete), "ATTACHMENT_INCOMPLETE");
  EXPECT_EQ(DetailsOf(incomplete).metadata.at("first_missing"), "1");
  ASSERT_TRUE(Put(announced.id, 1, "4567").ok());
  EXPECT_TRUE(Finish(announced.id).ok());
}

TEST_P(AttachmentStoreTest, EveryStepMayBeRepeated) {
  const NewAttachment announced = Announce(kContent);
  ASSERT_TRUE(Begin(announced).ok());
  ASSERT_TRUE(Begin(announced).ok());
  PutAll(announced.id, kContent);
  PutAll(announced.id, kContent);
  const auto first = Finish(announced.id);
  clock_.Advance(absl::Hours(1));
  const auto second = Finish(announced.id);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->expire_time, first->expire_time);
  EXPECT_EQ(Begin(announced)->state, AttachmentState::kReady);
  EXPECT_TRUE(Put(announced.id, 1, "4567").ok());
  EXPECT_EQ(CountIn("attachment_chunks"), 3);
  EXPECT_TRUE(DeleteAs(ann_phone_, announced.id).ok());
  EXPECT_TRUE(DeleteAs(ann_phone_, announced.id).ok());
}

TEST_P(AttachmentStoreTest, AnIdNamesOneAttachment) {
  const NewAttachment announced = Announce(kContent);
  ASSERT_TRUE(Begin(announced).ok());
  NewAttachment larger = announced;
  ++larger.size;
  NewAttachment other = announced;
  other.digest = crypto::Sha256("other");
  NewAttachment elsewhere = announced;
  elsewhere.conversation = Open(PairingId::Random(random_));
  for (const NewAttachment& changed : {larger, other, elsewhere}) {
    EXPECT_EQ(ReasonOf(Begin(changed).status()), "REQUEST_ID_REUSED");
  }
  const auto by_bob = attachments_->Begin(kForever, clock_.Now(), As(bob_phone_), announced);
  EXPECT_EQ(ReasonOf(by_bob.status()), "REQUEST_ID_REUSED");
  ASSERT_TRUE(DeleteAs(ann_phone_, announced.id).ok());
  EXPECT_EQ(ReasonOf(Begin(announced).status()), "REQUEST_ID_REUSED") << "it is gone";
}

TEST_P(AttachmentStoreTest, AChunkIsNeverChanged) {
  const NewAttachment announced = Announce(kContent);
  ASSERT_TRUE(Begin(announced).ok());
  ASSERT_TRUE(Put(announced.id, 0, "0123").ok());
  EXPECT_EQ(ReasonOf(Put(announced.id, 0, "9999")), "REQUEST_ID_REUSED");
  PutAll(announced.id, kContent);
  ASSERT_TRUE(Finish(announced.id).ok());
  EXPECT_EQ(ReasonOf(Put(announced.id, 0, "9999")), "REQUEST_ID_REUSED");
  EXPECT_EQ(FetchChunkAs(bob_phone_, announced.id).value(), "0123");
}

TEST_P(AttachmentStoreTest, AChunkFitsTheSizeThatWasAnnounced) {
  const NewAttachment announced = Announce(kContent);
  ASSERT_TRUE(Begin(announced).ok());
  for (const auto& [index, bytes] :
       std::vector<std::pair<int64_t, std::string>>{{0, ""},
                                                    {0, "012"},
                                                    {0, "01234"},
                                                    {2, "8"},
                                                    {2, "89ab"},
                                                    {3, "x"},
                                                    {-1, "0123"},
                                                    {int64_t{1} << 40, "0123"}}) {
    EXPECT_EQ(ReasonOf(Put(announced.id, index, bytes)), "FIELD_INVALID") << index << bytes;
  }
  EXPECT_EQ(CountIn("attachment_chunks"), 0);
}

TEST_P(AttachmentStoreTest, WhatIsNotWhatWasAnnouncedIsThrownAway) {
  NewAttachment announced = Announce(kContent);
  announced.digest = crypto::Sha256("something else");
  ASSERT_TRUE(Begin(announced).ok());
  PutAll(announced.id, kContent);
  const auto wrong = Finish(announced.id).status();
  EXPECT_EQ(wrong.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(wrong), "ATTACHMENT_DIGEST_WRONG");
  EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(ann_phone_, announced.id).status()));
  EXPECT_TRUE(absl::IsNotFound(Finish(announced.id).status()));
  EXPECT_EQ(SweepAll(), 1);
  EXPECT_EQ(CountIn("attachment_chunks"), 0);
}

TEST_P(AttachmentStoreTest, NobodyElseHasAnUpload) {
  const NewAttachment announced = Announce(kContent);
  ASSERT_TRUE(Begin(announced).ok());
  PutAll(announced.id, kContent);
  EXPECT_TRUE(absl::IsNotFound(GetAs(bob_phone_, announced.id).status()));
  EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(bob_phone_, announced.id).status()));
  EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(ann_phone_, announced.id).status()));
  const absl::Time now = clock_.Now();
  EXPECT_TRUE(absl::IsNotFound(
      attachments_->PutChunk(kForever, now, As(bob_phone_), announced.id, 0, "0123")));
  EXPECT_TRUE(
      absl::IsNotFound(attachments_->Finish(kForever, now, As(bob_phone_), announced.id).status()));
  EXPECT_TRUE(absl::IsNotFound(DeleteAs(bob_phone_, announced.id)));
  // Another device of the uploader's may go on with it.
  EXPECT_TRUE(attachments_->Finish(kForever, now, As(ann_tablet_), announced.id).ok());
  EXPECT_TRUE(absl::IsNotFound(DeleteAs(bob_phone_, announced.id))) << "it is not Bob's";
}

TEST_P(AttachmentStoreTest, NotYoursAndNotThereLookTheSame) {
  const AttachmentId id = Upload(kContent);
  const MemberId cat = MemberId::Random(random_);
  const DeviceId cat_phone = DeviceId::Random(random_);
  Apply(cat, {cat_phone});
  const AttachmentCaller caller{cat, cat_phone};
  const absl::Time now = clock_.Now();
  const AttachmentId none = AttachmentId::Random(random_);
  const std::function<absl::Status(const AttachmentId&)> steps[] = {
      [&](const auto& it) { return attachments_->Get(kForever, now, caller, it).status(); },
      [&](const auto& it) {
        return attachments_->FetchChunk(kForever, now, caller, it, 0).status();
      },
      [&](const auto& it) { return attachments_->PutChunk(kForever, now, caller, it, 0, "0123"); },
      [&](const auto& it) { return attachments_->Finish(kForever, now, caller, it).status(); },
      [&](const auto& it) { return attachments_->Delete(kForever, caller, it); }};
  for (const auto& step : steps) {
    EXPECT_TRUE(absl::IsNotFound(step(id))) << step(id);
    EXPECT_EQ(step(id), step(none));
  }
  NewAttachment theirs = Announce(kContent);
  EXPECT_TRUE(absl::IsNotFound(attachments_->Begin(kForever, now, caller, theirs).status()));
  theirs.conversation = ConversationId::Random(random_);
  EXPECT_TRUE(absl::IsNotFound(Begin(theirs).status()));
}

TEST_P(AttachmentStoreTest, ADeviceThatWasNeverHeardOfIsAskedFor) {
  const AttachmentId id = Upload(kContent);
  const AttachmentCaller unknown{MemberId::Random(random_), DeviceId::Random(random_)};
  EXPECT_EQ(ReasonOf(attachments_->Get(kForever, clock_.Now(), unknown, id).status()),
            kDeviceUnknown);
  const NewAttachment announced = Announce(kContent);
  EXPECT_EQ(ReasonOf(attachments_->Begin(kForever, clock_.Now(), unknown, announced).status()),
            kDeviceUnknown);
}

TEST_P(AttachmentStoreTest, WithItsConversationAnAttachmentEnds) {
  const AttachmentId id = Upload(kContent);
  const NewAttachment unfinished = Announce("never finished");
  ASSERT_TRUE(Begin(unfinished).ok());
  CloseIt();
  for (const DeviceId& device : {ann_phone_, bob_phone_}) {
    EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(device, id).status()));
    EXPECT_TRUE(absl::IsNotFound(GetAs(device, id).status()));
  }
  EXPECT_TRUE(absl::IsNotFound(Put(unfinished.id, 0, "neve")));
  EXPECT_EQ(ReasonOf(Begin(Announce(kContent)).status()), "CONVERSATION_CLOSED");
  EXPECT_TRUE(DeleteAs(ann_phone_, id).ok());
  EXPECT_EQ(SweepAll(), 2);
  EXPECT_EQ(CountIn("attachments"), 0);
  EXPECT_EQ(CountIn("attachment_chunks"), 0);
}

TEST_P(AttachmentStoreTest, NothingIsFetchedAfterABlock) {
  const AttachmentId id = Upload(kContent);
  BlockThem();
  EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(bob_phone_, id).status()));
  EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(ann_phone_, id).status()));
  EXPECT_EQ(ReasonOf(Begin(Announce(kContent)).status()), "CONVERSATION_CLOSED")
      << "a block looks like any other end";
}

TEST_P(AttachmentStoreTest, WhoHasLeftFetchesAndUploadsNothing) {
  AddCarol();
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0, {bob_phone_, carol_phone_})).ok());
  const AttachmentId id = Upload(kContent);
  const NewAttachment unfinished = Announce(kContent);
  ASSERT_TRUE(Begin(unfinished).ok());
  EXPECT_TRUE(FetchChunkAs(carol_phone_, id).ok());
  ASSERT_TRUE(Leave(carol_phone_).ok());
  ASSERT_TRUE(Leave(ann_phone_).ok());
  ASSERT_TRUE(Leave(bob_phone_).ok()) << "which leaves nobody, and closes it";
  for (const DeviceId& device : {ann_phone_, bob_phone_, carol_phone_}) {
    EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(device, id).status()));
  }
  EXPECT_TRUE(absl::IsNotFound(Put(unfinished.id, 0, "0123")));
  EXPECT_EQ(SweepAll(), 2);
}

TEST_P(AttachmentStoreTest, OneOfManyWhoLeftIsTheOnlyOneForWhomItEnds) {
  AddCarol();
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 0, {bob_phone_, carol_phone_})).ok());
  const AttachmentId id = Upload(kContent);
  ASSERT_TRUE(Leave(carol_phone_).ok());
  EXPECT_EQ(ReasonOf(FetchChunkAs(carol_phone_, id).status()), "CONVERSATION_CLOSED");
  EXPECT_EQ(ReasonOf(GetAs(carol_phone_, id).status()), "CONVERSATION_CLOSED");
  EXPECT_EQ(
      ReasonOf(attachments_->Begin(kForever, clock_.Now(), As(carol_phone_), Announce(kContent))
                   .status()),
      "CONVERSATION_CLOSED");
  EXPECT_TRUE(FetchChunkAs(bob_phone_, id).ok());
}

TEST_P(AttachmentStoreTest, ARemovedDeviceFetchesNothing) {
  const AttachmentId id = Upload(kContent);
  Apply(ann_, {ann_tablet_});
  EXPECT_EQ(ReasonOf(FetchChunkAs(ann_phone_, id).status()), "DEVICE_REVOKED");
  EXPECT_EQ(ReasonOf(GetAs(ann_phone_, id).status()), "DEVICE_REVOKED");
  EXPECT_EQ(ReasonOf(DeleteAs(ann_phone_, id)), "DEVICE_REVOKED");
  EXPECT_EQ(ReasonOf(Begin(Announce(kContent)).status()), "DEVICE_REVOKED");
  EXPECT_TRUE(FetchChunkAs(ann_tablet_, id).ok());
  EXPECT_TRUE(DeleteAs(ann_tablet_, id).ok()) << "it is still Ann's";
}

TEST_P(AttachmentStoreTest, WhoIsSuspendedFetchesAndDoesNotUpload) {
  const NewAttachment announced = Announce(kContent);
  ASSERT_TRUE(Begin(announced).ok());
  const AttachmentId id = Upload(kContent);
  Apply(ann_, {ann_phone_, ann_tablet_}, Standing::kSuspended);
  EXPECT_TRUE(FetchChunkAs(ann_phone_, id).ok());
  EXPECT_EQ(ReasonOf(Put(announced.id, 0, "0123")), "MEMBER_SUSPENDED");
  EXPECT_EQ(ReasonOf(Finish(announced.id).status()), "MEMBER_SUSPENDED");
  EXPECT_EQ(ReasonOf(Begin(Announce(kContent)).status()), "MEMBER_SUSPENDED");
  EXPECT_TRUE(DeleteAs(ann_phone_, announced.id).ok());
}

TEST_P(AttachmentStoreTest, OnceThereIsAGroupOnlyItsDevicesTakePart) {
  const AttachmentId before = Upload(kContent);
  MakeGroup();  // without Ann's tablet
  EXPECT_EQ(ReasonOf(FetchChunkAs(ann_tablet_, before).status()), "DEVICE_NOT_IN_GROUP");
  const auto begun =
      attachments_->Begin(kForever, clock_.Now(), As(ann_tablet_), Announce(kContent));
  EXPECT_EQ(ReasonOf(begun.status()), "DEVICE_NOT_IN_GROUP");
  EXPECT_TRUE(FetchChunkAs(bob_phone_, before).ok());
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 1, {ann_tablet_})).ok());
  EXPECT_TRUE(FetchChunkAs(ann_tablet_, before).ok())
      << "a message after its start may name an attachment from before it";
  ASSERT_TRUE(Commit(MakeCommit(ann_phone_, 2, {}, {bob_phone_})).ok());
  EXPECT_EQ(ReasonOf(FetchChunkAs(bob_phone_, before).status()), "DEVICE_NOT_IN_GROUP");
}

TEST_P(AttachmentStoreTest, AnUploadThatIsNotFinishedGoesAfterADay) {
  const NewAttachment announced = Announce(kContent);
  ASSERT_TRUE(Begin(announced).ok());
  PutAll(announced.id, kContent);
  clock_.Advance(absl::Hours(24) - absl::Seconds(1));
  EXPECT_EQ(SweepAll(), 0);
  ASSERT_TRUE(GetAs(ann_phone_, announced.id).ok());
  clock_.Advance(absl::Seconds(1));
  // From that moment on, whether the sweep has come by or not.
  EXPECT_TRUE(absl::IsNotFound(GetAs(ann_phone_, announced.id).status()));
  EXPECT_TRUE(absl::IsNotFound(Put(announced.id, 0, "0123")));
  EXPECT_TRUE(absl::IsNotFound(Finish(announced.id).status()));
  EXPECT_EQ(SweepAll(), 1);
  EXPECT_EQ(CountIn("attachment_chunks"), 0);
  EXPECT_TRUE(Begin(announced).ok()) << "nothing is remembered of it";
}

TEST_P(AttachmentStoreTest, AFinishedOneGoesAfterThirtyDays) {
  const AttachmentId id = Upload(kContent);
  clock_.Advance(absl::Hours(30 * 24) - absl::Seconds(1));
  EXPECT_EQ(SweepAll(), 0);
  EXPECT_TRUE(FetchChunkAs(bob_phone_, id).ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(bob_phone_, id).status()));
  EXPECT_EQ(SweepAll(), 1);
  EXPECT_EQ(CountIn("attachments"), 0);
}

TEST_P(AttachmentStoreTest, WhatWasDeletedIsGoneAtOnceAndItsBytesSoon) {
  const AttachmentId id = Upload(kContent);
  const AttachmentId kept = Upload(kContent);
  ASSERT_TRUE(DeleteAs(ann_phone_, id).ok());
  EXPECT_TRUE(absl::IsNotFound(FetchChunkAs(bob_phone_, id).status()));
  EXPECT_EQ(SweepAll(), 1);
  EXPECT_TRUE(absl::IsNotFound(DeleteAs(ann_phone_, id)));
  EXPECT_EQ(CountIn("attachment_chunks"), 3);
  EXPECT_TRUE(FetchChunkAs(bob_phone_, kept).ok());
}

TEST_P(AttachmentStoreTest, TheSweepTakesBitesAndWhatItHasBegunIsGone) {
  const std::string content(400, 'x');  // 100 chunks
  const NewAttachment announced = Announce(content);
  ASSERT_TRUE(Begin(announced).ok());
  PutAll(announced.id, content);
  // Another replica's clock is ahead.
  const auto bite = attachments_->SweepSome(kForever, clock_.Now() + absl::Hours(24));
  ASSERT_TRUE(bite.ok()) << bite.status();
  EXPECT_EQ(bite->chunks, 64);
  EXPECT_EQ(bite->attachments, 0);
  EXPECT_TRUE(bite->more);
  EXPECT_EQ(CountIn("attachment_chunks"), 36);
  EXPECT_TRUE(absl::IsNotFound(Finish(announced.id).status()));
  EXPECT_TRUE(absl::IsNotFound(Put(announced.id, 0, "xxxx")));
  EXPECT_EQ(SweepAll(), 1);
  EXPECT_EQ(CountIn("attachment_chunks"), 0);
}

class AttachmentLimitsTest : public AttachmentTest {
 protected:
  void ExpectFull(const std::string& limit, int64_t size = 10) {
    const auto refused = Begin(Announce(std::string(static_cast<size_t>(size), 'x'))).status();
    EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted) << refused;
    EXPECT_EQ(ReasonOf(refused), "ATTACHMENTS_FULL");
    EXPECT_EQ(DetailsOf(refused).metadata["limit"], limit);
    EXPECT_TRUE(DetailsOf(refused).retry_after.has_value());
  }
  absl::StatusOr<Attachment> BobBegins() {
    return attachments_->Begin(kForever, clock_.Now(), As(bob_phone_), Announce(kContent));
  }
};

TEST_P(AttachmentLimitsTest, AMemberKeepsSoMany) {
  AttachmentLimits limits = SmallLimits();
  limits.member_count = 2;
  OpenAttachments(limits);
  const AttachmentId id = Upload(kContent);
  Upload(kContent);
  ExpectFull("member_count");
  EXPECT_TRUE(BobBegins().ok()) << "somebody else's do not count";
  ASSERT_TRUE(DeleteAs(ann_phone_, id).ok());
  ExpectFull("member_count");  // its bytes are still there
  SweepAll();
  EXPECT_TRUE(Begin(Announce(kContent)).ok());
}

TEST_P(AttachmentLimitsTest, AMemberKeepsSoManyBytes) {
  AttachmentLimits limits = SmallLimits();
  limits.member_bytes = 25;
  OpenAttachments(limits);
  Upload(kContent);
  ASSERT_TRUE(Begin(Announce(kContent)).ok()) << "what was announced counts";
  ExpectFull("member_bytes", 6);
  EXPECT_TRUE(Begin(Announce("12345")).ok());
}

TEST_P(AttachmentLimitsTest, AMemberUploadsSoManyAtOnce) {
  AttachmentLimits limits = SmallLimits();
  limits.member_uploads = 2;
  OpenAttachments(limits);
  Upload(kContent);
  const NewAttachment first = Announce(kContent);
  ASSERT_TRUE(Begin(first).ok());
  ASSERT_TRUE(Begin(Announce(kContent)).ok());
  ExpectFull("member_uploads");
  EXPECT_TRUE(Begin(first).ok()) << "a repetition takes no room";
  PutAll(first.id, kContent);
  ASSERT_TRUE(Finish(first.id).ok());
  EXPECT_TRUE(Begin(Announce(kContent)).ok());
}

TEST_P(AttachmentLimitsTest, AConversationKeepsSoMany) {
  AttachmentLimits limits = SmallLimits();
  limits.conversation_count = 2;
  OpenAttachments(limits);
  ASSERT_TRUE(BobBegins().ok());
  Upload(kContent);
  ExpectFull("conversation_count");
  id_ = Open(PairingId::Random(random_));
  EXPECT_TRUE(Begin(Announce(kContent)).ok()) << "another conversation has room of its own";
}

TEST_P(AttachmentLimitsTest, AConversationKeepsSoManyBytes) {
  AttachmentLimits limits = SmallLimits();
  limits.conversation_bytes = 20;
  OpenAttachments(limits);
  ASSERT_TRUE(BobBegins().ok());
  ExpectFull("conversation_bytes", 11);
  EXPECT_TRUE(Begin(Announce(kContent)).ok());
}

// Each violation is planted, and must be found.
class AttachmentInvariantsTest : public AttachmentTest {
 protected:
  void SetUp() override {
    check_invariants_ = false;
    Upload(kContent);
    ASSERT_THAT(*CheckMessages(*database_, kForever), IsEmpty());
  }
  void ExpectFound(const std::string& text) {
    EXPECT_THAT(*CheckMessages(*database_, kForever), Contains(HasSubstr(text)));
  }
};

TEST_P(AttachmentInvariantsTest, FindsAMissingChunk) {
  Plant("DELETE FROM attachment_chunks WHERE chunk_index = 1");
  ExpectFound("C1: a finished attachment does not have all of its bytes");
}

TEST_P(AttachmentInvariantsTest, FindsAFinishedOneWithoutAnyChunk) {
  Plant("DELETE FROM attachment_chunks");
  ExpectFound("C1: a finished attachment does not have all of its bytes");
}

TEST_P(AttachmentInvariantsTest, FindsAChunkThatNobodyOwns) {
  Plant("DELETE FROM attachments");
  ExpectFound("C1: a chunk belongs to no attachment");
}

TEST_P(AttachmentInvariantsTest, FindsAnAttachmentOfAClosedConversation) {
  CloseIt();
  ASSERT_THAT(*CheckMessages(*database_, kForever), IsEmpty());
  Plant("UPDATE attachments SET expires_at = 1");
  ExpectFound("C5: an attachment of a closed conversation is kept");
}

INSTANTIATE_TEST_SUITE_P(Backends, AttachmentStoreTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });
INSTANTIATE_TEST_SUITE_P(Backends, AttachmentLimitsTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });
INSTANTIATE_TEST_SUITE_P(Backends, AttachmentInvariantsTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
