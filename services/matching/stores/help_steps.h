#ifndef HANDRAIL_SERVICES_MATCHING_STORES_HELP_STEPS_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_HELP_STEPS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/matching/domain/help.h"
#include "services/matching/stores/ledger_steps.h"

// The pieces that the steps of calls for help are made of, inside one transaction. Rows of
// help_calls come last in the order of locks (LedgerSteps), changed by compare-and-set.
namespace handrail::matching {

#define HANDRAIL_HELP_CALL_QUERY                                                            \
  "SELECT h.id, h.member, h.state, h.stage, h.rounds, h.asked, h.created_at, h.due_at, "    \
  "h.answered_by, h.answered_at, COALESCE(h.conversation, p.conversation), h.contact_end, " \
  "h.version FROM help_calls h LEFT JOIN pairings p ON p.id = h.pairing "
HelpCall ReadHelpCall(const storage::Row& row);

// Whom a call can be put before, by stage.
struct HelpPlan {
  std::vector<MemberId> sponsors;
  std::vector<MemberId> backups;
  std::vector<MemberId> on_call;

  const std::vector<MemberId>& Of(HelpStage stage) const;
};
// Without locks: what is found is checked again under them.
absl::StatusOr<HelpPlan> FindPeople(storage::Transaction& tx, const MemberId& caller,
                                    absl::Span<const MemberId> on_call);

// The caller and everybody of a plan, locked in the order of their ids.
class LockedPeople {
 public:
  static absl::StatusOr<LockedPeople> Lock(LedgerSteps& steps, const MemberId& caller,
                                           const HelpPlan& plan);
  // Null when there is no copy of the member.
  const LedgerSteps::MemberRow* Find(const MemberId& id) const;

 private:
  std::map<MemberId, LedgerSteps::MemberRow> rows_;
};

// Nothing that may change by itself stands between the two: no block, no end for safety.
absl::StatusOr<bool> MayHelp(LedgerSteps& steps, const MemberId& caller, const MemberId& helper);

// Asks the people of the first stage from `call.stage` on in which anybody may be asked who was not
// asked yet, and puts stage, rounds, number asked and deadline into `call`. The number asked; the
// row of the call is left to the caller.
absl::StatusOr<int> AskNext(LedgerSteps& steps, const HelpOptions& options, const HelpPlan& plan,
                            const LockedPeople& people, HelpCall& call);

// Wakes the watches of a call: the caller's, and those of everybody who was asked.
absl::Status WakeHelp(LedgerSteps& steps, const HelpCallId& id);
// Closes the contacts of calls that meet the condition over `h`; how many there were.
absl::StatusOr<int64_t> CloseContacts(LedgerSteps& steps, absl::string_view condition,
                                      const storage::Args& args);

// For the ledger's own steps, under its locks on the members.
// What a member may no longer be part of: calls and asks, contacts, duty; of an erased one all.
absl::Status WithdrawFromHelp(LedgerSteps& steps, const MemberTraits& member);
// Nobody of the two is asked or heard by the other any more, because `by` said so. To the other one
// it looks as if each call had been taken back, and whom they named as a backup they still see.
absl::Status KeepApartInHelp(LedgerSteps& steps, const MemberId& by, const MemberId& other);
// Stores the conversation that messaging opened; nothing happens when it was not for a call.
absl::Status HelpConversationOpened(LedgerSteps& steps, const PairingId& key,
                                    const ConversationId& conversation);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_HELP_STEPS_H_
