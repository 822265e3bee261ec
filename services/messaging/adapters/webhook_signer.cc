#include "services/messaging/adapters/webhook_signer.h"

#include <sys/stat.h>

#include <cstring>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/crypto/hash.h"

namespace handrail::messaging {
namespace {

constexpr absl::string_view kPrefix = "whsec_";
constexpr size_t kFewestBytes = 24;
constexpr size_t kMostBytes = 64;
constexpr size_t kMostSecrets = 4;
constexpr std::streamsize kMostFileBytes = 4096;
// To be read by all, or written by any but its owner.
constexpr mode_t kForbidden = 0037;

absl::Status Bad(absl::string_view what) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid).Message(what);
}

}  // namespace

absl::Status WebhookSigner::AddSecret(absl::string_view line, int number) {
  std::string bytes;
  const bool decoded = absl::ConsumePrefix(&line, kPrefix) && absl::Base64Unescape(line, &bytes);
  if (!decoded || bytes.size() < kFewestBytes || bytes.size() > kMostBytes) {
    crypto::Wipe(bytes);
    return Bad(absl::StrCat("line ", number, " is no `whsec_` and base64 of ", kFewestBytes, " to ",
                            kMostBytes, " bytes"));
  }
  crypto::GuardedBytes& secret = secrets_.emplace_back(bytes.size());
  std::memcpy(secret.data(), bytes.data(), bytes.size());
  crypto::Wipe(bytes);
  return absl::OkStatus();
}

absl::StatusOr<WebhookSigner> WebhookSigner::Parse(absl::string_view text) {
  crypto::EnsureSodium();
  WebhookSigner signer;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    if (signer.secrets_.size() == kMostSecrets) {
      return Bad(absl::StrCat("has more than ", kMostSecrets, " secrets"));
    }
    RETURN_IF_ERROR(signer.AddSecret(line, number));
  }
  if (signer.secrets_.empty()) return Bad("has no secret");
  return signer;
}

absl::StatusOr<WebhookSigner> WebhookSigner::Load(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Bad("is not there, or no regular file");
  }
  if ((status.st_mode & kForbidden) != 0) {
    return Bad("may be read by all or written by its group; chmod 0640 it");
  }
  std::ifstream stream(path, std::ios::binary);
  std::string text(kMostFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  const std::streamsize size = stream.gcount();
  if (stream.bad() || size == 0) return Bad("cannot be read or is empty");
  if (size > kMostFileBytes) return Bad("is larger than 4 KiB");
  auto signer = Parse(absl::string_view(text).substr(0, static_cast<size_t>(size)));
  crypto::Wipe(text);
  return signer;
}

std::string WebhookSigner::Sign(absl::string_view id, int64_t timestamp,
                                absl::string_view body) const {
  const std::string content = absl::StrCat(id, ".", timestamp, ".", body);
  std::string header;
  for (const crypto::GuardedBytes& secret : secrets_) {
    const absl::string_view key(reinterpret_cast<const char*>(secret.data()), secret.size());
    absl::StrAppend(&header, header.empty() ? "" : " ", "v1,",
                    absl::Base64Escape(crypto::HmacSha256(key, content)));
  }
  return header;
}

}  // namespace handrail::messaging
