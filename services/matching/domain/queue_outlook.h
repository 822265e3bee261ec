#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_QUEUE_OUTLOOK_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_QUEUE_OUTLOOK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/matching/domain/match_record.h"
#include "services/matching/domain/rules.h"

// An honest word about the queue, from what was and from the rules themselves. Every number is so
// coarse that nobody can be told from it (k = 5). Pure.
namespace handrail::matching {

// Same numbers as matching.v1.CountBand.
enum class CountBand : uint8_t {
  kUnspecified = 0,
  kUnder5 = 1,
  k5To9 = 2,
  k10To49 = 3,
  k50OrMore = 4,
};
CountBand BandOf(int64_t count);

// Same numbers as matching.v1.Relaxation. Needs are never among them.
enum class Relaxation : uint8_t {
  kUnspecified = 0,
  kAnyGender = 1,
  kNotOnlyInPerson = 2,
  kDoubleDistance = 3,
  kAnyHours = 4,
};
inline constexpr int kRelaxationCount = 5;  // with kUnspecified

// The newcomer as they would be; nothing when there is nothing of the kind to relax.
std::optional<NewcomerTraits> Relax(const NewcomerTraits& newcomer, Relaxation relaxation,
                                    int default_max_distance_km);

// How long it took others.
struct ExpectedWait {
  int min_hours = 0;
  int max_hours = 0;
  int basis = 0;  // pairings, rounded down to 5, 10, 25, 50, 100, 250 or 500; 0: too few to say
};
// The middle half of these waits, rounded outwards to steps of hours and days.
ExpectedWait EstimateWait(std::vector<absl::Duration> waits);

struct RelaxationEffect {
  Relaxation relaxation = Relaxation::kUnspecified;
  CountBand more_sponsors = CountBand::kUnspecified;
  friend bool operator==(const RelaxationEffect&, const RelaxationEffect&) = default;
};
struct Outlook {
  CountBand suitable = CountBand::kUnspecified;
  CountBand free = CountBand::kUnspecified;
  std::vector<RelaxationEffect> relaxations;
};

// A sponsor of one program, as a record and where they are to be found.
struct ListedSponsor {
  SponsorRecord record;
  std::vector<PoolKey> pools;  // at most 3
};
using PairFactsOf = absl::flat_hash_map<MemberId, PairFacts>;  // by sponsor
// How `sponsors` stand to a newcomer who asks for this, and what each relaxation would change.
Outlook LookAhead(const RuleSet& rules, const ProgramPolicies& policies,
                  const MemberTraits& newcomer, Philosophy philosophy,
                  RelationshipType relationship_type, absl::Span<const ListedSponsor> sponsors,
                  const PairFactsOf& facts, absl::Time now);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_QUEUE_OUTLOOK_H_
