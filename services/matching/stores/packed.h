#ifndef HANDRAIL_SERVICES_MATCHING_STORES_PACKED_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_PACKED_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// Small answers of the request log: 64-bit numbers, eight bytes each, the first byte the highest.
namespace handrail::matching {

std::string PackNumbers(absl::Span<const int64_t> numbers);
// DATA_LOSS / DATA_CORRUPT unless exactly `count` numbers are there.
absl::StatusOr<std::vector<int64_t>> UnpackNumbers(absl::string_view bytes, size_t count);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_PACKED_H_
