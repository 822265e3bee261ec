#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_SLOT_TABLE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_SLOT_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "common/base/ids.h"

namespace handrail::matching {

// Finds a slot by the id that lies in it: four bytes a place, of which at most four in five are
// taken, where a map of ids would hold every id once more. `IdOf` gives the id of a slot. Not
// thread-safe.
template <typename IdOf>
class SlotTable {
 public:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

  explicit SlotTable(IdOf id_of) : id_of_(std::move(id_of)), places_(kFirstSize, kNone) {}

  // kNone when there is no such slot.
  uint32_t Find(const RawId& id) const {
    for (size_t place = Home(id);; place = Next(place)) {
      const uint32_t slot = places_[place];
      if (slot == kNone || id_of_(slot) == id) return slot;
    }
  }
  // The id must not be there.
  void Insert(const RawId& id, uint32_t slot) {
    if ((count_ + 1) * 5 > places_.size() * 4) Grow();
    Place(id, slot);
    ++count_;
  }
  // Another slot for an id that is there.
  void Replace(const RawId& id, uint32_t slot) {
    size_t place = Home(id);
    while (id_of_(places_[place]) != id) place = Next(place);
    places_[place] = slot;
  }
  // The id must be there, and its slot must still know it.
  void Erase(const RawId& id) {
    size_t hole = Home(id);
    while (id_of_(places_[hole]) != id) hole = Next(hole);
    --count_;
    // Whoever stands behind the hole and may stand in it moves up.
    for (size_t place = Next(hole); places_[place] != kNone; place = Next(place)) {
      const size_t home = Home(id_of_(places_[place]));
      const bool stays =
          hole < place ? (home > hole && home <= place) : (home > hole || home <= place);
      if (stays) continue;
      places_[hole] = places_[place];
      hole = place;
    }
    places_[hole] = kNone;
  }

  size_t size() const { return count_; }
  size_t MemoryBytes() const { return places_.capacity() * sizeof(uint32_t); }

 private:
  static constexpr size_t kFirstSize = 8;

  static uint64_t Hash(const RawId& id) {
    uint64_t halves[2];
    std::memcpy(halves, id.Bytes().data(), sizeof(halves));
    uint64_t hash = halves[0] * 0x9e3779b97f4a7c15u ^ halves[1];
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    return hash ^ (hash >> 32);
  }
  // A size need not be a power of two: the hash is a fraction of it.
  size_t Home(const RawId& id) const { return ((Hash(id) >> 32) * places_.size()) >> 32; }
  size_t Next(size_t place) const { return place + 1 == places_.size() ? 0 : place + 1; }

  void Place(const RawId& id, uint32_t slot) {
    size_t place = Home(id);
    while (places_[place] != kNone) place = Next(place);
    places_[place] = slot;
  }
  void Grow() {
    std::vector<uint32_t> old(places_.size() * 3 / 2, kNone);
    std::swap(old, places_);
    for (const uint32_t slot : old) {
      if (slot != kNone) Place(id_of_(slot), slot);
    }
  }

  IdOf id_of_;
  std::vector<uint32_t> places_;
  size_t count_ = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_SLOT_TABLE_H_
