#ifndef HANDRAIL_SERVICES_MESSAGING_TESTING_MLS_BYTES_H_
#define HANDRAIL_SERVICES_MESSAGING_TESTING_MLS_BYTES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/messaging/domain/mls_framing.h"

// MLS messages as far as a delivery service reads them, written from RFC 9420's structures. What is
// enciphered in a real one is any text here.
namespace handrail::messaging {

inline std::string MlsVec(absl::string_view bytes) {  // at most 16383 bytes
  std::string out;
  if (bytes.size() >= 64) out.push_back(static_cast<char>(0x40 | bytes.size() >> 8));
  out.push_back(static_cast<char>(bytes.size() & 0xff));
  out.append(bytes.data(), bytes.size());
  return out;
}

inline std::string MlsEpoch(int64_t epoch) {
  std::string out;
  for (int i = 7; i >= 0; --i) out.push_back(static_cast<char>(epoch >> (8 * i)));
  return out;
}

inline std::string MlsPrivateBytes(MlsContentType type, absl::string_view group, int64_t epoch,
                                   absl::string_view ciphertext) {
  return std::string("\0\1\0\2", 4) + MlsVec(group) + MlsEpoch(epoch) + static_cast<char>(type) +
         MlsVec("") + MlsVec("sender") + MlsVec(ciphertext);
}

// A public commit by somebody who joins by it.
inline std::string MlsExternalCommitBytes(absl::string_view group, int64_t epoch) {
  return std::string("\0\1\0\1", 4) + MlsVec(group) + MlsEpoch(epoch) + "\4" + MlsVec("") + "\3" +
         "the rest";
}

inline std::string MlsWelcomeBytes(const std::vector<std::string>& references,
                                   absl::string_view group_info) {
  std::string secrets;
  for (const std::string& reference : references) {
    secrets += MlsVec(reference) + MlsVec("kem") + MlsVec("secret");
  }
  return std::string("\0\1\0\3\0\1", 6) + MlsVec(secrets) + MlsVec(group_info);
}

inline std::string MlsGroupInfoBytes(absl::string_view rest) {
  return std::string("\0\1\0\4", 4) + std::string(rest);
}

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_TESTING_MLS_BYTES_H_
