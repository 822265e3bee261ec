#include "common/storage/redis_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"

namespace handrail::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(RedisProtocolTest, FormatsBinarySafely) {
  const absl::string_view args[] = {"SET", absl::string_view("a\0b\r\n", 5), absl::string_view()};
  EXPECT_EQ(std::string(WireCommand(args).bytes()),
            std::string("*3\r\n$3\r\nSET\r\n$5\r\na\0b\r\n\r\n$0\r\n\r\n", 30));
}

TEST(RedisProtocolTest, NamesScriptsBySha1) {
  // FIPS 180 example.
  EXPECT_EQ(RedisScript("abc", "abc").sha1_hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(RedisProtocolTest, RefusesAnArrayTooLongToMakeRoomFor) {
  const RedisReaderPtr reader = NewRedisReader();
  const std::string wire = "*4294967295\r\n:1\r\n";
  ASSERT_EQ(redisReaderFeed(reader.get(), wire.data(), wire.size()), REDIS_OK);
  void* reply = nullptr;
  EXPECT_EQ(redisReaderGetReply(reader.get(), &reply), REDIS_ERR);
  EXPECT_EQ(reply, nullptr);
}

TEST(RedisProtocolTest, EvalHasTheTailOfEvalSha) {
  const RedisScript script("two", "return 2");
  const WireEvalSha by_hash = FormatEvalSha(script, {"k1", "k2"}, {"a"});
  EXPECT_EQ(std::string(by_hash.tail()), "$1\r\n2\r\n$2\r\nk1\r\n$2\r\nk2\r\n$1\r\na\r\n");
  const absl::string_view eval[] = {"EVAL", "return 2", "2", "k1", "k2", "a"};
  EXPECT_EQ(FormatEval(script, 3, by_hash.tail()), std::string(WireCommand(eval).bytes()));
}

TEST(RedisProtocolTest, EvalTailIsRightForManyArguments) {
  const RedisScript script("many", "return #ARGV");
  const std::vector<std::string> args(1234, "x");
  const WireEvalSha by_hash = FormatEvalSha(script, {}, args);
  std::vector<absl::string_view> eval = {"EVAL", script.source(), "0"};
  eval.insert(eval.end(), args.begin(), args.end());
  EXPECT_EQ(FormatEval(script, args.size(), by_hash.tail()),
            std::string(WireCommand(eval).bytes()));
}

TEST(RedisProtocolTest, TellsNotNowFromNever) {
  for (const char* text : {"LOADING Redis is loading", "MASTERDOWN Link", "READONLY You can't",
                           "CLUSTERDOWN Hash slot", "OOM command not allowed", "BUSY script"}) {
    const absl::Status status = StatusOfRedisError(text, {});
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << text;
    EXPECT_TRUE(HasReason(status, reason::kRedisUnavailable)) << text;
  }
  for (const char* text : {"ERR wrong number", "WRONGTYPE Operation", "NOSCRIPT No", "MOVED 1 h:1",
                           "NOPERM this user"}) {
    const absl::Status status = StatusOfRedisError(text, {});
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << text;
    EXPECT_TRUE(HasReason(status, reason::kRedisError)) << text;
  }
}

TEST(RedisProtocolTest, AMissingPermissionSaysWhatForAndQuotesNothing) {
  const std::pair<const char*, const char*> cases[] = {
      {"NOPERM this user has no permissions to run the 'keys' command", "this command (KEYS)"},
      {"NOPERM User h has no permissions to run the 'zadd' command", "this command (KEYS)"},
      {"NOPERM this user has no permissions to access one of the keys used as arguments",
       "these keys (KEYS)"},
      {"NOPERM User h has no permissions to access the 'secret' key", "these keys (KEYS)"},
      {"NOPERM this user has no permissions to access one of the channels used as arguments",
       "this channel (KEYS)"},
      {"ERR The user executing the script can't run this command or subcommand script: 0",
       "this command inside the script (KEYS)"},
      {"ERR ACL failure in script: User h has no permissions to run the 'set' command",
       "this command inside the script (KEYS)"},
  };
  for (const auto& [text, expected] : cases) {
    const absl::Status status = StatusOfRedisError(text, {"", "KEYS"});
    EXPECT_TRUE(HasReason(status, reason::kRedisError)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(expected)) << text;
    EXPECT_THAT(status.ToString(), HasSubstr("NOPERM")) << text;
    EXPECT_THAT(status.ToString(), Not(HasSubstr("secret"))) << text;
  }
}

TEST(RedisProtocolTest, ErrorsQuoteOnlyTheFirstWord) {
  const absl::Status status = StatusOfRedisError("WRONGTYPE secret-value", {"claim", ""});
  EXPECT_THAT(status.ToString(), Not(HasSubstr("secret-value")));
  EXPECT_EQ(DetailsOf(status).metadata.at("redis_error"), "WRONGTYPE");
  EXPECT_EQ(DetailsOf(status).metadata.at("redis_script"), "claim");
  for (const char* odd : {"secret", "", "Secret value", "S3CRET", "user_script:1: secret"}) {
    EXPECT_EQ(RedisErrorWord(odd), "ERR") << odd;
  }
  EXPECT_EQ(RedisErrorWord(std::string(33, 'A')), "ERR");
}

}  // namespace
}  // namespace handrail::storage
