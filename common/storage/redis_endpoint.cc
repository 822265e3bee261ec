#include "common/storage/redis_endpoint.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/storage/redis_tls.h"

namespace handrail::storage {
namespace {

using Faults = std::vector<std::string>;
using Topology = RedisTarget::Topology;

constexpr int kSentinelPort = 26379;
constexpr size_t kMostSeeds = 64;
constexpr size_t kLongestPassword = 4096;

struct Scheme {
  absl::string_view prefix;
  Topology topology;
  bool tls;
};
constexpr std::array<Scheme, 6> kSchemes = {{
    {"redis://", Topology::kSingle, false},
    {"rediss://", Topology::kSingle, true},
    {"redis+sentinel://", Topology::kSentinel, false},
    {"rediss+sentinel://", Topology::kSentinel, true},
    {"redis-cluster://", Topology::kCluster, false},
    {"rediss-cluster://", Topology::kCluster, true},
}};

absl::Status ConfigurationError(absl::string_view subject, const Faults& faults) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat(subject, absl::StrJoin(faults, "; ")));
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

void ParseCredentials(absl::string_view text, RedisAccess& access, Faults& faults) {
  const size_t colon = text.find(':');
  const auto user = PercentDecode(text.substr(0, colon));
  std::optional<std::string> password = std::string();
  if (colon != absl::string_view::npos) password = PercentDecode(text.substr(colon + 1));
  if (!user.has_value() || !password.has_value()) {
    faults.push_back("has a broken %-escape in its credentials");
    return;
  }
  if (colon != absl::string_view::npos && password->empty()) {
    faults.push_back("has an empty password");
  }
  access.user = *user;
  access.password = Secret<std::string>(*std::move(password));
}

bool IsHostCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_';
}

// inet_pton reads as far as a zero byte, and what comes behind one is no part of an address.
bool IsIpv6(const std::string& host) {
  in6_addr scratch;
  if (host.find('\0') != std::string::npos) return false;
  return inet_pton(AF_INET6, host.c_str(), &scratch) == 1;
}

std::optional<int> ParsePort(absl::string_view text) {
  int port = 0;
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
  if (!digits || !absl::SimpleAtoi(text, &port) || port < 1 || port > 65535) return std::nullopt;
  return port;
}

void ParseHostAndPort(absl::string_view text, RedisEndpoint& endpoint, Faults& faults) {
  absl::string_view port;
  bool has_port = false;
  if (absl::ConsumePrefix(&text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos) {
      faults.push_back("lacks the ']' of an IPv6 address");
      return;
    }
    endpoint.host = std::string(text.substr(0, end));
    port = text.substr(end + 1);
    has_port = absl::ConsumePrefix(&port, ":");
    if (!has_port && !port.empty()) faults.push_back("has text behind the IPv6 address");
    if (!IsIpv6(endpoint.host)) faults.push_back("has an invalid IPv6 address");
  } else {
    const size_t colon = text.find(':');
    endpoint.host = std::string(text.substr(0, colon));
    has_port = colon != absl::string_view::npos;
    if (has_port) port = text.substr(colon + 1);
    if (!std::all_of(endpoint.host.begin(), endpoint.host.end(), IsHostCharacter)) {
      faults.push_back("has an invalid host name");
    }
  }
  if (endpoint.host.empty()) faults.push_back("has no host, or an empty one in its list");
  if (!has_port) return;
  if (const auto number = ParsePort(port); number.has_value()) {
    endpoint.port = *number;
  } else {
    faults.push_back("has an invalid port; it must be from 1 to 65535");
  }
}

void ParseUnix(absl::string_view encoded, RedisTarget& target, Faults& faults) {
  RedisEndpoint endpoint;
  endpoint.kind = RedisEndpoint::Kind::kUnix;
  const absl::string_view path = encoded;
  if (path.empty() || path[0] != '/') faults.push_back("needs an absolute path: unix:///path");
  if (path.find('\0') != absl::string_view::npos) faults.push_back("has a NUL in its path");
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    faults.push_back("has a socket path longer than 107 bytes");
  }
  endpoint.path = std::string(path);
  target.seeds.push_back(std::move(endpoint));
}

