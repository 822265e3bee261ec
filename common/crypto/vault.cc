#include "common/crypto/vault.h"

#include <sodium.h>

#include <cstring>
#include <optional>

#include "common/base/status.h"
#include "common/crypto/hash.h"

namespace handrail::crypto {
namespace {

constexpr char kVersion = 1;
constexpr size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(kNonceBytes == 24 && kTagBytes == 16);
static_assert(MemberKey::kBytes == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
static_assert(SecretKey::kBytes == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* MutableBytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

absl::Status CorruptError() {
  return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
      .Message("stored data cannot be deciphered");
}

// Appends nonce, ciphertext and tag to `out`.
void Encipher(absl::string_view key, absl::string_view associated, absl::string_view plaintext,
              Random& random, std::string& out) {
  std::string nonce(kNonceBytes, '\0');
  random.Fill(nonce.data(), nonce.size());
  const size_t begin = out.size() + kNonceBytes;
  out += nonce;
  out.resize(begin + plaintext.size() + kTagBytes);
  crypto_aead_xchacha20poly1305_ietf_encrypt(MutableBytes(out) + begin, nullptr, Bytes(plaintext),
                                             plaintext.size(), Bytes(associated), associated.size(),
                                             nullptr, Bytes(nonce), Bytes(key));
}

// What Encipher appended, deciphered into `out`, which has room for it. False when it is not that.
bool Decipher(absl::string_view key, absl::string_view associated, absl::string_view sealed,
              unsigned char* out, size_t out_size) {
  if (sealed.size() != kNonceBytes + out_size + kTagBytes) return false;
  return crypto_aead_xchacha20poly1305_ietf_decrypt(
             out, nullptr, nullptr, Bytes(sealed) + kNonceBytes, sealed.size() - kNonceBytes,
             Bytes(associated), associated.size(), Bytes(sealed), Bytes(key)) == 0;
}

std::string AssociatedData(const SealContext& context) {
  std::string data;
  AppendField(data, "handrail/column/v1");
  AppendField(data, context.table);
  AppendField(data, context.column);
  AppendField(data, context.row);
  return data;
}

std::string AssociatedData(const MemberId& member, absl::string_view key_id) {
  std::string data;
  AppendField(data, "handrail/member-key/v1");
  AppendField(data, member.Bytes());
  AppendField(data, key_id);
  return data;
}

struct Wrapped {
  absl::string_view key_id;
  absl::string_view sealed;
};

// Version, length of the key id, key id, then what Encipher gave.
std::optional<Wrapped> ParseWrapped(absl::string_view wrapped) {
  if (wrapped.size() < 2 || wrapped[0] != kVersion) return std::nullopt;
  const size_t id_size = static_cast<unsigned char>(wrapped[1]);
  if (wrapped.size() != 2 + id_size + kNonceBytes + MemberKey::kBytes + kTagBytes) {
    return std::nullopt;
  }
  return Wrapped{wrapped.substr(2, id_size), wrapped.substr(2 + id_size)};
}

}  // namespace

void MemberKey::Wiper::operator()(unsigned char* bytes) const {
  sodium_memzero(bytes, kBytes);
  delete[] bytes;
}

MemberKey MemberKey::Generate(Random& random) {
  MemberKey key;
  random.Fill(key.bytes_.get(), kBytes);
  return key;
}

std::string Seal(const MemberKey& key, const SealContext& context, absl::string_view plaintext,
                 Random& random) {
  EnsureSodium();
  std::string sealed(1, kVersion);
  Encipher(key.Reveal(), AssociatedData(context), plaintext, random, sealed);
  return sealed;
}

absl::StatusOr<Secret<std::string>> Open(const MemberKey& key, const SealContext& context,
                                         absl::string_view sealed) {
  EnsureSodium();
  constexpr size_t kOverhead = 1 + kNonceBytes + kTagBytes;
  if (sealed.size() < kOverhead || sealed[0] != kVersion) return CorruptError();
  std::string plaintext(sealed.size() - kOverhead, '\0');
  if (!Decipher(key.Reveal(), AssociatedData(context), sealed.substr(1), MutableBytes(plaintext),
                plaintext.size())) {
    return CorruptError();
  }
  return Secret<std::string>(std::move(plaintext));
}

std::string KeyRing::Wrap(const MemberId& member, const MemberKey& key, Random& random) const {
  const MasterKey& newest = keys_.back();
  std::string wrapped(1, kVersion);
  wrapped += static_cast<char>(newest.id.size());
  wrapped += newest.id;
  Encipher(newest.key.Reveal(), AssociatedData(member, newest.id), key.Reveal(), random, wrapped);
  return wrapped;
}

absl::StatusOr<MemberKey> KeyRing::Unwrap(const MemberId& member, absl::string_view wrapped) const {
  const auto parsed = ParseWrapped(wrapped);
  if (!parsed.has_value()) return CorruptError();
  const MasterKey* master = Find(parsed->key_id);
  if (master == nullptr) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
        .Message("the key ring lacks a key under which stored data are enciphered");
  }
  MemberKey key;
  if (!Decipher(master->key.Reveal(), AssociatedData(member, master->id), parsed->sealed,
                key.bytes_.get(), MemberKey::kBytes)) {
    return CorruptError();
  }
  return key;
}

bool KeyRing::NeedsRewrap(absl::string_view wrapped) const {
  const auto parsed = ParseWrapped(wrapped);
  return !parsed.has_value() || parsed->key_id != newest_key_id();
}

absl::StatusOr<std::string> KeyRing::Rewrap(const MemberId& member, absl::string_view wrapped,
                                            Random& random) const {
  ASSIGN_OR_RETURN(const MemberKey key, Unwrap(member, wrapped));
  return Wrap(member, key, random);
}

const KeyRing::MasterKey* KeyRing::Find(absl::string_view id) const {
  for (const MasterKey& master : keys_) {
    if (master.id == id) return &master;
  }
  return nullptr;
}

std::string BlindIndex(const SecretKey& key, absl::string_view label, absl::string_view value) {
  std::string input;
  AppendField(input, "handrail/blind-index/v1");
  AppendField(input, label);
  AppendField(input, value);
  std::string index = HmacSha256(key.Reveal(), input);
  Wipe(input);
  return index;
}

}  // namespace handrail::crypto
