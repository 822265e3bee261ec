#include "services/profiles/stores/profile_store.h"

#include <utility>

#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/profiles/stores/sql_unit.h"

namespace handrail::profiles {
namespace {

using storage::Blob;
using storage::Row;
using storage::Rows;
using storage::Transaction;

// What is to be sent for an entry, as it stands now. What cannot be read is told in `fault`, so
// that the entries behind it are not held up.
absl::Status Fill(SqlUnit& unit, OutboxEntry& entry) {
  if (entry.kind == OutboxEntry::Kind::kBlock) {
    ASSIGN_OR_RETURN(const BlockId id, BlockId::FromBytes(entry.subject));
    ASSIGN_OR_RETURN(entry.block, unit.GetBlock(id));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const MemberId id, MemberId::FromBytes(entry.subject));
  ASSIGN_OR_RETURN(std::optional<MemberSnapshot> snapshot, unit.GetSnapshot(id));
  if (!snapshot.has_value()) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("the outbox names a member that is not there");
  }
  entry.snapshot = *std::move(snapshot);
  return absl::OkStatus();
}

// Challenges are kept beyond their end, for replicas whose clocks are behind.
constexpr absl::Duration kChallengeMargin = absl::Minutes(1);

int64_t DeliveredVersion(const OutboxEntry& entry) {
  return entry.kind == OutboxEntry::Kind::kBlock ? 1 : entry.snapshot.version;
}

}  // namespace

absl::Status ProfileStore::Write(absl::Time deadline, Work work) {
  return database_.Write(deadline, [&](Transaction& transaction) {
    SqlUnit unit(transaction, cipher_, SqlUnit::Mode::kWrite);
    return work(unit);
  });
}

absl::Status ProfileStore::Read(absl::Time deadline, Work work) {
  return database_.Read(deadline, [&](Transaction& transaction) {
    SqlUnit unit(transaction, cipher_, SqlUnit::Mode::kRead);
    return work(unit);
  });
}

absl::StatusOr<std::vector<OutboxEntry>> ProfileStore::DueOutbox(Receiver receiver, absl::Time now,
                                                                 int limit, absl::Time deadline) {
  std::vector<OutboxEntry> entries;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& transaction) -> absl::Status {
    entries.clear();
    SqlUnit unit(transaction, cipher_, SqlUnit::Mode::kRead);
    ASSIGN_OR_RETURN(const Rows rows,
                     transaction.Query("SELECT kind, subject, version, attempts FROM outbox "
                                       "WHERE receiver = $1 AND due_at <= $2 "
                                       "ORDER BY kind, due_at, subject LIMIT $3",
                                       {static_cast<int>(receiver), now, limit}));
    for (const Row& row : rows) {
      OutboxEntry entry;
      entry.kind = static_cast<OutboxEntry::Kind>(row.Int(0));
      entry.subject = std::string(row.Bytes(1));
      entry.version = row.Int(2);
      entry.attempts = static_cast<int>(row.Int(3));
      const absl::Status filled = Fill(unit, entry);
      if (!filled.ok() && filled.code() != absl::StatusCode::kDataLoss) return filled;
      entry.fault = filled;
      entries.push_back(std::move(entry));
    }
    return absl::OkStatus();
  }));
  return entries;
}

absl::Status ProfileStore::RemoveOutbox(Receiver receiver, absl::Span<const OutboxEntry> delivered,
                                        absl::Time deadline) {
  return database_.Write(deadline, [&](Transaction& transaction) -> absl::Status {
    for (const OutboxEntry& entry : delivered) {
      RETURN_IF_ERROR(transaction
                          .Execute("DELETE FROM outbox WHERE receiver = $1 AND kind = $2 "
                                   "AND subject = $3 AND version <= $4",
                                   {static_cast<int>(receiver), static_cast<int>(entry.kind),
                                    Blob{entry.subject}, DeliveredVersion(entry)})
                          .status());
    }
    return absl::OkStatus();
  });
}

absl::Status ProfileStore::DeferOutbox(Receiver receiver, const OutboxEntry& entry, absl::Time due,
                                       int attempts, absl::Time deadline) {
  return database_.Write(deadline, [&](Transaction& transaction) {
    // A newer version starts anew: it may be the one that the receiver takes.
    return transaction
        .Execute(
            "UPDATE outbox SET due_at = $5, attempts = $6 WHERE receiver = $1 "
            "AND kind = $2 AND subject = $3 AND version <= $4",
            {static_cast<int>(receiver), static_cast<int>(entry.kind), Blob{entry.subject},
             entry.fault.ok() ? DeliveredVersion(entry) : entry.version, due, attempts})
        .status();
  });
}

absl::StatusOr<OutboxState> ProfileStore::GetOutboxState(Receiver receiver, absl::Time deadline) {
  OutboxState state;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& transaction) -> absl::Status {
    state = OutboxState();
    ASSIGN_OR_RETURN(const Rows rows,
                     transaction.Query("SELECT COUNT(*), MIN(created_at) FROM outbox "
                                       "WHERE receiver = $1",
                                       {static_cast<int>(receiver)}));
    state.entries = rows.front().Int(0);
    if (!rows.front().IsNull(1)) state.oldest = rows.front().Time(1);
    return absl::OkStatus();
  }));
  return state;
}

absl::StatusOr<int64_t> ProfileStore::Trim(absl::Time now, int64_t limit, absl::Time deadline) {
  int64_t count = 0;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& transaction) -> absl::Status {
    ASSIGN_OR_RETURN(count,
                     transaction.Execute("DELETE FROM used_challenges WHERE challenge IN "
                                         "(SELECT challenge FROM used_challenges "
                                         "WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
                                         {now - kChallengeMargin, limit}));
    ASSIGN_OR_RETURN(const int64_t answers, storage::TrimRequestLog(transaction, now, limit));
    count += answers;
    return absl::OkStatus();
  }));
  return count;
}

}  // namespace handrail::profiles
