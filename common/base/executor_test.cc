#include "common/base/executor.h"

#include <atomic>
#include <thread>

#include "gtest/gtest.h"

namespace handrail {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(20);

// Opens once; whoever waits gives up, and fails, after kDeadline.
class Gate {
 public:
  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    wake_.SignalAll();
  }
  bool Wait() {
    MutexLock lock(mutex_);
    bool timed_out = false;
    while (!open_ && !timed_out) timed_out = !wake_.WaitFor(mutex_, kDeadline);
    return open_;
  }

 private:
  Mutex mutex_;
  CondVar wake_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

// A number that can be waited for.
class Counter {
 public:
  void Add() {
    MutexLock lock(mutex_);
    ++value_;
    wake_.SignalAll();
  }
  bool WaitFor(int value) {
    MutexLock lock(mutex_);
    bool timed_out = false;
    while (value_ < value && !timed_out) timed_out = !wake_.WaitFor(mutex_, kDeadline);
    return value_ >= value;
  }
  int Value() {
    MutexLock lock(mutex_);
    return value_;
  }

 private:
  Mutex mutex_;
  CondVar wake_;
  int value_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST(ExecutorTest, RunsEverythingItTook) {
  Counter done;
  Executor executor(3, 1000);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(executor.TryRun([&done] { done.Add(); }));
  EXPECT_TRUE(done.WaitFor(200));
  executor.Stop();
  EXPECT_EQ(done.Value(), 200);
}

TEST(ExecutorTest, RefusesWhenTheQueueIsFullAndTakesAgainAfterwards) {
  Gate started;
  Gate release;
  Counter done;
  Executor executor(1, 2);
  ASSERT_TRUE(executor.TryRun([&] {
    started.Open();
    EXPECT_TRUE(release.Wait());
    done.Add();
  }));
  ASSERT_TRUE(started.Wait());  // the only thread is busy and the queue is empty
  EXPECT_TRUE(executor.TryRun([&done] { done.Add(); }));
  EXPECT_TRUE(executor.TryRun([&done] { done.Add(); }));
  EXPECT_EQ(executor.QueuedCount(), 2u);
  bool ran = false;
  EXPECT_FALSE(executor.TryRun([&ran] { ran = true; }));
  release.Open();
  ASSERT_TRUE(done.WaitFor(3));
  EXPECT_TRUE(executor.TryRun([&done] { done.Add(); }));
  EXPECT_TRUE(done.WaitFor(4));
  executor.Stop();
  EXPECT_FALSE(ran);
}

TEST(ExecutorTest, WorksOnAsManyThreadsAsItWasGiven) {
  Gate first;
  Gate second;
  Counter done;
  Executor executor(2, 2);
  // Each waits for the other: with one thread both would time out.
  ASSERT_TRUE(executor.TryRun([&] {
    first.Open();
    if (second.Wait()) done.Add();
  }));
  ASSERT_TRUE(executor.TryRun([&] {
    second.Open();
    if (first.Wait()) done.Add();
  }));
  EXPECT_TRUE(done.WaitFor(2));
}

TEST(ExecutorTest, StopRunsWhatIsQueuedAndTakesNoMore) {
  Gate started;
  Gate release;
  std::atomic<int> done = 0;
  Executor executor(1, 10);
  ASSERT_TRUE(executor.TryRun([&] {
    started.Open();
    EXPECT_TRUE(release.Wait());
    ++done;
  }));
  ASSERT_TRUE(started.Wait());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(executor.TryRun([&done] { ++done; }));
  std::thread stopper([&executor] { executor.Stop(); });
  // Refusals begin as soon as Stop() does, while the first work still runs. What is taken until
  // then counts as queued.
  int taken = 6;
  while (executor.TryRun([&done] { ++done; })) {
    if (++taken >= 10) release.Open();
    std::this_thread::yield();
  }
  release.Open();
  stopper.join();
  EXPECT_EQ(done, taken);
  EXPECT_FALSE(executor.TryRun([] {}));
  executor.Stop();  // once more is harmless
  EXPECT_EQ(executor.QueuedCount(), 0u);
}

TEST(ExecutorTest, DestructionRunsWhatIsQueued) {
  std::atomic<int> done = 0;
  {
    Executor executor(1, 100);
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(executor.TryRun([&done] { ++done; }));
  }
  EXPECT_EQ(done, 50);
}

TEST(PeriodicTaskTest, RunsAgainAndAgain) {
  Counter runs;
  PeriodicTask task(absl::Milliseconds(1), [&runs] { runs.Add(); });
  EXPECT_TRUE(runs.WaitFor(5));
}

TEST(PeriodicTaskTest, WakeRunsAtOnce) {
  Counter runs;
  PeriodicTask task(absl::Hours(1), [&runs] { runs.Add(); });
  EXPECT_EQ(runs.Value(), 0);
  task.Wake();
  EXPECT_TRUE(runs.WaitFor(1));
  task.Wake();
  EXPECT_TRUE(runs.WaitFor(2));
}

TEST(PeriodicTaskTest, AWakeDuringARunIsNotLost) {
  Gate started;
  Gate release;
  Counter runs;
  PeriodicTask task(absl::Hours(1), [&] {
    started.Open();
    EXPECT_TRUE(release.Wait());
    runs.Add();
  });
  task.Wake();
  ASSERT_TRUE(started.Wait());
  task.Wake();
  release.Open();
  EXPECT_TRUE(runs.WaitFor(2));
}

TEST(PeriodicTaskTest, StopWaitsForTheRunAndEndsIt) {
  Gate started;
  Gate release;
  Counter runs;
  PeriodicTask task(absl::Hours(1), [&] {
    started.Open();
    EXPECT_TRUE(release.Wait());
    runs.Add();
  });
  task.Wake();
  ASSERT_TRUE(started.Wait());
  std::thread opener([&release] { release.Open(); });
  task.Stop();
  EXPECT_EQ(runs.Value(), 1);
  task.Wake();
  task.Stop();
  EXPECT_EQ(runs.Value(), 1);
  opener.join();
}

TEST(PeriodicTaskTest, StopsAtOnceFromALongInterval) {
  Counter runs;
  {
    PeriodicTask task(absl::Hours(24), [&runs] { runs.Add(); });
  }
  EXPECT_EQ(runs.Value(), 0);
}

}  // namespace
}  // namespace handrail
