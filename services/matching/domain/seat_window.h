#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_SEAT_WINDOW_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_SEAT_WINDOW_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "common/base/ids.h"

namespace handrail::matching {

// Sponsors whose free seats wait a little for other seats, because more tickets want them than
// there are: several seats and many tickets are matched better together than one by one (design.md
// §5). Holds nothing that could be lost: who is held is free in SQL, and after a restart looks for
// a ticket like anybody. Not thread-safe.
class SeatWindow {
 public:
  // `length` from the first seat held until all are given; zero holds nobody. At most `limit`
  // sponsors are held; then the window closes at once.
  SeatWindow(absl::Duration length, size_t limit) : length_(length), limit_(limit) {}

  bool is_on() const { return length_ > absl::ZeroDuration(); }
  void Hold(const MemberId& sponsor, absl::Time now) {
    if (held_.empty()) closes_at_ = now + length_;
    if (members_.insert(sponsor).second) held_.push_back(sponsor);
  }
  bool Holds(const MemberId& sponsor) const { return members_.contains(sponsor); }
  bool IsDue(absl::Time now) const {
    return !held_.empty() && (now >= closes_at_ || held_.size() >= limit_);
  }
  // Closes the window: those who were held, in the order in which they came.
  std::vector<MemberId> Take() {
    members_.clear();
    return std::exchange(held_, {});
  }

 private:
  const absl::Duration length_;
  const size_t limit_;
  absl::Time closes_at_ = absl::InfinitePast();
  std::vector<MemberId> held_;
  absl::flat_hash_set<MemberId> members_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_SEAT_WINDOW_H_
