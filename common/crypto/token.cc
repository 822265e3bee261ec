#include "common/crypto/token.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/base64url.h"
#include "common/crypto/hash.h"

namespace handrail::crypto {
namespace {

using Json = nlohmann::json;
using Role = TokenClaims::Role;

constexpr absl::string_view kAlgorithm = "EdDSA";
constexpr absl::string_view kType = "at+jwt";    // RFC 9068
constexpr int64_t kLatestSecond = 253402300799;  // the end of the year 9999

constexpr std::array<std::pair<Role, absl::string_view>, 3> kRoles = {{
    {Role::kMember, "member"},
    {Role::kStaff, "staff"},
    {Role::kOperator, "operator"},
}};

// One text for all: whoever forges a token learns nothing of how far it came.
absl::Status InvalidToken() {
  return Error(absl::StatusCode::kUnauthenticated, reason::kTokenInvalid)
      .Message("the access token is not valid");
}

absl::Status ExpiredToken() {
  return Error(absl::StatusCode::kUnauthenticated, reason::kTokenExpired)
      .Message("the access token has expired");
}

std::string Encode(const Json& json) {
  return Base64UrlEncode(json.dump(-1, ' ', true, Json::error_handler_t::replace));
}

// The parser keeps its own stack and the input is at most 4 KiB, so nesting costs nothing.
std::optional<Json> DecodeObject(absl::string_view part) {
  const auto text = Base64UrlDecode(part);
  if (!text.has_value()) return std::nullopt;
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

const std::string* Text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get_ptr<const std::string*>()
                                                     : nullptr;
}

std::optional<absl::Time> Second(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  if (found->is_number_unsigned() && found->get<uint64_t>() > uint64_t{kLatestSecond}) {
    return std::nullopt;
  }
  const auto seconds = found->get<int64_t>();
  if (seconds < 0) return std::nullopt;
  return absl::FromUnixSeconds(seconds);
}

// The kid of an acceptable header; null otherwise.
const std::string* KeyIdOfHeader(const Json& header) {
  for (const auto& [name, value] : header.items()) {
    if (name != "alg" && name != "kid" && name != "typ") return nullptr;
  }
  const std::string* algorithm = Text(header, "alg");
  if (algorithm == nullptr || *algorithm != kAlgorithm) return nullptr;
  if (header.contains("typ")) {
    const std::string* type = Text(header, "typ");
    if (type == nullptr || (*type != kType && *type != "JWT")) return nullptr;
  }
  return Text(header, "kid");
}

bool ReadTimes(const Json& payload, TokenClaims& claims) {
  const auto issued_at = Second(payload, "iat");
  const auto expires_at = Second(payload, "exp");
  if (!issued_at.has_value() || !expires_at.has_value()) return false;
  claims.issued_at = *issued_at;
  claims.expires_at = *expires_at;
  claims.not_before = absl::InfinitePast();
  if (!payload.contains("nbf")) return true;
  const auto not_before = Second(payload, "nbf");
  if (!not_before.has_value()) return false;
  claims.not_before = *not_before;
  return true;
}

std::optional<TokenClaims> ReadClaims(const Json& payload) {
  const std::string* issuer = Text(payload, "iss");
  const std::string* audience = Text(payload, "aud");
  const std::string* member = Text(payload, "sub");
  const std::string* device = Text(payload, "dev");
  const std::string* role = Text(payload, "role");
  const std::string* token_id = Text(payload, "jti");
  for (const std::string* text : {issuer, audience, member, device, role, token_id}) {
    if (text == nullptr || text->empty()) return std::nullopt;
  }
  TokenClaims claims;
  claims.issuer = *issuer;
  claims.audience = *audience;
  claims.token_id = *token_id;
  const auto member_id = MemberId::Parse(*member);
  const auto device_id = DeviceId::Parse(*device);
  const auto known = std::find_if(kRoles.begin(), kRoles.end(),
                                  [role](const auto& entry) { return entry.second == *role; });
  if (!member_id.ok() || !device_id.ok() || known == kRoles.end()) return std::nullopt;
  claims.member = *member_id;
  claims.device = *device_id;
  claims.role = known->first;
  if (!ReadTimes(payload, claims)) return std::nullopt;
  return claims;
}

std::string RoleName(Role role) {
  for (const auto& [value, name] : kRoles) {
    if (value == role) return std::string(name);
  }
  return "";
}

}  // namespace

TokenSigner::TokenSigner(std::string issuer, std::string key_id, SigningKey key)
    : issuer_(std::move(issuer)), key_id_(std::move(key_id)), key_(std::move(key)) {}

absl::StatusOr<TokenSigner> TokenSigner::Create(absl::string_view issuer, absl::string_view key_id,
                                                SigningKey key) {
  const bool printable =
      std::all_of(issuer.begin(), issuer.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (issuer.empty() || issuer.size() > 256 || !printable) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message("the issuer of tokens must be 1 to 256 printable ASCII characters");
  }
  if (!IsValidKeyId(key_id)) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message("a key id must be 1 to 64 letters, digits, '_' or '-'");
  }
  return TokenSigner(std::string(issuer), std::string(key_id), std::move(key));
}

