#include <algorithm>
#include <limits>
#include <optional>

#include "services/matching/domain/candidate_order.h"
#include "services/matching/domain/pool_index.h"
#include "services/matching/domain/pool_rows.h"

// The searches of a pool. Both go through a shelf from its best end, block by block: the filter
// says who may pass the rules, the tiers say who may score high, and whoever cannot be better than
// what is held is passed over. Only the rest are scored, and only those who would be held are put
// to all the rules.
namespace handrail::matching {
namespace {

// Nobody has anything between them.
class NoHistory final : public PairHistory {
 public:
  PairFacts Between(const MemberId&, const MemberId&) const override { return {}; }
  bool HasAny(const MemberId&) const override { return false; }
};

const PairHistory& HistoryOf(const MemberId& member, const PairHistory& history) {
  static const NoHistory* const none = new NoHistory;
  return history.HasAny(member) ? history : *none;
}

// What a block costs of the effort, beside those who are scored.
constexpr int kBlockEffort = 8;
// Of a weight in billionths: more than rounding can make of a bound.
constexpr double kWeightMargin = 4e-9;

template <typename Visit>
void ForEachPlace(uint64_t bits, size_t word, Visit visit) {
  for (; bits != 0; bits &= bits - 1) {
    visit(word * 64 + static_cast<size_t>(std::countr_zero(bits)));
  }
}

bool IsEmpty(const BitShelf::Bits& bits) {
  uint64_t any = 0;
  for (const uint64_t word : bits) any |= word;
  return any == 0;
}

// `Search` has
//   double MostOf(int64_t key)     the most weight, beside the score's, of who has this key or a
//                                  later one
//   double Held()                  the weight from which on somebody is held
//   bool Spend(int effort)         false when the effort is used up
//   void See(uint32_t slot)        scores one
//   bool SeeksFrom(int64_t key)    whether the longest waiting may have this key or a later one
//   void Seek(block, passed)       looks for the longest waiting in a block
template <typename Search>
void Scan(const BitShelf& shelf, const RowFilter& filter, const FitTiers& tiers,
          std::optional<size_t> own_weights_row, Search& search) {
  const double best = own_weights_row ? 1.0 + kWeightMargin : tiers.Best() / 100 + kWeightMargin;
  const auto reaches = [&search](int64_t key, double bound) {
    return search.MostOf(key) + bound >= search.Held();
  };
  bool improves = true;
  for (const BitShelf::Head& head : shelf.heads()) {
    improves = improves && reaches(head.min_key, best) && search.Spend(0);
    const bool seeks = search.SeeksFrom(head.min_key);
    if (!improves && !seeks) return;
    if (!filter.MayPass(head.rows)) continue;
    const BitShelf::Block& block = *head.block;
    BitShelf::Bits passed = filter.Match(block);
    search.Spend(kBlockEffort);
    if (IsEmpty(passed)) continue;
    if (seeks) search.Seek(block, passed);
    if (!improves) continue;
    const auto see = [&](const BitShelf::Bits& bits, double bound) {
      for (size_t word = 0; word < BitShelf::kWords; ++word) {
        if (bits[word] == 0 || !reaches(block.min_key[word], bound)) continue;
        ForEachPlace(bits[word], word, [&](size_t place) { search.See(block.slots[place]); });
      }
    };
    if (own_weights_row) {
      BitShelf::Bits own = block.Row(*own_weights_row);
      for (size_t word = 0; word < BitShelf::kWords; ++word) {
        own[word] &= passed[word];
        passed[word] &= ~own[word];
      }
      see(own, 1.0 + kWeightMargin);
    }
    const FitTiers::Tiers sorted = tiers.Sort(block, passed);
    for (size_t tier = tiers.field_count() + 1; tier-- > 0;) {
      const double bound = tiers.BoundOf(tier) / 100 + kWeightMargin;
      if (!reaches(head.min_key, bound)) break;
      see(sorted[tier], bound);
    }
  }
}

constexpr double kNothingHeld = -std::numeric_limits<double>::infinity();

}  // namespace

// ---- Tickets for a sponsor ----

class PoolIndex::TicketSearch {
 public:
  TicketSearch(const PoolIndex& pool, const SponsorRecord& sponsor, absl::Time now, size_t limit)
      : pool_(pool),
        chooser_(pool.chooser_),
        sponsor_(sponsor),
        history_(HistoryOf(sponsor.member, pool.history_)),
        now_(now),
        now_micros_(absl::ToUnixMicros(now)),
        today_(Scorer::ScoreDay(now)),
        load_(chooser_.options().balance * sponsor.balance_load),
        probe_(sponsor.hours),
        filter_(FilterFor(sponsor, chooser_.rules())),
        tiers_(TiersFor(sponsor, pool.more_time_days_, today_, chooser_.scorer(), Points())),
        best_(limit, TicketBefore),
        longest_(1, WaitsLonger),
        wants_longest_(limit > 1),
        effort_left_(chooser_.options().effort) {}

