#include "tools/handrail/client/words.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace handrail::tools {
namespace {

// The prefix that every value of an enum has: "RELATIONSHIP_TYPE_".
std::string PrefixOf(const google::protobuf::EnumDescriptor* descriptor) {
  const std::string& zero = descriptor->value(0)->name();
  return std::string(absl::StripSuffix(zero, "UNSPECIFIED"));
}

}  // namespace

std::string WordOf(const google::protobuf::EnumDescriptor* descriptor, int number) {
  const auto* value = descriptor->FindValueByNumber(number);
  if (value == nullptr) return absl::StrCat("unknown-", number);
  absl::string_view name = absl::StripPrefix(value->name(), PrefixOf(descriptor));
  name = absl::StripPrefix(name, "TWELVE_STEP_");
  return absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"_", "-"}});
}

std::string WordsOf(const google::protobuf::EnumDescriptor* descriptor) {
  std::vector<std::string> words;
  for (int i = 1; i < descriptor->value_count(); ++i) {
    words.push_back(WordOf(descriptor, descriptor->value(i)->number()));
  }
  return absl::StrJoin(words, ", ");
}

absl::StatusOr<int> NumberOf(const google::protobuf::EnumDescriptor* descriptor,
                             absl::string_view word) {
  const std::string wanted = absl::AsciiStrToLower(word);
  for (int i = 1; i < descriptor->value_count(); ++i) {
    const int number = descriptor->value(i)->number();
    if (WordOf(descriptor, number) == wanted) return number;
  }
  return Error(absl::StatusCode::kInvalidArgument, reason::kEnumUnknown)
      .Message(absl::StrCat("\"", word, "\" is not one of: ", WordsOf(descriptor)));
}

}  // namespace handrail::tools
