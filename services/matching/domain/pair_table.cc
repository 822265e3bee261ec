#include "services/matching/domain/pair_table.h"

#include <algorithm>

namespace handrail::matching {

PairFacts& PairTable::Slot(const MemberId& newcomer, const MemberId& sponsor) {
  const auto [place, added] = pairs_.try_emplace(Key(newcomer, sponsor));
  if (added) {
    ++members_[newcomer];
    ++members_[sponsor];
  }
  return place->second;
}

void PairTable::Forget(const MemberId& member) {
  const auto place = members_.find(member);
  if (place != members_.end() && --place->second == 0) members_.erase(place);
}

void PairTable::Block(const MemberId& a, const MemberId& b) {
  Slot(a, b).blocked = true;
  Slot(b, a).blocked = true;
}

void PairTable::CoolDown(const MemberId& a, const MemberId& b, absl::Time until) {
  PairFacts& there = Slot(a, b);
  there.cooldown_until = std::max(there.cooldown_until, until);
  PairFacts& back = Slot(b, a);
  back.cooldown_until = std::max(back.cooldown_until, until);
}

void PairTable::PutOffered(const MemberId& newcomer, const TicketId& ticket,
                           const MemberId& sponsor, absl::Time until) {
  offered_[newcomer].push_back({ticket, sponsor, until});
  ++members_[newcomer];
  ++members_[sponsor];
}

template <typename IsOver>
void PairTable::ForgetOfferedIf(const MemberId& newcomer, std::vector<Offered>& offered,
                                const IsOver& is_over) {
  for (const Offered& one : offered) {
    if (!is_over(one)) continue;
    Forget(newcomer);
    Forget(one.sponsor);
  }
  std::erase_if(offered, is_over);
}

void PairTable::ForgetOffered(const MemberId& newcomer, const TicketId& ticket) {
  const auto place = offered_.find(newcomer);
  if (place == offered_.end()) return;
  ForgetOfferedIf(newcomer, place->second,
                  [&ticket](const Offered& one) { return one.ticket == ticket; });
  if (place->second.empty()) offered_.erase(place);
}

void PairTable::SetAvoided(const MemberId& newcomer, absl::Span<const Avoided> sponsors) {
  if (const auto before = avoided_.find(newcomer); before != avoided_.end()) {
    for (const MemberId& sponsor : before->second) {
      PairFacts& facts = Slot(newcomer, sponsor);
      facts.avoided = facts.dual_role = false;
    }
    avoided_.erase(before);
  }
  if (sponsors.empty()) return;
  std::vector<MemberId>& now = avoided_[newcomer];
  for (const Avoided& one : sponsors) {
    PairFacts& facts = Slot(newcomer, one.sponsor);
    facts.avoided |= one.avoided;
    facts.dual_role |= one.dual_role;
    now.push_back(one.sponsor);
  }
}

void PairTable::Put(const MemberId& newcomer, const MemberId& sponsor, const PairFacts& facts) {
  Slot(newcomer, sponsor) = facts;
}

void PairTable::Prune(absl::Time now) {
  for (auto place = offered_.begin(); place != offered_.end();) {
    ForgetOfferedIf(place->first, place->second,
                    [now](const Offered& one) { return one.until <= now; });
    if (place->second.empty()) {
      offered_.erase(place++);
    } else {
      ++place;
    }
  }
  for (auto place = pairs_.begin(); place != pairs_.end();) {
    PairFacts& facts = place->second;
    if (facts.cooldown_until <= now) facts.cooldown_until = absl::InfinitePast();
    if (!facts.IsClear()) {
      ++place;
      continue;
    }
    Forget(place->first.first);
    Forget(place->first.second);
    pairs_.erase(place++);
  }
}

PairFacts PairTable::Between(const MemberId& newcomer, const MemberId& sponsor) const {
  const auto place = pairs_.find(Key(newcomer, sponsor));
  PairFacts facts = place == pairs_.end() ? PairFacts{} : place->second;
  const auto offered = offered_.find(newcomer);
  if (offered == offered_.end()) return facts;
  for (const Offered& one : offered->second) {
    if (one.sponsor == sponsor) facts.cooldown_until = std::max(facts.cooldown_until, one.until);
  }
  return facts;
}

}  // namespace handrail::matching
