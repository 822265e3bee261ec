#include "services/matching/domain/offer_news.h"

#include <algorithm>
#include <utility>

namespace handrail::matching {

absl::Time OfferNews::LookBackTo(absl::Time now) const {
  return now - (IsFull(now) ? kLookBack : kShortLookBack);
}

bool OfferNews::IsNews(const OfferVersion& offer) const {
  const auto known = told_.find(offer.offer);
  return known == told_.end() ? IsOpen(offer.state) : offer.version > known->second;
}

void OfferNews::Looked(absl::Time now, const std::vector<OfferVersion>& all) {
  if (!IsFull(now)) return;
  std::map<OfferId, int64_t> kept;
  for (const OfferVersion& offer : all) {
    const auto known = told_.find(offer.offer);
    kept[offer.offer] = std::max(offer.version, known == told_.end() ? int64_t{0} : known->second);
  }
  told_ = std::move(kept);
  looked_ = now;
}

}  // namespace handrail::matching
