#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_MARKET_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_MARKET_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/matching/domain/batch_plan.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/program_policy.h"

namespace handrail::matching {

// How much one batch takes. Every pair that may be is kept, some 150 bytes each while a plan is
// made, so that "no blocking pair" is said of everybody in it: 30 MB at most.
struct BatchLimits {
  int tickets = 500;       // with at least one sponsor who could be theirs
  int looked_at = 10'000;  // waiting tickets read for that
  size_t sponsors = 1000;  // of the pool with a free seat; more are refused
  size_t pairs = 200'000;  // that may be; from there no further ticket is taken
  int page = 500;          // rows read at once
};

// Who could be paired with whom in a pool: read from the ledger, whose rows are the truth, by the
// rules and the score of every search. Used once, by one thread; everything handed in must outlive
// it.
class BatchMarket {
 public:
  // Everything is judged as of `as_of`: later tickets are left out, waits end there. The same
  // ledger and the same time give the same market.
  BatchMarket(Ledger& ledger, const Chooser& chooser, const ProgramPolicies& policies,
              const PoolKey& pool, absl::Time as_of, const BatchLimits& limits)
      : ledger_(ledger),
        chooser_(chooser),
        policies_(policies),
        pool_(pool),
        as_of_(as_of),
        week_(UtcWeekStart(as_of)),
        limits_(limits),
        planner_(as_of) {}

  // `sponsors` are those of the pool as an index knows them. FAILED_PRECONDITION / BATCH_TOO_LARGE;
  // the errors of the ledger.
  absl::Status Read(absl::Time deadline, std::vector<MemberId> sponsors);

  const BatchPlanner& planner() const { return planner_; }
  int looked_at() const { return looked_at_; }
  // False when more tickets wait than were taken.
  bool complete() const { return complete_; }

 private:
  using Facts = absl::flat_hash_map<std::pair<MemberId, MemberId>, PairFacts>;

  absl::Status ReadSponsors(absl::Time deadline, const std::vector<MemberId>& ids);
  absl::Status AddSponsors(absl::Time deadline, absl::Span<const SponsorSeats> free);
  absl::Status ReadTickets(absl::Time deadline);
  absl::Status AddTickets(absl::Time deadline, absl::Span<const TicketChange> tickets);
  void AddTicket(const TicketChange& ticket, const MemberTraits& newcomer, const Facts& facts);
  bool IsFull() const;

  Ledger& ledger_;
  const Chooser& chooser_;
  const ProgramPolicies& policies_;
  const PoolKey pool_;
  const absl::Time as_of_;
  const absl::Time week_;
  const BatchLimits limits_;
  BatchPlanner planner_;
  std::vector<SponsorRecord> sponsors_;
  int looked_at_ = 0;
  bool complete_ = true;
};

// A waiting ticket as a search sees it.
TicketRecord MakeTicketRecord(const TicketChange& ticket, const MemberTraits& newcomer,
                              const ProgramPolicies& policies, absl::Time week_start);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_MARKET_H_
