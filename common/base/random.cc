#include "common/base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace handrail {

uint64_t Random::Next64() {
  uint64_t value = 0;
  Fill(&value, sizeof(value));
  return value;
}

uint64_t Random::Below(uint64_t bound) {
  // Values past the last whole multiple of `bound` would favour small results; draw again.
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  uint64_t value = Next64();
  while (value >= limit) value = Next64();
  return value % bound;
}

double Random::Unit() { return static_cast<double>(Next64() >> 11) * 0x1.0p-53; }

void SystemRandom::Fill(void* out, size_t size) {
  auto* bytes = static_cast<unsigned char*>(out);
  while (size > 0) {
    const ssize_t got = getrandom(bytes, size, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      std::abort();  // no randomness: going on would hand out guessable ids and keys
    }
    bytes += got;
    size -= static_cast<size_t>(got);
  }
}

}  // namespace handrail
