#ifndef HANDRAIL_COMMON_CRYPTO_SECRET_KEY_H_
#define HANDRAIL_COMMON_CRYPTO_SECRET_KEY_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/random.h"

namespace handrail::crypto {

// Memory of sodium_malloc: locked as far as the limits of the process allow, out of core dumps,
// between guard pages, and wiped when freed. Costs some pages each: for the few keys that live as
// long as the process.
class GuardedBytes {
 public:
  explicit GuardedBytes(size_t size);
  unsigned char* data() { return bytes_.get(); }
  const unsigned char* data() const { return bytes_.get(); }
  size_t size() const { return size_; }

 private:
  struct Deleter {
    void operator()(unsigned char* bytes) const;
  };
  std::unique_ptr<unsigned char, Deleter> bytes_;
  size_t size_;
};

// 32 bytes that only move: a symmetric key in guarded memory. Opening it leaves a word to grep for.
class SecretKey {
 public:
  static constexpr size_t kBytes = 32;

  static SecretKey Generate(Random& random);
  // INVALID_ARGUMENT / CONFIGURATION_INVALID unless there are 32.
  static absl::StatusOr<SecretKey> FromBytes(absl::string_view bytes);

  absl::string_view Reveal() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

 private:
  SecretKey() : bytes_(kBytes) {}
  GuardedBytes bytes_;
};

// Overwrites what `text` holds and empties it. For texts that held a key on the way.
void Wipe(std::string& text);

// Must have run before libsodium is used; cheap to repeat. Ends the process when libsodium cannot
// start.
void EnsureSodium();

}  // namespace handrail::crypto

#endif  // HANDRAIL_COMMON_CRYPTO_SECRET_KEY_H_