// What stands behind the hosts: nothing or database 0, and before it the name of a primary.
void ParsePath(absl::string_view path, RedisTarget& target, Faults& faults) {
  if (target.topology == Topology::kSentinel) {
    const size_t slash = path.find('/');
    const auto name = PercentDecode(path.substr(0, slash));
    path = slash == absl::string_view::npos ? absl::string_view() : path.substr(slash + 1);
    if (!name.has_value() || name->empty()) {
      faults.push_back("does not name the primary: redis+sentinel://host,host,host/name");
    } else {
      target.master_name = *name;
    }
  }
  if (!path.empty() && path != "0") {
    faults.push_back("asks for a database other than 0, which clusters do not have");
  }
}

// Null when there is no such option.
std::string* OptionPlace(absl::string_view name, RedisTarget& target) {
  if (name == "user") return &target.access.user;
  if (name == "password_file") return &target.access.password_file;
  if (name == "sentinel_user") return &target.sentinel_access.user;
  if (name == "sentinel_password_file") return &target.sentinel_access.password_file;
  if (name == "ca_file") return &target.tls_files.ca_file;
  if (name == "certificate_file") return &target.tls_files.certificate_file;
  if (name == "key_file") return &target.tls_files.key_file;
  if (name == "server_name") return &target.tls_files.server_name;
  return nullptr;
}

void ParseOptions(absl::string_view text, RedisTarget& target, Faults& faults) {
  for (const absl::string_view option : absl::StrSplit(text, '&')) {
    const size_t equals = option.find('=');
    std::string* const place = OptionPlace(option.substr(0, equals), target);
    if (place == nullptr) {
      faults.push_back(
          "has an unknown option; known are user, password_file, sentinel_user, "
          "sentinel_password_file, ca_file, certificate_file, key_file and server_name");
      continue;
    }
    const auto value = equals == absl::string_view::npos ? std::string()
                                                         : PercentDecode(option.substr(equals + 1));
    if (!value.has_value() || value->empty()) {
      faults.push_back("has an option that is empty or has a broken %-escape");
    } else if (!place->empty()) {
      faults.push_back("says the same thing twice");
    } else {
      *place = *value;
    }
  }
}

void CheckOptions(const RedisTarget& target, Faults& faults) {
  const RedisAccess& access = target.access;
  const RedisTlsFiles& files = target.tls_files;
  if (!access.password.Reveal().empty() && !access.password_file.empty()) {
    faults.push_back("has both a password and a password_file");
  }
  if (!access.user.empty() && !access.HasPassword()) {
    faults.push_back("names a user without a password");
  }
  if (!target.sentinel_access.user.empty() && !target.sentinel_access.HasPassword()) {
    faults.push_back("has a sentinel_user without a sentinel_password_file");
  }
  const bool sentinel_options =
      !target.sentinel_access.user.empty() || target.sentinel_access.HasPassword();
  if (sentinel_options && target.topology != Topology::kSentinel) {
    faults.push_back("has options for sentinels, and is not redis+sentinel://");
  }
  const bool tls_options = !files.ca_file.empty() || !files.certificate_file.empty() ||
                           !files.key_file.empty() || !files.server_name.empty();
  if (tls_options && !target.tls) {
    faults.push_back("has options for TLS, and does not begin with rediss");
  }
  if (files.certificate_file.empty() != files.key_file.empty()) {
    faults.push_back("must have both certificate_file and key_file, or neither");
  }
}

void ParseHosts(absl::string_view hosts, RedisTarget& target, Faults& faults) {
  for (const absl::string_view host : absl::StrSplit(hosts, ',')) {
    RedisEndpoint endpoint;
    if (target.topology == Topology::kSentinel) endpoint.port = kSentinelPort;
    ParseHostAndPort(host, endpoint, faults);
    target.seeds.push_back(std::move(endpoint));
    if (target.seeds.size() > kMostSeeds) {
      faults.push_back("names more than 64 hosts");
      return;
    }
  }
  if (target.seeds.size() > 1 && target.topology == Topology::kSingle) {
    faults.push_back("names several hosts; use redis-cluster:// or redis+sentinel://");
  }
}

