#include "services/matching/domain/explain.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace handrail::matching {
namespace {

constexpr uint32_t BitOf(Rule rule) { return 1u << static_cast<unsigned>(rule); }

// The rules that are told as one.
constexpr uint32_t kTogether = BitOf(Rule::kStanding) | BitOf(Rule::kDualRole) |
                               BitOf(Rule::kNotBlocked) | BitOf(Rule::kCooldown);
constexpr RuleText kTogetherText = {
    "nothing between the two, or about one of them, stands against it",
    "other sponsors, and sometimes time: this never bends"};

// By Rule.
constexpr std::array<RuleText, kRuleCount> kTexts = {{
    {"the sponsor takes offers and has a free seat",
     "a sponsor with one more seat, or more sponsors in this pool"},
    {"both chose the program", "the newcomer adding this program to their own"},
    {"the sponsor is willing to enter this relationship and meets the program's threshold",
     "sponsors who offer this kind of relationship, or another kind that the program has"},
    {"each suits the other's and the program's gender rule",
     "sponsors whom the newcomer's gender rule admits, or a wider rule chosen by the newcomer"},
    {"there is a way for them to be in touch",
     "one more way to be in touch, chosen by the newcomer"},
    {"both confirmed to be of age", "a confirmation of age"},
    {"both gave the consents that matching needs", "consents, which only the person can give"},
    kTogetherText,
    {"the sponsor confirmed in the last 30 days to be available",
     "sponsors confirming that they are still available: remind them"},
    {"the sponsor offers what the newcomer must have to take part",
     "sponsors who offer the access that is needed"},
    {"the sponsor affirms medication, when that is asked for",
     "sponsors who affirm support for medication"},
    {"the sponsor is longer in recovery than the newcomer, by the program's margin",
     "sponsors who are longer in recovery"},
    {"they share a language", "sponsors who speak a language of the newcomer"},
    {"they are near enough, when they would meet in person",
     "sponsors nearby, a larger distance, or another way to be in touch chosen by the newcomer"},
    {"they have an hour a week in common", "sponsors who are free when the newcomer is"},
    kTogetherText,
    kTogetherText,
    kTogetherText,
}};

// A row of the answer before it is rounded.
struct Row {
  absl::string_view number;
  absl::string_view code;
  const RuleText* text;
  int64_t first;
  int64_t broken;
  int64_t only;
};

std::vector<Row> RowsOf(const RuleTally& tally) {
  std::vector<Row> rows;
  Row together = {kTogetherNumber,       kTogetherCode,      &kTogetherText, 0,
                  tally.together_broken, tally.together_only};
  for (int i = 0; i < kRuleCount; ++i) {
    const Rule rule = static_cast<Rule>(i);
    if (!IsToldAlone(rule)) {
      together.first += tally.FirstOf(rule);
      continue;
    }
    rows.push_back({InfoOf(rule).number, CodeOf(rule), &TextOf(rule), tally.FirstOf(rule),
                    tally.BrokenOf(rule), tally.OnlyOf(rule)});
  }
  rows.push_back(together);
  return rows;
}

void AddRules(const RuleTally& tally, std::vector<std::string>& findings) {
  std::vector<Row> rows = RowsOf(tally);
  for (const Row& row : rows) {
    if (tally.evaluated == 0 || row.broken != tally.evaluated) continue;
    findings.push_back(absl::StrCat(row.number, " ", row.code,
                                    " removes every sponsor of the pool: ", row.text->asks,
                                    ". Would help: ", row.text->help, "."));
  }
  // By what is told of them: the order of exact counts would say more.
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return RoundCount(a.only).value > RoundCount(b.only).value;
  });
  for (const Row& row : rows) {
    if (row.only == 0) continue;
    findings.push_back(absl::StrCat("For ", CountText(row.only), " only ", row.number, " ",
                                    row.code, " stands in the way (", row.text->asks,
                                    "). Would help: ", row.text->help, "."));
  }
}

