// Blocks.
#include <utility>

#include "common/base/status.h"
#include "services/profiles/stores/sql_unit.h"

namespace handrail::profiles {
namespace {

using storage::Blob;
using storage::Row;
using storage::Rows;

absl::StatusOr<Block> ReadBlock(const Row& row) {
  return Block{row.Id<BlockId>(0), row.Id<MemberId>(1), row.Id<MemberId>(2), row.Time(3)};
}

}  // namespace

absl::StatusOr<Block> SqlUnit::InsertBlock(const Block& block) {
  ASSIGN_OR_RETURN(
      const int64_t inserted,
      transaction_.Execute("INSERT INTO blocks (block_id, blocker, blocked, created_at) "
                           "VALUES ($1, $2, $3, $4) ON CONFLICT (blocker, blocked) DO NOTHING",
                           {block.id, block.blocker, block.blocked, block.create_time}));
  if (inserted == 1) {
    for (const Receiver receiver : kReceivers) {
      RETURN_IF_ERROR(
          UpsertOutbox(receiver, OutboxEntry::Kind::kBlock, block.id, 1, block.create_time));
    }
    return block;
  }
  ASSIGN_OR_RETURN(const Rows rows,
                   transaction_.Query("SELECT block_id, blocker, blocked, created_at FROM blocks "
                                      "WHERE blocker = $1 AND blocked = $2",
                                      {block.blocker, block.blocked}));
  if (rows.empty()) {
    return Error(absl::StatusCode::kAborted, reason::kDatabaseConflict)
        .Message("the block is being written by another call");
  }
  return ReadBlock(rows.front());
}

absl::StatusOr<Block> SqlUnit::GetBlock(const BlockId& id) {
  ASSIGN_OR_RETURN(const Rows rows,
                   transaction_.Query("SELECT block_id, blocker, blocked, created_at FROM blocks "
                                      "WHERE block_id = $1",
                                      {id}));
  if (rows.empty()) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("the outbox names a block that is not there");
  }
  return ReadBlock(rows.front());
}

absl::StatusOr<std::vector<Receiver>> SqlUnit::UnconfirmedReceivers(const BlockId& id) {
  ASSIGN_OR_RETURN(const Rows rows,
                   transaction_.Query("SELECT receiver FROM outbox "
                                      "WHERE kind = $1 AND subject = $2 ORDER BY receiver",
                                      {static_cast<int>(OutboxEntry::Kind::kBlock), id}));
  std::vector<Receiver> receivers;
  for (const Row& row : rows) receivers.push_back(static_cast<Receiver>(row.Int(0)));
  return receivers;
}

absl::StatusOr<Page<Block>> SqlUnit::ListBlocks(const MemberId& blocker, const PageRequest& page) {
  const PageCursor after = page.after.value_or(PageCursor{absl::InfiniteFuture(), ""});
  ASSIGN_OR_RETURN(const Rows rows,
                   transaction_.Query("SELECT block_id, blocker, blocked, created_at FROM blocks "
                                      "WHERE blocker = $1 AND (created_at, block_id) < ($2, $3) "
                                      "ORDER BY created_at DESC, block_id DESC LIMIT $4",
                                      {blocker, after.time, Blob{after.id}, page.limit + 1}));
  return MakePage<Block>(rows, page.limit, ReadBlock, [](const Block& block) {
    return PageCursor{block.create_time, std::string(block.id.Bytes())};
  });
}

absl::StatusOr<int> SqlUnit::CountBlocks(const MemberId& blocker) {
  ASSIGN_OR_RETURN(const Rows rows,
                   transaction_.Query("SELECT COUNT(*) FROM blocks WHERE blocker = $1", {blocker}));
  return static_cast<int>(rows.front().Int(0));
}

absl::StatusOr<std::vector<Block>> SqlUnit::BlocksConcerning(const MemberId& member) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      transaction_.Query("SELECT block_id, blocker, blocked, created_at FROM blocks "
                         "WHERE blocker = $1 OR blocked = $1 ORDER BY created_at, block_id",
                         {member}));
  std::vector<Block> blocks;
  for (const Row& row : rows) {
    ASSIGN_OR_RETURN(Block block, ReadBlock(row));
    blocks.push_back(std::move(block));
  }
  return blocks;
}

}  // namespace handrail::profiles
