#ifndef HANDRAIL_SERVICES_MATCHING_STORES_LEDGER_SQL_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_LEDGER_SQL_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/random.h"
#include "common/storage/database.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/stores/ledger_steps.h"
#include "services/matching/stores/seal.h"
#include "services/matching/stores/step_runner.h"

namespace handrail::matching {

// The ledger on SQLite or PostgreSQL. Thread-safe. The database must have LedgerMigrations applied;
// everything handed in must outlive the ledger.
class SqlLedger final : public Ledger {
 public:
  SqlLedger(storage::Database& database, MemberVault& vault, const PoolNames& pools, Random& random,
            const ProgramPolicies& policies, const LedgerOptions& options);

  void OpenTicket(const Call& call, absl::Time now, const NewTicket& ticket,
                  TicketDone done) override;
  absl::StatusOr<std::optional<Ticket>> FindOpenTicketAnswer(const Call& call) override;
  absl::StatusOr<Ticket> GetTicket(const Call& call, const TicketId& id) override;
  absl::StatusOr<Page<Ticket>> ListTickets(const Call& call, int limit,
                                           std::optional<PageStart> after) override;
  absl::StatusOr<Changed<Ticket>> CancelTicket(const Call& call, absl::Time now,
                                               const TicketId& id) override;
  absl::StatusOr<Effects> ExpireTickets(absl::Time deadline, absl::Time now, int limit) override;

  absl::StatusOr<Changed<Offer>> MakeOffer(absl::Time deadline, absl::Time now,
                                           const Proposal& proposal) override;
  std::vector<absl::StatusOr<Changed<Offer>>> MakeOffers(
      absl::Time deadline, absl::Time now, absl::Span<const Proposal> proposals) override;
  absl::StatusOr<Changed<Pairing>> AcceptOffer(const Call& call, absl::Time now,
                                               const OfferId& id) override;
  absl::StatusOr<Changed<Offer>> DeclineOffer(const Call& call, absl::Time now,
                                              const OfferId& id) override;
  absl::StatusOr<Effects> TimeOutOffers(absl::Time deadline, absl::Time now, int limit) override;
  absl::StatusOr<Effects> RescindOffer(absl::Time deadline, absl::Time now,
                                       const OfferId& id) override;
  absl::StatusOr<Effects> RescindLapsed(absl::Time deadline, absl::Time now,
                                        absl::Time attested_before, int limit) override;
  absl::StatusOr<Page<Offer>> ListOffers(const Call& call, bool include_closed, int limit,
                                         std::optional<PageStart> after) override;
  absl::StatusOr<OfferChanges> ReadOfferChanges(
      const Call& call, absl::Time since,
      absl::FunctionRef<bool(const OfferVersion&)> wants) override;
  absl::StatusOr<std::optional<Offer>> FindOpenOffer(const Call& call, const TicketId& id) override;
  absl::StatusOr<std::vector<Offer>> OpenOffersOf(absl::Time deadline,
                                                  const MemberId& member) override;

  absl::StatusOr<Availability> GetAvailability(const Call& call) override;
  absl::StatusOr<Changed<Availability>> SetAvailability(const Call& call, absl::Time now,
                                                        const AvailabilityWish& wish) override;
  using Ledger::SetAvailability;

  absl::StatusOr<Pairing> GetPairing(const Call& call, const PairingId& id) override;
  absl::StatusOr<Page<Pairing>> ListPairings(const Call& call, int limit,
                                             std::optional<PageStart> after) override;
  absl::StatusOr<Changed<Pairing>> ConfirmContact(const Call& call, absl::Time now,
                                                  const PairingId& id) override;
  absl::StatusOr<Changed<Pairing>> PausePairing(const Call& call, absl::Time now,
                                                const PairingId& id) override;
  absl::StatusOr<Changed<Pairing>> ResumePairing(const Call& call, absl::Time now,
                                                 const PairingId& id) override;
  absl::StatusOr<Changed<Pairing>> EndPairing(const Call& call, absl::Time now, const PairingId& id,
                                              EndReason reason) override;
  absl::StatusOr<int64_t> PassTrials(absl::Time deadline, absl::Time now, int limit) override;

  absl::StatusOr<std::optional<MemberTraits>> LoadMember(absl::Time deadline,
                                                         const MemberId& id) override;
  absl::StatusOr<std::vector<MemberTraits>> LoadMembers(absl::Time deadline,
                                                        absl::Span<const MemberId> ids) override;
  absl::StatusOr<Effects> ApplyMember(absl::Time deadline, absl::Time now,
                                      const MemberTraits& member) override;
  absl::StatusOr<Effects> ApplyBlock(absl::Time deadline, absl::Time now, const BlockId& id,
                                     const MemberId& blocker, const MemberId& blocked) override;
  absl::StatusOr<std::vector<PairRecord>> LoadPairFacts(
      absl::Time deadline, absl::Time now, absl::Span<const MemberId> newcomers) override;