  // All in a shelf have the same target and age alike.
  void SearchIn(const BitShelf& shelf, absl::Duration target) {
    aging_per_micro_ = chooser_.options().aging / absl::ToDoubleMicroseconds(target);
    Scan(shelf, filter_, tiers_, kOwnWeightsRow, *this);
  }

  std::vector<Candidate> Take() && {
    std::vector<Candidate> candidates = std::move(best_).Take();
    for (const Candidate& waited : std::move(longest_).Take()) {
      const bool listed =
          std::any_of(candidates.begin(), candidates.end(),
                      [&](const Candidate& c) { return c.ticket == waited.ticket; });
      if (!listed && candidates.size() > 1) candidates.back() = waited;
    }
    return candidates;
  }

  double MostOf(int64_t key) const {
    return aging_per_micro_ * static_cast<double>(std::max<int64_t>(0, now_micros_ - key)) +
           kMaxBoost - load_;
  }
  double Held() const { return held_; }
  bool Spend(int effort) {
    effort_left_ -= effort;
    return effort_left_ > 0 || best_.size() == 0;
  }
  void See(uint32_t slot) {
    --effort_left_;
    const TicketRecord& ticket = pool_.tickets_[slot].record;
    const double beside = chooser_.WaitWeight(ticket, now_micros_) - load_;
    const double at_least = (held_ - beside - kWeightMargin) * 100;
    const NewcomerRecord& newcomer = ticket.newcomer;
    const Scorer& scorer = chooser_.scorer();
    const std::optional<double> score =
        newcomer.importance.IsDefault()
            ? scorer.ScoreIfAtLeast(at_least, newcomer, sponsor_, today_, Points(), probe_,
                                    newcomer.hours)
            : scorer.ScoreIfAtLeast(at_least, newcomer, sponsor_, today_,
                                    scorer.WeightsFor(newcomer.importance), probe_, newcomer.hours);
    if (!score) return;
    const Candidate candidate = chooser_.ScoredCandidate(ticket, sponsor_, *score, now_micros_);
    if (best_.IsFull() && !TicketBefore(candidate, best_.Worst())) return;
    if (Passes(ticket)) Hold(candidate);
  }

  bool SeeksFrom(int64_t key) const {
    return wants_longest_ && (!waited_ || key <= waited_->ticket->enqueue_micros);
  }
  // In rising order of age where the block is sorted, so that it ends with the first who passes.
  void Seek(const BitShelf::Block& block, const BitShelf::Bits& passed) {
    for (size_t word = 0; word < BitShelf::kWords; ++word) {
      if (passed[word] == 0 || !SeeksFrom(block.min_key[word])) continue;
      for (uint64_t rest = passed[word]; rest != 0; rest &= rest - 1) {
        const size_t place = word * 64 + static_cast<size_t>(std::countr_zero(rest));
        const TicketRecord& ticket = pool_.tickets_[block.slots[place]].record;
        if (!SeeksFrom(ticket.enqueue_micros)) {
          if (block.sorted) return;
          continue;
        }
        if (Passes(ticket)) Wait(ticket);
      }
    }
  }

