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
  return place == pairs_.end() ? PairFacts{} : place->second;
}

}  // namespace handrail::matching
