#include "services/messaging/domain/push_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/seeded_random.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PushQueueTest : public ::testing::Test {
 protected:
  std::vector<DeviceId> TakeAt(int seconds) { return queue_.Take(At(seconds), 10); }
  static absl::Time At(int seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); }
  void Note(const DeviceId& device, int seconds) {
    left_out_ += queue_.Note({&device, 1}, At(seconds));
  }

  testing::SeededRandom random_{5};
  const DeviceId one_ = DeviceId::Random(random_);
  const DeviceId two_ = DeviceId::Random(random_);
  const DeviceId three_ = DeviceId::Random(random_);
  PushQueue queue_{2};
  int64_t left_out_ = 0;
};

TEST_F(PushQueueTest, EachComesOnceAtItsTime) {
  Note(two_, 3);
  Note(one_, 2);
  Note(one_, 9);
  EXPECT_EQ(queue_.WaitingCount(), 2);
  EXPECT_THAT(TakeAt(1), IsEmpty());
  EXPECT_THAT(TakeAt(2), ElementsAre(one_));
  EXPECT_THAT(TakeAt(3), ElementsAre(two_));
  EXPECT_THAT(TakeAt(99), IsEmpty());
  EXPECT_EQ(queue_.Size(), 0u);
}

TEST_F(PushQueueTest, NoMoreAreTakenThanAskedFor) {
  Note(one_, 1);
  Note(two_, 2);
  EXPECT_THAT(queue_.Take(At(9), 1), ElementsAre(one_));
  EXPECT_THAT(queue_.Take(At(9), 1), ElementsAre(two_));
}

TEST_F(PushQueueTest, WhoRestsIsNotTakenUnlessNotedMeanwhile) {
  queue_.Rest(one_, At(10));
  queue_.Rest(two_, At(10));
  EXPECT_EQ(queue_.WaitingCount(), 0);
  Note(one_, 3);
  EXPECT_EQ(queue_.WaitingCount(), 1);
  EXPECT_THAT(TakeAt(9), IsEmpty());
  EXPECT_THAT(TakeAt(10), ElementsAre(one_));
  EXPECT_EQ(queue_.Size(), 0u);
}

TEST_F(PushQueueTest, WhoWasNotedBeforeTheRestStaysNoted) {
  Note(one_, 3);
  queue_.Rest(one_, At(10));
  EXPECT_THAT(TakeAt(9), IsEmpty());
  EXPECT_THAT(TakeAt(10), ElementsAre(one_));
}

TEST_F(PushQueueTest, ANewNoteEndsARest) {
  queue_.Rest(one_, At(10));
  EXPECT_TRUE(queue_.NoteAnew(one_, At(4)));
  EXPECT_THAT(TakeAt(4), ElementsAre(one_));
}

TEST_F(PushQueueTest, ItHasABound) {
  Note(one_, 1);
  Note(two_, 1);
  Note(three_, 1);
  EXPECT_EQ(left_out_, 1);
  EXPECT_FALSE(queue_.NoteAnew(three_, At(1)));
  EXPECT_TRUE(queue_.NoteAnew(two_, At(2)));
  queue_.Rest(three_, At(1));
  EXPECT_EQ(queue_.Size(), 2u);
  EXPECT_THAT(TakeAt(5), SizeIs(2));
}

}  // namespace
}  // namespace handrail::messaging