std::string TokenSigner::Sign(const TokenClaims& claims) const {
  const Json header = {
      {"alg", std::string(kAlgorithm)}, {"kid", key_id_}, {"typ", std::string(kType)}};
  Json payload = {{"iss", issuer_},
                  {"aud", claims.audience},
                  {"sub", claims.member.ToString()},
                  {"dev", claims.device.ToString()},
                  {"role", RoleName(claims.role)},
                  {"iat", absl::ToUnixSeconds(claims.issued_at)},
                  {"exp", absl::ToUnixSeconds(claims.expires_at)},
                  {"jti", claims.token_id}};
  // A default-constructed time is 1970, which says as little as none.
  if (claims.not_before > absl::UnixEpoch()) {
    payload["nbf"] = absl::ToUnixSeconds(claims.not_before);
  }
  std::string token = absl::StrCat(Encode(header), ".", Encode(payload));
  const std::string signature = key_.Sign(token);
  absl::StrAppend(&token, ".", Base64UrlEncode(signature));
  return token;
}

TokenVerifier::TokenVerifier(TokenVerifierOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), keys_(std::make_shared<const KeySet>()) {}

void TokenVerifier::SetKeys(KeySet keys) {
  auto shared = std::make_shared<const KeySet>(std::move(keys));
  MutexLock lock(mutex_);
  keys_ = std::move(shared);
  ++generation_;
  newer_.clear();
  older_.clear();
}

absl::StatusOr<TokenClaims> TokenVerifier::Verify(absl::string_view token) const {
  return VerifyAllowingExpired(token, absl::ZeroDuration());
}

absl::StatusOr<TokenClaims> TokenVerifier::VerifyAllowingExpired(absl::string_view token,
                                                                 absl::Duration grace) const {
  if (token.empty() || token.size() > kMaxTokenBytes) return InvalidToken();
  ASSIGN_OR_RETURN(TokenClaims claims, VerifiedClaims(token));
  const absl::Time now = clock_.Now();
  if (claims.issued_at > now + options_.skew || claims.not_before > now + options_.skew) {
    return InvalidToken();
  }
  if (now < claims.expires_at + options_.skew) return claims;
  claims.expired_for = now - claims.expires_at;
  if (claims.expired_for > grace) return ExpiredToken();
  return claims;
}

// Everything but the relation of the token's times to now.
absl::StatusOr<TokenClaims> TokenVerifier::VerifiedClaims(absl::string_view token) const {
  const std::string hash = Sha256(token);
  TokenClaims claims;
  if (FindCached(hash, claims)) return claims;

  const size_t first = token.find('.');
  const size_t last = token.rfind('.');
  if (first == absl::string_view::npos || first == last) return InvalidToken();
  const auto header = DecodeObject(token.substr(0, first));
  const auto signature = Base64UrlDecode(token.substr(last + 1));
  if (!header.has_value() || !signature.has_value()) return InvalidToken();
  const std::string* key_id = KeyIdOfHeader(*header);
  if (key_id == nullptr) return InvalidToken();

  std::shared_ptr<const KeySet> keys;
  int64_t generation = 0;
  {
    MutexLock lock(mutex_);
    keys = keys_;
    generation = generation_;
  }
  const auto key = keys->find(*key_id);
  if (key == keys->end() || !key->second.Verify(token.substr(0, last), *signature)) {
    return InvalidToken();
  }
  // Only what has the right signature is looked into; a dot in it would not be base64url.
  const auto payload = DecodeObject(token.substr(first + 1, last - first - 1));
  if (!payload.has_value()) return InvalidToken();
  auto read = ReadClaims(*payload);
  if (!read.has_value() || read->issuer != options_.issuer || read->audience != options_.audience ||
      read->expires_at <= read->issued_at ||
      read->expires_at - read->issued_at > options_.max_lifetime) {
    return InvalidToken();
  }
  Remember(hash, *read, generation);
  return *std::move(read);
}

bool TokenVerifier::FindCached(const std::string& hash, TokenClaims& claims) const {
  MutexLock lock(mutex_);
  for (const Cache* cache : {&newer_, &older_}) {
    const auto found = cache->find(hash);
    if (found == cache->end()) continue;
    claims = found->second;
    return true;
  }
  return false;
}

void TokenVerifier::Remember(const std::string& hash, const TokenClaims& claims,
                             int64_t generation) const {
  MutexLock lock(mutex_);
  // The keys may have changed while this token was being verified with the old ones.
  if (generation != generation_) return;
  if (newer_.size() >= std::max<size_t>(options_.cache_limit / 2, 1)) {
    older_.swap(newer_);
    newer_.clear();
  }
  newer_.emplace(hash, claims);
}

}  // namespace handrail::crypto
