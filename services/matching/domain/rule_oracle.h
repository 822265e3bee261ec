#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_RULE_ORACLE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_RULE_ORACLE_H_

#include <bitset>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/matching/domain/rules.h"
#include "services/matching/domain/traits.h"
#include "services/matching/domain/types.h"

// The hard rules of domain.md 3.1 and the rows of 2.1 written a second time: plainly, slowly, and
// from what the two people said. It shares no code with rules.cc, match_record.cc, utc_week.cc or
// the table of programs, so that a mistake there is not made here too. For tests.
namespace handrail::matching {

class RuleOracle {
 public:
  static constexpr int kWeekMinutes = 7 * 24 * 60;
  // Every minute of the week, Monday 00:00 UTC on, in which somebody can be in touch.
  using Hours = std::bitset<kWeekMinutes>;

  // Judges as of `now`, and by the week that it lies in.
  explicit RuleOracle(absl::Time now);

  struct Person {
    MemberTraits traits;
    // Nothing when no hours, no zone or one that does not exist was given.
    std::optional<Hours> hours;
  };
  Person Newcomer(const MemberTraits& traits);
  Person Sponsor(const MemberTraits& traits);

  // What there is to judge, besides the two people.
  struct Case {
    Philosophy philosophy = Philosophy::kUnspecified;
    RelationshipType relationship_type = RelationshipType::kUnspecified;
    Availability seats;
    PairFacts facts;
  };
  // Every rule that the pair breaks.
  std::set<Rule> Broken(const Person& newcomer, const Person& sponsor, const Case& judged) const;

 private:
  std::optional<Hours> HoursOf(const PersonTraits& person);

  const absl::Time now_;
  absl::Time monday_;
  // By zone: the local minute of the week at each minute of this week.
  std::map<std::string, std::vector<int>> local_minutes_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_RULE_ORACLE_H_
