#include "services/matching/adapters/crypto_vault.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_split.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr size_t kBlock = 16;

struct CipherDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

crypto::SealContext ContextOf(absl::string_view place, const RawId& row) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(place, absl::MaxSplits('.', 1));
  return {parts.first, parts.second, row.Bytes()};
}

// One block through AES-128. The context is this thread's own and keeps its key schedule.
std::array<unsigned char, kBlock> Crypt(const std::array<unsigned char, kBlock>& key,
                                        const unsigned char* in, int encrypt) {
  struct Cached {
    std::unique_ptr<EVP_CIPHER_CTX, CipherDeleter> context;
    std::array<unsigned char, kBlock> key{};
  };
  thread_local Cached caches[2];
  Cached& cached = caches[encrypt];
  bool ok = true;
  if (cached.context == nullptr || cached.key != key) {
    cached.context.reset(EVP_CIPHER_CTX_new());
    cached.key = key;
    ok = cached.context != nullptr &&
         EVP_CipherInit_ex(cached.context.get(), EVP_aes_128_ecb(), nullptr, key.data(), nullptr,
                           encrypt) == 1 &&
         EVP_CIPHER_CTX_set_padding(cached.context.get(), 0) == 1;
  }
  std::array<unsigned char, kBlock> out{};
  int length = 0;
  ok = ok && EVP_CipherUpdate(cached.context.get(), out.data(), &length, in, kBlock) == 1 &&
       length == kBlock;
  if (!ok) {
    Log(Severity::kError, "cipher_failed", {{LogField::kComponent, "pool_names"}});
    std::abort();  // a block cipher cannot fail on a block
  }
  return out;
}

}  // namespace

absl::StatusOr<std::string> CryptoVault::NewKey(const MemberId& member) {
  return ring_.Wrap(member, crypto::MemberKey::Generate(random_), random_);
}

absl::StatusOr<std::string> CryptoVault::Seal(const MemberId& member, absl::string_view wrapped_key,
                                              absl::string_view place, const RawId& row,
                                              absl::string_view plaintext) {
  ASSIGN_OR_RETURN(const crypto::MemberKey key, ring_.Unwrap(member, wrapped_key));
  return crypto::Seal(key, ContextOf(place, row), plaintext, random_);
}

absl::StatusOr<std::string> CryptoVault::Open(const MemberId& member, absl::string_view wrapped_key,
                                              absl::string_view place, const RawId& row,
                                              absl::string_view sealed) {
  ASSIGN_OR_RETURN(const crypto::MemberKey key, ring_.Unwrap(member, wrapped_key));
  ASSIGN_OR_RETURN(const Secret<std::string> plain,
                   crypto::Open(key, ContextOf(place, row), sealed));
  return plain.Reveal();
}

CipherPoolNames::CipherPoolNames(const crypto::KeyRing& ring) {
  const std::string derived = crypto::BlindIndex(ring.index_key(), "matching.pools", "");
  std::copy_n(derived.begin(), kBlock, key_.begin());
}

std::string CipherPoolNames::Opaque(const PoolKey& pool) const {
  const std::string text = pool.ToString();
  std::array<unsigned char, kBlock> block{};
  std::copy_n(text.begin(), std::min(text.size(), kBlock), block.begin());
  const auto out = Crypt(key_, block.data(), 1);
  return std::string(reinterpret_cast<const char*>(out.data()), out.size());
}

absl::StatusOr<PoolKey> CipherPoolNames::Reveal(absl::string_view opaque) const {
  std::optional<PoolKey> pool;
  if (opaque.size() == kBlock) {
    const auto out = Crypt(key_, reinterpret_cast<const unsigned char*>(opaque.data()), 0);
    const auto end = std::find(out.begin(), out.end(), '\0');
    pool = PoolKey::FromString(absl::string_view(reinterpret_cast<const char*>(out.data()),
                                                 static_cast<size_t>(end - out.begin())));
  }
  if (!pool.has_value()) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("a pool that was not named with this key");
  }
  return *std::move(pool);
}

}  // namespace handrail::matching
