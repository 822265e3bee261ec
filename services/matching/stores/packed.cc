#include "services/matching/stores/packed.h"

#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr size_t kBytes = 8;

}  // namespace

std::string PackNumbers(absl::Span<const int64_t> numbers) {
  std::string bytes;
  bytes.reserve(numbers.size() * kBytes);
  for (const int64_t number : numbers) {
    const auto bits = static_cast<uint64_t>(number);
    for (size_t i = 0; i < kBytes; ++i) {
      bytes.push_back(static_cast<char>(bits >> (8 * (kBytes - 1 - i))));
    }
  }
  return bytes;
}

absl::StatusOr<std::vector<int64_t>> UnpackNumbers(absl::string_view bytes, size_t count) {
  if (bytes.size() != count * kBytes) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("a stored answer cannot be read");
  }
  std::vector<int64_t> numbers;
  numbers.reserve(count);
  for (size_t n = 0; n < count; ++n) {
    uint64_t bits = 0;
    for (size_t i = 0; i < kBytes; ++i) {
      bits = bits << 8 | static_cast<uint8_t>(bytes[n * kBytes + i]);
    }
    numbers.push_back(static_cast<int64_t>(bits));
  }
  return numbers;
}

}  // namespace handrail::matching
