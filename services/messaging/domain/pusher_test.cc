// Who is told, when and how often: the pusher over the real stores, with a clock that moves by hand
// and a gateway that answers what the test wants.
#include "services/messaging/domain/pusher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "services/messaging/stores/push_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kStep = absl::Milliseconds(500);

class PusherTest : public PushTest {
 protected:
  PusherTest() : here_(MakeReplica()), there_(MakeReplica()) {}

  std::unique_ptr<PushReplica> MakeReplica(const Pusher::Options& options = Pusher::Options()) {
    return std::make_unique<PushReplica>(*database_, *pushes_, gateway_, clock_, random_, options);
  }
  // Lets time pass at every replica that is alive.
  void Pass(absl::Duration time) {
    const absl::Time end = clock_.Now() + time;
    const absl::Duration step = time < absl::Minutes(30) ? kStep : 4 * kStep;
    while (clock_.Now() < end) {
      clock_.Advance(std::min(step, end - clock_.Now()));
      for (PushReplica* replica : {here_.get(), there_.get()}) {
        if (replica != nullptr) replica->Run();
      }
    }
  }
  // Ann's phone says something by way of this replica, or somebody else's device.
  int64_t SayAt(PushReplica& replica, const DeviceId& from) {
    const int64_t sequence = SayFrom(from);
    std::vector<DeviceId> away;
    for (const DeviceId& device : {ann_phone_, ann_tablet_, bob_phone_}) {
      if (!replica.Has(device)) away.push_back(device);
    }
    replica.pusher().OnAway(away);
    return sequence;
  }
  int64_t Say() { return SayAt(*here_, ann_phone_); }
  int Told(const DeviceId& device) const {
    return static_cast<int>(
        std::count(gateway_.told.begin(), gateway_.told.end(), TokenOf(device)));
  }
  int Tried() const { return static_cast<int>(gateway_.tried.size()); }

  static constexpr absl::Duration kSoon = absl::Seconds(5);
  // What a sweep takes once the lease of a dead replica is over.
  static constexpr absl::Duration kSwept = absl::Seconds(40);
  FakePushGateway gateway_;
  std::unique_ptr<PushReplica> here_;
  std::unique_ptr<PushReplica> there_;
};

TEST_P(PusherTest, ADeviceThatIsAwayIsTold) {
  Say();
  Pass(absl::Seconds(2));
  EXPECT_THAT(gateway_.tried, IsEmpty()) << "it may just be coming back";
  Pass(absl::Seconds(2));
  EXPECT_THAT(gateway_.told, ElementsAre(TokenOf(bob_phone_)));
  EXPECT_EQ(here_->meter.outcomes[PushOutcome::kSent], 1);
}

TEST_P(PusherTest, WhoHasNoTokenIsNotTold) {
  ASSERT_TRUE(pushes_->Unregister(kForever, bob_, bob_phone_).ok());
  Say();
  Pass(kSwept);
  EXPECT_THAT(gateway_.tried, IsEmpty());
}

TEST_P(PusherTest, WhoseStreamIsHereOrElsewhereIsNotTold) {
  here_->Open(bob_, bob_phone_);
  there_->Open(ann_, ann_tablet_);
  Pass(kSoon);
  Say();
  SayAt(*here_, bob_phone_);
  SayAt(*there_, bob_phone_);
  Pass(kSwept);
  EXPECT_EQ(Told(bob_phone_), 0);
  EXPECT_EQ(Told(ann_tablet_), 0);
  EXPECT_EQ(Told(ann_phone_), 1);
}

TEST_P(PusherTest, WhatAStreamLeftUnreadIsToldAtItsEnd) {
  there_->Open(bob_, bob_phone_);
  Pass(kSoon);
  Say();
  Pass(kSwept);
  ASSERT_EQ(Told(bob_phone_), 0);
  there_->Close(bob_phone_);
  Pass(kSoon);
  EXPECT_EQ(Told(bob_phone_), 1);
}

TEST_P(PusherTest, AStreamThatComesBackAtOnceIsNoAbsence) {
  here_->Open(bob_, bob_phone_);
  Pass(kSoon);
  Say();
  here_->Close(bob_phone_);
  Pass(absl::Seconds(1));
  there_->Open(bob_, bob_phone_);
  Pass(kSwept);
  EXPECT_EQ(Told(bob_phone_), 0);
}

TEST_P(PusherTest, WhoseReplicaDiesIsTold) {
  there_->Open(bob_, bob_phone_);
  Pass(kSoon);
  Say();
  there_ = nullptr;
  Pass(absl::Seconds(5));
  EXPECT_EQ(Told(bob_phone_), 0) << "the lease is fresh";
  Pass(kSwept);
  EXPECT_EQ(Told(bob_phone_), 1);
}

