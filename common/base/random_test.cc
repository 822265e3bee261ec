#include "common/base/random.h"

#include <array>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"

namespace handrail {
namespace {

using ::handrail::testing::SeededRandom;

// Hands out the numbers it was given, so that the edges of Below and Unit can be reached.
class ScriptedRandom final : public Random {
 public:
  explicit ScriptedRandom(std::vector<uint64_t> values) : values_(std::move(values)) {}
  void Fill(void* out, size_t size) override {
    ASSERT_EQ(size, sizeof(uint64_t));
    ASSERT_LT(used_, values_.size());
    std::memcpy(out, &values_[used_++], size);
  }
  size_t used() const { return used_; }

 private:
  std::vector<uint64_t> values_;
  size_t used_ = 0;
};

TEST(RandomTest, BelowStaysBelowAndReachesEveryValue) {
  SeededRandom random(7);
  for (const uint64_t bound : {1u, 2u, 3u, 7u, 10u}) {
    std::set<uint64_t> seen;
    for (int i = 0; i < 1000; ++i) {
      const uint64_t value = random.Below(bound);
      ASSERT_LT(value, bound);
      seen.insert(value);
    }
    EXPECT_EQ(seen.size(), bound);
  }
  EXPECT_LT(random.Below(UINT64_MAX), UINT64_MAX);
}

TEST(RandomTest, BelowIsUniform) {
  SeededRandom random(8);
  constexpr int kDraws = 30000;
  std::array<int, 3> counts{};
  for (int i = 0; i < kDraws; ++i) ++counts[random.Below(3)];
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 3, 500);  // about six deviations
}

TEST(RandomTest, BelowDrawsAgainWhereAModuloWouldBeBiased) {
  // UINT64_MAX is past the last whole multiple of 10.
  ScriptedRandom random({UINT64_MAX, UINT64_MAX - 1, 23});
  EXPECT_EQ(random.Below(10), 3u);
  EXPECT_EQ(random.used(), 3u);
}

TEST(RandomTest, UnitIsBelowOneAtTheEdge) {
  ScriptedRandom random({0, UINT64_MAX});
  EXPECT_EQ(random.Unit(), 0.0);
  const double largest = random.Unit();
  EXPECT_LT(largest, 1.0);
  EXPECT_GT(largest, 0.999999);
}

TEST(SystemRandomTest, FillsExactlyWhatWasAsked) {
  SystemRandom random;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{31}, size_t{4096}}) {
    std::vector<unsigned char> bytes(size + 8, 0xee);
    random.Fill(bytes.data(), size);
    for (size_t i = size; i < bytes.size(); ++i) EXPECT_EQ(bytes[i], 0xee);
  }
  // 4096 random bytes that never show some 200 values would be a broken generator.
  std::vector<unsigned char> bytes(4096);
  random.Fill(bytes.data(), bytes.size());
  EXPECT_GT(std::set<unsigned char>(bytes.begin(), bytes.end()).size(), 200u);
}

TEST(SeededRandomTest, TheSameSeedGivesTheSameNumbers) {
  SeededRandom first(5);
  SeededRandom second(5);
  SeededRandom other(6);
  bool differs = false;
  for (int i = 0; i < 10; ++i) {
    const uint64_t value = first.Next64();
    EXPECT_EQ(value, second.Next64());
    differs |= value != other.Next64();
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace handrail
