#include "tools/simulator/eligibility.h"

#include <algorithm>
#include <map>

#include "services/matching/domain/choice.h"
#include "services/matching/domain/utc_week.h"

namespace handrail::simulator {
namespace {

using matching::PoolKey;
using matching::SponsorRecord;

// The sponsors of each pool as records of one week.
class WeekOfSponsors {
 public:
  struct Entry {
    uint32_t sponsor;
    SponsorRecord record;
  };

  WeekOfSponsors(const World& world, const matching::ProgramPolicies& policies)
      : world_(world), policies_(policies) {}

  std::vector<Entry>& Of(const PoolKey& pool, absl::Time now) {
    const absl::Time week = matching::UtcWeekStart(now);
    if (week != week_) pools_.clear();
    week_ = week;
    auto [place, added] = pools_.try_emplace(pool);
    if (added) Fill(pool, place->second);
    return place->second;
  }

 private:
  void Fill(const PoolKey& pool, std::vector<Entry>& entries) {
    for (uint32_t i = 0; i < world_.sponsors().size(); ++i) {
      const Sponsor& sponsor = world_.sponsors()[i];
      const std::vector<PoolKey> pools = matching::PoolsForSponsor(*sponsor.traits->sponsor);
      if (std::find(pools.begin(), pools.end(), pool) == pools.end()) continue;
      Entry entry{i,
                  matching::MakeSponsorRecord(*sponsor.traits, pool.philosophy, policies_, week_)};
      matching::Availability seats;
      seats.sponsor = sponsor.traits->member;
      seats.capacity = sponsor.capacity;
      seats.accepting = true;
      matching::SetSeats(seats, entry.record);
      entries.push_back(std::move(entry));
    }
  }

  const World& world_;
  const matching::ProgramPolicies& policies_;
  absl::Time week_ = absl::InfinitePast();
  std::map<PoolKey, std::vector<Entry>> pools_;
};

}  // namespace

std::vector<std::vector<Eligible>> FindEligible(const World& world, const matching::RuleSet& rules,
                                                const matching::Scorer& scorer,
                                                const matching::ProgramPolicies& policies) {
  const matching::RuleSet relaxed = rules.Without(matching::Rule::kFresh);
  WeekOfSponsors week(world, policies);
  std::vector<std::vector<Eligible>> eligible(world.newcomers().size());
  for (size_t i = 0; i < eligible.size(); ++i) {
    const Newcomer& newcomer = world.newcomers()[i];
    const absl::Time now = newcomer.ticket.create_time;
    const matching::TicketRecord record = matching::MakeTicketRecord(
        newcomer.ticket, *newcomer.traits, policies, matching::UtcWeekStart(now));
    for (const auto& [sponsor, sponsor_record] : week.Of(newcomer.ticket.pool, now)) {
      if (relaxed.FirstBrokenOfTraits(record.newcomer, sponsor_record, now)) continue;
      eligible[i].push_back({sponsor, scorer.Score(record.newcomer, sponsor_record, now),
                             world.WouldAccept(i, sponsor)});
    }
  }
  return eligible;
}

}  // namespace handrail::simulator
