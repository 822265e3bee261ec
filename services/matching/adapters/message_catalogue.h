#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_MESSAGE_CATALOGUE_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_MESSAGE_CATALOGUE_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/matching/domain/texts.h"

namespace handrail::matching {

// What matching says to people: the languages that are compiled in (services/matching/messages),
// and those of an operator. Immutable, thread-safe.
class MessageCatalogue final : public Texts {
 public:
  // Adds a language in the text form of v1::MessageCatalogue, or replaces it whole. `where` names
  // the text in errors: INVALID_ARGUMENT, CONFIGURATION_INVALID, with the line of a text that
  // cannot be read, else with every key that is missing, unknown or named twice, and every
  // text whose placeholders are not those of the English one that is there.
  absl::Status Add(absl::string_view text, absl::string_view where);
  // Every "*.textproto" of a folder, at most 200, by name. NOT_FOUND, CONFIGURATION_INVALID, when
  // the folder cannot be read or has none; else as Add, with the faults of all files.
  absl::Status AddFolder(const std::string& folder);

  std::string Say(absl::string_view key, absl::Span<const Language> languages) const override;
  // The languages there are, by their tags, in order.
  std::vector<std::string> Languages() const;

 private:
  using Messages = absl::flat_hash_map<std::string, std::string>;
  absl::flat_hash_map<uint16_t, Messages> languages_;  // by the language's code
};

// English, Spanish and French.
const MessageCatalogue& BuiltInMessages();

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_MESSAGE_CATALOGUE_H_