  absl::StatusOr<std::vector<PoolKey>> ListWaitingPools(absl::Time deadline) override;
  absl::StatusOr<std::vector<TicketChange>> LoadWaiting(absl::Time deadline, const PoolKey& pool,
                                                        int limit,
                                                        std::optional<PageStart> after) override;
  absl::StatusOr<std::vector<TicketChange>> LoadOfferedInParallel(absl::Time deadline,
                                                                  const PoolKey& pool, int limit,
                                                                  const TicketId& after) override;
  absl::StatusOr<std::vector<WaitingTicket>> ScanWaiting(absl::Time deadline, const PoolKey& pool,
                                                         int limit,
                                                         std::optional<PageStart> after) override;
  absl::StatusOr<std::vector<TicketChange>> LoadTickets(absl::Time deadline,
                                                        absl::Span<const TicketId> ids) override;
  absl::StatusOr<std::vector<SponsorSeats>> ScanSponsors(absl::Time deadline, int limit,
                                                         const MemberId& after) override;
  absl::StatusOr<std::vector<SponsorSeats>> LoadSponsors(absl::Time deadline,
                                                         absl::Span<const MemberId> ids) override;
  absl::StatusOr<Marks> LoadMarks(absl::Time deadline, absl::Time before, int limit) override;
  void ClearMarks(absl::Time deadline, std::vector<std::pair<TicketId, int64_t>> tickets,
                  std::vector<std::pair<MemberId, int64_t>> sponsors) override;
  absl::StatusOr<int64_t> CountWaitingBefore(absl::Time deadline, const PoolKey& pool,
                                             absl::Time create_time, int limit) override;

  absl::StatusOr<std::vector<OutboxEntry>> DueOutbox(absl::Time deadline, absl::Time now,
                                                     int limit) override;
  absl::StatusOr<Effects> OutboxDelivered(absl::Time deadline, const OutboxEntry& entry,
                                          std::optional<ConversationId> conversation) override;
  absl::Status OutboxDelayed(absl::Time deadline, const OutboxEntry& entry,
                             absl::Time due) override;
  absl::StatusOr<int64_t> TrimRequests(absl::Time deadline, absl::Time now, int limit) override;

 private:
  using Steps = LedgerSteps;

  using Answered = StepRunner::Answered;

  absl::StatusOr<Effects> Run(absl::Time deadline, absl::Time now,
                              absl::FunctionRef<absl::Status(Steps&)> step) const {
    return runner_.Run(deadline, now, step);
  }
  absl::StatusOr<Answered> RunOnce(
      const Call& call, absl::Time now,
      absl::FunctionRef<absl::StatusOr<std::string>(Steps&)> step) const {
    return runner_.RunOnce(call, now, step);
  }
  absl::StatusOr<storage::Rows> ReadRows(absl::Time deadline, absl::string_view sql,
                                         const storage::Args& args) const {
    return runner_.ReadRows(deadline, sql, args);
  }

  absl::StatusOr<std::string> OpenTicketStep(Steps& steps, const Call& call,
                                             const NewTicket& ticket, Ticket& opened);
  absl::Status MakeOfferStep(Steps& steps, const Proposal& proposal, Offer& made);
  absl::Status CheckProposal(Steps& steps, const Proposal& proposal, Steps::Two& two);
  absl::StatusOr<std::string> AcceptOfferStep(Steps& steps, const Call& call, const OfferId& id);
  absl::StatusOr<std::string> DeclineOfferStep(Steps& steps, const Call& call, const OfferId& id);
  absl::Status TakeOffer(Steps& steps, const Offer& offer, const Pairing& pairing,
                         absl::string_view pool);
  absl::Status RescindOverCapacity(Steps& steps, const MemberId& sponsor);
  absl::Status StoreAvailability(Steps& steps, const MemberId& me, const AvailabilityWish& wish);
  absl::StatusOr<Offer> FindOfferOf(Steps& steps, const Call& call, const OfferId& id,
                                    std::string& pool);

  absl::StatusOr<Ticket> TicketFromAnswer(absl::string_view answer) const;
  absl::StatusOr<Changed<Pairing>> PairingFromAnswer(absl::StatusOr<Answered> answered) const;
  absl::StatusOr<Changed<Pairing>> StepPairing(
      const Call& call, absl::Time now, const PairingId& id,
      absl::FunctionRef<absl::Status(Steps&, Pairing&)> step);
  // `lock` locks what the step needs besides the pairing: the sponsor at least.
  absl::StatusOr<Changed<Pairing>> StepPairing(
      const Call& call, absl::Time now, const PairingId& id,
      absl::FunctionRef<absl::Status(Steps&, const Pairing&)> lock,
      absl::FunctionRef<absl::Status(Steps&, Pairing&)> step);
  absl::Status MovePairing(Steps& steps, Pairing& pairing, PairingState next);

  // `held` is the row as it was locked, or nothing when there was none.
  absl::Status StoreMember(Steps& steps, const MemberTraits& member,
                           const std::optional<Steps::MemberRow>& held);
  // Takes back what the member may no longer be part of.
  absl::Status Withdraw(Steps& steps, const MemberTraits& member);
  absl::StatusOr<std::vector<Pairing>> LastingPairingsWhere(Steps& steps,
                                                            absl::string_view condition,
                                                            const storage::Args& args);
  absl::Status EndPairings(Steps& steps, const std::vector<Pairing>& pairings);
  // True when at least one of the two is known, and locked.
  absl::StatusOr<bool> ApplyBlockStep(Steps& steps, const BlockId& id, const MemberId& blocker,
                                      const MemberId& blocked);

  absl::StatusOr<Availability> ReadAvailability(storage::Transaction& tx, const MemberId& id);
  absl::Status RequireSponsor(storage::Transaction& tx, const MemberId& id);
  absl::StatusOr<std::vector<Offer>> ReadOffers(absl::Time deadline, absl::string_view sql,
                                                const storage::Args& args);
  absl::StatusOr<std::vector<TicketChange>> ReadTicketChanges(absl::Time deadline,
                                                              absl::string_view sql,
                                                              const storage::Args& args);
  absl::StatusOr<std::vector<SponsorSeats>> ReadSponsorSeats(absl::Time deadline,
                                                             absl::string_view sql,
                                                             const storage::Args& args);

  storage::Database& database_;
  const LedgerContext context_;
  const StepRunner runner_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_LEDGER_SQL_H_
