#ifndef HANDRAIL_SERVICES_PROFILES_STORES_MEMBER_CIPHER_H_
#define HANDRAIL_SERVICES_PROFILES_STORES_MEMBER_CIPHER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/base/macros.h"
#include "common/base/random.h"
#include "common/crypto/vault.h"

namespace handrail::profiles {

// A column that holds personal data. Its name is bound into what is sealed in it.
struct SealedColumn {
  absl::string_view table;
  absl::string_view column;
};

// How the store enciphers: a key a member, wrapped by the key ring. The ring and `random`, which
// must be fit for keys, outlive this. Thread-safe.
class MemberCipher {
 public:
  MemberCipher(const crypto::KeyRing& ring, Random& random) : ring_(ring), random_(random) {}

  // A fresh key for a new member, wrapped for storing.
  std::string CreateWrappedKey(const MemberId& member) const {
    return ring_.Wrap(member, crypto::MemberKey::Generate(random_), random_);
  }
  // Codes of crypto::KeyRing::Unwrap.
  absl::StatusOr<crypto::MemberKey> Unwrap(const MemberId& member,
                                           absl::string_view wrapped) const {
    return ring_.Unwrap(member, wrapped);
  }
  std::string Seal(const crypto::MemberKey& key, const SealedColumn& column, absl::string_view row,
                   absl::string_view plain) const {
    return crypto::Seal(key, {column.table, column.column, row}, plain, random_);
  }
  // DATA_LOSS / DATA_CORRUPT.
  absl::StatusOr<std::string> Open(const crypto::MemberKey& key, const SealedColumn& column,
                                   absl::string_view row, absl::string_view sealed) const {
    ASSIGN_OR_RETURN(const Secret<std::string> plain,
                     crypto::Open(key, {column.table, column.column, row}, sealed));
    return plain.Reveal();
  }
  // What a device is found by: equal for equal public keys, and says nothing without the ring.
  std::string PublicKeyIndex(absl::string_view public_key) const {
    return crypto::BlindIndex(ring_.index_key(), "devices.public_key", public_key);
  }

 private:
  const crypto::KeyRing& ring_;
  Random& random_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_STORES_MEMBER_CIPHER_H_
