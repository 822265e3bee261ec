#include "common/crypto/sha256_stream.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/crypto/hash.h"

namespace handrail::crypto {
namespace {

TEST(Sha256StreamTest, IsTheDigestOfNothingWhenNothingCame) {
  EXPECT_EQ(absl::BytesToHexString(Sha256Stream().Finish()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256StreamTest, IsTheSameHoweverTheBytesAreCut) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes.push_back(static_cast<char>(i * 7));
  for (const size_t piece : {1, 3, 63, 64, 65, 999, 1000}) {
    Sha256Stream stream;
    for (size_t at = 0; at < bytes.size(); at += piece) stream.Add(bytes.substr(at, piece));
    EXPECT_EQ(stream.Finish(), Sha256(bytes)) << piece;
  }
}

}  // namespace
}  // namespace handrail::crypto
