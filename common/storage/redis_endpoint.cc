#include "common/storage/redis_endpoint.h"

#include <sys/un.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace handrail::storage {
namespace {

absl::Status BadUrl(absl::string_view what) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat("the Redis URL ", what));
}

std::optional<int> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

std::optional<std::string> PercentDecode(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const auto high = HexDigit(text[i + 1]);
    const auto low = HexDigit(text[i + 2]);
    if (!high.has_value() || !low.has_value()) return std::nullopt;
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

absl::Status ParseCredentials(absl::string_view text, RedisEndpoint& endpoint) {
  const size_t colon = text.find(':');
  if (colon == absl::string_view::npos) return BadUrl("names a user without a password");
  const auto user = PercentDecode(text.substr(0, colon));
  const auto password = PercentDecode(text.substr(colon + 1));
  if (!user.has_value() || !password.has_value()) return BadUrl("has a broken %-escape");
  if (password->empty()) return BadUrl("has an empty password");
  endpoint.user = *user;
  endpoint.password = Secret<std::string>(*password);
  endpoint.has_password = true;
  return absl::OkStatus();
}

bool IsHostCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_';
}

absl::Status ParseHostAndPort(absl::string_view text, RedisEndpoint& endpoint) {
  absl::string_view port;
  bool has_port = false;
  if (absl::ConsumePrefix(&text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos) return BadUrl("lacks the ']' of an IPv6 address");
    endpoint.host = std::string(text.substr(0, end));
    port = text.substr(end + 1);
    has_port = absl::ConsumePrefix(&port, ":");
    if (!has_port && !port.empty()) return BadUrl("has text behind the IPv6 address");
    const bool valid = std::all_of(endpoint.host.begin(), endpoint.host.end(), [](char c) {
      return HexDigit(c).has_value() || c == ':' || c == '.';
    });
    if (!valid) return BadUrl("has an invalid IPv6 address");
  } else {
    const size_t colon = text.find(':');
    endpoint.host = std::string(text.substr(0, colon));
    has_port = colon != absl::string_view::npos;
    if (has_port) port = text.substr(colon + 1);
    if (!std::all_of(endpoint.host.begin(), endpoint.host.end(), IsHostCharacter)) {
      return BadUrl("has an invalid host name");
    }
  }
  if (endpoint.host.empty()) return BadUrl("has no host");
  if (!has_port) return absl::OkStatus();
  const bool digits = !port.empty() && std::all_of(port.begin(), port.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
  if (!digits || !absl::SimpleAtoi(port, &endpoint.port) || endpoint.port < 1 ||
      endpoint.port > 65535) {
    return BadUrl("has an invalid port; it must be from 1 to 65535");
  }
  return absl::OkStatus();
}

absl::StatusOr<RedisEndpoint> ParseUnix(absl::string_view path) {
  RedisEndpoint endpoint;
  endpoint.kind = RedisEndpoint::Kind::kUnix;
  if (path.empty() || path[0] != '/') return BadUrl("needs an absolute path: unix:///path");
  if (path.find('\0') != absl::string_view::npos) return BadUrl("has a NUL in its path");
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return BadUrl("has a socket path longer than 107 bytes");
  }
  endpoint.path = std::string(path);
  return endpoint;
}

}  // namespace

std::string RedisEndpoint::Address() const {
  if (kind == Kind::kUnix) return path;
  const bool ipv6 = host.find(':') != std::string::npos;
  return ipv6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<RedisEndpoint> ParseRedisUrl(absl::string_view url) {
  if (absl::ConsumePrefix(&url, "unix://")) return ParseUnix(url);
  for (const absl::string_view scheme : {"rediss://", "redis+sentinel://", "rediss+sentinel://",
                                         "redis-cluster://", "rediss-cluster://"}) {
    if (absl::StartsWith(url, scheme)) {
      return BadUrl(absl::StrCat("uses ", scheme,
                                 ", which is not yet supported; use redis:// or "
                                 "unix://"));
    }
  }
  if (!absl::ConsumePrefix(&url, "redis://")) {
    return BadUrl("must begin with redis:// or unix://");
  }
  if (url.find_first_of("?#") != absl::string_view::npos) {
    return BadUrl("has parameters, of which none is known");
  }
  RedisEndpoint endpoint;
  // The last '@' ends the credentials: a password may hold one that nobody escaped.
  if (const size_t at = url.rfind('@'); at != absl::string_view::npos) {
    RETURN_IF_ERROR(ParseCredentials(url.substr(0, at), endpoint));
    url.remove_prefix(at + 1);
  }
  if (const size_t slash = url.find('/'); slash != absl::string_view::npos) {
    const absl::string_view database = url.substr(slash + 1);
    if (!database.empty() && database != "0") {
      return BadUrl("asks for a database other than 0, which clusters do not have");
    }
    url = url.substr(0, slash);
  }
  RETURN_IF_ERROR(ParseHostAndPort(url, endpoint));
  return endpoint;
}

}  // namespace handrail::storage
