#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_TEXTS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_TEXTS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "services/matching/domain/traits.h"

namespace handrail::matching {

// What matching says to people, in their language. Thread-safe.
class Texts {
 public:
  virtual ~Texts() = default;

  // The sentence in the first of `languages` that it is there in, else in English. `key` is one of
  // TextKeys(); another one is a bug of the caller, who gets it back.
  virtual std::string Say(absl::string_view key, absl::Span<const Language> languages) const = 0;
};

// Every sentence that there is, by its stable key. The key of a reason is "reason." and its code.
absl::Span<const absl::string_view> TextKeys();

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_TEXTS_H_
