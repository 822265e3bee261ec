#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_MEMBER_SYNC_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_MEMBER_SYNC_H_

#include <functional>

#include "common/base/clock.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/member_cache.h"
#include "services/matching/domain/program_policy.h"
#include "services/matching/domain/rules.h"

namespace handrail::matching {

// Takes in what profiles tells of people. Idempotent; thread-safe.
class MemberSync {
 public:
  using Sink = std::function<void(const Effects&)>;

  MemberSync(Ledger& ledger, MemberCache& members, const ProgramPolicies& policies,
             const RuleSet& rules, const Clock& clock, Sink sink);

  // Keeps the copy, and rescinds open offers that break a hard rule as the people are now (M5). All
  // of it is on disk when this returns OK.
  absl::Status ApplyMember(absl::Time deadline, const MemberTraits& member);
  absl::Status ApplyBlock(absl::Time deadline, const BlockId& id, const MemberId& blocker,
                          const MemberId& blocked);

 private:
  absl::Status RecheckOffers(absl::Time deadline, const MemberId& member);

  Ledger& ledger_;
  MemberCache& members_;
  const ProgramPolicies& policies_;
  // An open offer holds its own seat, so capacity is not asked again.
  const RuleSet rules_;
  const Clock& clock_;
  const Sink sink_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_MEMBER_SYNC_H_
