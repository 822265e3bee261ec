#include "common/storage/redis_slots.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/storage/redis_endpoint.h"

namespace handrail::storage {
namespace {

constexpr size_t kMostNodes = 4096;

constexpr std::array<uint16_t, 256> MakeCrcTable() {
  std::array<uint16_t, 256> table = {};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[byte] = static_cast<uint16_t>(crc);
  }
  return table;
}
constexpr std::array<uint16_t, 256> kCrcTable = MakeCrcTable();

uint16_t Crc16(absl::string_view bytes) {
  unsigned crc = 0;
  for (const char c : bytes) {
    crc = ((crc << 8) ^ kCrcTable[((crc >> 8) ^ static_cast<unsigned char>(c)) & 0xff]) & 0xffff;
  }
  return static_cast<uint16_t>(crc);
}

absl::Status MisuseError(absl::string_view what) {
  return Error(absl::StatusCode::kInternal, reason::kRedisError).Message(what);
}

absl::Status UnreadableError() {
  return MisuseError("a node of the Redis Cluster described it in a way that cannot be read");
}

bool IsOneOf(absl::string_view word, absl::Span<const absl::string_view> words) {
  return std::any_of(words.begin(), words.end(), [word](absl::string_view known) {
    return absl::EqualsIgnoreCase(word, known);
  });
}

constexpr absl::string_view kWithoutKeys[] = {"PING", "ECHO", "PUBLISH", "INFO",   "TIME",
                                              "ROLE", "ACL",  "CLIENT",  "CLUSTER"};
constexpr absl::string_view kOneNodeOnly[] = {
    "KEYS",     "SCAN",    "DBSIZE",  "FLUSHALL", "FLUSHDB",   "MULTI",   "EXEC",
    "WATCH",    "UNWATCH", "DISCARD", "SAVE",     "RANDOMKEY", "CONFIG",  "SCRIPT",
    "FUNCTION", "WAIT",    "SELECT",  "DEBUG",    "ASKING",    "READONLY"};
constexpr absl::string_view kEveryWordAKey[] = {"DEL", "UNLINK", "EXISTS", "TOUCH", "MGET"};

absl::StatusOr<RedisRoute> RouteOfKeys(absl::Span<const absl::string_view> keys) {
  if (keys.empty()) return RedisRoute{};
  const int slot = RedisKeySlot(keys[0]);
  for (const absl::string_view key : keys) {
    if (RedisKeySlot(key) != slot) return MisuseError("a Redis command with keys of two slots");
  }
  return RedisRoute{slot};
}

// The host of "host:port".
absl::string_view HostOf(absl::string_view address) {
  return address.substr(0, address.rfind(':'));
}

// One node of CLUSTER SLOTS: host, port, id, metadata. Empty when its address is not known.
std::string AddressOfNode(const RedisReply& node, absl::string_view asked_host) {
  if (node.elements.size() < 2) return "";
  std::string host = node.elements[0].IsNil() ? std::string() : node.elements[0].text;
  if (host == "?") return "";
  if (host.empty()) host = std::string(asked_host);
  const int64_t port = node.elements[1].integer;
  if (host.empty() || port < 1 || port > 65535) return "";
  const bool ipv6 = absl::StrContains(host, ":") && host.front() != '[';
  return ipv6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

}  // namespace

int RedisKeySlot(absl::string_view key) {
  const size_t open = key.find('{');
  if (open != absl::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != absl::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return Crc16(key) % kRedisSlots;
}

absl::StatusOr<RedisRoute> RouteRedisCommand(absl::Span<const absl::string_view> args) {
  const absl::string_view verb = args[0];
  if (IsOneOf(verb, kOneNodeOnly)) {
    return MisuseError(absl::StrCat("a Redis Cluster has no ", verb, " for all of its nodes"));
  }
  if (IsOneOf(verb, kWithoutKeys) || args.size() == 1) return RedisRoute{};
  if (IsOneOf(verb, {"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"})) {
    size_t count = 0;
    if (args.size() < 3 || !absl::SimpleAtoi(args[2], &count) || count > args.size() - 3) {
      return MisuseError("a Redis script without its number of keys");
    }
    return RouteOfKeys(args.subspan(3, count));
  }
  if (IsOneOf(verb, kEveryWordAKey)) return RouteOfKeys(args.subspan(1));
  if (IsOneOf(verb, {"OBJECT", "MEMORY", "XGROUP", "XINFO"})) {
    return args.size() < 3 ? RedisRoute{} : RouteOfKeys(args.subspan(2, 1));
  }
  return RouteOfKeys(args.subspan(1, 1));
}

absl::StatusOr<RedisRoute> RouteRedisScript(absl::Span<const std::string> keys) {
  if (keys.empty()) return RedisRoute{};
  const int slot = RedisKeySlot(keys[0]);
  for (const std::string& key : keys) {
    if (RedisKeySlot(key) != slot) return MisuseError("a Redis script with keys of two slots");
  }
  return RedisRoute{slot};
}

absl::StatusOr<RedisSlotMap> ParseClusterSlots(const RedisReply& reply,
                                               absl::string_view asked_host) {
  RedisSlotMap map;
  map.owner.fill(RedisSlotMap::kNobody);
  absl::flat_hash_map<std::string, uint16_t> index_of;
  if (reply.type != RedisReply::Type::kArray) return UnreadableError();
  for (const RedisReply& range : reply.elements) {
    if (range.elements.size() < 3) return UnreadableError();
    const int64_t first = range.elements[0].integer;
    const int64_t last = range.elements[1].integer;
    if (first < 0 || last < first || last >= kRedisSlots) return UnreadableError();
    std::string master = AddressOfNode(range.elements[2], asked_host);
    if (master.empty()) continue;  // nobody who can be reached
    const auto [entry, added] =
        index_of.try_emplace(master, static_cast<uint16_t>(map.masters.size()));
    if (added) map.masters.push_back(master);
    for (size_t i = 2; i < range.elements.size(); ++i) {
      std::string node = AddressOfNode(range.elements[i], asked_host);
      if (!node.empty()) map.nodes.push_back(std::move(node));
    }
    if (map.nodes.size() > kMostNodes * 4) return UnreadableError();
    for (int64_t slot = first; slot <= last; ++slot) {
      uint16_t& owner = map.owner[static_cast<size_t>(slot)];
      if (owner == RedisSlotMap::kNobody) ++map.covered;
      owner = entry->second;
    }
  }
  std::sort(map.nodes.begin(), map.nodes.end());
  map.nodes.erase(std::unique(map.nodes.begin(), map.nodes.end()), map.nodes.end());
  if (map.nodes.size() > kMostNodes) return UnreadableError();
  return map;
}

std::optional<RedisRedirect> ParseRedisRedirect(absl::string_view text,
                                                absl::string_view asked_host) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  if (words.size() != 3 || (words[0] != "MOVED" && words[0] != "ASK")) return std::nullopt;
  RedisRedirect redirect;
  redirect.ask = words[0] == "ASK";
  if (!absl::SimpleAtoi(words[1], &redirect.slot) || redirect.slot < 0 ||
      redirect.slot >= kRedisSlots) {
    return std::nullopt;
  }
  std::string address(words[2]);
  if (HostOf(address).empty()) address = absl::StrCat(asked_host, address);
  const auto endpoint = ParseRedisAddress(address);
  if (!endpoint.ok()) return std::nullopt;
  redirect.address = endpoint->Address();
  return redirect;
}

}  // namespace handrail::storage
