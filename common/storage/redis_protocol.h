#ifndef HANDRAIL_COMMON_STORAGE_REDIS_PROTOCOL_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_PROTOCOL_H_

#include <hiredis/hiredis.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/secret.h"
#include "common/storage/redis.h"

namespace handrail::storage {

struct RedisReaderDeleter {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};
using RedisReaderPtr = std::unique_ptr<redisReader, RedisReaderDeleter>;

// The most elements of one array in a reply. A length is announced before its elements arrive, and
// hiredis makes room for all of them at once; without this limit for 16 GiB.
inline constexpr int kMaxReplyElements = 1 << 22;

// Fails on longer arrays. Ends the process when there is no memory.
RedisReaderPtr NewRedisReader();

struct HiredisReplyDeleter {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using HiredisReplyPtr = std::unique_ptr<redisReply, HiredisReplyDeleter>;

struct HiredisCommandDeleter {
  void operator()(char* command) const { redisFreeCommand(command); }
};

// One command as it goes over the wire.
class WireCommand {
 public:
  explicit WireCommand(absl::Span<const absl::string_view> args);
  absl::string_view bytes() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char, HiredisCommandDeleter> bytes_;
  size_t size_ = 0;
};

// AUTH, with the user unless it is empty.
std::string FormatAuth(const std::string& user, const Secret<std::string>& password);

// EVALSHA of a script. `tail` is what EVAL has in common with it, for WireEval.
struct WireEvalSha {
  std::string bytes;
  size_t tail_offset = 0;
  absl::string_view tail() const { return absl::string_view(bytes).substr(tail_offset); }
};
WireEvalSha FormatEvalSha(const RedisScript& script, absl::Span<const std::string> keys,
                          absl::Span<const std::string> args);
// The same call by EVAL, with the script's text. `arguments` = keys.size() + args.size().
std::string FormatEval(const RedisScript& script, size_t arguments, absl::string_view tail);

// The first word of an error text, "ERR" when it has none of the usual form. Safe to show: the rest
// may quote data.
std::string RedisErrorWord(absl::string_view text);
// What a permission is missing for, of a text that begins with NOPERM or of a script's refusal:
// fixed words, never a key. Empty when the text is about something else.
std::string MissingPermission(absl::string_view text);
// What was asked of the server, for errors. Either or both may be empty.
struct RedisSubject {
  absl::string_view script_name;
  absl::string_view verb;
};
absl::Status StatusOfRedisError(absl::string_view text, const RedisSubject& subject);
// The status of a top-level error, else the reply.
absl::StatusOr<RedisReply> ConvertReply(const redisReply& reply, const RedisSubject& subject);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_PROTOCOL_H_
