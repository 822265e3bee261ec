#ifndef HANDRAIL_TOOLS_BENCHMARK_CORE_POOL_H_
#define HANDRAIL_TOOLS_BENCHMARK_CORE_POOL_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "common/testing/seeded_random.h"
#include "services/matching/domain/pair_table.h"
#include "services/matching/domain/pool_index.h"
#include "services/matching/domain/program_policy.h"
#include "tools/benchmark/core_people.h"

namespace handrail::benchmark {

// CPU time of this thread, so that what else runs on the machine costs nothing here.
double ThreadCpuSeconds();

// What choosing costs: seconds of CPU, and how many of each.
struct CoreCost {
  double seconds = 0;
  int64_t decisions = 0;
  int64_t paired = 0;  // tickets that left with a sponsor
};

// One pool in a steady state, without services: seats free up, each looks for a ticket, the pair
// leaves, and whoever comes instead looks for a sponsor. One sponsor for five waiting tickets; a
// ticket waits about a week on average, whatever the size, so that the clock runs by the number who
// wait. The same seed gives the same pool.
class CorePool {
 public:
  CorePool(uint64_t seed, int tickets, const matching::ProgramPolicies& policies);

  // Fills the index. Without `taken`, every sponsor has a free seat.
  void AddSponsors(bool taken);
  void AddTickets();

  // One turn of the wheel: a seat is freed, and as many come as have left. The newcomers are drawn
  // before the clock starts.
  void Prepare(int turns);
  void Turn(CoreCost& cost);
  // The latency of every decision since the last call, in milliseconds of CPU; only with
  // KeepLatencies, as reading the clock twice costs a fifth of a quick decision.
  void KeepLatencies(bool keep) { keep_latencies_ = keep; }
  std::vector<double> TakeLatencies();
  // A ticket that is only looked for, and stays.
  bool Look();

  // What the wheel itself holds on the heap beside the index.
  double BytesBeside() const;

  size_t waiting() const { return index_.ticket_count(); }
  size_t sponsors() const { return seats_.size(); }
  const matching::PoolIndex& index() const { return index_; }

 private:
  struct Comer {
    matching::Ticket ticket;
    std::shared_ptr<const matching::MemberTraits> traits;
  };

  matching::Ticket NewTicket(uint32_t number, const MemberId& newcomer, absl::Time created);
  void Come(CoreCost& cost);
  void FreeSeat(CoreCost& cost);
  void Expire();
  void Pair(const matching::Candidate& candidate, CoreCost& cost);
  void Leave(const TicketId& ticket, matching::TicketState state);
  template <typename Find>
  matching::Choice Timed(Find find, CoreCost& cost);

  testing::SeededRandom random_;
  const int target_;
  const absl::Duration step_;
  absl::Time now_;
  CorePeople people_;
  const matching::ProgramPolicies& policies_;
  const matching::Chooser chooser_;
  matching::PairTable history_;
  matching::PoolIndex index_;

  std::vector<matching::Availability> seats_;
  std::deque<Comer> comers_;
  std::deque<std::pair<absl::Time, TicketId>> by_age_;
  std::vector<bool> waits_;  // by the number of the ticket
  matching::Ticket leaving_;
  uint32_t next_ticket_ = 0;
  bool keep_latencies_ = false;
  std::vector<double> latencies_;
  double explained_ = 0;  // so that no explanation is for nothing
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_CORE_POOL_H_
