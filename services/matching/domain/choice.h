#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_CHOICE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_CHOICE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/matching/domain/match_record.h"
#include "services/matching/domain/rules.h"
#include "services/matching/domain/score.h"

// Who is put before whom: the rules filter, the score ranks, waiting counts without a cap
// (design.md §5).
namespace handrail::matching {

struct ChoiceOptions {
  // Weight that a full target wait adds; it keeps growing with the wait and has no cap (M7).
  // 0..100.
  double aging = 4.0;
  // Weight that a full sponsor loses against an idle one. 0..1.
  double balance = 0.1;
  // How much of a large pool one search looks at before it is content with the best it has found: 8
  // for a block of 512 people that is filtered, 1 for eight of those who may be it by the bitsets,
  // 1 for a ticket's record that is looked at, 3 more when it is scored, 4 for a sponsor's.
  // 1..1,000,000,000. A search that ends by itself before is exact: with this much, nearly all are
  // among 10,000 who wait (decisions.md 31).
  int effort = 256;

  // INVALID_ARGUMENT, CONFIGURATION_INVALID with every fault.
  absl::Status Validate() const;
};

// A waiting ticket as the scan sees it.
struct TicketRecord {
  NewcomerRecord newcomer;
  TicketId ticket;
  int64_t enqueue_micros = 0;  // Unix microseconds
  int64_t target_micros = 1;   // the relationship's target wait
  double boost = 0;            // 0..kMaxBoost

  // False for an empty place in an index.
  bool IsLive() const { return newcomer.philosophy != Philosophy::kUnspecified; }
};

// What a ticket itself says, without its newcomer.
void SetTicket(const Ticket& ticket, const ProgramPolicies& policies, TicketRecord& record);
TicketRecord MakeTicketRecord(const Ticket& ticket, const MemberTraits& newcomer,
                              const ProgramPolicies& policies, absl::Time week_start);

// One way to go on; valid while the records that it came from are.
struct Candidate {
  const TicketRecord* ticket = nullptr;
  const SponsorRecord* sponsor = nullptr;
  double score = 0;  // 0..100
  int64_t weight_billionths =
      0;  // the pair's weight, in whole numbers so that ties are ties everywhere
};

// The best first. `removed` tells how many pairs each rule took out.
struct Choice {
  std::vector<Candidate> candidates;
  RuleCounts removed;

  bool found() const { return !candidates.empty(); }
  const Candidate& best() const { return candidates.front(); }
};

// Immutable, thread-safe. Everything it decides follows from its arguments.
class Chooser {
 public:
  static constexpr size_t kMaxCandidates = 32;

  // Options that do not validate are a bug of the caller.
  Chooser(const RuleSet& rules, const Scorer& scorer, const ChoiceOptions& options = {});

  // At most `limit` (1..kMaxCandidates) sponsors for one ticket. Ties go to the sponsor who has
  // gone longest without an offer, then by a stable hash of the two ids.
  Choice BestSponsorsFor(const TicketRecord& ticket, absl::Span<const SponsorRecord> sponsors,
                         const PairHistory& history, absl::Time now, size_t limit) const;
  // At most `limit` (1..kMaxCandidates) tickets for one sponsor. Ties go to the longest waiting.
  // With a limit of 2 or more the longest waiting of all who are eligible is always among them
  // (M7).
  Choice BestTicketsFor(const SponsorRecord& sponsor, absl::Span<const TicketRecord> tickets,
                        const PairHistory& history, absl::Time now, size_t limit) const;

  // score/100 + aging·wait/target + boost − balance·(e^load − 1)/(e − 1).
  double Weight(const TicketRecord& ticket, const SponsorRecord& sponsor, double score,
                absl::Time now) const;

  // The part of it that is the ticket's alone.
  double WaitWeight(const TicketRecord& ticket, int64_t now_micros) const;
  // A candidate whose score is known.
  Candidate ScoredCandidate(const TicketRecord& ticket, const SponsorRecord& sponsor, double score,
                            int64_t now_micros) const;

  const RuleSet& rules() const { return rules_; }
  const Scorer& scorer() const { return scorer_; }
  const ChoiceOptions& options() const { return options_; }

 private:
  Candidate MakeCandidate(const TicketRecord& ticket, const SponsorRecord& sponsor,
                          absl::Time now) const;

  RuleSet rules_;
  Scorer scorer_;
  ChoiceOptions options_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_CHOICE_H_
