#include "tools/handrail/client/device_code.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/base64url.h"

namespace handrail::tools {
namespace {

std::string Bytes(size_t count) {
  std::string bytes;
  for (size_t i = 0; i < count; ++i) bytes.push_back(static_cast<char>(i));
  return bytes;
}

TEST(DeviceCodeTest, HoldsAKeyAChallengeAndASignature) {
  const std::string bytes = Bytes(128);
  const auto proof = ParseDeviceCode(absl::StrCat("handrail1.", crypto::Base64UrlEncode(bytes)));
  ASSERT_TRUE(proof.ok()) << proof.status();
  EXPECT_EQ(proof->public_key(), bytes.substr(0, 32));
  EXPECT_EQ(proof->challenge(), bytes.substr(32, 32));
  EXPECT_EQ(proof->signature(), bytes.substr(64));
}

TEST(DeviceCodeTest, AnythingElseIsRefused) {
  const std::string whole = crypto::Base64UrlEncode(Bytes(128));
  for (const std::string& code :
       {std::string(), std::string("handrail1."), whole, absl::StrCat("handrail2.", whole),
        absl::StrCat("handrail1.", whole.substr(0, whole.size() - 1)),
        absl::StrCat("handrail1.", whole, "="),
        absl::StrCat("handrail1.", crypto::Base64UrlEncode(Bytes(127))),
        absl::StrCat("handrail1.", crypto::Base64UrlEncode(Bytes(129)))}) {
    EXPECT_TRUE(HasReason(ParseDeviceCode(code).status(), reason::kFieldInvalid)) << code;
  }
}

}  // namespace
}  // namespace handrail::tools
