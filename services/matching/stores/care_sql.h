#ifndef HANDRAIL_SERVICES_MATCHING_STORES_CARE_SQL_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_CARE_SQL_H_

#include <optional>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/storage/database.h"
#include "services/matching/domain/care_store.h"
#include "services/matching/stores/ledger_steps.h"
#include "services/matching/stores/step_runner.h"

namespace handrail::matching {

// Care on the ledger's own database, in the ledger's own order of locks. Thread-safe. Everything
// handed in must outlive it, and `options` be those of the ledger.
class SqlCareStore final : public CareStore {
 public:
  SqlCareStore(storage::Database& database, MemberVault& vault, const PoolNames& pools,
               Random& random, const ProgramPolicies& policies, const LedgerOptions& options);

  absl::StatusOr<Page<Notice>> ListNotices(const Call& call, absl::Time now, bool include_read,
                                           int limit, std::optional<PageStart> after) override;
  absl::StatusOr<Changed<Notice>> MarkNoticeRead(const Call& call, absl::Time now,
                                                 const NoticeId& id) override;
  absl::StatusOr<std::vector<CheckIn>> ListCheckIns(const Call& call,
                                                    const PairingId& pairing) override;
  absl::StatusOr<Changed<AnsweredCheckIn>> AnswerCheckIn(const Call& call, absl::Time now,
                                                         const PairingId& pairing, int day,
                                                         CheckInAnswer answer) override;
  absl::StatusOr<Changed<Ticket>> OpenRematch(const Call& call, absl::Time now,
                                              const PairingId& pairing,
                                              const NewTicket& ticket) override;
  absl::StatusOr<std::optional<Ticket>> FindRematchAnswer(const Call& call) override;
  absl::StatusOr<Effects> EndProbation(absl::Time deadline, absl::Time now,
                                       const MemberId& sponsor) override;
  absl::StatusOr<std::vector<absl::Duration>> RecentWaits(absl::Time deadline, const PoolKey& pool,
                                                          RelationshipType relationship_type,
                                                          absl::Time since, int limit) override;

  absl::StatusOr<Swept> RemindOffers(absl::Time deadline, absl::Time now, int limit) override;
  absl::StatusOr<Swept> CareForTickets(absl::Time deadline, absl::Time now, int limit) override;
  absl::StatusOr<Swept> CareForPairings(absl::Time deadline, absl::Time now, int limit) override;
  absl::StatusOr<Swept> CareForSponsors(absl::Time deadline, absl::Time now, int limit) override;
  absl::StatusOr<int64_t> TrimNotices(absl::Time deadline, absl::Time now, int limit) override;

 private:
  using Steps = LedgerSteps;

  const CarePolicy& policy() const { return context_.options.care; }
  absl::StatusOr<Ticket> TicketFromAnswer(absl::string_view answer) const;
  absl::StatusOr<std::string> AnswerCheckInStep(Steps& steps, const Call& call,
                                                const PairingId& pairing, int day,
                                                CheckInAnswer answer);
  absl::StatusOr<std::string> OpenRematchStep(Steps& steps, const Call& call,
                                              const PairingId& pairing, const NewTicket& ticket);
  absl::Status CareForTicket(Steps& steps, const TicketId& id,
                             const std::optional<Steps::MemberRow>& member);
  // Asks for a temporary contact as was agreed, or says that there are some.
  absl::Status OfferContact(Steps& steps, const TicketChange& ticket, int64_t contact,
                            const std::optional<Steps::MemberRow>& member);
  absl::Status CareForPairing(Steps& steps, const PairingId& id);
  absl::Status CareForSponsor(Steps& steps, const MemberId& id);

  storage::Database& database_;
  const LedgerContext context_;
  const StepRunner runner_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_CARE_SQL_H_
