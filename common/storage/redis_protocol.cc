#include "common/storage/redis_protocol.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::storage {
namespace {

// Errors that say "not now" or "not here" rather than "never": the caller may come again.
constexpr std::array<absl::string_view, 11> kUnavailableWords = {
    "LOADING", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "OOM",
    "BUSY",    "NOREPLICAS", "MISCONF",  "NOAUTH",      "WRONGPASS"};

RedisReply ToReply(const redisReply& reply) {
  RedisReply out;
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      out.type = RedisReply::Type::kInteger;
      out.integer = reply.integer;
      break;
    case REDIS_REPLY_STRING:
      out.type = RedisReply::Type::kString;
      out.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_STATUS:
      out.type = RedisReply::Type::kStatus;
      out.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_ERROR:
      out.type = RedisReply::Type::kError;
      out.text = RedisErrorWord(absl::string_view(reply.str, reply.len));
      break;
    case REDIS_REPLY_ARRAY:
      out.type = RedisReply::Type::kArray;
      out.elements.reserve(reply.elements);
      for (size_t i = 0; i < reply.elements; ++i) {
        out.elements.push_back(ToReply(*reply.element[i]));
      }
      break;
    default:  // nil; RESP2 has no more
      break;
  }
  return out;
}

}  // namespace

RedisReaderPtr NewRedisReader() {
  RedisReaderPtr reader(redisReaderCreate());
  if (reader == nullptr) std::abort();
  // hiredis 0.14 has no limit of its own. Its functions are one static table, the same for all.
  static const redisReplyObjectFunctions standard = *reader->fn;
  static redisReplyObjectFunctions limited = [] {
    redisReplyObjectFunctions functions = standard;
    functions.createArray = [](const redisReadTask* task, int elements) -> void* {
      return elements <= kMaxReplyElements ? standard.createArray(task, elements) : nullptr;
    };
    return functions;
  }();
  reader->fn = &limited;
  return reader;
}

WireCommand::WireCommand(absl::Span<const absl::string_view> args) {
  std::vector<const char*> pointers;
  std::vector<size_t> sizes;
  pointers.reserve(args.size());
  sizes.reserve(args.size());
  for (const absl::string_view arg : args) {
    // memcpy inside hiredis wants a pointer even for no bytes.
    pointers.push_back(arg.data() == nullptr ? "" : arg.data());
    sizes.push_back(arg.size());
  }
  char* formatted = nullptr;
  const auto size = redisFormatCommandArgv(&formatted, static_cast<int>(args.size()),
                                           pointers.data(), sizes.data());
  bytes_.reset(formatted);
  if (size > 0) size_ = static_cast<size_t>(size);
}

std::string FormatAuth(const std::string& user, const Secret<std::string>& password) {
  std::vector<absl::string_view> words = {"AUTH"};
  if (!user.empty()) words.push_back(user);
  words.push_back(password.Reveal());
  return std::string(WireCommand(words).bytes());
}

WireEvalSha FormatEvalSha(const RedisScript& script, absl::Span<const std::string> keys,
                          absl::Span<const std::string> args) {
  const std::string key_count = absl::StrCat(keys.size());
  std::vector<absl::string_view> words = {"EVALSHA", script.sha1_hex(), key_count};
  words.reserve(3 + keys.size() + args.size());
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), args.begin(), args.end());
  const WireCommand command(words);
  WireEvalSha wire;
  wire.bytes = std::string(command.bytes());
  // "*<n>\r\n" "$7\r\nEVALSHA\r\n" "$40\r\n<40 digits>\r\n", then what EVAL has too.
  wire.tail_offset = wire.bytes.find("\r\n") + 2 + 13 + 47;
  return wire;
}

std::string FormatEval(const RedisScript& script, size_t arguments, absl::string_view tail) {
  return absl::StrCat("*", arguments + 3, "\r\n$4\r\nEVAL\r\n$", script.source().size(), "\r\n",
                      script.source(), "\r\n", tail);
}

std::string RedisErrorWord(absl::string_view text) {
  const absl::string_view word = text.substr(0, text.find(' '));
  const bool usual = !word.empty() && word.size() <= 32 &&
                     std::all_of(word.begin(), word.end(),
                                 [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
  return usual ? std::string(word) : "ERR";
}

std::string MissingPermission(absl::string_view text) {
  const bool in_script = absl::StrContains(text, "user executing the script") ||
                         absl::StrContains(text, "ACL failure in script");
  if (!absl::StartsWith(text, "NOPERM") && !in_script) return "";
  const absl::string_view where = in_script ? " inside the script" : "";
  // The kinds of refusal, in the words of Redis 6 to 7.4 and of Valkey.
  absl::string_view what = "this command";
  if (absl::StrContains(text, "to run ") || absl::StrContains(text, "can't run ")) {
    what = "this command";
  } else if (absl::StrContains(text, "channel")) {
    what = "this channel";
  } else if (absl::StrContains(text, "key")) {
    what = "these keys";
  }
  return absl::StrCat(what, where);
}

absl::Status StatusOfRedisError(absl::string_view text, const RedisSubject& subject) {
  const std::string missing = MissingPermission(text);
  const std::string word = missing.empty() ? RedisErrorWord(text) : "NOPERM";
  const bool unavailable = std::find(kUnavailableWords.begin(), kUnavailableWords.end(), word) !=
                           kUnavailableWords.end();
  const absl::string_view what = subject.script_name.empty() ? subject.verb : subject.script_name;
  const std::string of = what.empty() ? std::string() : absl::StrCat(" (", what, ")");
  Error error = unavailable ? UnavailableError(reason::kRedisUnavailable,
                                               absl::StrCat("Redis cannot serve this now: ", word))
                            : Error(absl::StatusCode::kInternal, reason::kRedisError);
  if (!missing.empty()) {
    error.Message(absl::StrCat("Redis' access list does not allow our user ", missing, of,
                               ": NOPERM; docs/redis.md has the list that is needed"));
  } else if (!unavailable) {
    error.Message(absl::StrCat("Redis refused a command", of, ": ", word));
  }
  error.Detail("redis_error", word);
  if (!subject.script_name.empty()) error.Detail("redis_script", subject.script_name);
  return error;
}

absl::StatusOr<RedisReply> ConvertReply(const redisReply& reply, const RedisSubject& subject) {
  if (reply.type == REDIS_REPLY_ERROR) {
    return StatusOfRedisError(absl::string_view(reply.str, reply.len), subject);
  }
  return ToReply(reply);
}

}  // namespace handrail::storage
