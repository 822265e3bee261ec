#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_EXPLAIN_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_EXPLAIN_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/matching/domain/match_record.h"
#include "services/matching/domain/rules.h"
#include "services/matching/domain/types.h"

// Why a ticket waits: the real rules over every sponsor of its pool, counted. Pure: who the
// sponsors are is the caller's business, and nothing here remembers one. RuleTally is exact and
// stays inside; Tell and Findings make of it what an operator may see.
namespace handrail::matching {

// How the sponsors of a pool stand to one ticket. Counts of people, never who.
struct RuleTally {
  int64_t evaluated = 0;
  int64_t passing = 0;
  // By Rule. A pair counts once in `first` (the first rule it breaks, as RuleCounts counts), under
  // every rule it breaks in `broken`, and in `only` when it breaks no other.
  std::array<int64_t, kRuleCount> first{};
  std::array<int64_t, kRuleCount> broken{};
  std::array<int64_t, kRuleCount> only{};
  // What `only` of CAPACITY is made of: willing with all seats taken, or taking no offers now.
  int64_t only_full = 0;
  int64_t only_not_accepting = 0;
  // Of the rules that are told as one (IsToldAlone): pairs that break any, and that break no other.
  int64_t together_broken = 0;
  int64_t together_only = 0;

  int64_t FirstOf(Rule rule) const { return first[static_cast<size_t>(rule)]; }
  int64_t BrokenOf(Rule rule) const { return broken[static_cast<size_t>(rule)]; }
  int64_t OnlyOf(Rule rule) const { return only[static_cast<size_t>(rule)]; }
};

// Every rule that the pair breaks, each exactly as RuleSet judges it: one bit a rule, 1 << Rule.
uint32_t BrokenRules(const RuleSet& rules, const NewcomerRecord& newcomer,
                     const SponsorRecord& sponsor, const PairFacts& facts, absl::Time now);

// Adds one pair.
void Tally(const RuleSet& rules, const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
           const PairFacts& facts, absl::Time now, RuleTally& tally);

// Sentences for an operator: what the rule asks of a pair, and what would help when it alone stands
// in the way. They name no trait of anybody. The same for all rules that are told as one.
struct RuleText {
  absl::string_view asks;
  absl::string_view help;
};
const RuleText& TextOf(Rule rule);

// False for what is between two people or about one of them: blocks, other roles, cooldowns and
// standings are told as one row, so that a block cannot be recognised.
bool IsToldAlone(Rule rule);
inline constexpr absl::string_view kTogetherNumber = "H3/H14/H16";
inline constexpr absl::string_view kTogetherCode = "BETWEEN_OR_ABOUT_THEM";

// A count as an operator may see it: "fewer than 5" from 1 to 4, and from there rounded down to
// fives. Totals too: of exact ones the small count could be had by subtraction.
inline constexpr int64_t kSmallestCount = 5;
struct RoundedCount {
  int64_t value = 0;
  bool under_five = false;
  friend bool operator==(const RoundedCount&, const RoundedCount&) = default;
};
RoundedCount RoundCount(int64_t exact);
std::string CountText(int64_t exact);  // "0", "fewer than 5", "at least 10"

// One row of the answer: a rule, or those that are told as one.
struct ToldRule {
  absl::string_view number;  // of domain.md, such as "H8"
  absl::string_view code;    // stable, such as "LANGUAGE"
  absl::string_view asks;
  RoundedCount first;
  RoundedCount broken;
  RoundedCount only;
};
struct ToldTally {
  RoundedCount evaluated;
  RoundedCount passing;
  RoundedCount only_full;
  RoundedCount only_not_accepting;
  std::vector<ToldRule> rules;  // in the order of evaluation; those told as one come last
};
ToldTally Tell(const RuleTally& tally);

// What is known of the ticket beside the rules.
struct TicketSituation {
  TicketState state = TicketState::kWaiting;
  int open_offers = 0;
  int64_t waiting_ahead = 0;
  bool newcomer_known = true;  // there is a copy of the newcomer
  bool hint_overdue = false;   // the queues should have heard of it long ago
  bool pool_drained = false;
  bool complete = true;  // every sponsor was looked at
};

// What it comes to, in plain English, the most telling first; never empty.
std::vector<std::string> Findings(const RuleTally& tally, const TicketSituation& situation);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_EXPLAIN_H_
