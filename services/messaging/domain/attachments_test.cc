// What the domain does before and after the store is asked. The store is a mock: which calls it
// gets is the point.
#include "services/messaging/domain/attachments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/testing/seeded_random.h"
#include "common/testing/simulated_clock.h"
#include "services/messaging/domain/attachment_sweeper.h"
#include "services/messaging/domain/message_store.h"

namespace handrail::messaging {
namespace {

using ::testing::_;
using ::testing::Return;

class MockStore : public AttachmentStore {
 public:
  MOCK_METHOD(absl::StatusOr<Attachment>, Begin,
              (absl::Time, absl::Time, const AttachmentCaller&, const NewAttachment&), (override));
  MOCK_METHOD(absl::Status, PutChunk,
              (absl::Time, absl::Time, const AttachmentCaller&, const AttachmentId&, int64_t,
               const std::string&),
              (override));
  MOCK_METHOD(absl::StatusOr<Attachment>, Get,
              (absl::Time, absl::Time, const AttachmentCaller&, const AttachmentId&), (override));
  MOCK_METHOD(absl::StatusOr<Attachment>, Finish,
              (absl::Time, absl::Time, const AttachmentCaller&, const AttachmentId&), (override));
  MOCK_METHOD(absl::StatusOr<std::string>, FetchChunk,
              (absl::Time, absl::Time, const AttachmentCaller&, const AttachmentId&, int64_t),
              (override));
  MOCK_METHOD(absl::Status, Delete, (absl::Time, const AttachmentCaller&, const AttachmentId&),
              (override));
  MOCK_METHOD(absl::StatusOr<AttachmentSweep>, SweepSome, (absl::Time, absl::Time), (override));
};

class CountingMeter : public AttachmentMeter {
 public:
  void OnBegun(const absl::Status& status) override { ++(status.ok() ? begun : refused); }
  void OnFinished(const absl::Status& status) override { ++(status.ok() ? finished : refused); }
  void OnStored(int64_t bytes) override { stored += bytes; }
  void OnFetched(int64_t bytes) override { fetched += bytes; }
  void OnSwept(int64_t attachments) override { swept += attachments; }
  int begun = 0;
  int finished = 0;
  int refused = 0;
  int64_t stored = 0;
  int64_t fetched = 0;
  int64_t swept = 0;
};

absl::Status Unknown() {
  return Error(absl::StatusCode::kNotFound, kDeviceUnknown).Message("unknown");
}

class AttachmentsTest : public ::testing::Test {
 protected:
  AttachmentsTest() {
    wanted_.id = AttachmentId::Random(random_);
    wanted_.conversation = ConversationId::Random(random_);
    wanted_.size = 1;
    wanted_.digest = std::string(32, 'd');
  }
  std::string FieldOf(const NewAttachment& attachment) {
    const auto begun = attachments_.Begin(call_, attachment);
    EXPECT_TRUE(absl::IsInvalidArgument(begun.status())) << begun.status();
    const auto fields = DetailsOf(begun.status()).field_violations;
    return fields.empty() ? "" : fields.front().first;
  }

