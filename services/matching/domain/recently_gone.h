#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_RECENTLY_GONE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_RECENTLY_GONE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "common/base/ids.h"

namespace handrail::matching {

// The versions of what left an index not long ago, so that a change that comes late is still known
// to be old. It forgets: a place is one of a fixed number, and whoever comes later takes it. A
// change that slips through puts somebody back until the ledger or the scrub says otherwise. Not
// thread-safe.
class RecentlyGone {
 public:
  // Room for about that many.
  void Reserve(size_t count) {
    if (count <= entries_.size()) return;
    std::vector<Entry> old(std::max(kFirstSize, 2 * count));
    std::swap(old, entries_);
    for (const Entry& entry : old) {
      if (entry.version != 0) PlaceOf(entry.fingerprint) = entry;
    }
  }
  void Put(const RawId& id, int64_t version) {
    Reserve(1);
    const uint64_t fingerprint = FingerprintOf(id);
    PlaceOf(fingerprint) = {fingerprint, version};
  }
  // 0 when it is not known.
  int64_t VersionOf(const RawId& id) const {
    if (entries_.empty()) return 0;
    const uint64_t fingerprint = FingerprintOf(id);
    const Entry& entry = entries_[fingerprint % entries_.size()];
    return entry.fingerprint == fingerprint ? entry.version : 0;
  }
  size_t MemoryBytes() const { return entries_.capacity() * sizeof(Entry); }

 private:
  static constexpr size_t kFirstSize = 64;
  struct Entry {
    uint64_t fingerprint = 0;
    int64_t version = 0;
  };

  // Two halves of an id that is random, or numbered in a test, are told apart well enough.
  static uint64_t FingerprintOf(const RawId& id) {
    uint64_t halves[2];
    std::memcpy(halves, id.Bytes().data(), sizeof(halves));
    const uint64_t mixed = halves[0] * 0x9e3779b97f4a7c15u + halves[1] * 0xc2b2ae3d27d4eb4fu;
    return (mixed ^ (mixed >> 29)) | 1;
  }
  Entry& PlaceOf(uint64_t fingerprint) { return entries_[fingerprint % entries_.size()]; }

  std::vector<Entry> entries_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_RECENTLY_GONE_H_
