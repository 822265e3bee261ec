#include "services/matching/domain/queue_outlook.h"

#include <algorithm>
#include <array>
#include <utility>

#include "services/matching/domain/explain.h"

namespace handrail::matching {
namespace {

constexpr uint32_t BitOf(Rule rule) { return 1u << static_cast<unsigned>(rule); }

constexpr std::array<int, 12> kHourSteps = {0,  1,  3,      6,       12,      24,
                                            48, 72, 24 * 7, 24 * 14, 24 * 21, 24 * 30};
constexpr std::array<int, 7> kBasisSteps = {5, 10, 25, 50, 100, 250, 500};

int RoundDown(int64_t hours) {
  int rounded = 0;
  for (const int step : kHourSteps) {
    if (step <= hours) rounded = step;
  }
  return rounded;
}

int RoundUp(absl::Duration wait) {
  for (const int step : kHourSteps) {
    if (wait <= absl::Hours(step)) return step;
  }
  return kHourSteps.back();
}

// One newcomer as the rules see them, with the pool in which they would wait.
struct Asker {
  NewcomerRecord record;
  PoolKey pool;
};

Asker MakeAsker(const MemberTraits& member, const NewcomerTraits& traits, Philosophy philosophy,
                RelationshipType type, const ProgramPolicies& policies, absl::Time week_start) {
  MemberTraits changed = member;
  changed.newcomer = traits;
  return {MakeNewcomerRecord(changed, philosophy, type, policies, week_start),
          PoolForTicket(traits, philosophy)};
}

}  // namespace

CountBand BandOf(int64_t count) {
  if (count < 5) return CountBand::kUnder5;
  if (count < 10) return CountBand::k5To9;
  return count < 50 ? CountBand::k10To49 : CountBand::k50OrMore;
}

std::optional<NewcomerTraits> Relax(const NewcomerTraits& newcomer, Relaxation relaxation,
                                    int default_max_distance_km) {
  NewcomerTraits relaxed = newcomer;
  PersonTraits& person = relaxed.person;
  const EnumSet<Modality> in_person = {Modality::kInPersonPublic};
  const bool only_in_person = newcomer.requires_in_person || person.modalities == in_person;
  switch (relaxation) {
    case Relaxation::kAnyGender:
      if (person.gender_preference.rule == GenderRule::kAny) return std::nullopt;
      person.gender_preference = {GenderRule::kAny, {}};
      return relaxed;
    case Relaxation::kNotOnlyInPerson:
      if (!only_in_person) return std::nullopt;
      relaxed.requires_in_person = false;
      if (person.modalities == in_person) {
        person.modalities = {Modality::kInPersonPublic, Modality::kAppText};
      }
      return relaxed;
    case Relaxation::kDoubleDistance:
      if (!only_in_person) return std::nullopt;
      relaxed.max_distance_km =
          2 * (newcomer.max_distance_km > 0 ? newcomer.max_distance_km : default_max_distance_km);
      return relaxed;
    case Relaxation::kAnyHours:
      if (person.availability.empty()) return std::nullopt;
      person.availability.clear();
      return relaxed;
    case Relaxation::kUnspecified: break;
  }
  return std::nullopt;
}

ExpectedWait EstimateWait(std::vector<absl::Duration> waits) {
  ExpectedWait expected;
  for (const int step : kBasisSteps) {
    if (static_cast<size_t>(step) <= waits.size()) expected.basis = step;
  }
  if (expected.basis == 0) return expected;
  std::sort(waits.begin(), waits.end());
  const size_t quarter = waits.size() / 4;
  expected.min_hours = RoundDown(absl::ToInt64Hours(waits[quarter]));
  expected.max_hours = std::max(1, RoundUp(waits[waits.size() - 1 - quarter]));
  return expected;
}

Outlook LookAhead(const RuleSet& rules, const ProgramPolicies& policies,
                  const MemberTraits& newcomer, Philosophy philosophy,
                  RelationshipType relationship_type, absl::Span<const ListedSponsor> sponsors,
                  const PairFactsOf& facts, absl::Time now) {
  const absl::Time week = UtcWeekStart(now);
  const Asker as_is =
      MakeAsker(newcomer, *newcomer.newcomer, philosophy, relationship_type, policies, week);
  std::vector<std::pair<Relaxation, Asker>> relaxed;
  for (int i = 1; i < kRelaxationCount; ++i) {
    const auto relaxation = static_cast<Relaxation>(i);
    const auto traits =
        Relax(*newcomer.newcomer, relaxation, rules.options().default_max_distance_km);
    if (!traits.has_value()) continue;
    relaxed.emplace_back(
        relaxation, MakeAsker(newcomer, *traits, philosophy, relationship_type, policies, week));
  }
  int64_t suitable = 0;
  int64_t free = 0;
  std::vector<int64_t> more(relaxed.size());
  const PairFacts none;
  for (const ListedSponsor& sponsor : sponsors) {
    const auto known = facts.find(sponsor.record.member);
    const PairFacts& between = known == facts.end() ? none : known->second;
    // Whether a seat is free is another question.
    const auto broken = [&](const Asker& asker) {
      if (std::find(sponsor.pools.begin(), sponsor.pools.end(), asker.pool) ==
          sponsor.pools.end()) {
        return ~0u;
      }
      return BrokenRules(rules, asker.record, sponsor.record, between, now);
    };
    const uint32_t now_broken = broken(as_is);
    if ((now_broken & ~BitOf(Rule::kCapacity)) == 0) {
      ++suitable;
      free += now_broken == 0 ? 1 : 0;
      continue;
    }
    for (size_t i = 0; i < relaxed.size(); ++i) {
      if ((broken(relaxed[i].second) & ~BitOf(Rule::kCapacity)) == 0) ++more[i];
    }
  }
  Outlook outlook{BandOf(suitable), BandOf(free), {}};
  for (size_t i = 0; i < relaxed.size(); ++i) {
    outlook.relaxations.push_back({relaxed[i].first, BandOf(more[i])});
  }
  return outlook;
}

}  // namespace handrail::matching
