#include "services/matching/domain/bit_shelf.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace handrail::matching {
namespace {

constexpr int64_t kNoKey = std::numeric_limits<int64_t>::max();

}  // namespace

// The last block that begins at or before the key, else the first.
size_t BitShelf::RankForKey(int64_t key) const {
  const auto after =
      std::upper_bound(heads_.begin(), heads_.end(), key,
                       [](int64_t wanted, const Head& head) { return wanted < head.min_key; });
  const auto rank = static_cast<size_t>(after - heads_.begin());
  return rank == 0 ? 0 : rank - 1;
}

size_t BitShelf::RankOf(const Block* block) const {
  const auto first =
      std::lower_bound(heads_.begin(), heads_.end(), block->first_key,
                       [](const Head& head, int64_t wanted) { return head.min_key < wanted; });
  auto rank = static_cast<size_t>(first - heads_.begin());
  while (heads_[rank].block.get() != block) ++rank;
  return rank;
}

void BitShelf::OpenAt(size_t rank, int64_t key) {
  Head head;
  head.min_key = key;
  head.block = std::make_unique<Block>(row_count_);
  head.block->min_key.fill(kNoKey);
  head.block->first_key = key;
  if (free_ids_.empty()) {
    head.id = static_cast<uint32_t>(by_id_.size());
    by_id_.push_back(head.block.get());
  } else {
    head.id = free_ids_.back();
    free_ids_.pop_back();
    by_id_[head.id] = head.block.get();
  }
  heads_.insert(heads_.begin() + static_cast<std::ptrdiff_t>(rank), std::move(head));
}

void BitShelf::CloseAt(size_t rank) {
  const uint32_t id = heads_[rank].id;
  by_id_[id] = nullptr;
  free_ids_.push_back(id);
  heads_.erase(heads_.begin() + static_cast<std::ptrdiff_t>(rank));
}

void BitShelf::Append(Head& head, uint32_t slot, const Entry& entry) {
  Block& block = *head.block;
  const size_t place = block.used++;
  const size_t word = place / 64;
  const uint64_t bit = uint64_t{1} << (place % 64);
  block.live[word] |= bit;
  block.slots[place] = slot;
  block.keys[place] = entry.key;
  block.codes[place] = entry.code;
  block.min_key[word] = std::min(block.min_key[word], entry.key);
  if (place > 0 && entry.key < block.last_key) block.sorted = false;
  block.last_key = entry.key;
  entry.rows.ForEach([&](size_t row) { block.rows[row][word] |= bit; });
  ++block.count;
  head.min_key = std::min(head.min_key, entry.key);
  block.first_key = head.min_key;
  head.rows.Merge(entry.rows);
  places_[slot] = head.id * static_cast<uint32_t>(kSlots) + static_cast<uint32_t>(place);
}

void BitShelf::Take(const Block& block, std::vector<Item>& items) const {
  for (size_t word = 0; word < kWords; ++word) {
    for (uint64_t rest = block.live[word]; rest != 0; rest &= rest - 1) {
      const uint32_t slot = block.slots[word * 64 + static_cast<size_t>(std::countr_zero(rest))];
      items.push_back({slot, describe_(slot)});
    }
  }
}

// Empties the block of that rank and puts these in, which are in order.
void BitShelf::Refill(size_t rank, absl::Span<const Item> items) {
  Head& head = heads_[rank];
  Block& block = *head.block;
  block.live = {};
  block.min_key.fill(kNoKey);
  std::fill(block.rows.begin(), block.rows.end(), Bits{});
  block.used = 0;
  block.count = 0;
  block.sorted = true;
  head.rows = {};
  head.min_key = items.front().entry.key;
  for (const Item& item : items) Append(head, item.slot, item.entry);
}

// Of a full block: closes the gaps, or makes two of it.
void BitShelf::MakeRoom(size_t rank) {
  std::vector<Item> items;
  items.reserve(kSlots);
  Take(*heads_[rank].block, items);
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.entry.key < b.entry.key; });
  if (items.size() <= kMergedLimit) return Refill(rank, items);
  const size_t half = items.size() / 2;
  OpenAt(rank + 1, items[half].entry.key);
  Refill(rank, absl::MakeConstSpan(items).first(half));
  Refill(rank + 1, absl::MakeConstSpan(items).subspan(half));
}

void BitShelf::Add(uint32_t slot, const Entry& entry) {
  ++size_;
  rows_.Merge(entry.rows);
  if (heads_.empty()) OpenAt(0, entry.key);
  size_t rank = RankForKey(entry.key);
  if (heads_[rank].block->used == kSlots) {
    const bool at_end = rank + 1 == heads_.size() && heads_[rank].block->sorted &&
                        entry.key >= heads_[rank].block->last_key;
    if (at_end && heads_[rank].block->count > kMergedLimit) {
      OpenAt(rank + 1, entry.key);
    } else {
      MakeRoom(rank);
    }
    rank = RankForKey(entry.key);
  }
  Append(heads_[rank], slot, entry);
}

// Joins a sparse block with a neighbour where both fit in one.
void BitShelf::Thin(size_t rank) {
  size_t first = rank;
  if (rank + 1 == heads_.size() ||
      heads_[rank].block->count + heads_[rank + 1].block->count > kMergedLimit) {
    if (rank == 0) return;
    first = rank - 1;
  }
  const size_t count = heads_[first].block->count + heads_[first + 1].block->count;
  if (count > kMergedLimit) return;
  std::vector<Item> items;
  items.reserve(count);
  Take(*heads_[first].block, items);
  Take(*heads_[first + 1].block, items);
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.entry.key < b.entry.key; });
  CloseAt(first + 1);
  Refill(first, items);
}

void BitShelf::Remove(uint32_t slot) {
  const uint32_t place = places_[slot];
  Block& block = *by_id_[place / kSlots];
  const size_t word = place % kSlots / 64;
  block.live[word] &= ~(uint64_t{1} << (place % 64));
  --block.count;
  --size_;
  if (block.live[word] == 0) block.min_key[word] = kNoKey;
  // Not at every loss: a block that could not be joined is looked at again some losses later.
  if (block.count > kSparse || block.count % 32 != 0) return;
  const size_t rank = RankOf(&block);
  if (block.count == 0) {
    CloseAt(rank);
  } else {
    Thin(rank);
  }
}

size_t BitShelf::MemoryBytes() const {
  const size_t block_bytes = sizeof(Block) + row_count_ * sizeof(Bits);
  return heads_.size() * block_bytes + heads_.capacity() * sizeof(Head) +
         by_id_.capacity() * sizeof(void*) + free_ids_.capacity() * sizeof(uint32_t);
}

}  // namespace handrail::matching
