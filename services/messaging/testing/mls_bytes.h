#ifndef HANDRAIL_SERVICES_MESSAGING_TESTING_MLS_BYTES_H_
#define HANDRAIL_SERVICES_MESSAGING_TESTING_MLS_BYTES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
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

inline std::string MlsUint64(uint64_t number) {
  std::string out;
  for (int i = 7; i >= 0; --i) out.push_back(static_cast<char>(number >> (8 * i)));
  return out;
}

// A KeyPackage of somebody with this credential; `rest` makes it another one.
struct MlsKeyPackageParts {
  std::string identity;
  uint64_t not_before = 0;
  uint64_t not_after = 0;
  std::string rest;
  int suite = 1;
  size_t key_bytes = 32;
};
inline std::string MlsKeyPackageBytes(const MlsKeyPackageParts& parts) {
  const std::string key(parts.key_bytes, 'k');
  return std::string("\0\1\0\5\0\1\0", 7) + static_cast<char>(parts.suite) + MlsVec(key) +
         MlsVec("hpke") + MlsVec(key) + std::string("\0\1", 2) + MlsVec(parts.identity) +
         std::string("\2\0\1\2\0\1\0\0\2\0\1", 11) + "\1" + MlsUint64(parts.not_before) +
         MlsUint64(parts.not_after) + "rest" + parts.rest;
}
// One that lives from an hour before `now` for 90 days.
inline std::string MlsKeyPackageBytes(absl::string_view identity, absl::Time now,
                                      absl::string_view rest) {
  const auto seconds = static_cast<uint64_t>(absl::ToUnixSeconds(now));
  return MlsKeyPackageBytes(MlsKeyPackageParts{std::string(identity), seconds - 3600,
                                               seconds + 90 * 86'400, std::string(rest)});
}

inline std::string MlsEpoch(int64_t epoch) { return MlsUint64(static_cast<uint64_t>(epoch)); }

inline std::string MlsPrivateBytes(MlsContentType type, absl::string_view group, int64_t epoch,
                                   absl::string_view ciphertext,
                                   absl::string_view authenticated_data = "") {
  return std::string("\0\1\0\2", 4) + MlsVec(group) + MlsEpoch(epoch) + static_cast<char>(type) +
         MlsVec(authenticated_data) + MlsVec("sender") + MlsVec(ciphertext);
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
