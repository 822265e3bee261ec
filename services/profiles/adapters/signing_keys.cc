#include "services/profiles/adapters/signing_keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/crypto/key_set.h"

namespace handrail::profiles {
namespace {

constexpr absl::string_view kPrefix = "signing-";
constexpr absl::string_view kSuffix = ".key";
constexpr size_t kMaxKeys = 64;  // what a published key set may hold

absl::Status BadKeys(absl::string_view path, absl::string_view what) {
  return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
      .Message(absl::StrCat(path, " ", what));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

// When the key of a file was made, or nothing when the file is none of ours.
std::optional<absl::Time> TimeOfName(absl::string_view name) {
  int64_t micros = 0;
  if (!absl::ConsumePrefix(&name, kPrefix) || !absl::ConsumeSuffix(&name, kSuffix) ||
      !absl::SimpleAtoi(name, &micros) || micros < 0) {
    return std::nullopt;
  }
  return absl::FromUnixMicros(micros);
}

absl::StatusOr<std::map<absl::Time, std::string>> ListKeyFiles(const std::string& folder) {
  std::error_code error;
  std::map<absl::Time, std::string> files;
  for (auto it = std::filesystem::directory_iterator(folder, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::optional<absl::Time> time = TimeOfName(it->path().filename().string());
    if (time.has_value()) files[*time] = it->path().string();
  }
  if (error) return BadKeys(folder, absl::StrCat("cannot be read: ", error.message()));
  return files;
}

absl::StatusOr<std::string> ReadKeyFile(const std::string& path, crypto::KeyFilePolicy policy) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status = {};
  if (file.get() < 0 || fstat(file.get(), &status) != 0) {
    return BadKeys(path, absl::StrCat("cannot be opened: ", std::strerror(errno)));
  }
  const mode_t forbidden = policy == crypto::KeyFilePolicy::kOwnerOnly ? 0077 : 0037;
  if (!S_ISREG(status.st_mode) || (status.st_mode & forbidden) != 0) {
    return BadKeys(path, "must be a file that only its owner may read (mode 0600)");
  }
  std::array<char, 256> buffer;
  const ssize_t size = read(file.get(), buffer.data(), buffer.size());
  if (size < 0) return BadKeys(path, absl::StrCat("cannot be read: ", std::strerror(errno)));
  std::string text(buffer.data(), static_cast<size_t>(size));
  return std::string(absl::StripAsciiWhitespace(text));
}

bool IsHexSeed(absl::string_view text) {
  if (text.size() != 2 * crypto::kEd25519SeedBytes) return false;
  for (const char c : text) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

absl::Status WriteNewFile(const std::string& path, absl::string_view text) {
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const bool written =
      file.get() >= 0 &&
      write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      fsync(file.get()) == 0;
  if (!written) return BadKeys(path, absl::StrCat("cannot be written: ", std::strerror(errno)));
  return absl::OkStatus();
}

}  // namespace

bool SigningKeys::HasKey(const std::string& folder) {
  const auto files = ListKeyFiles(folder);
  return files.ok() && !files->empty();
}

absl::Status SigningKeys::CreateKey(const std::string& folder, absl::Time now, Random& random) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return BadKeys(folder, absl::StrCat("cannot be made: ", std::strerror(errno)));
  }
  const crypto::SigningKey key = crypto::SigningKey::Generate(random);
  const std::string path = absl::StrCat(folder, "/", kPrefix, absl::ToUnixMicros(now), kSuffix);
  // Under another name first, so that a reader never sees half a key.
  const std::string unfinished = absl::StrCat(path, ".new");
  std::string text = absl::StrCat(absl::BytesToHexString(key.RevealSeed()), "\n");
  const absl::Status written = WriteNewFile(unfinished, text);
  crypto::Wipe(text);
  RETURN_IF_ERROR(written);
  const FileDescriptor directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (rename(unfinished.c_str(), path.c_str()) != 0 || fsync(directory.get()) != 0) {
    return BadKeys(path, absl::StrCat("cannot be written: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SigningKeys>> SigningKeys::Open(SigningKeyOptions options,
                                                               const Clock& clock) {
  std::unique_ptr<SigningKeys> keys(new SigningKeys(std::move(options), clock));
  RETURN_IF_ERROR(keys->Refresh());
  return keys;
}

absl::StatusOr<SigningKeys::Signer> SigningKeys::LoadKey(const std::string& path) const {
  ASSIGN_OR_RETURN(std::string digits, ReadKeyFile(path, options_.file_policy));
  if (!IsHexSeed(digits)) return BadKeys(path, "is not 64 hexadecimal digits");
  std::string seed = absl::HexStringToBytes(digits);
  absl::StatusOr<crypto::SigningKey> key = crypto::SigningKey::FromSeed(seed);
  crypto::Wipe(seed);
  crypto::Wipe(digits);
  RETURN_IF_ERROR(key.status());
  const std::string key_id = crypto::KeyIdOf(key->verify_key());
  ASSIGN_OR_RETURN(crypto::TokenSigner signer,
                   crypto::TokenSigner::Create(options_.issuer, key_id, *std::move(key)));
  return std::make_shared<const crypto::TokenSigner>(std::move(signer));
}

absl::Status SigningKeys::Refresh() {
  ASSIGN_OR_RETURN(const auto files, ListKeyFiles(options_.folder));
  if (files.empty()) {
    return BadKeys(options_.folder, "holds no signing key; --create_keys makes one");
  }
  const Signers held = Held();
  Signers signers;
  // Newest first: with more than can be published, the oldest have long had their day.
  for (auto it = files.rbegin(); it != files.rend() && signers.size() < kMaxKeys; ++it) {
    const auto known = held.find(it->first);
    if (known != held.end()) {
      signers.insert(*known);
      continue;
    }
    ASSIGN_OR_RETURN(signers[it->first], LoadKey(it->second));
  }
  MutexLock lock(mutex_);
  signers_ = std::move(signers);
  return absl::OkStatus();
}

absl::Status SigningKeys::RotateIfOlderThan(absl::Duration period, Random& random) {
  RETURN_IF_ERROR(Refresh());
  const absl::Time now = clock_.Now();
  if (now - Held().rbegin()->first < period) return absl::OkStatus();
  RETURN_IF_ERROR(CreateKey(options_.folder, now, random));
  return Refresh();
}

SigningKeys::Signers SigningKeys::Held() const {
  MutexLock lock(mutex_);
  return signers_;
}

SigningKeys::Signers::const_iterator SigningKeys::Current(const Signers& signers) const {
  const auto too_new = signers.upper_bound(clock_.Now() - options_.publish_before_use);
  return too_new == signers.begin() ? too_new : std::prev(too_new);
}

std::string SigningKeys::Sign(crypto::TokenClaims claims) const {
  const Signers signers = Held();
  return Current(signers)->second->Sign(claims);
}

crypto::KeySet SigningKeys::Published() const {
  const Signers signers = Held();
  crypto::KeySet published;
  const absl::Time now = clock_.Now();
  for (auto it = signers.begin(); it != signers.end(); ++it) {
    const auto successor = std::next(it);
    const bool retired =
        successor != signers.end() &&
        now - (successor->first + options_.publish_before_use) > options_.publish_after_use;
    if (!retired) published.emplace(it->second->key_id(), it->second->verify_key());
  }
  return published;
}

}  // namespace handrail::profiles
