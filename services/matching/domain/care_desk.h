#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_CARE_DESK_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_CARE_DESK_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "services/matching/domain/care_store.h"
#include "services/matching/domain/queue_outlook.h"
#include "services/matching/domain/ticket_desk.h"

namespace handrail::matching {

// What a person is told of a ticket that waits.
struct QueueStatus {
  TicketState state = TicketState::kUnspecified;
  int64_t waiting_ahead = 0;  // exact; whoever shows it rounds it
  ExpectedWait wait;
  Outlook outlook;
};

// Rematches and the outlook of a ticket. Thread-safe.
class CareDesk {
 public:
  struct Options {
    // How old the list of sponsors may be from which an outlook is made.
    absl::Duration list_age = absl::Minutes(1);
    // How many sponsors are read for it; beyond that the outlook is of those.
    int list_limit = 20'000;
    absl::Duration wait_window = absl::Hours(24 * 30);
    int wait_limit = 500;
  };
  using HasRoom = TicketDesk::HasRoom;

  // Everything must outlive the desk.
  CareDesk(CareStore& care, Ledger& ledger, TicketDesk& tickets, MemberCache& members,
           const RuleSet& rules, const ProgramPolicies& policies, const Clock& clock,
           Random& random, const Options& options, HasRoom has_room);

  // Errors as of CareService.RequestRematch. Blocks.
  absl::StatusOr<Changed<Ticket>> RequestRematch(const Call& call, const PairingId& pairing);
  // NOT_FOUND. Blocks.
  absl::StatusOr<QueueStatus> GetQueueStatus(const Call& call, const TicketId& id);

 private:
  using Listed = std::shared_ptr<const std::vector<ListedSponsor>>;
  struct List {
    Listed sponsors;
    absl::Time at = absl::InfinitePast();
    bool under_way = false;
  };

  absl::StatusOr<Changed<Ticket>> TryRematch(const Call& call, const Pairing& pairing,
                                             const MemberTraits& member);
  // At most as old as the options say, or older while it is being read anew.
  absl::StatusOr<Listed> SponsorsOf(absl::Time deadline, Philosophy philosophy);
  absl::StatusOr<Listed> ReadSponsors(absl::Time deadline, Philosophy philosophy);

  CareStore& care_;
  Ledger& ledger_;
  TicketDesk& tickets_;
  MemberCache& members_;
  const RuleSet& rules_;
  const ProgramPolicies& policies_;
  const Clock& clock_;
  Random& random_;
  const Options options_;
  const HasRoom has_room_;
  Mutex mutex_;
  absl::flat_hash_map<Philosophy, List> lists_ ABSL_GUARDED_BY(mutex_);
};

// The periodic task that moves what only time moves of care; see CareStore.
class CareSweeper {
 public:
  struct Options {
    absl::Duration interval = absl::Seconds(2);
    // Notices of no more use are taken out so many sweeps apart.
    int trim_every = 30;
    int limit = 200;
    // A backlog is worked off in so many batches of a part and sweep.
    int batches = 10;
    absl::Duration timeout = absl::Seconds(10);
  };
  using Sink = std::function<void(const Effects&)>;

  CareSweeper(CareStore& store, const Clock& clock, const Options& options, Sink sink);

  void Start();
  void Stop();
  // One sweep. Each part goes on when another failed; what failed is tried at the next sweep.
  void Sweep();

 private:
  using Part = absl::StatusOr<CareStore::Swept> (CareStore::*)(absl::Time, absl::Time, int);
  void Run(absl::string_view what, Part part);

  CareStore& store_;
  const Clock& clock_;
  const Options options_;
  const Sink sink_;
  int64_t sweeps_ = 0;
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_CARE_DESK_H_
