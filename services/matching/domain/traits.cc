#include "services/matching/domain/traits.h"

#include <algorithm>

namespace handrail::matching {

Language Language::FromTag(absl::string_view tag) {
  const absl::string_view primary = tag.substr(0, std::min(tag.find_first_of("-_"), tag.size()));
  if (primary.size() < 2 || primary.size() > 3) return {};
  unsigned code = 0;
  for (const char c : primary) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower < 'a' || lower > 'z') return {};
    code = code * 27 + static_cast<unsigned>(lower - 'a' + 1);
  }
  return FromCode(static_cast<uint16_t>(code));
}

std::string Language::Tag() const {
  std::string tag;
  for (unsigned rest = code_; rest != 0; rest /= 27) {
    tag.insert(tag.begin(), static_cast<char>('a' + static_cast<int>(rest % 27) - 1));
  }
  return tag;
}

}  // namespace handrail::matching
