#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_TEXTS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_TEXTS_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "services/matching/domain/help.h"

// What Handrail itself says to people who reach out and to those whom they reach: short, plain, for
// a hard moment. Nothing here says why somebody called or why somebody could not answer.
namespace handrail::matching {

enum class HelpText : uint8_t {
  kAsking,
  kNobody,
  kUnavailable,
  kLimited,
  kConsentRequired,
  kSuspended,
  kStageSponsors,
  kStageBackups,
  kStageOnCall,
  kAnswered,
  kCancelled,
  kUnanswered,
  kAskOpen,
  kAskAnswered,
  kAskTakenCareOf,
  kAskPassed,
  kAskOver,
  kLines,            // above the lines of a country
  kLinesEverywhere,  // above lines for everywhere, when the country is not known
};
inline constexpr int kHelpTextCount = 19;

// The languages there are texts in, English first.
inline constexpr std::array<absl::string_view, 3> kHelpLanguages = {"en", "es", "fr"};

// The one of kHelpLanguages that fits a BCP 47 tag best; English for anything else.
absl::string_view HelpLanguageOf(absl::string_view tag);
// Empty for no text and language; English when `language` is none of ours.
absl::string_view TextOf(HelpText text, absl::string_view language);

HelpText TextFor(ReachOutcome outcome);
HelpText TextFor(const HelpCall& call);
HelpText TextFor(HelpAskState state);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_TEXTS_H_