 private:
  const FactorPoints& Points() const { return chooser_.scorer().weights().points; }
  bool Passes(const TicketRecord& ticket) const {
    return !chooser_.rules().FirstBroken(ticket.newcomer, sponsor_, history_, now_).has_value();
  }
  void Hold(const Candidate& candidate) {
    best_.Add(candidate);
    if (best_.IsFull()) held_ = static_cast<double>(best_.Worst().weight_billionths) * 1e-9;
  }
  void Wait(const TicketRecord& ticket) {
    const double score = chooser_.scorer().Score(ticket.newcomer, sponsor_, now_);
    longest_.Add(chooser_.ScoredCandidate(ticket, sponsor_, score, now_micros_));
    waited_ = longest_.Worst();
  }

  const PoolIndex& pool_;
  const Chooser& chooser_;
  const SponsorRecord& sponsor_;
  const PairHistory& history_;
  const absl::Time now_;
  const int64_t now_micros_;
  const int64_t today_;
  const double load_;
  const HoursProbe probe_;
  const RowFilter filter_;
  const FitTiers tiers_;
  Best<decltype(&TicketBefore)> best_;
  Best<decltype(&WaitsLonger)> longest_;
  const bool wants_longest_;
  std::optional<Candidate> waited_;
  double aging_per_micro_ = 0;
  double held_ = kNothingHeld;
  int64_t effort_left_;
};

Choice PoolIndex::FindTickets(const MemberId& sponsor, absl::Time now, size_t limit) {
  EnsureWeek(now);
  const uint32_t slot = sponsor_slots_.Find(sponsor);
  if (slot == kNoSlot || !sponsors_[slot].shelved) return {};
  const SponsorRecord& record = sponsors_[slot].record;
  TicketSearch search(*this, record, now, limit);
  for (size_t type = 0; type < waiting_.size(); ++type) {
    if (waiting_[type] == nullptr || waiting_[type]->size() == 0) continue;
    const RelationshipPolicy& policy = policies_.Of(static_cast<RelationshipType>(type));
    search.SearchIn(*waiting_[type], absl::Hours(policy.target_wait_hours));
  }
  Choice choice;
  choice.candidates = std::move(search).Take();
  return choice;
}

// ---- Sponsors for a ticket ----

class PoolIndex::SponsorSearch {
 public:
  SponsorSearch(const PoolIndex& pool, const TicketRecord& ticket, absl::Time now, size_t limit)
      : pool_(pool),
        chooser_(pool.chooser_),
        ticket_(ticket),
        history_(HistoryOf(ticket.newcomer.member, pool.history_)),
        now_(now),
        now_micros_(absl::ToUnixMicros(now)),
        today_(Scorer::ScoreDay(now)),
        wait_(chooser_.WaitWeight(ticket, now_micros_)),
        points_(chooser_.scorer().WeightsFor(ticket.newcomer.importance)),
        probe_(ticket.newcomer.hours),
        best_(limit, SponsorBefore),
        effort_left_(chooser_.options().effort) {}

  void SearchIn(const BitShelf& shelf) {
    Scan(shelf, FilterFor(ticket_.newcomer, chooser_.rules()), TiersFor(ticket_.newcomer, points_),
         std::nullopt, *this);
  }
  std::vector<Candidate> Take() && { return std::move(best_).Take(); }

