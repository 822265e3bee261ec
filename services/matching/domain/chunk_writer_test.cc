#include "services/matching/domain/chunk_writer.h"

#include <gtest/gtest.h>

#include <atomic>

namespace handrail::matching {
namespace {

TEST(ChunkWriterTest, RunsEverythingAndNeverMoreThanMayRunAtOnce) {
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  std::atomic<int> ran = 0;
  {
    ChunkWriter writer(2);
    for (int i = 0; i < 200; ++i) {
      const absl::Status added = writer.Add([&] {
        const int now = ++running;
        int before = most;
        while (now > before && !most.compare_exchange_weak(before, now)) {
        }
        ++ran;
        --running;
        return absl::OkStatus();
      });
      ASSERT_TRUE(added.ok());
    }
    EXPECT_TRUE(writer.Finish().ok());
    EXPECT_EQ(ran, 200);
    ASSERT_TRUE(writer
                    .Add([&] {
                      ++ran;
                      return absl::OkStatus();
                    })
                    .ok());
  }
  EXPECT_EQ(ran, 201) << "what was added is waited for";
  EXPECT_LE(most, 2);
}

TEST(ChunkWriterTest, AfterAFailureNothingMoreIsStarted) {
  ChunkWriter writer(1);
  std::atomic<int> ran = 0;
  ASSERT_TRUE(writer.Add([] { return absl::UnavailableError("down"); }).ok());
  const auto count = [&ran] {
    ++ran;
    return absl::OkStatus();
  };
  EXPECT_EQ(writer.Add(count).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(writer.Finish().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ran, 0);
}

}  // namespace
}  // namespace handrail::matching
