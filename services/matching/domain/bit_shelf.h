#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_BIT_SHELF_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_BIT_SHELF_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace handrail::matching {

// A set of at most 128 attribute values, by number.
struct RowSet {
  std::array<uint64_t, 2> words{};

  void Add(size_t row) { words[row / 64] |= uint64_t{1} << (row % 64); }
  void AddIf(bool condition, size_t row) {
    words[row / 64] |= static_cast<uint64_t>(condition) << (row % 64);
  }
  // Bit i of `bits` is row `first` + i.
  void AddBits(size_t first, uint64_t bits) {
    words[first / 64] |= bits << (first % 64);
    if (first % 64 != 0 && first / 64 + 1 < words.size()) {
      words[first / 64 + 1] |= bits >> (64 - first % 64);
    }
  }
  void Merge(const RowSet& other) {
    for (size_t word = 0; word < words.size(); ++word) words[word] |= other.words[word];
  }
  bool Meets(const RowSet& other) const {
    uint64_t both = 0;
    for (size_t word = 0; word < words.size(); ++word) both |= words[word] & other.words[word];
    return both != 0;
  }
  bool Has(size_t row) const { return ((words[row / 64] >> (row % 64)) & 1) != 0; }
  bool empty() const { return (words[0] | words[1]) == 0; }
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t word = 0; word < words.size(); ++word) {
      for (uint64_t rest = words[word]; rest != 0; rest &= rest - 1) {
        visit(word * 64 + static_cast<size_t>(std::countr_zero(rest)));
      }
    }
  }
};

// People in the order of a key, and for each attribute value a bitset of who has it, in blocks of
// 512: a question with a dozen conditions costs a few operations for 64 people. The order is exact
// from block to block; within a block later arrivals may stand anywhere, and the smallest key of
// each 64 is known. Keys and values are asked of `describe` again when blocks are rearranged. Not
// thread-safe.
class BitShelf {
 public:
  static constexpr size_t kSlots = 512;
  static constexpr size_t kWords = kSlots / 64;

  using Bits = std::array<uint64_t, kWords>;

  struct Entry {
    int64_t key = 0;  // the smaller, the earlier it is looked at
    RowSet rows;
    uint64_t code = 0;  // what else the owner wants to know of somebody at a glance
  };
  using Describe = std::function<Entry(uint32_t slot)>;

  struct Block {
    explicit Block(size_t row_count) : rows(row_count) {}

    const Bits& Row(size_t row) const { return rows[row]; }

    Bits live{};
    std::array<int64_t, kWords> min_key{};  // no live one of the 64 has a smaller one
    std::array<int64_t, kSlots> keys{};
    std::array<uint64_t, kSlots> codes{};
    std::array<uint32_t, kSlots> slots{};  // of the owner
    std::vector<Bits> rows;
    size_t used = 0;  // places from here on are free
    size_t count = 0;
    int64_t first_key = 0;  // of its head
    int64_t last_key = 0;   // of the last place taken
    bool sorted = true;     // by key, from the first place to the last
  };
  // What decides whether a block is looked at.
  struct Head {
    int64_t min_key = 0;
    RowSet rows;  // of everybody who was ever put in
    std::unique_ptr<Block> block;
    uint32_t id = 0;
  };

  // `places` belongs to the owner and tells where each of its slots stands; shelves may share it.
  BitShelf(size_t row_count, Describe describe, std::vector<uint32_t>& places)
      : row_count_(row_count), describe_(std::move(describe)), places_(places) {}

  void Add(uint32_t slot, const Entry& entry);
  // The slot must be here.
  void Remove(uint32_t slot);

  // In the order of their keys.
  const std::vector<Head>& heads() const { return heads_; }
  // Of everybody who was ever put in.
  const RowSet& rows() const { return rows_; }
  size_t size() const { return size_; }
  size_t MemoryBytes() const;

 private:
  // A block that has lost half of its people, and its neighbour with it, become one.
  static constexpr size_t kSparse = kSlots / 2;
  static constexpr size_t kMergedLimit = kSlots * 7 / 8;

  struct Item {
    uint32_t slot;
    Entry entry;
  };

  size_t RankForKey(int64_t key) const;
  size_t RankOf(const Block* block) const;
  // A free block in front of `rank`.
  void OpenAt(size_t rank, int64_t key);
  void CloseAt(size_t rank);
  void Append(Head& head, uint32_t slot, const Entry& entry);
  void Take(const Block& block, std::vector<Item>& items) const;
  void Refill(size_t rank, absl::Span<const Item> items);
  void MakeRoom(size_t rank);
  void Thin(size_t rank);

  const size_t row_count_;
  const Describe describe_;
  std::vector<uint32_t>& places_;
  std::vector<Head> heads_;
  RowSet rows_;
  std::vector<Block*> by_id_;  // null when the id is free
  std::vector<uint32_t> free_ids_;
  size_t size_ = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_BIT_SHELF_H_
