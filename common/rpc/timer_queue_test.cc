#include "common/rpc/timer_queue.h"

#include <gtest/gtest.h>

#include <atomic>

#include "common/rpc/drain_notifier.h"
#include "common/rpc/testing/test_host.h"

namespace handrail::rpc {
namespace {

TEST(TimerQueueTest, RunsInOrderOfTime) {
  TimerQueue timers;
  Mutex mutex;
  std::string order;
  const auto note = [&](char name) {
    return [&, name] {
      MutexLock lock(mutex);
      order += name;
    };
  };
  timers.RunAfter(absl::Milliseconds(30), note('c'));
  timers.RunAfter(absl::Milliseconds(10), note('a'));
  timers.RunAfter(absl::Milliseconds(20), note('b'));
  EXPECT_TRUE(testing::WaitUntil([&] {
    MutexLock lock(mutex);
    return order.size() == 3;
  }));
  MutexLock lock(mutex);
  EXPECT_EQ(order, "abc");
}

TEST(TimerQueueTest, ACancelledTimerDoesNotRunAndStopForgetsTheRest) {
  TimerQueue timers;
  std::atomic<int> runs{0};
  const auto cancelled = timers.RunAfter(absl::Milliseconds(1'000), [&] { ++runs; });
  timers.Cancel(cancelled);
  timers.Cancel(cancelled);
  timers.RunAfter(absl::Hours(1), [&] { ++runs; });
  timers.RunAfter(absl::InfiniteDuration(), [&] { ++runs; });
  timers.Stop();
  EXPECT_EQ(runs, 0);
}

TEST(DrainNotifierTest, TellsEachSubscriberOnce) {
  DrainNotifier drain;
  int told = 0;
  int not_told = 0;
  EXPECT_NE(drain.Subscribe([&] { ++told; }), 0u);
  drain.Unsubscribe(drain.Subscribe([&] { ++not_told; }));
  drain.Notify();
  drain.Notify();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(not_told, 0);
  EXPECT_TRUE(drain.Draining());
  EXPECT_EQ(drain.Subscribe([&] { ++told; }), 0u);
}

}  // namespace
}  // namespace handrail::rpc
