#ifndef HANDRAIL_COMMON_BASE_BIG_ENDIAN_H_
#define HANDRAIL_COMMON_BASE_BIG_ENDIAN_H_

#include <cstdint>
#include <string>

namespace handrail {

// A number in eight bytes, the highest first: what hashes and stamps are over.
inline std::string EightBytes(int64_t number) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(static_cast<uint64_t>(number) >> shift));
  }
  return bytes;
}

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_BIG_ENDIAN_H_
