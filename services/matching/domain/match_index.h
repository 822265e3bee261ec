#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_MATCH_INDEX_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_MATCH_INDEX_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "services/matching/domain/batch_plan.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/member_cache.h"
#include "services/matching/domain/pair_table.h"
#include "services/matching/domain/pool_index.h"
#include "services/matching/domain/ticket_table.h"

namespace handrail::matching {

// One ticket and one sponsor that suit each other as far as the index knows.
struct Match {
  PoolKey pool;
  TicketChange ticket;  // as the index holds it
  MemberId sponsor;
  int64_t newcomer_version = 0;
  int64_t sponsor_member_version = 0;
  int64_t sponsor_version = 0;  // of the seats
  Explanation explanation;
};

// The pools in memory, filled from the ledger. It may lag; the ledger decides. Not thread-safe: one
// thread reads and writes it. What is handed in must outlive it.
class MatchIndex {
 public:
  MatchIndex(Ledger& ledger, MemberCache& members, const Chooser& chooser,
             const ProgramPolicies& policies)
      : ledger_(ledger), members_(members), chooser_(chooser), policies_(policies) {}

  // Reads whoever is missing in the cache, and what stands between people, and puts the tickets in
  // or takes them out.
  absl::Status PutTickets(absl::Time deadline, absl::Time now,
                          absl::Span<const TicketChange> tickets);
  // Reads sponsors and puts them into each of their pools. `fresh` gets them as they are now.
  absl::Status RefreshSponsors(absl::Time deadline, absl::Time now, absl::Span<const MemberId> ids,
                               std::vector<SponsorSeats>* fresh);
  // The same for rows that were read already.
  absl::Status PutSponsors(absl::Time deadline, absl::Time now,
                           absl::Span<const SponsorSeats> sponsors);
  // Waiting tickets as SQL has them, into the index. `fresh` gets whatever was read.
  absl::Status RefreshTickets(absl::Time deadline, absl::Time now, absl::Span<const TicketId> ids,
                              std::vector<TicketChange>* fresh);
  // Copies of members, read again, into every pool they are in.
  absl::Status RefreshMembers(absl::Time deadline, absl::Time now, absl::Span<const MemberId> ids);
  // What stands between a newcomer and sponsors, read again.
  absl::Status RefreshPairs(absl::Time deadline, absl::Time now,
                            absl::Span<const MemberId> newcomers);
  // Forgets cooldowns that have passed.
  void PrunePairs(absl::Time now) { pairs_.Prune(now); }
  // The pair is left alone for a while, because the ledger refused it for a reason not known here.
  void Rest(const MemberId& newcomer, const MemberId& sponsor, absl::Time until) {
    pairs_.CoolDown(newcomer, sponsor, until);
  }
  // The ticket has an offer open before this sponsor until `until`, and looks on for others; until
  // one of its offers is over.
  void PutOffered(const TicketChange& ticket, const MemberId& sponsor, absl::Time until) {
    pairs_.PutOffered(ticket.newcomer, ticket.ticket, sponsor, until);
  }

  // The best match of a ticket, leaving out sponsors whose free seats are all in `taken`.
  using Taken = absl::flat_hash_map<MemberId, int>;
  std::optional<Match> FindForTicket(const TicketId& ticket, const Taken& taken, absl::Time now);
  // The best match of a sponsor in any of their pools, leaving out tickets in `busy`.
  std::optional<Match> FindForSponsor(const MemberId& sponsor, const Taken& taken,
                                      const absl::flat_hash_set<TicketId>& busy, absl::Time now,
                                      absl::FunctionRef<bool(const PoolKey&)> is_ours);

  // Adds the best tickets of a sponsor in all their pools, and tells the best pool's.
  Choice AddTicketsFor(const MemberId& sponsor, absl::Time now,
                       absl::FunctionRef<bool(const PoolKey&)> is_ours, BatchPlanner& planner);
  // The two as they are known now; nothing when the ticket is none of the sponsor's best any more.
  std::optional<Match> MatchOf(const TicketId& ticket, const MemberId& sponsor, absl::Time now);

  std::optional<TicketChange> FindTicket(const TicketId& id) const { return tickets_.Find(id); }
  const SponsorSeats* FindSponsor(const MemberId& id) const;
  // The pools that a sponsor is to be found in.
  std::vector<PoolKey> PoolsOf(const MemberId& sponsor) const;
  std::vector<PoolKey> Pools() const;
  std::vector<MemberId> SponsorsIn(const PoolKey& pool) const;
  size_t TicketCount() const { return tickets_.size(); }
  size_t SponsorCount() const { return sponsors_.size(); }
  size_t PairCount() const { return pairs_.size(); }
  int FreeSeats(const MemberId& sponsor) const;

 private:
  struct SponsorEntry {
    SponsorSeats seats;
    MemberCache::Member traits;
    std::vector<PoolKey> pools;
  };

  // What was read of some members. Not asked of the cache again: it holds so many and no more, and
  // may have dropped one of them for the next.
  using Members = absl::flat_hash_map<MemberId, MemberCache::Member>;

  // From the ledger, into the cache and into `members`.
  absl::Status LoadMembers(absl::Time deadline, absl::Span<const MemberId> ids, Members& members);
  PoolIndex& PoolOf(const PoolKey& key);
  std::optional<Match> ToMatch(const PoolKey& pool, const Candidate& candidate, absl::Time now);

  Ledger& ledger_;
  MemberCache& members_;
  const Chooser& chooser_;
  const ProgramPolicies& policies_;
  PairTable pairs_;
  std::map<PoolKey, std::unique_ptr<PoolIndex>> pools_;
  TicketTable tickets_;  // that may be put before somebody
  absl::flat_hash_map<MemberId, SponsorEntry> sponsors_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_MATCH_INDEX_H_
