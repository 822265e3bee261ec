#include "tools/benchmark/machine.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace handrail::benchmark {
namespace {

TEST(MachineTest, ReadsItsOwnProcess) {
  EXPECT_GT(ResidentBytes(getpid()), 1 << 20);
  EXPECT_GE(CpuSeconds(getpid()), 0);
  EXPECT_EQ(ResidentBytes(-1), 0);
  EXPECT_EQ(CpuSeconds(-1), 0);
}

TEST(MachineTest, CpuTimeGrowsWithWork) {
  const double before = CpuSeconds(getpid());
  uint64_t sum = 1;
  while (CpuSeconds(getpid()) < before + 0.03) {
    for (int i = 0; i < 1'000'000; ++i) sum = sum * 6364136223846793005u + 1;
  }
  EXPECT_NE(sum, 0u);
}

TEST(MachineTest, TheCpuTimeOfAFamilyCountsChildrenThatLiveAndThatEnded) {
  const double before = FamilyCpuSeconds(getpid());
  const auto work = [] {
    while (CpuSeconds(getpid()) < 0.05) {
    }
  };
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t lives = fork();
  if (lives == 0) {
    work();
    if (write(ready[1], "x", 1) != 1) _exit(1);
    pause();
  }
  const pid_t ends = fork();
  if (ends == 0) {
    work();
    _exit(0);
  }
  char seen = 0;
  EXPECT_EQ(read(ready[0], &seen, 1), 1);
  EXPECT_EQ(waitpid(ends, nullptr, 0), ends);
  EXPECT_GT(FamilyCpuSeconds(getpid()) - before, 0.095);
  kill(lives, SIGKILL);
  EXPECT_EQ(waitpid(lives, nullptr, 0), lives);
  close(ready[0]);
  close(ready[1]);
  EXPECT_EQ(FamilyCpuSeconds(-1), 0);
}

TEST(MachineTest, SumsAMetricOverItsLabels) {
  const std::string text =
      "# TYPE handrail_x_total counter\n"
      "handrail_x_total{database=\"a\"} 3\nhandrail_x_total{database=\"b\"} 4.5\n"
      "handrail_x_total_other 100\nhandrail_y 7\n";
  EXPECT_EQ(MetricIn(text, "handrail_x_total"), 7.5);
  EXPECT_EQ(MetricIn(text, "handrail_y"), 7);
  EXPECT_EQ(MetricIn(text, "handrail_z"), 0);
}

TEST(MachineTest, KnowsFileSystemsAndPorts) {
  EXPECT_EQ(FileSystemOf("/no/such/folder"), "unknown");
  const auto port = FreePorts(14);
  ASSERT_TRUE(port.ok());
  EXPECT_GE(*port, 20000);
  EXPECT_TRUE(CanListen(*port));
}

TEST(MachineTest, ScriptsOfRedisCountOnceAndWhatTheyCallNotAgain) {
  EXPECT_EQ(CommandMicros("# Commandstats\r\n"
                          "cmdstat_evalsha:calls=400,usec=1000,usec_per_call=2.50\r\n"
                          "cmdstat_zadd:calls=400,usec=300,usec_per_call=0.75\r\n"
                          "cmdstat_publish:calls=4,usec=20,usec_per_call=5.00\r\n"),
            1020);
  EXPECT_EQ(CommandMicros(""), 0);
}

}  // namespace
}  // namespace handrail::benchmark
