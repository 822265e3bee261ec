#include "tests/crash/world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "services/matching/adapters/program_table.h"

namespace handrail::tests {
namespace {

constexpr absl::Time kNoDeadline = absl::InfiniteFuture();

absl::Status PeerUnavailable() {
  return Error(absl::StatusCode::kUnavailable, reason::kPeerUnavailable)
      .Message("the other service cannot be reached")
      .ToStatus();
}

// What an asynchronous step answers, waited for. Shared with the step: it may still be on its way
// out of Set when the waiter has gone.
template <typename T>
class Answer {
 public:
  static std::shared_ptr<Answer> Make() { return std::make_shared<Answer>(); }
  void Set(T value) {
    MutexLock lock(mutex_);
    value_ = std::move(value);
    signal_.SignalAll();
  }
  T Wait() {
    MutexLock lock(mutex_);
    while (!value_.has_value()) signal_.Wait(mutex_);
    return *std::move(value_);
  }

 private:
  Mutex mutex_;
  CondVar signal_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

World::World(Bug bug)
    : bug_(bug),
      env_(storage::TestBackend::kSqliteMemory),
      messaging_backend_(storage::TestBackend::kSqliteMemory) {
  messaging_backend_.options.clock = &env_.clock;
  messaging_disk_ = messaging_backend_.Open();
  if (bug == Bug::kNoUniqueConstraint) env_.Execute("DROP INDEX tickets_open");
  StartMatching();
  StartMessaging();
}

World::~World() = default;

void World::StartMatching() {
  ledger_.reset();
  outside_.reset();
  matching_database_.reset();
  if (late_ != nullptr) late_->Forget();
  storage::Database* disk = env_.database.get();
  if (bug_ == Bug::kAcknowledgeBeforeCommit) {
    late_ = std::make_unique<AcknowledgesBeforeCommit>(*disk);
    disk = late_.get();
  }
  matching_database_ = std::make_unique<FaultyDatabase>(*disk, plan_, matching_process_);
  if (bug_ == Bug::kOutboxOutside) outside_ = std::make_unique<OutboxOutside>(*matching_database_);
  ledger_ =
      std::make_unique<matching::SqlLedger>(MatchingDatabase(), env_.vault, env_.pools, env_.random,
                                            matching::BuiltInPrograms(), matching::LedgerOptions());
}

storage::Database& World::MatchingDatabase() {
  if (outside_ != nullptr) return *outside_;
  return *matching_database_;
}

void World::StartMessaging() {
  messages_.reset();
  messaging_database_.reset();
  messaging_database_ =
      std::make_unique<FaultyDatabase>(*messaging_disk_, plan_, messaging_process_);
  auto store =
      messaging::SqlMessageStore::Create(*messaging_database_, env_.clock, env_.random, {});
  ASSERT_TRUE(store.ok()) << store.status();
  messages_ = *std::move(store);
}

void World::RestartTheDead() {
  if (plan_.IsDead(matching_process_)) {
    StartMatching();
    plan_.Revive(matching_process_);
  }
  if (plan_.IsDead(messaging_process_)) {
    StartMessaging();
    plan_.Revive(messaging_process_);
  }
}

absl::Status World::RunBackground() {
  RETURN_IF_ERROR(FeedQueue());
  RETURN_IF_ERROR(bug_ == Bug::kPopFirst ? MatchPopped() : MatchHead());
  return DeliverOutbox();
}

// The sweeper: what is marked in the ledger goes to the queue, then the mark goes.
absl::Status World::FeedQueue() {
  ASSIGN_OR_RETURN(const matching::Ledger::Marks marks,
                   ledger_->LoadMarks(kNoDeadline, env_.clock.Now() + absl::Seconds(1), 100));
  std::vector<std::pair<TicketId, int64_t>> done;
  for (const matching::TicketChange& ticket : marks.tickets) {
    const FaultPlan::Verdict verdict = plan_.Next(matching_process_);
    if (verdict.takes_effect) {
      const auto place = std::find(queue_.begin(), queue_.end(), ticket.ticket);
      const bool waits = ticket.state == matching::TicketState::kWaiting;
      if (waits && place == queue_.end()) queue_.push_back(ticket.ticket);
      if (!waits && place != queue_.end()) queue_.erase(place);
    }
    if (verdict.fails) return PeerUnavailable();
    done.emplace_back(ticket.ticket, ticket.version);
  }
  std::vector<std::pair<MemberId, int64_t>> sponsors;
  if (!marks.sponsors.empty()) {
    ASSIGN_OR_RETURN(const auto seats, ledger_->LoadSponsors(kNoDeadline, marks.sponsors));
    for (const auto& sponsor : seats) {
      sponsors.emplace_back(sponsor.availability.sponsor, sponsor.availability.version);
    }
  }
  if (!done.empty() || !sponsors.empty()) {
    ledger_->ClearMarks(kNoDeadline, std::move(done), std::move(sponsors));
  }
  return absl::OkStatus();
}

// Looks at who waits longest; the ledger decides; then the entry goes.
absl::Status World::MatchHead() {
  if (queue_.empty()) return absl::OkStatus();
  const TicketId head = queue_.front();
  const absl::Status proposed = Propose(head);
  if (absl::IsUnavailable(proposed)) return proposed;
  const FaultPlan::Verdict verdict = plan_.Next(matching_process_);
  if (verdict.takes_effect) std::erase(queue_, head);
  return verdict.fails ? PeerUnavailable() : absl::OkStatus();
}

// The seeded bug: the entry goes first.
absl::Status World::MatchPopped() {
  if (queue_.empty()) return absl::OkStatus();
  const TicketId head = queue_.front();
  const FaultPlan::Verdict verdict = plan_.Next(matching_process_);
  if (verdict.takes_effect) queue_.pop_front();
  if (verdict.fails) return PeerUnavailable();
  return Propose(head);
}

absl::Status World::Propose(const TicketId& id) {
  ASSIGN_OR_RETURN(const auto tickets, ledger_->LoadTickets(kNoDeadline, {&id, 1}));
  ASSIGN_OR_RETURN(const auto sponsors, ledger_->ScanSponsors(kNoDeadline, 10, MemberId()));
  if (tickets.empty() || sponsors.empty()) return absl::NotFoundError("nobody is free");
  const matching::TicketChange& ticket = tickets.front();
  const auto newcomer = ledger_->LoadMember(kNoDeadline, ticket.newcomer);
  RETURN_IF_ERROR(newcomer.status());
  matching::Proposal proposal;
  proposal.offer = OfferId::Random(env_.random);
  proposal.ticket = ticket.ticket;
  proposal.ticket_version = ticket.version;
  proposal.newcomer = ticket.newcomer;
  proposal.newcomer_version = newcomer->has_value() ? (*newcomer)->version : 0;
  proposal.sponsor = sponsors.front().availability.sponsor;
  proposal.sponsor_version = sponsors.front().member_version;
  proposal.expire_time = env_.clock.Now() + absl::Hours(24);
  return ledger_->MakeOffer(kNoDeadline, env_.clock.Now(), proposal).status();
}

absl::Status World::DeliverOutbox() {
  ASSIGN_OR_RETURN(const auto due, ledger_->DueOutbox(kNoDeadline, env_.clock.Now(), 10));
  for (const matching::OutboxEntry& entry : due) {
    const FaultPlan::Verdict verdict = plan_.Next(matching_process_);
    std::optional<ConversationId> conversation;
    if (verdict.takes_effect && entry.step == matching::OutboxEntry::Step::kOpen) {
      ASSIGN_OR_RETURN(const auto opened,
                       messages_->OpenConversation(kNoDeadline, env_.clock.Now(), entry.pairing,
                                                   {{entry.newcomer, entry.sponsor}}));
      conversation = opened.id;
    } else if (verdict.takes_effect) {
      RETURN_IF_ERROR(
          messages_->CloseConversation(kNoDeadline, env_.clock.Now(), entry.pairing).status());
    }
    if (verdict.fails) return PeerUnavailable();
    RETURN_IF_ERROR(ledger_->OutboxDelivered(kNoDeadline, entry, conversation).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<matching::Ticket> World::OpenTicket(const Call& call) {
  matching::NewTicket ticket;
  ticket.id = TicketId::Random(env_.random);
  ticket.relationship_type = matching::RelationshipType::kSponsor;
  ticket.pool.philosophy = matching::Philosophy::kTwelveStepAa;
  ticket.member_version = 1;
  using Opened = absl::StatusOr<matching::Changed<matching::Ticket>>;
  const auto answer = Answer<Opened>::Make();
  ledger_->OpenTicket(call, env_.clock.Now(), ticket,
                      [answer](Opened result) { answer->Set(std::move(result)); });
  ASSIGN_OR_RETURN(auto changed, answer->Wait());
  return changed.value;
}

absl::StatusOr<messaging::Appended> World::Send(const messaging::Append& append) {
  const auto answer = Answer<absl::StatusOr<messaging::Appended>>::Make();
  messages_->AppendAsync(append, nullptr, [answer](absl::StatusOr<messaging::Appended> result) {
    answer->Set(std::move(result));
  });
  return answer->Wait();
}

absl::Status World::Acknowledge(const DeviceId& device, const ConversationId& conversation,
                                int64_t sequence) {
  const auto answer = Answer<absl::Status>::Make();
  messages_->AckAsync(device, {{conversation, sequence}},
                      [answer](absl::Status status) { answer->Set(std::move(status)); });
  return answer->Wait();
}

int64_t World::CountForgotten() {
  int64_t forgotten = 0;
  const absl::Status status =
      env_.database->Read(kNoDeadline, [&](storage::Transaction& tx) -> absl::Status {
        ASSIGN_OR_RETURN(
            const storage::Rows rows,
            tx.Query("SELECT id FROM tickets WHERE state = 1 AND index_pending = 0", {}));
        forgotten = std::count_if(rows.begin(), rows.end(), [this](const storage::Row& row) {
          return std::find(queue_.begin(), queue_.end(), row.Id<TicketId>(0)) == queue_.end();
        });
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  return forgotten;
}

}  // namespace handrail::tests
