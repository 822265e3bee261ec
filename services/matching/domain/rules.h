#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_RULES_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_RULES_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/matching/domain/match_record.h"

// The hard rules of domain.md 3.1. A pair that breaks one is never suggested, whatever its score.
namespace handrail::matching {

// In the order of evaluation: cheap and selective first, what stands between two people last.
enum class Rule : uint8_t {
  kCapacity = 0,            // H10
  kPhilosophy = 1,          // H6
  kProgramPolicy = 2,       // H4
  kGenderPolicy = 3,        // H7
  kModality = 4,            // H9
  kAdult = 5,               // H1
  kConsent = 6,             // H2
  kStanding = 7,            // H3, of each of the two
  kFresh = 8,               // H12
  kAccess = 9,              // H13
  kMedicationSupport = 10,  // H17
  kMoreTime = 11,           // H5
  kLanguage = 12,           // H8
  kDistance = 13,           // H15
  kAvailability = 14,       // H11
  kDualRole = 15,           // H16
  kNotBlocked = 16,         // H3, between the two
  kCooldown = 17,           // H14
};
inline constexpr int kRuleCount = 18;

// What a row says when the data it needs was not given.
enum class WhenUnknown : uint8_t { kPasses, kFails, kNeverUnknown };

struct RuleInfo {
  Rule rule;
  absl::string_view number;  // of domain.md, such as "H8"
  absl::string_view code;    // stable, such as "LANGUAGE"
  WhenUnknown when_unknown;
  absl::string_view choice;  // why that
};
// The table for people and metrics, by Rule.
const RuleInfo& InfoOf(Rule rule);
inline absl::string_view CodeOf(Rule rule) { return InfoOf(rule).code; }

// The numbers in the rules that an operator may change.
struct RuleOptions {
  int min_overlap_minutes = 60;      // a week; 0..10,080 (H11)
  int fresh_days = 30;               // since the sponsor's last attestation; 1..365 (H12)
  int default_max_distance_km = 40;  // 1..500 (H15)

  // INVALID_ARGUMENT, CONFIGURATION_INVALID with every fault.
  absl::Status Validate() const;
};

// How many pairs each rule removed; a pair counts once, under the first rule that it breaks.
struct RuleCounts {
  std::array<int64_t, kRuleCount> removed{};
  int64_t passed = 0;

  void Add(std::optional<Rule> first_broken) {
    if (first_broken) {
      ++removed[static_cast<size_t>(*first_broken)];
    } else {
      ++passed;
    }
  }
  int64_t of(Rule rule) const { return removed[static_cast<size_t>(rule)]; }
  int64_t evaluated() const;
};

// All rules, each of which can be switched off (for tests and simulations: never in production).
// Immutable, thread-safe.
class RuleSet {
 public:
  // Options that do not validate are a bug of the caller.
  explicit RuleSet(const RuleOptions& options = {});

  RuleSet Without(Rule rule) const;

  // The first rule that the pair breaks at `now`, or none. Whoever makes an offer asks this again
  // with fresh facts in the deciding transaction (M5). `history` is asked only when all else is
  // well.
  std::optional<Rule> FirstBroken(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                                  const PairHistory& history, absl::Time now) const;
  // The same with the facts at hand.
  std::optional<Rule> FirstBroken(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                                  const PairFacts& facts, absl::Time now) const;
  // The first of the rules that need no history.
  std::optional<Rule> FirstBrokenOfTraits(const NewcomerRecord& newcomer,
                                          const SponsorRecord& sponsor, absl::Time now) const;

  // Whether any newcomer who asks for this relationship can pass with the sponsor: the program's
  // policy and the attestation alone.
  bool MayPass(const SponsorRecord& sponsor, RelationshipType relationship_type,
               absl::Time now) const;

  // For a ticket and a sponsor who passed each other's filter of attribute values (pool_rows.h),
  // who may be paired at all, and whose time in recovery and hours were compared: the rest of the
  // rules.
  bool PassesTheRest(const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
                     const PairHistory& history, absl::Time now) const;
  // Two rules that no set of attribute values decides, by themselves and quickly, for a search that
  // is about to compare the two more closely; `overlap_minutes` counts when both gave hours.
  bool PassesMoreTime(const NewcomerRecord& newcomer, const SponsorRecord& sponsor) const;
  bool PassesAvailability(int overlap_minutes) const {
    return !IsOn(Rule::kAvailability) || overlap_minutes >= options_.min_overlap_minutes;
  }

  const RuleOptions& options() const { return options_; }
  bool IsOn(Rule rule) const { return ((enabled_ >> static_cast<unsigned>(rule)) & 1u) != 0; }

 private:
  RuleOptions options_;
  uint32_t enabled_ = (1u << kRuleCount) - 1;
};

// What a newcomer has to say before anybody can be found: field paths of NewcomerTraits, each with
// a sentence for the person. Empty when nothing is missing. For PROFILE_INCOMPLETE.
struct MissingField {
  std::string path;
  std::string text;
};
std::vector<MissingField> MissingForMatching(const NewcomerTraits& newcomer, Philosophy philosophy,
                                             const ProgramPolicies& policies);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_RULES_H_
