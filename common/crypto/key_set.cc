#include "common/crypto/key_set.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/base64url.h"
#include "common/crypto/hash.h"

namespace handrail::crypto {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxBytes = 64 << 10;
constexpr size_t kMaxKeys = 64;

absl::Status Bad(absl::string_view what) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat("the key set ", what));
}

// The member when it is a string; null otherwise.
const std::string* Text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get_ptr<const std::string*>()
                                                     : nullptr;
}

bool IsAbsentOr(const Json& object, const char* name, absl::string_view expected) {
  if (!object.contains(name)) return true;
  const std::string* value = Text(object, name);
  return value != nullptr && *value == expected;
}

// Nothing when the key is of a kind that is not ours.
absl::StatusOr<std::optional<std::pair<std::string, VerifyKey>>> ParseKey(const Json& jwk) {
  if (!jwk.is_object()) return Bad("has a key that is no object");
  if (jwk.contains("d") || jwk.contains("k")) return Bad("holds a secret key");
  const std::string* type = Text(jwk, "kty");
  if (type == nullptr) return Bad("has a key without a type");
  const std::string* curve = Text(jwk, "crv");
  if (*type != "OKP" || curve == nullptr || *curve != "Ed25519") return std::nullopt;
  if (!IsAbsentOr(jwk, "use", "sig") || !IsAbsentOr(jwk, "alg", "EdDSA")) {
    return Bad("has an Ed25519 key for another use");
  }
  const std::string* key_id = Text(jwk, "kid");
  if (key_id == nullptr || !IsValidKeyId(*key_id)) return Bad("has a key without a valid kid");
  const std::string* x = Text(jwk, "x");
  const auto bytes = x != nullptr ? Base64UrlDecode(*x) : std::nullopt;
  if (!bytes.has_value()) return Bad("has a key without a valid x");
  auto key = VerifyKey::FromBytes(*bytes);
  if (!key.ok()) return Bad("has an x that is not a valid Ed25519 key");
  return std::make_pair(*key_id, *std::move(key));
}

}  // namespace

bool IsValidKeyId(absl::string_view key_id) {
  return !key_id.empty() && key_id.size() <= 64 &&
         std::all_of(key_id.begin(), key_id.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
         });
}

std::string EncodeKeySet(const KeySet& keys) {
  Json list = Json::array();
  for (const auto& [key_id, key] : keys) {
    list.push_back({{"kty", "OKP"},
                    {"crv", "Ed25519"},
                    {"use", "sig"},
                    {"alg", "EdDSA"},
                    {"kid", key_id},
                    {"x", Base64UrlEncode(key.bytes())}});
  }
  return Json({{"keys", std::move(list)}}).dump(-1, ' ', true, Json::error_handler_t::replace);
}

absl::StatusOr<KeySet> ParseKeySet(absl::string_view json) {
  if (json.size() > kMaxBytes) return Bad("is larger than 64 KiB");
  const Json parsed = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return Bad("is not a JSON object");
  const auto list = parsed.find("keys");
  if (list == parsed.end() || !list->is_array()) return Bad("has no list of keys");
  if (list->size() > kMaxKeys) return Bad("has more than 64 keys");
  KeySet keys;
  for (const Json& jwk : *list) {
    ASSIGN_OR_RETURN(auto key, ParseKey(jwk));
    if (key.has_value() && !keys.insert(*std::move(key)).second) return Bad("repeats a kid");
  }
  return keys;
}

std::string KeyIdOf(const VerifyKey& key) {
  // The required members in the order of their names, without white space: RFC 7638 §3.
  return Base64UrlEncode(Sha256(absl::StrCat(R"({"crv":"Ed25519","kty":"OKP","x":")",
                                             Base64UrlEncode(key.bytes()), R"("})")));
}

}  // namespace handrail::crypto