TEST_P(PusherTest, WhatAKilledReplicaNotedIsFound) {
  SayAt(*there_, ann_phone_);
  there_ = nullptr;
  Pass(kSwept);
  EXPECT_THAT(gateway_.told, ElementsAre(TokenOf(bob_phone_)));
}

TEST_P(PusherTest, OnceInAnAbsence) {
  for (int i = 0; i < 20; ++i) {
    Say();
    Pass(absl::Minutes(1));
  }
  EXPECT_EQ(Told(bob_phone_), 1);
  // A reminder, when something newer has come, hours later.
  Pass(PushLimits().reminder_after);
  EXPECT_EQ(Told(bob_phone_), 2);
  Pass(2 * PushLimits().reminder_after);
  EXPECT_EQ(Told(bob_phone_), 2) << "nothing is newer";
}

TEST_P(PusherTest, ASignOfLifeIsTheEndOfAnAbsence) {
  Say();
  Pass(kSoon);
  ASSERT_EQ(Told(bob_phone_), 1);
  ASSERT_TRUE(Ack(bob_phone_, id_, 1).ok());
  Pass(kSwept);
  ASSERT_EQ(Told(bob_phone_), 1) << "nothing waits";
  Say();
  Pass(absl::Seconds(20));
  ASSERT_EQ(Told(bob_phone_), 2);
  there_->Open(bob_, bob_phone_);
  Pass(kSoon);
  there_->Close(bob_phone_);
  Pass(kSoon);
  EXPECT_EQ(Told(bob_phone_), 3) << "it was here, and did not read";
}

TEST_P(PusherTest, NeverMoreThanTwelveAnHour) {
  std::vector<absl::Time> times;
  for (absl::Time end = clock_.Now() + absl::Hours(3); clock_.Now() < end;) {
    const int before = Told(bob_phone_);
    const int64_t sequence = Say();
    Pass(absl::Seconds(20));
    if (Told(bob_phone_) > before) times.push_back(clock_.Now());
    ASSERT_TRUE(Ack(bob_phone_, id_, sequence).ok());
  }
  EXPECT_GE(times.size(), 18u);
  for (size_t i = 0; i + 12 < times.size(); ++i) {
    EXPECT_GE(times[i + 12] - times[i], absl::Hours(1) - absl::Minutes(1)) << i;
  }
}

TEST_P(PusherTest, WhoseBudgetIsSpentIsToldLater) {
  int64_t sequence = 0;
  for (int i = 0; i < 6; ++i) {
    sequence = Say();
    Pass(absl::Seconds(20));
    ASSERT_EQ(Told(bob_phone_), i + 1);
    ASSERT_TRUE(Ack(bob_phone_, id_, sequence).ok());
  }
  Say();
  Pass(absl::Minutes(5));
  EXPECT_EQ(Told(bob_phone_), 6);
  Pass(absl::Minutes(6));
  EXPECT_EQ(Told(bob_phone_), 7);
}

TEST_P(PusherTest, OfTwoReplicasOneTells) {
  Say();
  there_->pusher().OnAway({{bob_phone_, ann_tablet_}});
  Pass(kSwept);
  EXPECT_EQ(Tried(), 1);
}

TEST_P(PusherTest, AGatewayThatIsDownIsAskedLessAndLess) {
  there_ = nullptr;
  gateway_.AnswerAlways(PushOutcome::kFailed);
  for (int i = 0; i < 50; ++i) Say();
  SayAt(*here_, bob_phone_);
  Pass(absl::Hours(1));
  EXPECT_THAT(gateway_.told, IsEmpty());
  EXPECT_GE(Tried(), 60);
  EXPECT_LE(Tried(), 140) << "about one a minute";
  EXPECT_GE(here_->pusher().CurrentStats().failing_for, absl::Minutes(58));
  EXPECT_LE(here_->pusher().CurrentStats().waiting, 3) << "each device once";
  std::set<std::string> ids;
  for (const PushRequest& request : gateway_.tried) ids.insert(request.id.ToString());
  EXPECT_THAT(ids, SizeIs(3)) << "a push keeps its id";
  // And it is back.
  gateway_.AnswerAlways(PushOutcome::kSent);
  Pass(absl::Minutes(2));
  EXPECT_EQ(Told(bob_phone_), 1);
  EXPECT_EQ(Told(ann_phone_), 1);
  EXPECT_EQ(Told(ann_tablet_), 1);
  EXPECT_EQ(here_->pusher().CurrentStats().failing_for, absl::ZeroDuration());
}

