#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_CANDIDATE_DESK_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_CANDIDATE_DESK_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "services/matching/domain/candidates.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/choice_ledger.h"
#include "services/matching/domain/ledger.h"

namespace handrail::matching {

// Names of candidates that say nothing: who is behind one, for which ticket and in which list, only
// this service can tell. Thread-safe.
class CandidateHandles {
 public:
  struct Handle {
    TicketId ticket;
    MemberId sponsor;
    uint64_t list = 0;
    absl::Time expire_time;     // whole seconds
    EnumSet<MatchReason> told;  // the reasons that the list gave
  };
  virtual ~CandidateHandles() = default;

  // A different text every time, of at most 200 characters.
  virtual std::string Make(const MemberId& caller, const Handle& handle) const = 0;
  // Nothing for a text that was not made for this caller.
  virtual std::optional<Handle> Read(const MemberId& caller, absl::string_view text) const = 0;
};

struct CandidateOptions {
  size_t k = 5;  // people who share what is shown; 2..100
  ShowBudget budget;
  size_t scope_limit = 1000;  // people looked at for one list; 50..10,000
  absl::Duration handle_lifetime = absl::Hours(1);
};

// Shows candidates to newcomers who choose, and takes their choice. Thread-safe.
class CandidateDesk {
 public:
  // The sponsors of a pool, in any order.
  using SponsorList =
      std::function<absl::StatusOr<std::vector<MemberId>>(absl::Time deadline, const PoolKey&)>;

  // Everything must outlive the desk.
  CandidateDesk(Ledger& ledger, ChoiceLedger& choices, const Chooser& chooser,
                const ProgramPolicies& policies, const CandidateHandles& handles,
                const Clock& clock, Random& random, SponsorList sponsors,
                const CandidateOptions& options);

  struct Candidate {
    std::string handle;
    CandidateView view;
  };
  struct List {
    std::vector<Candidate> candidates;  // by the score that is told, then in an order of chance
    absl::Time expire_time;
    int suitable_count = 0;             // rounded down to tens
    int remaining_today = 0;            // other people who can still be shown
    int questions_remaining_today = 0;  // different questions that can still be asked
  };
  // Errors as of CandidateService.ListCandidates.
  absl::StatusOr<List> ListCandidates(const Call& call, const TicketId& id);
  // Errors as of CandidateService.ChooseCandidates.
  absl::StatusOr<Changed<Ticket>> Choose(const Call& call, const TicketId& id,
                                         absl::Span<const std::string> handles, bool then_handrail);

 private:
  // Everybody who breaks no rule with the newcomer but perhaps has no free seat now.
  struct Scope {
    std::vector<MemberTraits> members;
    std::vector<SponsorRecord> records;  // of the same people, in the same order
    std::vector<bool> free;              // who has a seat and may be asked now
  };
  absl::StatusOr<Scope> FindScope(const Call& call, const Ticket& ticket,
                                  const TicketRecord& record);
  // What the question is answered with, and kept as its answer unless it is nobody.
  absl::StatusOr<Shown> Answer(const Call& call, const Ticket& ticket, const MemberTraits& newcomer,
                               const Question& question);
  ShownList Describe(const Call& call, const Ticket& ticket, const MemberTraits& newcomer,
                     const TicketRecord& record, const Scope& scope,
                     absl::Span<const MemberId> people) const;
  // Without those who may not take part any more.
  absl::Status DropWithdrawn(absl::Time deadline, std::vector<ShownPerson>& people);
  absl::StatusOr<std::vector<MemberId>> Draw(const Call& call, const Ticket& ticket) const;
  absl::StatusOr<std::vector<Chosen>> ReadHandles(const Call& call, const TicketId& id,
                                                  absl::Span<const std::string> handles) const;

  Ledger& ledger_;
  ChoiceLedger& choices_;
  const Chooser& chooser_;
  const ProgramPolicies& policies_;
  const CandidateHandles& handles_;
  const Clock& clock_;
  Random& random_;
  const SponsorList sponsors_;
  const CandidateOptions options_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_CANDIDATE_DESK_H_