bool ConsumeScheme(absl::string_view& url, RedisTarget& target) {
  for (const Scheme& scheme : kSchemes) {
    if (!absl::ConsumePrefix(&url, scheme.prefix)) continue;
    target.topology = scheme.topology;
    target.tls = scheme.tls;
    return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<Secret<std::string>> RedisAccess::ReadPassword() const {
  if (password_file.empty()) return password;
  std::ifstream stream(password_file);
  std::string line;
  if (!std::getline(stream, line) || line.size() > kLongestPassword ||
      absl::StripAsciiWhitespace(line).empty()) {
    return UnavailableError(reason::kRedisUnavailable,
                            absl::StrCat("no password can be read from ", password_file));
  }
  return Secret<std::string>(std::string(absl::StripAsciiWhitespace(line)));
}

std::string RedisEndpoint::Address() const {
  if (kind == Kind::kUnix) return path;
  const bool ipv6 = host.find(':') != std::string::npos;
  return ipv6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<RedisEndpoint> ParseRedisAddress(absl::string_view text) {
  RedisEndpoint endpoint;
  Faults faults;
  const size_t colon = text.rfind(':');
  const std::string bare(text.substr(0, colon));
  if (colon != absl::string_view::npos && IsIpv6(bare)) {
    endpoint.host = bare;
    const auto port = ParsePort(text.substr(colon + 1));
    if (port.has_value()) {
      endpoint.port = *port;
      return endpoint;
    }
  }
  ParseHostAndPort(text, endpoint, faults);
  if (faults.empty()) return endpoint;
  return ConfigurationError("an address of Redis ", faults);
}

absl::StatusOr<RedisTarget> ParseRedisUrl(absl::string_view url) {
  RedisTarget target;
  Faults faults;
  const bool is_unix = absl::ConsumePrefix(&url, "unix://");
  if (!is_unix && !ConsumeScheme(url, target)) {
    return ConfigurationError(
        "the Redis URL ",
        {"must begin with redis://, rediss://, redis+sentinel://, rediss+sentinel://, "
         "redis-cluster://, rediss-cluster:// or unix://"});
  }
  if (url.find('#') != absl::string_view::npos) faults.push_back("has a fragment (#…)");
  absl::string_view options;
  if (const size_t mark = url.find('?'); mark != absl::string_view::npos) {
    options = url.substr(mark + 1);
    url = url.substr(0, mark);
    ParseOptions(options, target, faults);
  }
  if (is_unix) {
    ParseUnix(url, target, faults);
  } else {
    // The last '@' ends the credentials: a password may hold one that nobody escaped.
    if (const size_t at = url.rfind('@'); at != absl::string_view::npos) {
      if (!target.access.user.empty()) faults.push_back("says the user twice");
      ParseCredentials(url.substr(0, at), target.access, faults);
      url.remove_prefix(at + 1);
    }
    const size_t slash = url.find('/');
    const bool has_path = slash != absl::string_view::npos;
    ParsePath(has_path ? url.substr(slash + 1) : absl::string_view(), target, faults);
    ParseHosts(url.substr(0, slash), target, faults);
  }
  CheckOptions(target, faults);
  if (!faults.empty()) return ConfigurationError("the Redis URL ", faults);
  return target;
}

absl::Status OpenRedisFiles(RedisTarget& target) {
  Faults faults;
  for (const RedisAccess* access : {&target.access, &target.sentinel_access}) {
    if (access->password_file.empty()) continue;
    if (const auto password = access->ReadPassword(); !password.ok()) {
      faults.push_back(std::string(password.status().message()));
    }
  }
  if (target.tls) {
    auto tls = RedisTls::Create(target.tls_files, faults);
    target.access.tls = tls;
    target.sentinel_access.tls = std::move(tls);
  }
  if (faults.empty()) return absl::OkStatus();
  return ConfigurationError("what the Redis URL names: ", faults);
}

}  // namespace handrail::storage
