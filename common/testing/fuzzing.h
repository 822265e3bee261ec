#ifndef HANDRAIL_COMMON_TESTING_FUZZING_H_
#define HANDRAIL_COMMON_TESTING_FUZZING_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/string_view.h"

// What a fuzzer claims of every input. Ends the process with a core for libFuzzer and for the test
// that replays the seeds; works in every build mode.
#define FUZZ_CHECK(condition)                                                             \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

namespace handrail::testing {

// The input of a fuzzer as text; valid as long as the input.
inline absl::string_view FuzzText(const uint8_t* data, size_t size) {
  return size == 0 ? absl::string_view("")
                   : absl::string_view(reinterpret_cast<const char*>(data), size);
}

}  // namespace handrail::testing

#endif  // HANDRAIL_COMMON_TESTING_FUZZING_H_