  // The keys are made with the published weights, and bound nothing for others.
  double MostOf(int64_t key) const {
    if (!ticket_.newcomer.importance.IsDefault()) return wait_;
    return wait_ - static_cast<double>(key) * 1e-9 - 1.0;
  }
  double Held() const { return held_; }
  bool Spend(int effort) {
    effort_left_ -= effort;
    return effort_left_ > 0 || best_.size() == 0;
  }
  void See(uint32_t slot) {
    --effort_left_;
    const SponsorRecord& sponsor = pool_.sponsors_[slot].record;
    const double beside = wait_ - chooser_.options().balance * sponsor.balance_load;
    const double at_least = (held_ - beside - kWeightMargin) * 100;
    const std::optional<double> score = chooser_.scorer().ScoreIfAtLeast(
        at_least, ticket_.newcomer, sponsor, today_, points_, probe_, sponsor.hours);
    if (!score) return;
    const Candidate candidate = chooser_.ScoredCandidate(ticket_, sponsor, *score, now_micros_);
    if (best_.IsFull() && !SponsorBefore(candidate, best_.Worst())) return;
    if (chooser_.rules().FirstBroken(ticket_.newcomer, sponsor, history_, now_)) return;
    best_.Add(candidate);
    if (best_.IsFull()) held_ = static_cast<double>(best_.Worst().weight_billionths) * 1e-9;
  }
  bool SeeksFrom(int64_t) const { return false; }
  void Seek(const BitShelf::Block&, const BitShelf::Bits&) {}

 private:
  const PoolIndex& pool_;
  const Chooser& chooser_;
  const TicketRecord& ticket_;
  const PairHistory& history_;
  const absl::Time now_;
  const int64_t now_micros_;
  const int64_t today_;
  const double wait_;
  const FactorPoints points_;
  const HoursProbe probe_;
  Best<decltype(&SponsorBefore)> best_;
  double held_ = kNothingHeld;
  int64_t effort_left_;
};

Choice PoolIndex::FindSponsors(const TicketId& ticket, absl::Time now, size_t limit) {
  EnsureWeek(now);
  const uint32_t slot = ticket_slots_.Find(ticket);
  if (slot == kNoSlot || !tickets_[slot].shelved || free_sponsors_.size() == 0) return {};
  SponsorSearch search(*this, tickets_[slot].record, now, limit);
  search.SearchIn(free_sponsors_);
  Choice choice;
  choice.candidates = std::move(search).Take();
  return choice;
}

// ---- Beside the search ----

Explanation PoolIndex::Explain(const Candidate& candidate, absl::Time now) const {
  return chooser_.scorer().Explain(candidate.ticket->newcomer, *candidate.sponsor, now);
}

RuleCounts PoolIndex::CountRemoved(const TicketId& ticket, absl::Time now) {
  EnsureWeek(now);
  RuleCounts counts;
  const uint32_t held = ticket_slots_.Find(ticket);
  if (held == kNoSlot || !tickets_[held].searched) return counts;
  const NewcomerRecord& newcomer = tickets_[held].record.newcomer;
  const PairHistory& history = HistoryOf(newcomer.member, history_);
  for (uint32_t slot = 0; slot < sponsors_.end(); ++slot) {
    const SponsorSlot& sponsor = sponsors_[slot];
    if (!sponsor.known || !sponsor.record.IsLive()) continue;
    counts.Add(chooser_.rules().FirstBroken(newcomer, sponsor.record, history, now));
  }
  return counts;
}

RuleCounts PoolIndex::CountRemoved(const MemberId& sponsor, absl::Time now) {
  EnsureWeek(now);
  RuleCounts counts;
  const uint32_t held = sponsor_slots_.Find(sponsor);
  if (held == kNoSlot || !sponsors_[held].known) return counts;
  const SponsorRecord& record = sponsors_[held].record;
  const PairHistory& history = HistoryOf(sponsor, history_);
  for (uint32_t slot = 0; slot < tickets_.end(); ++slot) {
    const TicketSlot& ticket = tickets_[slot];
    if (!ticket.searched) continue;
    counts.Add(chooser_.rules().FirstBroken(ticket.record.newcomer, record, history, now));
  }
  return counts;
}

}  // namespace handrail::matching
