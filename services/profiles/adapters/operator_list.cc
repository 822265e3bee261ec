#include "services/profiles/adapters/operator_list.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace handrail::profiles {
namespace {

using Role = crypto::TokenClaims::Role;

constexpr size_t kMaxLines = 1000;
constexpr off_t kMaxBytes = 256 << 10;

absl::Status BadLine(int number, absl::string_view what) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat("the operators file, line ", number, ": ", what));
}

std::optional<Role> ParseRole(absl::string_view word) {
  if (word == "staff") return Role::kStaff;
  if (word == "operator") return Role::kOperator;
  return std::nullopt;
}

// The key under which `who` is kept, or nothing when it names nobody.
std::optional<std::string> ParseWho(absl::string_view who) {
  if (MemberId::FromName(who).ok()) return std::string(who);
  const bool is_key = who.size() == 64 && std::all_of(who.begin(), who.end(), [](char c) {
                        return absl::ascii_isxdigit(static_cast<unsigned char>(c));
                      });
  if (!is_key) return std::nullopt;
  return absl::HexStringToBytes(who);
}

}  // namespace

absl::StatusOr<OperatorList> OperatorList::Parse(absl::string_view text) {
  OperatorList list;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    const std::optional<Role> role = ParseRole(words[0]);
    if (!role.has_value()) return BadLine(number, "begins with neither `staff` nor `operator`");
    const std::optional<std::string> who =
        words.size() == 2 ? ParseWho(words[1]) : std::optional<std::string>();
    if (!who.has_value()) return BadLine(number, "names neither a member nor a public key");
    if (!list.roles_.emplace(*who, *role).second) return BadLine(number, "names someone again");
    if (list.roles_.size() > kMaxLines) return BadLine(number, "is one too many");
  }
  return list;
}

absl::StatusOr<OperatorList> OperatorList::Load(const std::string& path) {
  if (path.empty()) return OperatorList();
  struct stat status = {};
  std::ifstream file(path, std::ios::binary);
  const bool good = file.is_open() && stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
                    status.st_size <= kMaxBytes && (status.st_mode & 0022) == 0;
  if (!good) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
        .Message(absl::StrCat(path,
                              " must be a file of at most 256 KiB that can be read, and that ",
                              "only its owner may write"));
  }
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return Parse(text);
}

Role OperatorList::RoleOf(const Device& device) const {
  Role role = Role::kMember;
  for (const std::string& who : {device.member.Name(), device.public_key}) {
    const auto found = roles_.find(who);
    // The enum rises with what a role may do.
    if (found != roles_.end()) role = std::max(role, found->second);
  }
  return role;
}

}  // namespace handrail::profiles