void AddPassing(const RuleTally& tally, const TicketSituation& situation,
                std::vector<std::string>& findings) {
  if (tally.passing == 0) return;
  std::string text =
      absl::StrCat("Of the sponsors ", CountText(tally.passing), " pass every rule now. ");
  if (situation.pool_drained) {
    absl::StrAppend(&text, "They are offered nobody until the drain ends.");
  } else if (situation.hint_overdue) {
    absl::StrAppend(&text,
                    "The queues have not confirmed this ticket: is Redis up? Try `requeue`.");
  } else if (situation.waiting_ahead > 0) {
    absl::StrAppend(&text, "Who waits ahead comes first; if this stays so, try `requeue`.");
  } else {
    absl::StrAppend(&text, "An offer is due within seconds; if none comes, try `requeue`.");
  }
  findings.push_back(std::move(text));
}

}  // namespace

bool IsToldAlone(Rule rule) { return (BitOf(rule) & kTogether) == 0; }

const RuleText& TextOf(Rule rule) { return kTexts[static_cast<size_t>(rule)]; }

uint32_t BrokenRules(const RuleSet& rules, const NewcomerRecord& newcomer,
                     const SponsorRecord& sponsor, const PairFacts& facts, absl::Time now) {
  // The rules tell the first that is broken; without it they tell the next.
  uint32_t broken = 0;
  RuleSet left = rules;
  while (const auto rule = left.FirstBroken(newcomer, sponsor, facts, now)) {
    broken |= BitOf(*rule);
    left = left.Without(*rule);
  }
  return broken;
}

void Tally(const RuleSet& rules, const NewcomerRecord& newcomer, const SponsorRecord& sponsor,
           const PairFacts& facts, absl::Time now, RuleTally& tally) {
  ++tally.evaluated;
  const uint32_t broken = BrokenRules(rules, newcomer, sponsor, facts, now);
  if (broken == 0) {
    ++tally.passing;
    return;
  }
  bool is_first = true;
  for (size_t i = 0; i < kRuleCount; ++i) {
    const uint32_t bit = 1u << i;
    if ((broken & bit) == 0) continue;
    ++tally.broken[i];
    if (std::exchange(is_first, false)) ++tally.first[i];
    if (broken == bit) ++tally.only[i];
  }
  if ((broken & kTogether) != 0) ++tally.together_broken;
  if ((broken & ~kTogether) == 0) ++tally.together_only;
  if (broken != BitOf(Rule::kCapacity)) return;
  const bool full = sponsor.accepting && sponsor.capacity > 0;
  ++(full ? tally.only_full : tally.only_not_accepting);
}

RoundedCount RoundCount(int64_t exact) {
  if (exact > 0 && exact < kSmallestCount) return {0, true};
  return {std::max<int64_t>(exact, 0) / kSmallestCount * kSmallestCount, false};
}

std::string CountText(int64_t exact) {
  const RoundedCount count = RoundCount(exact);
  if (count.under_five) return "fewer than 5";
  return absl::StrCat(count.value == 0 ? "" : "at least ", count.value);
}

ToldTally Tell(const RuleTally& tally) {
  ToldTally told{RoundCount(tally.evaluated),
                 RoundCount(tally.passing),
                 RoundCount(tally.only_full),
                 RoundCount(tally.only_not_accepting),
                 {}};
  for (const Row& row : RowsOf(tally)) {
    told.rules.push_back({row.number, row.code, row.text->asks, RoundCount(row.first),
                          RoundCount(row.broken), RoundCount(row.only)});
  }
  return told;
}

std::vector<std::string> Findings(const RuleTally& tally, const TicketSituation& situation) {
  std::vector<std::string> findings;
  if (!situation.newcomer_known) {
    return {
        "There is no copy of the newcomer here: profiles has not sent it yet, or the member was "
        "erased. Look at the outbox of profiles."};
  }
  if (situation.open_offers > 0) {
    findings.push_back("It is put before a sponsor, whose time to answer is not over.");
  }
  if (situation.pool_drained) {
    findings.push_back("The pool is drained: nothing is offered until that ends. See `resume`.");
  }
  AddPassing(tally, situation, findings);
  if (tally.evaluated == 0) {
    findings.push_back("No sponsor is in this pool. Would help: sponsors in this program.");
  }
  AddRules(tally, findings);
  if (findings.empty()) {
    findings.push_back("Every sponsor breaks at least two rules; no single change would help.");
  }
  if (!situation.complete) {
    findings.push_back("The time was over before every sponsor was looked at: the counts are low.");
  }
  return findings;
}

}  // namespace handrail::matching
