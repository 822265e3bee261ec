#include "common/base/big_endian.h"

#include "gtest/gtest.h"

namespace handrail {
namespace {

TEST(BigEndianTest, TheHighestByteComesFirst) {
  EXPECT_EQ(EightBytes(0x0102030405060708), "\1\2\3\4\5\6\7\10");
  EXPECT_EQ(EightBytes(0), std::string(8, '\0'));
  EXPECT_EQ(EightBytes(-1), std::string(8, '\xff'));
}

}  // namespace
}  // namespace handrail