TEST_P(PusherTest, WhoReadsWhileTheGatewayIsDownIsNotTold) {
  gateway_.AnswerAlways(PushOutcome::kFailed);
  const int64_t sequence = Say();
  Pass(absl::Minutes(5));
  ASSERT_TRUE(Ack(bob_phone_, id_, sequence).ok());
  gateway_.AnswerAlways(PushOutcome::kSent);
  Pass(absl::Minutes(5));
  EXPECT_THAT(gateway_.told, IsEmpty());
}

TEST_P(PusherTest, AGatewayThatAsksForTimeGetsIt) {
  there_ = nullptr;
  gateway_.answer = [](const PushRequest&) {
    return PushResult{PushOutcome::kFailed, absl::Minutes(5)};
  };
  Say();
  Pass(absl::Minutes(4));
  EXPECT_EQ(Tried(), 1);
  gateway_.answer = [](const PushRequest&) {
    return PushResult{PushOutcome::kFailed, absl::Hours(24)};
  };
  Pass(absl::Minutes(2));
  ASSERT_EQ(Tried(), 2);
  Pass(absl::Minutes(11));
  EXPECT_EQ(Tried(), 3) << "ten minutes at most";
}

TEST_P(PusherTest, ATokenOfNoUseIsForgotten) {
  gateway_.AnswerAlways(PushOutcome::kGone);
  Say();
  Pass(kSoon);
  EXPECT_EQ(Tried(), 1);
  EXPECT_FALSE(HasToken(bob_phone_));
  Say();
  Pass(kSwept);
  EXPECT_EQ(Tried(), 1);
  ASSERT_TRUE(pushes_->Register(kForever, bob_, bob_phone_, TokenOf(bob_phone_)).ok());
  gateway_.AnswerAlways(PushOutcome::kSent);
  Pass(kSwept);
  EXPECT_EQ(Told(bob_phone_), 1);
}

TEST_P(PusherTest, ARefusedTokenHoldsNobodyUp) {
  gateway_.answer = [this](const PushRequest& request) {
    const bool bad = request.token == TokenOf(bob_phone_);
    return PushResult{bad ? PushOutcome::kRefused : PushOutcome::kSent};
  };
  Say();
  SayAt(*here_, bob_phone_);
  Pass(absl::Minutes(1));
  EXPECT_EQ(Told(ann_phone_), 1);
  EXPECT_EQ(Told(ann_tablet_), 1);
  EXPECT_EQ(Tried(), 3);
  Pass(absl::Hours(1));
  EXPECT_GE(Tried(), 3 + 2);
  EXPECT_LE(Tried(), 3 + 6);
}

TEST_P(PusherTest, ATokenThatTheGatewayFailsAtHoldsNobodyUpForLong) {
  gateway_.answer = [this](const PushRequest& request) {
    const bool bad = request.token == TokenOf(bob_phone_);
    return PushResult{bad ? PushOutcome::kFailed : PushOutcome::kSent};
  };
  SayAt(*here_, bob_phone_);
  Pass(absl::Minutes(1));
  EXPECT_GE(Tried(), 1);
  Say();
  Pass(absl::Minutes(5));
  EXPECT_EQ(Told(ann_phone_), 1);
  EXPECT_EQ(Told(ann_tablet_), 1);
}

TEST_P(PusherTest, WhatIsOverBeforeTheLookIsNotTold) {
  Say();
  BlockThem();
  Pass(kSwept);
  EXPECT_THAT(gateway_.tried, IsEmpty());
}

TEST_P(PusherTest, ARemovedDeviceIsNotTold) {
  Say();
  Apply(bob_, {});
  Pass(kSwept);
  EXPECT_THAT(gateway_.tried, IsEmpty());
}

TEST_P(PusherTest, WhatFindsNoRoomIsCountedAndSwept) {
  Pusher::Options options;
  options.queue_limit = 1;
  here_ = MakeReplica(options);
  there_ = MakeReplica();
  Say();
  EXPECT_EQ(here_->meter.dropped, 2);
  Pass(kSwept);
  EXPECT_EQ(Told(bob_phone_), 1);
}

TEST_P(PusherTest, AStoppedReplicaHasNoStreams) {
  there_->Open(bob_, bob_phone_);
  there_->Run();
  ASSERT_TRUE(Look(bob_phone_).stream_at.has_value());
  there_->pusher().Start();
  there_->pusher().Stop();
  there_ = nullptr;
  Say();
  Pass(kSoon);
  EXPECT_EQ(Told(bob_phone_), 1);
}

INSTANTIATE_TEST_SUITE_P(Backends, PusherTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
