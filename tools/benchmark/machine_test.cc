#include "tools/benchmark/machine.h"

#include <gtest/gtest.h>
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
