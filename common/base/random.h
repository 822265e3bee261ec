#ifndef HANDRAIL_COMMON_BASE_RANDOM_H_
#define HANDRAIL_COMMON_BASE_RANDOM_H_

#include <cstddef>
#include <cstdint>

namespace handrail {

// A source of random bytes, injected. Implementations are thread-safe.
class Random {
 public:
  virtual ~Random() = default;

  // Fills `size` bytes at `out`. Never fails: a system without randomness ends the process.
  virtual void Fill(void* out, size_t size) = 0;

  uint64_t Next64();
  // Uniform in [0, bound); `bound` must be positive.
  uint64_t Below(uint64_t bound);
  // Uniform in [0, 1).
  double Unit();
};

// The kernel's generator: fit for keys, nonces and ids that strangers may see.
class SystemRandom final : public Random {
 public:
  void Fill(void* out, size_t size) override;
};

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_RANDOM_H_
