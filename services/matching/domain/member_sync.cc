#include "services/matching/domain/member_sync.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "services/matching/domain/match_record.h"
#include "services/matching/domain/utc_week.h"

namespace handrail::matching {

namespace {

// One of them does not wish to be matched with the other.
bool AreKeptApart(const std::vector<Ledger::PairRecord>& pairs, const Offer& offer) {
  return std::any_of(pairs.begin(), pairs.end(), [&offer](const Ledger::PairRecord& pair) {
    return pair.newcomer == offer.newcomer && pair.sponsor == offer.sponsor &&
           (pair.facts.avoided || pair.facts.dual_role);
  });
}

}  // namespace

MemberSync::MemberSync(Ledger& ledger, MemberCache& members, const ProgramPolicies& policies,
                       const RuleSet& rules, const Clock& clock, Sink sink)
    : ledger_(ledger),
      members_(members),
      policies_(policies),
      rules_(rules.Without(Rule::kCapacity)),
      clock_(clock),
      sink_(std::move(sink)) {}

absl::Status MemberSync::ApplyMember(absl::Time deadline, const MemberTraits& member) {
  ASSIGN_OR_RETURN(const Effects effects, ledger_.ApplyMember(deadline, clock_.Now(), member));
  MemberTraits kept = member;
  kept.avoided.clear();  // as the ledger gives it
  members_.Put(std::move(kept));
  sink_(effects);
  return RecheckOffers(deadline, member.member);
}

absl::Status MemberSync::ApplyBlock(absl::Time deadline, const BlockId& id, const MemberId& blocker,
                                    const MemberId& blocked) {
  ASSIGN_OR_RETURN(const Effects effects,
                   ledger_.ApplyBlock(deadline, clock_.Now(), id, blocker, blocked));
  sink_(effects);
  return absl::OkStatus();
}

absl::Status MemberSync::RecheckOffers(absl::Time deadline, const MemberId& member) {
  ASSIGN_OR_RETURN(const std::vector<Offer> offers, ledger_.OpenOffersOf(deadline, member));
  const absl::Time now = clock_.Now();
  const absl::Time week = UtcWeekStart(now);
  std::vector<MemberId> newcomers;
  newcomers.reserve(offers.size());
  for (const Offer& offer : offers) newcomers.push_back(offer.newcomer);
  std::vector<Ledger::PairRecord> pairs;
  if (!offers.empty()) {
    ASSIGN_OR_RETURN(pairs, ledger_.LoadPairFacts(deadline, now, newcomers));
  }
  for (const Offer& offer : offers) {
    ASSIGN_OR_RETURN(const auto newcomer, ledger_.LoadMember(deadline, offer.newcomer));
    ASSIGN_OR_RETURN(const auto sponsor, ledger_.LoadMember(deadline, offer.sponsor));
    const bool both = newcomer.has_value() && newcomer->newcomer.has_value() &&
                      sponsor.has_value() && sponsor->sponsor.has_value();
    if (both && !AreKeptApart(pairs, offer)) {
      const NewcomerRecord asks =
          MakeNewcomerRecord(*newcomer, offer.philosophy, offer.relationship_type, policies_, week);
      const SponsorRecord gives = MakeSponsorRecord(*sponsor, offer.philosophy, policies_, week);
      if (!rules_.FirstBrokenOfTraits(asks, gives, now).has_value()) continue;
    }
    ASSIGN_OR_RETURN(const Effects effects, ledger_.RescindOffer(deadline, now, offer.id));
    sink_(effects);
  }
  return absl::OkStatus();
}

}  // namespace handrail::matching
