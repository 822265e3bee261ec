#ifndef HANDRAIL_SERVICES_PROFILES_ADAPTERS_OPERATOR_LIST_H_
#define HANDRAIL_SERVICES_PROFILES_ADAPTERS_OPERATOR_LIST_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/crypto/token.h"
#include "services/profiles/domain/types.h"

namespace handrail::profiles {

// Who is staff and who runs the deployment, from a text file of the operator's: one
// `<role> <who>` a line, '#' comments. The role is `staff` or `operator`; who is `members/<32
// hexadecimal digits>`, for all devices of a member, or the 64 hexadecimal digits of one device's
// Ed25519 public key. At most 1,000 lines.
class OperatorList {
 public:
  OperatorList() = default;

  // INVALID_ARGUMENT / CONFIGURATION_INVALID, naming the line.
  static absl::StatusOr<OperatorList> Parse(absl::string_view text);
  // FAILED_PRECONDITION / CONFIGURATION_INVALID when the file cannot be read, is larger than 256
  // KiB or may be written by others than its owner. An empty path is an empty list.
  static absl::StatusOr<OperatorList> Load(const std::string& path);

  // The higher of the two roles that the device and its member have.
  crypto::TokenClaims::Role RoleOf(const Device& device) const;
  size_t size() const { return roles_.size(); }

 private:
  // By "members/…" or the 32 bytes of a public key.
  absl::flat_hash_map<std::string, crypto::TokenClaims::Role> roles_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_ADAPTERS_OPERATOR_LIST_H_
