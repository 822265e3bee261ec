#include "common/storage/redis_query.h"

#include <poll.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/redis_protocol.h"

namespace handrail::storage {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using Outcome = RedisTransport::Outcome;

absl::Status NoAnswer(const RedisAddress& address, absl::string_view why) {
  return UnavailableError(reason::kRedisUnavailable,
                          absl::StrCat("Redis at ", address.text, ": ", why));
}

// False when the time has passed.
bool Await(const RedisTransport& transport, bool has_output, SteadyTime give_up_at) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(give_up_at - std::chrono::steady_clock::now());
  if (left.count() <= 0) return false;
  if (transport.HasBufferedInput()) return true;
  pollfd fd = {transport.fd(), transport.PollEvents(has_output), 0};
  return poll(&fd, 1, static_cast<int>(left.count())) > 0;
}

}  // namespace

absl::StatusOr<RedisReply> AskRedis(const RedisAddress& address, const RedisAccess& access,
                                    absl::Span<const absl::string_view> command,
                                    SteadyTime give_up_at) {
  ASSIGN_OR_RETURN(auto transport, BeginRedisTransport(address, access));
  while (true) {
    const Outcome outcome = transport->Establish();
    if (outcome == Outcome::kDone) break;
    if (outcome == Outcome::kFailed) return NoAnswer(address, transport->Failure());
    if (!Await(*transport, false, give_up_at)) return NoAnswer(address, transport->Missing());
  }
  std::string output;
  int replies_before = 0;
  if (access.HasPassword()) {
    ASSIGN_OR_RETURN(const Secret<std::string> password, access.ReadPassword());
    output += FormatAuth(access.user, password);
    ++replies_before;
  }
  output += std::string(WireCommand(command).bytes());
  const RedisReaderPtr reader = NewRedisReader();
  std::array<char, 16384> buffer;
  size_t sent = 0;
  while (true) {
    if (sent < output.size()) {
      const auto written = transport->Write(output.data() + sent, output.size() - sent);
      if (written.outcome == Outcome::kFailed) return NoAnswer(address, transport->Failure());
      sent += written.bytes;
    }
    const auto got = transport->Read(buffer.data(), buffer.size());
    if (got.outcome == Outcome::kFailed) return NoAnswer(address, transport->Failure());
    if (got.outcome == Outcome::kAgain) {
      if (!Await(*transport, sent < output.size(), give_up_at)) {
        return NoAnswer(address, "no answer in time");
      }
      continue;
    }
    bool broken = redisReaderFeed(reader.get(), buffer.data(), got.bytes) != REDIS_OK;
    while (!broken) {
      void* raw = nullptr;
      broken = redisReaderGetReply(reader.get(), &raw) != REDIS_OK;
      if (broken || raw == nullptr) break;
      const HiredisReplyPtr reply(static_cast<redisReply*>(raw));
      if (replies_before == 0) return ConvertReply(*reply, {});
      --replies_before;
      if (reply->type == REDIS_REPLY_ERROR) return ConvertReply(*reply, {});
    }
    if (broken) return NoAnswer(address, "the server sent what is not the Redis protocol");
  }
}

}  // namespace handrail::storage
