#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_OPERATOR_DESK_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_OPERATOR_DESK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "services/matching/domain/explain.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/member_cache.h"
#include "services/matching/domain/operator_ledger.h"
#include "services/matching/domain/program_policy.h"
#include "services/matching/domain/rules.h"

namespace handrail::matching {

// What was found out about one ticket.
struct TicketReport {
  OpenTicketReport ticket;
  TicketSituation situation;
  RuleTally tally;
  int64_t sponsors = 0;  // looked at, in whatever pool
};

// What operators ask for, and the rule that nothing is answered before it is on record.
// Thread-safe; everything handed in must outlive it.
class OperatorDesk {
 public:
  struct Options {
    int chunk = 500;  // sponsors read at once
    // Kept of a call's time for what comes after the sponsors.
    absl::Duration reserve = absl::Seconds(1);
    // A hint that the queues have not confirmed for so long is told of.
    absl::Duration hint_patience = absl::Seconds(10);
    int waiting_ahead_limit = 10'000;
  };

  OperatorDesk(OperatorLedger& operators, Ledger& ledger, const MemberCache& members,
               const RuleSet& rules, const ProgramPolicies& policies, const Clock& clock,
               const Options& options)
      : operators_(operators),
        ledger_(ledger),
        members_(members),
        rules_(rules),
        policies_(policies),
        clock_(clock),
        options_(options) {}

  // Runs `read` and records the call with what came of it, and `detail` of a success. The outcome
  // of `read`, or the error of a record that could not be written.
  absl::Status Read(const Call& call, absl::string_view subject,
                    absl::FunctionRef<absl::StatusOr<std::string>()> read);
  // Records a write that was refused; one that succeeded is on record already. Returns `outcome`,
  // or the error of a record that could not be written.
  absl::Status Written(const Call& call, absl::string_view subject, const absl::Status& outcome);

  // Why a ticket waits: every sponsor of the ledger against the rules, in chunks, while there is
  // time. NOT_FOUND; FAILED_PRECONDITION / TICKET_NOT_OPEN for a closed one.
  absl::StatusOr<TicketReport> Explain(const Call& call, const TicketId& id);

 private:
  absl::Status TallySponsors(const Call& call, absl::Time now, const MemberTraits& newcomer,
                             TicketReport& report);
  // The copies of these sponsors, from the cache where it is as new as the ledger.
  absl::StatusOr<std::vector<MemberCache::Member>> MembersOf(absl::Time deadline,
                                                             absl::Span<const SponsorSeats> seats);

  OperatorLedger& operators_;
  Ledger& ledger_;
  const MemberCache& members_;
  const RuleSet& rules_;
  const ProgramPolicies& policies_;
  const Clock& clock_;
  const Options options_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_OPERATOR_DESK_H_
