#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_SQL_INVITATION_STORE_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_SQL_INVITATION_STORE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "common/base/random.h"
#include "common/storage/database.h"
#include "services/messaging/domain/invitations.h"

namespace handrail::messaging {

// InvitationStore on the database that Migrations() has prepared. Who takes part changes under the
// conversation's row, after the row of the member whom it concerns; an invitation is used by
// compare-and-set in the same unit. Thread-safe.
class SqlInvitationStore final : public InvitationStore {
 public:
  // `database` and `random` must outlive the store.
  SqlInvitationStore(storage::Database& database, Random& random, const InvitationLimits& limits)
      : database_(database), random_(random), limits_(limits) {}

  absl::StatusOr<OpenedConversation> CreateGroup(const Call& call, absl::Time now) override;
  absl::StatusOr<Invitation> Invite(const Call& call, absl::Time now,
                                    const NewInvitation& wanted) override;
  absl::StatusOr<std::vector<Invitation>> List(const Call& call, absl::Time now,
                                               const ConversationId& conversation) override;
  absl::Status Revoke(const Call& call, absl::Time now, const InvitationId& id) override;
  absl::StatusOr<OpenedConversation> Accept(const Call& call, absl::Time now,
                                            const ShownInvitation& shown) override;

 private:
  storage::Database& database_;
  Random& random_;
  const InvitationLimits limits_;
};

// Deletes at most `limit` invitations that were over by then; the number deleted.
absl::StatusOr<int64_t> TrimInvitations(storage::Transaction& tx, absl::Time expired_before,
                                        int64_t limit);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_SQL_INVITATION_STORE_H_
