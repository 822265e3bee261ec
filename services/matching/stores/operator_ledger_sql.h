#ifndef HANDRAIL_SERVICES_MATCHING_STORES_OPERATOR_LEDGER_SQL_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_OPERATOR_LEDGER_SQL_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/base/random.h"
#include "common/storage/database.h"
#include "services/matching/domain/operator_ledger.h"
#include "services/matching/stores/ledger_steps.h"
#include "services/matching/stores/operator_record.h"
#include "services/matching/stores/seal.h"

namespace handrail::matching {

// Takes "<number> " from the beginning of an answer of ours in the request log. DATA_LOSS /
// DATA_CORRUPT when it is none.
absl::StatusOr<int64_t> TakeNumber(absl::string_view& text);

// OperatorLedger on the tables of SqlLedger and its own. Thread-safe; everything handed in must
// outlive it.
class SqlOperatorLedger final : public OperatorLedger {
 public:
  SqlOperatorLedger(storage::Database& database, MemberVault& vault, const PoolNames& pools,
                    Random& random, const ProgramPolicies& policies, const LedgerOptions& options,
                    OperatorRecord record);

  PoolId IdOf(const PoolKey& pool) const override;
  absl::StatusOr<PoolKey> KeyOf(const PoolId& pool) const override;

  absl::StatusOr<std::vector<PoolReport>> ReportPools(absl::Time deadline, absl::Time now) override;
  absl::StatusOr<PoolReport> ReportPool(absl::Time deadline, absl::Time now,
                                        const PoolKey& pool) override;
  absl::StatusOr<Page<OpenTicketReport>> ListOpenTickets(absl::Time deadline, const PoolKey& pool,
                                                         TicketState state, int limit,
                                                         std::optional<PageStart> after) override;
  absl::StatusOr<Page<OpenOfferReport>> ListOpenOffers(absl::Time deadline, const PoolKey& pool,
                                                       int limit,
                                                       std::optional<PageStart> after) override;
  absl::StatusOr<Page<SponsorReport>> ListSponsors(absl::Time deadline, int limit,
                                                   std::optional<PageStart> after) override;
  absl::StatusOr<OpenTicketReport> FindOpenTicket(absl::Time deadline, const TicketId& id) override;
  absl::StatusOr<int64_t> CountOpenOffers(absl::Time deadline, const TicketId& id) override;
  absl::StatusOr<std::vector<PoolDrain>> ListDrains(absl::Time deadline, absl::Time now) override;

  absl::StatusOr<Changed<OpenTicketReport>> Requeue(const Call& call, absl::Time now,
                                                    const TicketId& id) override;
  absl::StatusOr<Changed<OpenTicketReport>> Boost(const Call& call, absl::Time now,
                                                  const TicketId& id, int percent,
                                                  BoostReason why) override;
  absl::StatusOr<Changed<SponsorReport>> DrainSponsor(const Call& call, absl::Time now,
                                                      const MemberId& sponsor,
                                                      OpenOffers offers) override;
  absl::StatusOr<Changed<SponsorReport>> EndProbation(const Call& call, absl::Time now,
                                                      const MemberId& sponsor,
                                                      ProbationEndReason why) override;
  absl::StatusOr<Changed<int64_t>> DrainPool(const Call& call, absl::Time now, const PoolKey& pool,
                                             absl::Duration how_long) override;
  absl::StatusOr<Effects> ResumePool(const Call& call, absl::Time now,
                                     const PoolKey& pool) override;

  absl::Status Record(const Call& call, absl::Time now, absl::string_view subject,
                      absl::string_view outcome, absl::string_view detail) override;
  absl::StatusOr<Page<OperatorAction>> ListActions(absl::Time deadline, std::optional<MemberId> who,
                                                   int limit, int64_t before) override;
  absl::StatusOr<int64_t> TrimActions(absl::Time deadline, absl::Time before, int limit) override;
  absl::StatusOr<AuditReport> VerifyActions(absl::Time deadline, const KnownSeal& known) override;

 private:
  using Steps = LedgerSteps;

  // A step under the call's request id, with its row in the record. `step` gives the encoded
  // answer.
  struct Answered {
    std::string answer;
    Effects effects;
  };
  absl::StatusOr<Answered> RunRecorded(const Call& call, absl::Time now, const std::string& subject,
                                       const std::string& detail,
                                       absl::FunctionRef<absl::StatusOr<std::string>(Steps&)> step);
  absl::StatusOr<storage::Rows> ReadRows(absl::Time deadline, absl::string_view sql,
                                         const storage::Args& args);
  absl::StatusOr<std::vector<PoolReport>> ReadPools(absl::Time deadline, absl::Time now,
                                                    std::optional<PoolKey> only);
  absl::StatusOr<OpenTicketReport> ReadOpenTicket(const storage::Row& row) const;
  absl::StatusOr<Changed<OpenTicketReport>> ChangeTicket(const Call& call, absl::Time now,
                                                         const TicketId& id,
                                                         const std::string& detail,
                                                         absl::string_view sql,
                                                         const storage::Args& args);
  absl::StatusOr<std::string> DrainSponsorStep(Steps& steps, const MemberId& sponsor,
                                               OpenOffers offers);

  storage::Database& database_;
  const LedgerContext context_;
  const OperatorRecord record_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_OPERATOR_LEDGER_SQL_H_
