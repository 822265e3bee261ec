#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_TICKET_DESK_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_TICKET_DESK_H_

#include <functional>
#include <memory>

#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/random.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/member_cache.h"
#include "services/matching/domain/outbox.h"
#include "services/matching/domain/program_policy.h"

namespace handrail::matching {

// Opens tickets: checks what our copy of the member says, asks profiles only on a miss, and lets
// the ledger decide. Thread-safe.
class TicketDesk {
 public:
  using Sink = std::function<void(const Effects&)>;
  using Done = std::function<void(absl::StatusOr<Ticket>)>;
  // False when no more tickets can wait.
  using HasRoom = std::function<bool()>;

  // Everything must outlive the desk. `threads` serve requests of members who are not in the cache.
  TicketDesk(Ledger& ledger, MemberDirectory& directory, MemberCache& members,
             const ProgramPolicies& policies, const Clock& clock, Random& random, int threads,
             HasRoom has_room, Sink sink);

  // What is asked for.
  struct Wish {
    RelationshipType relationship_type = RelationshipType::kUnspecified;
    Philosophy philosophy = Philosophy::kUnspecified;
    bool choosing = false;  // the newcomer chooses
    Importance importance;
    bool temporary_contact_while_waiting = false;
  };
  // Does not block; `done` runs once, on any thread. Errors as of MatchingService.RequestMatch;
  // UNAVAILABLE / PEER_UNAVAILABLE when there is no copy of the member and profiles is down.
  void RequestMatch(const Call& call, const Wish& wish, Done done);
  // Answers what was begun.
  void Stop() { workers_.Stop(); }

  // The newest copy of a member: from the ledger, else from profiles, which is then kept.
  absl::StatusOr<MemberCache::Member> LoadMember(absl::Time deadline, const MemberId& id);
  // The copy that profiles has now, which is then kept. For a caller whom our own copy would
  // refuse: what they have just told profiles may still be on its way.
  absl::StatusOr<MemberCache::Member> FetchMember(absl::Time deadline, const MemberId& id);

 private:
  struct Request {
    Call call;
    Wish wish;
    Done done;
    int attempts = 0;
  };

  absl::Status Check(const Request& request, const MemberTraits& member) const;
  void Open(const std::shared_ptr<Request>& request, const MemberTraits& member);
  // On a worker thread: reads the member afresh, decides again.
  void HandOver(const std::shared_ptr<Request>& request);
  void RunSlowly(const std::shared_ptr<Request>& request);
  // A request that is refused now may have been answered before; that answer stands.
  absl::StatusOr<Ticket> FirstAnswerOr(const Call& call, const absl::Status& refusal);

  Ledger& ledger_;
  MemberDirectory& directory_;
  MemberCache& members_;
  const ProgramPolicies& policies_;
  const Clock& clock_;
  Random& random_;
  const HasRoom has_room_;
  const Sink sink_;
  Executor workers_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_TICKET_DESK_H_
