// How a KeyRing comes from a file and into one, and what else is derived from such a file.

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/crypto/derived_keys.h"
#include "common/crypto/hash.h"
#include "common/crypto/key_set.h"
#include "common/crypto/vault.h"

namespace handrail::crypto {
namespace {

constexpr off_t kMaxFileBytes = 64 << 10;
constexpr absl::string_view kIndexId = "index";

absl::Status BadText(absl::string_view what) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat("the key ring ", what));
}

absl::Status BadFile(const std::string& path, absl::string_view what) {
  return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
      .Message(absl::StrCat("the key ring ", path, " ", what));
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

bool WriteAll(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// The name of a new file is durable when its folder is synced too.
bool SyncFolderOf(const std::string& path) {
  const std::string folder = std::filesystem::absolute(path).parent_path().string();
  const FileDescriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd.get() >= 0 && fsync(fd.get()) == 0;
}

// False unless there are 64 hexadecimal digits.
bool DecodeKey(absl::string_view digits, std::string& bytes) {
  bytes.assign(SecretKey::kBytes, '\0');
  size_t decoded = 0;
  return digits.size() == 2 * SecretKey::kBytes &&
         sodium_hex2bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), digits.data(),
                        digits.size(), nullptr, &decoded, nullptr) == 0 &&
         decoded == SecretKey::kBytes;
}

std::vector<absl::string_view> WordsOf(absl::string_view line) {
  return absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
}

// Neither empty nor a comment.
bool HoldsKey(absl::string_view line) { return !line.empty() && line[0] != '#'; }

absl::StatusOr<std::string> ReadKeyFile(const std::string& path, KeyFilePolicy policy) {
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return BadFile(path, absl::StrCat("cannot be opened: ", std::strerror(errno)));
  struct stat status = {};
  if (fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return BadFile(path, "is not a regular file");
  }
  const mode_t forbidden = policy == KeyFilePolicy::kOwnerOnly ? 0077 : 0037;
  if ((status.st_mode & forbidden) != 0) {
    return BadFile(path, policy == KeyFilePolicy::kOwnerOnly
                             ? "may be read by others than its owner; chmod 0600 it"
                             : "may be read by all or written by its group; chmod 0640 it");
  }
  if (status.st_size > kMaxFileBytes) return BadFile(path, "is larger than 64 KiB");
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size += static_cast<size_t>(got);
  }
  if (size == text.size()) return text;
  Wipe(text);
  return BadFile(path, "cannot be read");
}

}  // namespace

absl::Status KeyRing::AddLine(absl::string_view line, int number) {
  const std::string where = absl::StrCat("has in line ", number, " ");
  const std::vector<absl::string_view> words = WordsOf(line);
  if (words.size() != 2 || !IsValidKeyId(words[0])) {
    return BadText(absl::StrCat(where, "no `<id> <64 hexadecimal digits>`"));
  }
  std::string bytes;
  const bool valid = DecodeKey(words[1], bytes);
  if (!valid) return BadText(absl::StrCat(where, "a key that is not 64 hexadecimal digits"));
  bool repeated = index_key_ != nullptr &&
                  (words[0] == kIndexId || ConstantTimeEquals(index_key_->Reveal(), bytes));
  for (const MasterKey& master : keys_) {
    repeated |= master.id == words[0] || ConstantTimeEquals(master.key.Reveal(), bytes);
  }
  auto key = SecretKey::FromBytes(bytes);
  Wipe(bytes);
  if (repeated) return BadText(absl::StrCat(where, "an id or a key for the second time"));
  if (!key.ok()) return key.status();
  if (words[0] == kIndexId) {
    index_key_ = std::make_unique<SecretKey>(*std::move(key));
  } else {
    keys_.push_back({std::string(words[0]), *std::move(key)});
  }
  return absl::OkStatus();
}

absl::StatusOr<KeyRing> KeyRing::Parse(absl::string_view text) {
  EnsureSodium();
  KeyRing ring;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (!HoldsKey(line)) continue;
    RETURN_IF_ERROR(ring.AddLine(line, number));
  }
  if (ring.keys_.empty()) return BadText("has no key");
  if (ring.index_key_ == nullptr) return BadText("has no line `index <64 hexadecimal digits>`");
  return ring;
}

absl::StatusOr<KeyRing> KeyRing::Load(const std::string& path, KeyFilePolicy policy) {
  ASSIGN_OR_RETURN(std::string text, ReadKeyFile(path, policy));
  auto ring = Parse(text);
  Wipe(text);
  return ring;
}

Secret<std::string> KeyRing::GenerateLine(absl::string_view key_id, Random& random) {
  const SecretKey key = SecretKey::Generate(random);
  std::string hex(2 * SecretKey::kBytes + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(),
                 reinterpret_cast<const unsigned char*>(key.Reveal().data()), SecretKey::kBytes);
  hex.back() = '\n';
  std::string line = absl::StrCat(key_id, " ", hex);
  Wipe(hex);
  return Secret<std::string>(std::move(line));
}

absl::Status KeyRing::Generate(const std::string& path, absl::string_view key_id, Random& random) {
  if (!IsValidKeyId(key_id) || key_id == kIndexId) return BadText("cannot have a key of this id");
  const FileDescriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd.get() < 0) {
    if (errno == EEXIST) {
      return Error(absl::StatusCode::kAlreadyExists, reason::kConfigurationInvalid)
          .Message(absl::StrCat("the key ring ", path, " exists; keys are never overwritten"));
    }
    return BadFile(path, absl::StrCat("cannot be created: ", std::strerror(errno)));
  }
  std::string text = absl::StrCat(
      "# Keys of enciphered columns. Whoever loses this file loses the data; whoever copies it "
      "can\n"
      "# read them. To rotate, append a line with a new id; keep the old ones until all is "
      "wrapped\n"
      "# anew. The index key stays.\n",
      GenerateLine(kIndexId, random).Reveal(), GenerateLine(key_id, random).Reveal());
  const bool written = WriteAll(fd.get(), text) && fsync(fd.get()) == 0 && SyncFolderOf(path);
  Wipe(text);
  if (!written) {
    unlink(path.c_str());
    return BadFile(path, "cannot be written");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DerivedKey>> ParseDerivedKeys(absl::string_view text,
                                                         absl::string_view purpose) {
  RETURN_IF_ERROR(KeyRing::Parse(text).status());
  std::vector<DerivedKey> keys;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (!HoldsKey(line)) continue;
    const std::vector<absl::string_view> words = WordsOf(line);
    if (words[0] == kIndexId) continue;
    std::string master;
    DecodeKey(words[1], master);
    std::string bytes = HmacSha256(master, absl::StrCat("handrail-derived-key-v1\n", purpose));
    Wipe(master);
    auto key = SecretKey::FromBytes(bytes);  // HMAC-SHA-256 gives 32
    Wipe(bytes);
    RETURN_IF_ERROR(key.status());
    keys.push_back({std::string(words[0]), *std::move(key)});
  }
  return keys;
}

absl::StatusOr<std::vector<DerivedKey>> LoadDerivedKeys(const std::string& path,
                                                        absl::string_view purpose,
                                                        KeyFilePolicy policy) {
  ASSIGN_OR_RETURN(std::string text, ReadKeyFile(path, policy));
  auto keys = ParseDerivedKeys(text, purpose);
  Wipe(text);
  return keys;
}

}  // namespace handrail::crypto