  testing::SeededRandom random_{11};
  testing::SimulatedClock clock_;
  ::testing::StrictMock<MockStore> store_;
  CountingMeter meter_;
  int learned_ = 0;
  absl::Status learning_ = absl::OkStatus();
  Attachments attachments_{store_, clock_, AttachmentLimits(),
                           [this](const Call&) {
                             ++learned_;
                             return learning_;
                           },
                           meter_};
  NewAttachment wanted_;
  Call call_;
};

TEST(AttachmentLimitsTest, TheLastChunkHasTheRest) {
  const AttachmentLimits limits;
  EXPECT_EQ(limits.ChunkCount(1), 1);
  EXPECT_EQ(limits.ChunkCount(64 << 10), 1);
  EXPECT_EQ(limits.ChunkCount((64 << 10) + 1), 2);
  EXPECT_EQ(limits.ChunkCount(limits.bytes), 160);
  EXPECT_EQ(limits.ChunkSize(1, 0), 1);
  EXPECT_EQ(limits.ChunkSize(64 << 10, 0), 64 << 10);
  EXPECT_EQ(limits.ChunkSize((64 << 10) + 1, 1), 1);
}

TEST_F(AttachmentsTest, ASizeOrDigestThatCannotBeDoesNotReachTheStore) {
  for (const int64_t size : {int64_t{-1}, int64_t{0}, int64_t{(10 << 20) + 1}}) {
    NewAttachment changed = wanted_;
    changed.size = size;
    EXPECT_EQ(FieldOf(changed), "size_bytes");
  }
  for (const size_t length : {0, 31, 33}) {
    NewAttachment changed = wanted_;
    changed.digest = std::string(length, 'd');
    EXPECT_EQ(FieldOf(changed), "digest");
  }
}

TEST_F(AttachmentsTest, OfAnUnknownDeviceProfilesIsAskedOnce) {
  EXPECT_CALL(store_, Get).WillOnce(Return(Unknown())).WillOnce(Return(Attachment()));
  EXPECT_TRUE(attachments_.Get(call_, wanted_.id).ok());
  EXPECT_EQ(learned_, 1);
}

TEST_F(AttachmentsTest, ADeviceThatNobodyKnowsFindsNothing) {
  EXPECT_CALL(store_, Begin).Times(2).WillRepeatedly(Return(Unknown()));
  const auto begun = attachments_.Begin(call_, wanted_).status();
  EXPECT_EQ(ReasonOf(begun), "NOT_FOUND");
  EXPECT_EQ(begun.message(), "no such conversation");
  learning_ = Unknown();
  EXPECT_CALL(store_, Delete).WillOnce(Return(Unknown()));
  const auto deleted = attachments_.Delete(call_, wanted_.id);
  EXPECT_EQ(ReasonOf(deleted), "NOT_FOUND");
  EXPECT_EQ(deleted.message(), "no such attachment");
}

TEST_F(AttachmentsTest, WhatGoesThroughIsCounted) {
  EXPECT_CALL(store_, Begin)
      .WillOnce(Return(Attachment()))
      .WillOnce(Return(absl::UnknownError("")));
  EXPECT_CALL(store_, PutChunk).WillOnce(Return(absl::OkStatus()));
  EXPECT_CALL(store_, FetchChunk).WillOnce(Return(std::string(5, 'x')));
  EXPECT_CALL(store_, Finish).WillOnce(Return(Attachment()));
  (void)attachments_.Begin(call_, wanted_);
  (void)attachments_.Begin(call_, wanted_);
  (void)attachments_.PutChunk(call_, wanted_.id, 0, "1234");
  (void)attachments_.FetchChunk(call_, wanted_.id, 0);
  (void)attachments_.Finish(call_, wanted_.id);
  EXPECT_EQ(meter_.begun, 1);
  EXPECT_EQ(meter_.refused, 1);
  EXPECT_EQ(meter_.stored, 4);
  EXPECT_EQ(meter_.fetched, 5);
  EXPECT_EQ(meter_.finished, 1);
}

TEST_F(AttachmentsTest, ARoundOfTheSweepIsBounded) {
  AttachmentSweeper sweeper(store_, clock_, meter_, {absl::Minutes(1), 3, absl::Seconds(1)});
  EXPECT_CALL(store_, SweepSome).Times(3).WillRepeatedly(Return(AttachmentSweep{64, 1, true}));
  EXPECT_EQ(sweeper.RunOnce(), 3);
  EXPECT_EQ(meter_.swept, 3);
}

TEST_F(AttachmentsTest, TheSweepStopsWhenNothingIsLeftOrTheDatabaseIsAway) {
  AttachmentSweeper sweeper(store_, clock_, meter_, {});
  EXPECT_CALL(store_, SweepSome)
      .WillOnce(Return(AttachmentSweep{3, 1, false}))
      .WillOnce(Return(absl::UnavailableError("away")));
  EXPECT_EQ(sweeper.RunOnce(), 1);
  EXPECT_EQ(sweeper.RunOnce(), 0);
}

}  // namespace
}  // namespace handrail::messaging
