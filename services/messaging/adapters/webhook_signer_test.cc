#include "services/messaging/adapters/webhook_signer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/testing/temporary_directory.h"

namespace handrail::messaging {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The example of the specification's own libraries.
constexpr char kSecret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr char kId[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
constexpr int64_t kTimestamp = 1614265330;
constexpr char kBody[] = "{\"test\": 2432232314}";
constexpr char kSignature[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

std::string SecretOf(size_t bytes) {
  return absl::StrCat("whsec_", absl::Base64Escape(std::string(bytes, 's')));
}
std::string FaultOf(absl::string_view text) {
  const auto signer = WebhookSigner::Parse(text);
  return signer.ok() ? "" : std::string(signer.status().message());
}

TEST(WebhookSigner, SignsAsTheSpecificationsExample) {
  const auto signer = WebhookSigner::Parse(kSecret);
  ASSERT_TRUE(signer.ok()) << signer.status();
  EXPECT_EQ(signer->Sign(kId, kTimestamp, kBody), kSignature);
}

TEST(WebhookSigner, EverySecretSigns) {
  const auto signer =
      WebhookSigner::Parse(absl::StrCat("# the new one\n", SecretOf(32), "\n\n", kSecret, "\n"));
  ASSERT_TRUE(signer.ok()) << signer.status();
  const std::vector<std::string> signatures =
      absl::StrSplit(signer->Sign(kId, kTimestamp, kBody), ' ');
  ASSERT_EQ(signatures.size(), 2u);
  EXPECT_NE(signatures[0], kSignature);
  EXPECT_EQ(signatures[1], kSignature);
}

TEST(WebhookSigner, AnyChangeIsAnotherSignature) {
  const auto signer = WebhookSigner::Parse(kSecret);
  EXPECT_NE(signer->Sign("msg_other", kTimestamp, kBody), kSignature);
  EXPECT_NE(signer->Sign(kId, kTimestamp + 1, kBody), kSignature);
  EXPECT_NE(signer->Sign(kId, kTimestamp, "{}"), kSignature);
}

TEST(WebhookSigner, RefusesWhatIsNoSecret) {
  EXPECT_EQ(FaultOf(SecretOf(24)), "");
  EXPECT_EQ(FaultOf(SecretOf(64)), "");
  EXPECT_THAT(FaultOf(SecretOf(23)), HasSubstr("line 1"));
  EXPECT_THAT(FaultOf(SecretOf(65)), HasSubstr("line 1"));
  EXPECT_THAT(FaultOf(""), HasSubstr("no secret"));
  EXPECT_THAT(FaultOf("# none\n"), HasSubstr("no secret"));
  EXPECT_THAT(FaultOf("\nwhsk_AAAA"), HasSubstr("line 2"));
  EXPECT_THAT(FaultOf("whsec_not base64, but long enough for it"), HasSubstr("line 1"));
  std::string many;
  for (size_t i = 0; i < 5; ++i) absl::StrAppend(&many, SecretOf(24 + i), "\n");
  EXPECT_THAT(FaultOf(many), HasSubstr("more than 4"));
  EXPECT_THAT(FaultOf(absl::StrCat(SecretOf(23), "\n")),
              Not(HasSubstr(absl::Base64Escape(std::string(23, 's')))));
}

TEST(WebhookSigner, ReadsAFileThatNotEverybodyReads) {
  const handrail::testing::TemporaryDirectory folder;
  const std::string path = folder.File("secrets");
  EXPECT_FALSE(WebhookSigner::Load(path).ok());
  EXPECT_FALSE(WebhookSigner::Load(folder.path()).ok());
  std::ofstream(path) << kSecret << "\n";
  for (const mode_t mode : {0600, 0440, 0640}) {
    chmod(path.c_str(), mode);
    const auto signer = WebhookSigner::Load(path);
    ASSERT_TRUE(signer.ok()) << signer.status();
    EXPECT_EQ(signer->Sign(kId, kTimestamp, kBody), kSignature);
  }
  for (const mode_t mode : {0644, 0660}) {
    chmod(path.c_str(), mode);
    EXPECT_FALSE(WebhookSigner::Load(path).ok());
  }
  chmod(path.c_str(), 0600);
  std::ofstream(path) << std::string(5000, '\n') << kSecret;
  EXPECT_THAT(std::string(WebhookSigner::Load(path).status().message()), HasSubstr("4 KiB"));
  std::ofstream(path).flush();
  EXPECT_FALSE(WebhookSigner::Load(path).ok());
}

}  // namespace
}  // namespace handrail::messaging
