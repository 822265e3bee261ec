#ifndef HANDRAIL_SERVICES_PROFILES_TESTING_FAKE_RECEIVER_H_
#define HANDRAIL_SERVICES_PROFILES_TESTING_FAKE_RECEIVER_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "services/profiles/domain/peers.h"

namespace handrail::profiles::testing {

// Matching or messaging as profiles sees them: keeps the newest version of each member, ignores
// older ones, and can be down, slow or picky. Thread-safe.
class FakeReceiver final : public MemberReceiver {
 public:
  absl::Status ApplyMembers(absl::Span<const MemberSnapshot> members, absl::Time) override {
    MutexLock lock(mutex_);
    batches_.emplace_back(members.begin(), members.end());
    if (!outage_.ok()) return outage_;
    for (const MemberSnapshot& member : members) {
      if (member.member == refused_) return FieldError("members", "not this one");
    }
    for (const MemberSnapshot& member : members) {
      auto [held, inserted] = members_.try_emplace(member.member, member);
      if (!inserted && member.version > held->second.version) held->second = member;
    }
    return absl::OkStatus();
  }

  void ApplyBlock(const Block& block, absl::Time, Done done) override {
    absl::Status answer;
    {
      MutexLock lock(mutex_);
      ++block_calls_;
      if (silent_) {
        unanswered_.push_back(std::move(done));
        return;
      }
      answer = outage_;
      if (answer.ok()) blocks_[block.id] = block;
    }
    done(answer);
  }

  // From now on every call is answered with `outage`; OK ends it.
  void SetOutage(absl::Status outage) {
    MutexLock lock(mutex_);
    outage_ = std::move(outage);
  }
  void SetDown() { SetOutage(UnavailableError(reason::kPeerUnavailable, "it is down")); }
  // Blocks are not answered until AnswerAll.
  void SetSilent() {
    MutexLock lock(mutex_);
    silent_ = true;
  }
  void AnswerAll() {
    std::vector<Done> waiting;
    {
      MutexLock lock(mutex_);
      silent_ = false;
      waiting.swap(unanswered_);
    }
    for (Done& done : waiting) done(absl::OkStatus());
  }
  // Batches that hold this member are refused as faulty.
  void Refuse(const MemberId& member) {
    MutexLock lock(mutex_);
    refused_ = member;
  }

  std::optional<MemberSnapshot> Find(const MemberId& member) const {
    MutexLock lock(mutex_);
    const auto found = members_.find(member);
    if (found == members_.end()) return std::nullopt;
    return found->second;
  }
  bool Has(const BlockId& block) const {
    MutexLock lock(mutex_);
    return blocks_.count(block) > 0;
  }
  std::vector<std::vector<MemberSnapshot>> Batches() const {
    MutexLock lock(mutex_);
    return batches_;
  }
  int BlockCalls() const {
    MutexLock lock(mutex_);
    return block_calls_;
  }

 private:
  mutable Mutex mutex_;
  absl::Status outage_ ABSL_GUARDED_BY(mutex_);
  bool silent_ ABSL_GUARDED_BY(mutex_) = false;
  MemberId refused_ ABSL_GUARDED_BY(mutex_);
  std::vector<Done> unanswered_ ABSL_GUARDED_BY(mutex_);
  std::map<MemberId, MemberSnapshot> members_ ABSL_GUARDED_BY(mutex_);
  std::map<BlockId, Block> blocks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::vector<MemberSnapshot>> batches_ ABSL_GUARDED_BY(mutex_);
  int block_calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace handrail::profiles::testing

#endif  // HANDRAIL_SERVICES_PROFILES_TESTING_FAKE_RECEIVER_H_
