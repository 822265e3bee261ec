#ifndef HANDRAIL_TOOLS_HANDRAIL_CLIENT_WORDS_H_
#define HANDRAIL_TOOLS_HANDRAIL_CLIENT_WORDS_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/generated_enum_reflection.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"

namespace handrail::tools {

// The word that a person types or reads for an enum value: "temporary-contact" for
// RELATIONSHIP_TYPE_TEMPORARY_CONTACT, "aa" for PHILOSOPHY_TWELVE_STEP_AA.
std::string WordOf(const google::protobuf::EnumDescriptor* descriptor, int number);
// Every word of an enum, without the unspecified one, separated by ", ".
std::string WordsOf(const google::protobuf::EnumDescriptor* descriptor);
// The number of a word; INVALID_ARGUMENT that lists the words that are known.
absl::StatusOr<int> NumberOf(const google::protobuf::EnumDescriptor* descriptor,
                             absl::string_view word);

template <typename E>
std::string Word(E value) {
  return WordOf(google::protobuf::GetEnumDescriptor<E>(), static_cast<int>(value));
}

template <typename E>
absl::StatusOr<E> FromWord(absl::string_view word) {
  ASSIGN_OR_RETURN(const int number, NumberOf(google::protobuf::GetEnumDescriptor<E>(), word));
  return static_cast<E>(number);
}

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_CLIENT_WORDS_H_
