#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_CANDIDATE_ORDER_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_CANDIDATE_ORDER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "services/matching/domain/choice.h"

// Which of two candidates comes first: total orders, so that the same people give the same answer
// in every process and however they stand in memory.
namespace handrail::matching {

inline uint64_t TieHash(const Candidate& candidate) {
  return StableHash(candidate.sponsor->member.Bytes(),
                    StableHash(candidate.ticket->ticket.Bytes(), 0));
}

// Which of two sponsors for one ticket comes first. Total: two records of one person do not occur.
inline bool SponsorBefore(const Candidate& a, const Candidate& b) {
  if (a.weight_billionths != b.weight_billionths) return a.weight_billionths > b.weight_billionths;
  if (a.sponsor->last_offer_micros != b.sponsor->last_offer_micros) {
    return a.sponsor->last_offer_micros < b.sponsor->last_offer_micros;
  }
  const auto key = [](const Candidate& c) { return std::tuple(TieHash(c), c.sponsor->member); };
  return key(a) < key(b);
}

inline bool WaitsLonger(const Candidate& a, const Candidate& b) {
  if (a.ticket->enqueue_micros != b.ticket->enqueue_micros) {
    return a.ticket->enqueue_micros < b.ticket->enqueue_micros;
  }
  const auto key = [](const Candidate& c) { return std::tuple(TieHash(c), c.ticket->ticket); };
  return key(a) < key(b);
}

inline bool TicketBefore(const Candidate& a, const Candidate& b) {
  if (a.weight_billionths != b.weight_billionths) return a.weight_billionths > b.weight_billionths;
  return WaitsLonger(a, b);
}

// The `limit` best of what is added, sorted.
template <typename Before>
class Best {
 public:
  Best(size_t limit, Before before)
      : limit_(std::clamp<size_t>(limit, 1, Chooser::kMaxCandidates)), before_(before) {
    kept_.reserve(limit_ + 1);
  }

  void Add(const Candidate& candidate) {
    if (kept_.size() == limit_ && !before_(candidate, kept_.back())) return;
    kept_.insert(std::upper_bound(kept_.begin(), kept_.end(), candidate, before_), candidate);
    if (kept_.size() > limit_) kept_.pop_back();
  }
  bool IsFull() const { return kept_.size() == limit_; }
  size_t size() const { return kept_.size(); }
  // The last of those kept; there is one.
  const Candidate& Worst() const { return kept_.back(); }
  std::vector<Candidate> Take() && { return std::move(kept_); }

 private:
  size_t limit_;
  Before before_;
  std::vector<Candidate> kept_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_CANDIDATE_ORDER_H_
