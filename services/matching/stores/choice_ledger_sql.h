#ifndef HANDRAIL_SERVICES_MATCHING_STORES_CHOICE_LEDGER_SQL_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_CHOICE_LEDGER_SQL_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/storage/database.h"
#include "services/matching/domain/choice_ledger.h"
#include "services/matching/stores/ledger_steps.h"

namespace handrail::matching {

struct QuestionIdTag {
  static constexpr absl::string_view kCollection = "questions";
};
using QuestionId = Id<QuestionIdTag>;

// The choices on SQLite or PostgreSQL, in the ledger's database. Thread-safe. Everything handed in
// must outlive it.
class SqlChoiceLedger final : public ChoiceLedger {
 public:
  // 16 bytes that stand for `sponsor` on `day`, and tell nobody without the key who it is.
  using SeenHash = std::function<std::string(int64_t day, const MemberId& sponsor)>;

  SqlChoiceLedger(storage::Database& database, MemberVault& vault, const PoolNames& pools,
                  Random& random, const ProgramPolicies& policies, const LedgerOptions& options,
                  SeenHash hash);

  absl::StatusOr<Changed<Ticket>> SetChoice(const Call& call, absl::Time now, const TicketId& id,
                                            absl::Span<const Chosen> sponsors,
                                            bool then_handrail) override;
  absl::StatusOr<std::optional<Ticket>> FindSetChoiceAnswer(const Call& call) override;
  absl::StatusOr<std::optional<Next>> FindNext(absl::Time deadline, absl::Time now,
                                               const TicketId& id) override;
  absl::StatusOr<Effects> PassOver(absl::Time deadline, absl::Time now, const TicketId& id,
                                   const MemberId& sponsor) override;
  absl::StatusOr<std::vector<TicketId>> ListDue(absl::Time deadline, absl::Time now, int limit,
                                                const TicketId& after) override;
  absl::StatusOr<Shown> FindShown(const Call& call, absl::Time now, const Question& question,
                                  const ShowBudget& budget) override;
  absl::StatusOr<Shown> Show(const Call& call, absl::Time now, const Question& question,
                             absl::Span<const MemberId> candidates, int limit,
                             const ShowBudget& budget) override;
  absl::StatusOr<ShownList> KeepShown(const Call& call, absl::Time now, const Question& question,
                                      const ShownList& list) override;
  absl::StatusOr<int64_t> Trim(absl::Time deadline, absl::Time now, int limit) override;

 private:
  absl::StatusOr<std::string> SetChoiceStep(LedgerSteps& steps, const Call& call,
                                            const TicketId& id, absl::Span<const Chosen> sponsors,
                                            bool then_handrail);
  absl::StatusOr<Ticket> TicketFromAnswer(absl::string_view answer) const;
  // The row of a question that was asked on `day`.
  struct Asked {
    QuestionId id;
    std::string sealed;       // the answer; empty when none was kept
    std::string wrapped_key;  // the caller's
  };
  absl::StatusOr<std::optional<Asked>> FindAsked(storage::Transaction& tx, const MemberId& caller,
                                                 int64_t day, const Question& question) const;
  absl::StatusOr<ShownList> OpenAnswer(const MemberId& caller, const Asked& asked) const;

  storage::Database& database_;
  const LedgerContext context_;
  const SeenHash hash_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_CHOICE_LEDGER_SQL_H_
