#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_OFFER_NEWS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_OFFER_NEWS_H_

#include <map>
#include <vector>

#include "absl/time/time.h"
#include "services/matching/domain/ledger.h"

namespace handrail::matching {

// What one watch of offers has told, and so what is news to it. Every read gives all open offers
// and those closed since LookBackTo. Not thread-safe.
class OfferNews {
 public:
  // Nearly every closing is read within a moment of its stamp: so far back looks each read, and the
  // first and one in `kLookBackInterval` as far as a stamp can lie before its commit. A write waits
  // at most its deadline for the commit, and the clocks of replicas differ by less than a second.
  static constexpr absl::Duration kShortLookBack = absl::Seconds(2);
  static constexpr absl::Duration kLookBack = absl::Seconds(35);
  static constexpr absl::Duration kLookBackInterval = absl::Seconds(5);

  // From when closed offers are to be read at `now`.
  absl::Time LookBackTo(absl::Time now) const;
  // What is closed and was never told is not news.
  bool IsNews(const OfferVersion& offer) const;
  void Told(const OfferId& offer, int64_t version) { told_[offer] = version; }
  // A read at `now` gave `all`, and every piece of news in it was told. Forgets what has been
  // closed for longer than anybody looks back.
  void Looked(absl::Time now, const std::vector<OfferVersion>& all);

 private:
  bool IsFull(absl::Time now) const { return now - looked_ >= kLookBackInterval; }

  absl::Time looked_ = absl::InfinitePast();  // when a read last went all the way back
  std::map<OfferId, int64_t> told_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_OFFER_NEWS_H_
