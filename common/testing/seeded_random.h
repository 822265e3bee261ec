#ifndef HANDRAIL_COMMON_TESTING_SEEDED_RANDOM_H_
#define HANDRAIL_COMMON_TESTING_SEEDED_RANDOM_H_

#include <cstring>
#include <random>

#include "common/base/mutex.h"
#include "common/base/random.h"

namespace handrail::testing {

// The same seed gives the same bytes. Never outside tests and demos. Thread-safe.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}

  void Fill(void* out, size_t size) override {
    MutexLock lock(mutex_);
    auto* bytes = static_cast<unsigned char*>(out);
    while (size > 0) {
      const uint64_t word = engine_();
      const size_t part = size < sizeof(word) ? size : sizeof(word);
      std::memcpy(bytes, &word, part);
      bytes += part;
      size -= part;
    }
  }

 private:
  Mutex mutex_;
  std::mt19937_64 engine_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::testing

#endif  // HANDRAIL_COMMON_TESTING_SEEDED_RANDOM_H_
