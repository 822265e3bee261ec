#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_STORE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_STORE_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "services/matching/domain/help.h"
#include "services/matching/domain/ledger.h"

namespace handrail::matching {

// What Reach decided. The call is there for kAsking and kNobody.
struct Reached {
  ReachOutcome outcome = ReachOutcome::kUnavailable;
  std::optional<HelpCall> call;
};

// The truth about calls for help. As of Ledger: every method is one atomic step, idempotent under
// the call's request id, with the same errors of a database that is down or a deadline that passes.
//
// Blocks, consents, standings and pairings that ended for safety are read in the deciding
// transaction, under locks on the members' rows, in the order of locks of the ledger: nobody whom
// they keep apart from the caller is asked, sees the call, or answers it.
class HelpStore {
 public:
  virtual ~HelpStore() = default;

  // Opens a call and asks the first stage that has anybody in it, or gives the caller's open one.
  // `on_call` were chosen outside, and are checked again. kConsentRequired, kSuspended and kLimited
  // change nothing and are not kept under the request id. NOT_FOUND when there is no copy of the
  // caller.
  virtual absl::StatusOr<Changed<Reached>> Reach(const Call& call, absl::Time now,
                                                 const HelpCallId& id,
                                                 absl::Span<const MemberId> on_call) = 0;
  // Open calls whose stage has passed: at most `limit`, the earliest first.
  virtual absl::StatusOr<std::vector<HelpCall>> DueCalls(absl::Time deadline, absl::Time now,
                                                         int limit) = 0;
  // Asks the next stage or round that has anybody in it, or ends the call when none has. Does
  // nothing when the call is not as `call` knows it: another replica was first.
  virtual absl::StatusOr<Effects> Advance(absl::Time deadline, absl::Time now, const HelpCall& call,
                                          absl::Span<const MemberId> on_call) = 0;
  // Closes contacts whose time has passed: at most `limit`.
  virtual absl::StatusOr<Effects> EndContacts(absl::Time deadline, absl::Time now, int limit) = 0;
  // Forgets what was over before `before`: at most `limit`; the number forgotten.
  virtual absl::StatusOr<int64_t> Forget(absl::Time deadline, absl::Time before, int limit) = 0;

  // Members on call whom nothing stands against for this caller and who were not asked for this
  // call, the longest not asked first. At most `limit`, after `skip` of them.
  virtual absl::StatusOr<std::vector<MemberId>> FindOnCall(absl::Time deadline, absl::Time now,
                                                           const MemberId& caller,
                                                           const HelpCallId& id, int skip,
                                                           int limit) = 0;

  virtual absl::StatusOr<HelpCall> GetCall(const Call& call, const HelpCallId& id) = 0;
  virtual absl::StatusOr<Changed<HelpCall>> Cancel(const Call& call, absl::Time now,
                                                   const HelpCallId& id) = 0;

  // PERMISSION_DENIED / SPONSOR_PROFILE_REQUIRED when the caller has no sponsor's side.
  virtual absl::StatusOr<Page<HelpAsk>> ListAsks(const Call& call, bool include_closed, int limit,
                                                 std::optional<PageStart> after) = 0;
  // The first wins; a later one is told in the state, without an error. FAILED_PRECONDITION /
  // MEMBER_SUSPENDED, CONSENT_REQUIRED.
  virtual absl::StatusOr<Changed<HelpAsk>> Answer(const Call& call, absl::Time now,
                                                  const HelpCallId& id) = 0;
  enum class Again : uint8_t { kYes, kNo };
  virtual absl::StatusOr<Changed<HelpAsk>> Pass(const Call& call, absl::Time now,
                                                const HelpCallId& id, Again again) = 0;

  virtual absl::StatusOr<OnCall> GetOnCall(const Call& call, absl::Time now) = 0;
  // Zero goes off call. PERMISSION_DENIED / SPONSOR_PROFILE_REQUIRED; FAILED_PRECONDITION /
  // CONSENT_REQUIRED, MEMBER_SUSPENDED.
  virtual absl::StatusOr<OnCall> SetOnCall(const Call& call, absl::Time now,
                                           absl::Duration length) = 0;
  virtual absl::StatusOr<std::vector<MemberId>> GetBackups(const Call& call) = 0;
  // FAILED_PRECONDITION / BACKUP_NOT_POSSIBLE.
  virtual absl::StatusOr<std::vector<MemberId>> SetBackups(const Call& call, absl::Time now,
                                                           absl::Span<const MemberId> backups) = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_STORE_H_
