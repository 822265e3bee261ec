#ifndef HANDRAIL_TESTS_CRASH_WORLD_H_
#define HANDRAIL_TESTS_CRASH_WORLD_H_

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "common/testing/seeded_random.h"
#include "services/matching/stores/ledger_test_env.h"
#include "services/messaging/stores/sql_message_store.h"
#include "tests/crash/fault_plan.h"
#include "tests/crash/faulty_database.h"
#include "tests/support/history.h"

namespace handrail::tests {

// Which of the seeded bugs a world is built with.
enum class Bug {
  kNone,
  kPopFirst,                 // takes from the queue, then writes
  kNoUniqueConstraint,       // two open tickets of one newcomer are possible
  kAcknowledgeBeforeCommit,  // OK is said before the commit
  kOutboxOutside,            // the outbox row is written in a second transaction
};

// matching and messaging over stores that outlive them: the real ledger, the real message store, an
// index of waiting tickets that may be lost, the outbox between the two. Everything that crosses a
// boundary goes through one fault plan. Time moves by hand, nothing runs by itself.
class World {
 public:
  explicit World(Bug bug);
  ~World();

  FaultPlan& plan() { return plan_; }
  History& history() { return history_; }
  matching::Ledger& ledger() { return *ledger_; }
  messaging::SqlMessageStore& messages() { return *messages_; }
  storage::Database& matching_disk() { return *env_.database; }
  storage::Database& messaging_disk() { return *messaging_disk_; }
  matching::LedgerTestEnv& env() { return env_; }
  testing::SimulatedClock& clock() { return env_.clock; }

  // Starts again whatever died, on the stores as they are.
  void RestartTheDead();
  // One round of what the services do by themselves: hints, matching, outbox. Stops at the first
  // error, as a process does that tries again later.
  absl::Status RunBackground();

  // Blocking forms of the asynchronous steps.
  absl::StatusOr<matching::Ticket> OpenTicket(const Call& call);
  absl::StatusOr<messaging::Appended> Send(const messaging::Append& append);
  absl::Status Acknowledge(const DeviceId& device, const ConversationId& conversation,
                           int64_t sequence);
  // Tickets that wait in the ledger and in no queue. (M4)
  int64_t CountForgotten();

 private:
  void StartMatching();
  void StartMessaging();
  absl::Status FeedQueue();
  absl::Status MatchHead();
  absl::Status MatchPopped();
  absl::Status Propose(const TicketId& id);
  absl::Status DeliverOutbox();
  storage::Database& MatchingDatabase();

  const Bug bug_;
  FaultPlan plan_;
  ProcessLife matching_process_;
  ProcessLife messaging_process_;
  History history_;

  // What outlives the processes.
  matching::LedgerTestEnv env_;
  storage::TestDatabase messaging_backend_;
  std::unique_ptr<storage::Database> messaging_disk_;
  std::deque<TicketId> queue_;  // the index: at the front who waits longest

  // The processes.
  std::unique_ptr<AcknowledgesBeforeCommit> late_;
  std::unique_ptr<FaultyDatabase> matching_database_;
  std::unique_ptr<OutboxOutside> outside_;
  std::unique_ptr<matching::SqlLedger> ledger_;
  std::unique_ptr<FaultyDatabase> messaging_database_;
  std::unique_ptr<messaging::SqlMessageStore> messages_;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_CRASH_WORLD_H_
