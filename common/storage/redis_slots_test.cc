#include "common/storage/redis_slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"

namespace handrail::storage {
namespace {

using ::testing::ElementsAre;

TEST(RedisSlotsTest, CountsAsTheSpecificationDoes) {
  EXPECT_EQ(RedisKeySlot("123456789"), 0x31C3);  // the specification's example
  EXPECT_EQ(RedisKeySlot(""), 0);
  EXPECT_EQ(RedisKeySlot("foo"), 12182);
  EXPECT_EQ(RedisKeySlot("somekey"), 11058);
}

TEST(RedisSlotsTest, AHashTagIsWhatCounts) {
  EXPECT_EQ(RedisKeySlot("{user1000}.following"), RedisKeySlot("user1000"));
  EXPECT_EQ(RedisKeySlot("a{b}{c}"), RedisKeySlot("b"));
  EXPECT_EQ(RedisKeySlot("foo{{bar}}zap"), RedisKeySlot("{bar"));
  // An empty or unfinished tag is none.
  EXPECT_EQ(RedisKeySlot("foo{}{bar}"), 8363);
  EXPECT_NE(RedisKeySlot("foo{}{bar}"), RedisKeySlot("bar"));
  EXPECT_NE(RedisKeySlot("{a"), RedisKeySlot("a"));
}

std::optional<int> SlotOf(std::initializer_list<absl::string_view> words) {
  const auto route = RouteRedisCommand(std::vector<absl::string_view>(words));
  EXPECT_TRUE(route.ok()) << route.status();
  return route.ok() ? route->slot : -1;
}

TEST(RedisSlotsTest, FindsTheKeysOfACommand) {
  const int slot = RedisKeySlot("foo");
  EXPECT_EQ(SlotOf({"GET", "foo"}), slot);
  EXPECT_EQ(SlotOf({"zcard", "foo"}), slot);
  EXPECT_EQ(SlotOf({"EVAL", "return 1", "1", "foo", "bar"}), slot);
  EXPECT_EQ(SlotOf({"EVALSHA", "x", "0", "foo"}), std::nullopt);
  EXPECT_EQ(SlotOf({"OBJECT", "ENCODING", "foo"}), slot);
  EXPECT_EQ(SlotOf({"DEL", "{foo}1", "{foo}2"}), slot);
  for (const char* word : {"PING", "ping", "PUBLISH", "INFO"}) {
    EXPECT_EQ(SlotOf({word, "foo"}), std::nullopt) << word;
  }
  EXPECT_EQ(SlotOf({"INFO"}), std::nullopt);
}

TEST(RedisSlotsTest, RefusesWhatAClusterCannotDo) {
  for (const std::vector<absl::string_view>& words :
       std::vector<std::vector<absl::string_view>>{{"KEYS", "*"},
                                                   {"FLUSHALL"},
                                                   {"scan", "0"},
                                                   {"MULTI"},
                                                   {"DEL", "a", "b"},
                                                   {"EVAL", "return 1", "2", "a", "b"},
                                                   {"EVAL", "return 1", "3", "a", "b"},
                                                   {"EVAL", "return 1"},
                                                   {"EVAL", "return 1", "x", "a"}}) {
    const auto route = RouteRedisCommand(words);
    EXPECT_TRUE(HasReason(route.status(), reason::kRedisError)) << words[0];
  }
  EXPECT_FALSE(RouteRedisScript({"a", "b"}).ok());
  EXPECT_EQ(RouteRedisScript({"{a}1", "{a}2"})->slot, RedisKeySlot("a"));
}

RedisReply Text(std::string text) {
  RedisReply reply;
  reply.type = RedisReply::Type::kString;
  reply.text = std::move(text);
  return reply;
}
RedisReply Integer(int64_t value) {
  RedisReply reply;
  reply.type = RedisReply::Type::kInteger;
  reply.integer = value;
  return reply;
}
RedisReply List(std::vector<RedisReply> elements) {
  RedisReply reply;
  reply.type = RedisReply::Type::kArray;
  reply.elements = std::move(elements);
  return reply;
}

TEST(RedisSlotsTest, ReadsTheMap) {
  const RedisReply slots =
      List({List({Integer(0), Integer(5460),
                  List({Text("10.0.0.1"), Integer(7000), Text("id"), List({})}),
                  List({Text("fd00::2"), Integer(7003), Text("id")})}),
            List({Integer(5461), Integer(5461), List({Text(""), Integer(7001), Text("id")})}),
            List({Integer(5463), Integer(16383), List({RedisReply(), Integer(7002), Text("id")})}),
            List({Integer(5462), Integer(5462), List({Text("?"), Integer(7009), Text("id")})})});
  const auto map = ParseClusterSlots(slots, "asked");
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_THAT(map->masters, ElementsAre("10.0.0.1:7000", "asked:7001", "asked:7002"));
  EXPECT_THAT(map->nodes,
              ElementsAre("10.0.0.1:7000", "[fd00::2]:7003", "asked:7001", "asked:7002"));
  EXPECT_EQ(map->covered, kRedisSlots - 1);
  EXPECT_EQ(map->owner[5461], 1);
  EXPECT_EQ(map->owner[5462], RedisSlotMap::kNobody);
  EXPECT_EQ(map->owner[16383], 2);
}

TEST(RedisSlotsTest, RefusesAMapThatCannotBe) {
  const RedisReply node = List({Text("h"), Integer(1)});
  for (const RedisReply& bad :
       {Text("x"), List({Text("x")}), List({List({Integer(0), Integer(1)})}),
        List({List({Integer(-1), Integer(1), node})}), List({List({Integer(2), Integer(1), node})}),
        List({List({Integer(0), Integer(16384), node})})}) {
    EXPECT_FALSE(ParseClusterSlots(bad, "asked").ok());
  }
  EXPECT_EQ(ParseClusterSlots(List({}), "asked")->covered, 0);
}

TEST(RedisSlotsTest, ReadsRedirections) {
  const auto moved = ParseRedisRedirect("MOVED 3999 127.0.0.1:6381", "asked");
  ASSERT_TRUE(moved.has_value());
  EXPECT_FALSE(moved->ask);
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->address, "127.0.0.1:6381");
  const auto ask = ParseRedisRedirect("ASK 1 :6381", "asked");
  ASSERT_TRUE(ask.has_value());
  EXPECT_TRUE(ask->ask);
  EXPECT_EQ(ask->address, "asked:6381");
  EXPECT_EQ(ParseRedisRedirect("MOVED 1 fd00::1:6381", "asked")->address, "[fd00::1]:6381");
  for (const char* text : {"", "MOVED", "MOVED 1", "MOVED x h:1", "MOVED 16384 h:1", "MOVED -1 h:1",
                           "MOVED 1 h:0", "MOVED 1 h:x", "MOVED 1 a b:1 ", "ASKING 1 h:1"}) {
    EXPECT_FALSE(ParseRedisRedirect(text, "asked").has_value()) << text;
  }
}

}  // namespace
}  // namespace handrail::storage
