#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_MEMBER_CACHE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_MEMBER_CACHE_H_

#include <array>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "common/base/mutex.h"
#include "services/matching/domain/traits.h"

namespace handrail::matching {

// Members as they were last read, by version, so that a request needs no read. It may lag: whoever
// decides from it names the version, and the deciding transaction refuses an old one. Bounded:
// beyond `limit` members arbitrary ones are dropped. Thread-safe.
class MemberCache {
 public:
  using Member = std::shared_ptr<const MemberTraits>;

  explicit MemberCache(size_t limit) : shard_limit_(limit / kShards + 1) {}

  // Null when not held.
  Member Find(const MemberId& id) const {
    const Shard& shard = ShardOf(id);
    MutexLock lock(shard.mutex);
    const auto found = shard.members.find(id);
    return found == shard.members.end() ? nullptr : found->second;
  }
  // Keeps the newer of what is held and `member`, and returns it.
  Member Put(MemberTraits member) {
    Shard& shard = ShardOf(member.member);
    auto fresh = std::make_shared<const MemberTraits>(std::move(member));
    MutexLock lock(shard.mutex);
    Member& held = shard.members[fresh->member];
    if (held != nullptr && held->version >= fresh->version) return held;
    held = fresh;
    if (shard.members.size() > shard_limit_) {
      // Whoever stands next: always the first would empty the front, and be searched for ever
      // longer.
      auto victim = std::next(shard.members.find(fresh->member));
      if (victim == shard.members.end()) victim = shard.members.begin();
      if (victim->first != fresh->member) shard.members.erase(victim);
    }
    return fresh;
  }
  void Drop(const MemberId& id) {
    Shard& shard = ShardOf(id);
    MutexLock lock(shard.mutex);
    shard.members.erase(id);
  }

 private:
  static constexpr size_t kShards = 16;
  struct Shard {
    mutable Mutex mutex;
    absl::flat_hash_map<MemberId, Member> members ABSL_GUARDED_BY(mutex);
  };
  static size_t IndexOf(const MemberId& id) { return absl::Hash<MemberId>()(id) % kShards; }
  Shard& ShardOf(const MemberId& id) { return shards_[IndexOf(id)]; }
  const Shard& ShardOf(const MemberId& id) const { return shards_[IndexOf(id)]; }

  const size_t shard_limit_;
  std::array<Shard, kShards> shards_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_MEMBER_CACHE_H_
