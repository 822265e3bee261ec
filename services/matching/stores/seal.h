#ifndef HANDRAIL_SERVICES_MATCHING_STORES_SEAL_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_SEAL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "services/matching/domain/types.h"

// What the store needs of cryptography. Both are thread-safe and do no I/O.
namespace handrail::matching {

// A key per member, wrapped by a key ring of this service. What is sealed is bound to the member,
// to the place it is stored in and to its row. Whoever deletes the wrapped key has destroyed it
// all.
class MemberVault {
 public:
  virtual ~MemberVault() = default;

  // A new key, wrapped.
  virtual absl::StatusOr<std::string> NewKey(const MemberId& member) = 0;
  // `place` is "table.column"; `row` the id of the row. DATA_LOSS when it does not open.
  virtual absl::StatusOr<std::string> Seal(const MemberId& member, absl::string_view wrapped_key,
                                           absl::string_view place, const RawId& row,
                                           absl::string_view plaintext) = 0;
  virtual absl::StatusOr<std::string> Open(const MemberId& member, absl::string_view wrapped_key,
                                           absl::string_view place, const RawId& row,
                                           absl::string_view sealed) = 0;
};

// Pools under names that say nothing: one block of a block cipher under a key of the deployment, so
// that neither a row nor a Redis key shows a program beside a person, and no table has to map back.
class PoolNames {
 public:
  virtual ~PoolNames() = default;

  virtual std::string Opaque(const PoolKey& pool) const = 0;  // 16 bytes
  // DATA_LOSS for bytes that this deployment did not make.
  virtual absl::StatusOr<PoolKey> Reveal(absl::string_view opaque) const = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_SEAL_H_
