// What a Redis server, or whoever answers in its place, sends over the wire. The first byte says in
// pieces of which size it arrives.

#include <algorithm>

#include "common/storage/redis_endpoint.h"
#include "common/storage/redis_protocol.h"
#include "common/storage/redis_slots.h"
#include "common/testing/fuzzing.h"

namespace handrail::storage {
namespace {

// Null when the stream is broken or a reply is not yet whole.
HiredisReplyPtr NextReply(redisReader* reader, bool& broken) {
  void* raw = nullptr;
  broken = redisReaderGetReply(reader, &raw) != REDIS_OK;
  return HiredisReplyPtr(static_cast<redisReply*>(raw));
}

}  // namespace
}  // namespace handrail::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  if (size == 0) return 0;
  const storage::RedisReaderPtr reader = storage::NewRedisReader();
  absl::string_view rest = testing::FuzzText(data + 1, size - 1);
  const size_t piece = data[0] == 0 ? rest.size() : data[0];
  bool broken = false;
  while (!rest.empty() && !broken) {
    const absl::string_view part = rest.substr(0, piece);
    rest.remove_prefix(part.size());
    if (redisReaderFeed(reader.get(), part.data(), part.size()) != REDIS_OK) break;
    while (const auto reply = storage::NextReply(reader.get(), broken)) {
      const auto converted = storage::ConvertReply(*reply, {"script", "EVAL"});
      FUZZ_CHECK(converted.ok() == (reply->type != REDIS_REPLY_ERROR));
      if (reply->type == REDIS_REPLY_ERROR) {
        const absl::string_view text(reply->str, reply->len);
        const auto redirect = storage::ParseRedisRedirect(text, "asked");
        FUZZ_CHECK(!redirect.has_value() || storage::ParseRedisAddress(redirect->address).ok());
      }
      if (converted.ok() && reply->type == REDIS_REPLY_ARRAY) {
        FUZZ_CHECK(converted->elements.size() == reply->elements);
        const auto map = storage::ParseClusterSlots(*converted, "asked");
        FUZZ_CHECK(!map.ok() || map->masters.size() <= map->nodes.size());
      }
    }
  }
  return 0;
}
