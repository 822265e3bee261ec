#ifndef HANDRAIL_COMMON_CRYPTO_VAULT_H_
#define HANDRAIL_COMMON_CRYPTO_VAULT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/base/secret.h"
#include "common/crypto/secret_key.h"

namespace handrail::crypto {

// Personal data at rest (security §4): each member has a key, each column is sealed under it with
// XChaCha20-Poly1305 (libsodium), and the member's key is stored wrapped by a key ring that
// rotates. Deleting the wrapped key erases the member. Nonces are 24 random bytes; `random` must be
// fit for keys (SystemRandom).

// The key of one member: 32 bytes, wiped when it goes. Moves only. Not in locked memory: that is
// handed out by pages and there are many of these; they are short-lived, and core dumps are off.
class MemberKey {
 public:
  static constexpr size_t kBytes = 32;

  static MemberKey Generate(Random& random);

  MemberKey(MemberKey&&) = default;
  MemberKey& operator=(MemberKey&&) = default;

  absl::string_view Reveal() const { return {reinterpret_cast<const char*>(bytes_.get()), kBytes}; }

 private:
  friend class KeyRing;
  struct Wiper {
    void operator()(unsigned char* bytes) const;
  };
  MemberKey() : bytes_(new unsigned char[kBytes]{}) {}
  std::unique_ptr<unsigned char[], Wiper> bytes_;
};

// Where a sealed value stands. It opens nowhere else.
struct SealContext {
  absl::string_view table;
  absl::string_view column;
  absl::string_view row;  // the bytes of the primary key
};

// `plaintext` enciphered: 1 version byte, 24 of nonce, the ciphertext, 16 of tag.
std::string Seal(const MemberKey& key, const SealContext& context, absl::string_view plaintext,
                 Random& random);
// DATA_LOSS / DATA_CORRUPT when `sealed` was not sealed with this key for this place.
absl::StatusOr<Secret<std::string>> Open(const MemberKey& key, const SealContext& context,
                                         absl::string_view sealed);

enum class KeyFilePolicy {
  kOwnerOnly,     // mode 0600 or stricter
  kGroupMayRead,  // 0640 or stricter: secrets that Kubernetes mounts with an fsGroup
};

// The master keys. Const operations are thread-safe.
//
// A text file: one `<id> <64 hexadecimal digits>` a line, '#' comments. The last line is the newest
// key and wraps; the others unwrap what they wrapped. The id `index` is set apart: the key of the
// blind indexes, which cannot rotate without rebuilding them.
class KeyRing {
 public:
  // INVALID_ARGUMENT / CONFIGURATION_INVALID when the text is not as above, or has no key, no index
  // key, an id twice or a key twice. The error names the line, never its content.
  static absl::StatusOr<KeyRing> Parse(absl::string_view text);
  // FAILED_PRECONDITION / CONFIGURATION_INVALID when the file is missing, is not a regular file of
  // at most 64 KiB, or may be read by others than `policy` says.
  static absl::StatusOr<KeyRing> Load(const std::string& path,
                                      KeyFilePolicy policy = KeyFilePolicy::kOwnerOnly);
  // Writes a new file, mode 0600, with one fresh master key `key_id` and an index key, and syncs
  // it. ALREADY_EXISTS when there is one: keys are never overwritten.
  static absl::Status Generate(const std::string& path, absl::string_view key_id, Random& random);
  // One line of such a file, with a fresh key; for a rotation append it.
  static Secret<std::string> GenerateLine(absl::string_view key_id, Random& random);

  // The member's key, enciphered under the newest key. Bound to the member and the key's id.
  std::string Wrap(const MemberId& member, const MemberKey& key, Random& random) const;
  // DATA_LOSS / DATA_CORRUPT when `wrapped` was not made by Wrap for this member;
  // FAILED_PRECONDITION / CONFIGURATION_INVALID when the ring lacks its key.
  absl::StatusOr<MemberKey> Unwrap(const MemberId& member, absl::string_view wrapped) const;
  // True when another key than the newest wrapped it, or it cannot be read.
  bool NeedsRewrap(absl::string_view wrapped) const;
  // The same member key under the newest key. Errors of Unwrap.
  absl::StatusOr<std::string> Rewrap(const MemberId& member, absl::string_view wrapped,
                                     Random& random) const;

  const SecretKey& index_key() const { return *index_key_; }
  const std::string& newest_key_id() const { return keys_.back().id; }

 private:
  struct MasterKey {
    std::string id;
    SecretKey key;
  };
  KeyRing() = default;
  absl::Status AddLine(absl::string_view line, int number);
  const MasterKey* Find(absl::string_view id) const;

  std::vector<MasterKey> keys_;  // the newest last; never empty
  std::unique_ptr<SecretKey> index_key_;
};

// 32 bytes that are equal for equal values under one label, and say nothing else without the key:
// for looking up an enciphered value. Of values that can be guessed it hides nothing from whoever
// has the key. `label` names table and column.
std::string BlindIndex(const SecretKey& key, absl::string_view label, absl::string_view value);

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_VAULT_H_
