#ifndef HANDRAIL_SERVICES_MATCHING_STORES_HELP_SQL_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_HELP_SQL_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/storage/database.h"
#include "services/matching/domain/help_store.h"
#include "services/matching/stores/help_steps.h"
#include "services/matching/stores/ledger_steps.h"

namespace handrail::matching {

// Calls for help on SQL, in the ledger's database. Thread-safe. All references must outlive it.
class SqlHelpStore final : public HelpStore {
 public:
  SqlHelpStore(storage::Database& database, MemberVault& vault, const PoolNames& pools,
               Random& random, const ProgramPolicies& policies, const HelpOptions& options);

  absl::StatusOr<Changed<Reached>> Reach(const Call& call, absl::Time now, const HelpCallId& id,
                                         absl::Span<const MemberId> on_call) override;
  absl::StatusOr<std::vector<HelpCall>> DueCalls(absl::Time deadline, absl::Time now,
                                                 int limit) override;
  absl::StatusOr<Effects> Advance(absl::Time deadline, absl::Time now, const HelpCall& call,
                                  absl::Span<const MemberId> on_call) override;
  absl::StatusOr<Effects> EndContacts(absl::Time deadline, absl::Time now, int limit) override;
  absl::StatusOr<int64_t> Forget(absl::Time deadline, absl::Time before, int limit) override;
  absl::StatusOr<std::vector<MemberId>> FindOnCall(absl::Time deadline, absl::Time now,
                                                   const MemberId& caller, const HelpCallId& id,
                                                   int skip, int limit) override;
  absl::StatusOr<HelpCall> GetCall(const Call& call, const HelpCallId& id) override;
  absl::StatusOr<Changed<HelpCall>> Cancel(const Call& call, absl::Time now,
                                           const HelpCallId& id) override;

  absl::StatusOr<Page<HelpAsk>> ListAsks(const Call& call, bool include_closed, int limit,
                                         std::optional<PageStart> after) override;
  absl::StatusOr<Changed<HelpAsk>> Answer(const Call& call, absl::Time now,
                                          const HelpCallId& id) override;
  absl::StatusOr<Changed<HelpAsk>> Pass(const Call& call, absl::Time now, const HelpCallId& id,
                                        Again again) override;

  absl::StatusOr<OnCall> GetOnCall(const Call& call, absl::Time now) override;
  absl::StatusOr<OnCall> SetOnCall(const Call& call, absl::Time now,
                                   absl::Duration length) override;
  absl::StatusOr<std::vector<MemberId>> GetBackups(const Call& call) override;
  absl::StatusOr<std::vector<MemberId>> SetBackups(const Call& call, absl::Time now,
                                                   absl::Span<const MemberId> backups) override;

 private:
  using Steps = LedgerSteps;

  absl::StatusOr<Effects> Run(absl::Time deadline, absl::Time now,
                              absl::FunctionRef<absl::Status(Steps&)> step);
  struct Answered {
    std::string answer;  // empty when none was kept
    Effects effects;
  };
  // A step under the call's request id. A step that gives no answer leaves no trace of the id.
  absl::StatusOr<Answered> RunOnce(
      const Call& call, absl::Time now,
      absl::FunctionRef<absl::StatusOr<std::optional<std::string>>(Steps&)> step);
  // And then `read`, in the same transaction, for an answer that was or is kept: what a caller must
  // hear once it is done cannot be lost by a read that fails afterwards.
  absl::StatusOr<Answered> RunOnce(
      const Call& call, absl::Time now,
      absl::FunctionRef<absl::StatusOr<std::optional<std::string>>(Steps&)> step,
      absl::FunctionRef<absl::Status(storage::Transaction&, const std::string&)> read);
  absl::StatusOr<storage::Rows> ReadRows(absl::Time deadline, absl::string_view sql,
                                         const storage::Args& args);

  absl::StatusOr<ReachOutcome> ReachStep(Steps& steps, const MemberId& caller, const HelpCallId& id,
                                         absl::Span<const MemberId> on_call, HelpCall& open);
  absl::Status AdvanceStep(Steps& steps, HelpCall call, absl::Span<const MemberId> on_call);
  absl::Status AnswerStep(Steps& steps, const MemberId& helper, const HelpCallId& id);
  absl::Status TakeCall(Steps& steps, const HelpCall& call, const MemberId& helper);
  absl::Status PassStep(Steps& steps, const MemberId& helper, const HelpCallId& id, Again again);
  absl::Status SetBackupsStep(Steps& steps, const MemberId& member,
                              absl::Span<const MemberId> backups);
  absl::StatusOr<bool> MayBeBackup(Steps& steps, const MemberId& member, const MemberId& backup,
                                   const LockedPeople& people);
  absl::StatusOr<HelpAsk> ReadAsk(const Call& call, const HelpCallId& id);

  storage::Database& database_;
  const LedgerContext context_;
  const HelpOptions options_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_HELP_SQL_H_
