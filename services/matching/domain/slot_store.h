#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_SLOT_STORE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_SLOT_STORE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace handrail::matching {

// Numbered places for things that come and go: a place keeps its number and its address while it is
// taken, and growing moves nothing. Not thread-safe.
template <typename T>
class SlotStore {
 public:
  // A fresh T.
  uint32_t Take() {
    ++size_;
    if (!free_.empty()) {
      const uint32_t slot = free_.back();
      free_.pop_back();
      return slot;
    }
    if (end_ == chunks_.size() * kChunk) chunks_.push_back(std::make_unique<Chunk>());
    return end_++;
  }
  void Free(uint32_t slot) {
    (*this)[slot] = T();
    free_.push_back(slot);
    --size_;
  }

  T& operator[](uint32_t slot) { return (*chunks_[slot / kChunk])[slot % kChunk]; }
  const T& operator[](uint32_t slot) const { return (*chunks_[slot / kChunk])[slot % kChunk]; }

  // Places that were ever taken are 0..end(); a free one holds a fresh T.
  uint32_t end() const { return end_; }
  size_t size() const { return size_; }
  size_t MemoryBytes() const {
    return chunks_.size() * sizeof(Chunk) + chunks_.capacity() * sizeof(void*) +
           free_.capacity() * sizeof(uint32_t);
  }

 private:
  static constexpr size_t kChunk = 64;
  using Chunk = std::array<T, kChunk>;

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<uint32_t> free_;
  uint32_t end_ = 0;
  size_t size_ = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_SLOT_STORE_H_
