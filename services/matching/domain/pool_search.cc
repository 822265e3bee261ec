#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "services/matching/domain/candidate_order.h"
#include "services/matching/domain/pool_bounds.h"
#include "services/matching/domain/pool_index.h"
#include "services/matching/domain/pool_rows.h"

// The searches of a pool. Both go through a shelf from its best end, block by block: the filter
// says who may pass the rules, the codes bound what each of them scores, and whoever cannot be
// better than what is held is passed over. Only the rest are scored, and only those who would be
// held are put to all the rules.
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

// What a block costs of the effort, and a whole score, beside the one of everybody whose record is
// looked at; of codes, so many cost one.
constexpr int kBlockEffort = 8;
constexpr int kScoreEffort = 3;
constexpr size_t kCodesForOne = 8;
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

// The lines of a record are fetched side by side instead of one after the other.
template <typename Record>
void Prefetch(const Record& record) {
  const auto* bytes = reinterpret_cast<const char*>(&record);
  for (size_t at = 0; at < sizeof(Record); at += 64) __builtin_prefetch(bytes + at);
}

// `Search` has
//   const ScoreBounds& Bounds()    made when it is first needed
//   double MostOf(int64_t key)     the most weight, beside the score's, of who has this key or a
//                                  later one and does not stand apart
//   double Held()                  the weight from which on somebody is held
//   bool Spend(int effort)         false when the effort is used up
//   void Expect(uint32_t slot)     is about to be scored
//   void See(uint32_t slot)        scores one
//   bool SeeksFrom(int64_t key)    whether the longest waiting may have this key or a later one
//   void Seek(block, passed)       looks for the longest waiting in a block

// Whoever may be better than who is held, the most promising first.
template <typename Search>
void SeeBest(const BitShelf::Block& block, const BitShelf::Bits& passed, Search& search) {
  struct Promise {
    double weight;
    uint32_t slot;
  };
  std::array<Promise, BitShelf::kSlots> promises;
  size_t count = 0;
  size_t codes = 0;
  const ScoreBounds& bounds = search.Bounds();
  const double held = search.Held();
  const double best = bounds.Best() / 100 + kWeightMargin;
  for (size_t word = 0; word < BitShelf::kWords; ++word) {
    if (passed[word] == 0 || search.MostOf(block.min_key[word]) + best < held) continue;
    ForEachPlace(passed[word], word, [&](size_t place) {
      ++codes;
      const double weight =
          search.MostOf(block.keys[place]) + bounds.Of(block.codes[place]) / 100 + kWeightMargin;
      if (weight < held) return;
      search.Expect(block.slots[place]);
      promises[count++] = {weight, block.slots[place]};
    });
  }
  search.Spend(static_cast<int>(codes / kCodesForOne));
  const auto less = [](const Promise& a, const Promise& b) { return a.weight < b.weight; };
  const auto begin = promises.begin();
  auto end = begin + static_cast<std::ptrdiff_t>(count);
  std::make_heap(begin, end, less);
  for (; end != begin && promises[0].weight >= search.Held() && search.Spend(0); --end) {
    const uint32_t slot = promises[0].slot;
    std::pop_heap(begin, end, less);
    search.See(slot);
  }
}

template <typename Search>
void Scan(const BitShelf& shelf, const RowFilter& filter, std::optional<size_t> apart_row,
          Search& search) {
  constexpr double kApartBound = 1.0 + kMaxBoost + kWeightMargin;
  double best = 1.0 + kWeightMargin;
  const auto bound_of = [&](const RowSet& rows) {
    return apart_row && rows.Has(*apart_row) ? kApartBound : best;
  };
  const auto reaches = [&search](int64_t key, double bound) {
    return search.MostOf(key) + bound >= search.Held();
  };
  for (const BitShelf::Head& head : shelf.heads()) {
    bool improves = reaches(head.min_key, bound_of(shelf.rows())) && search.Spend(0);
    const bool seeks = search.SeeksFrom(head.min_key);
    if (!improves && !seeks) return;
    improves = improves && reaches(head.min_key, bound_of(head.rows));
    if ((!improves && !seeks) || !filter.MayPass(head.rows)) continue;
    const BitShelf::Block& block = *head.block;
    BitShelf::Bits passed = filter.Match(block);
    search.Spend(kBlockEffort);
    if (IsEmpty(passed)) continue;
    if (seeks) search.Seek(block, passed);
    if (!improves) continue;
    if (apart_row && head.rows.Has(*apart_row)) {
      const BitShelf::Bits& apart = block.Row(*apart_row);
      for (size_t word = 0; word < BitShelf::kWords; ++word) {
        const uint64_t seen = apart[word] & passed[word];
        passed[word] &= ~seen;
        if (seen == 0 || !reaches(block.min_key[word], kApartBound)) continue;
        // Whoever waits longest is still to be found further on.
        if (!search.Spend(0)) break;
        ForEachPlace(seen, word, [&](size_t place) {
          if (reaches(block.keys[place], kApartBound)) search.See(block.slots[place]);
        });
      }
    }
    best = search.Bounds().Best() / 100 + kWeightMargin;
    if (reaches(head.min_key, best)) SeeBest(block, passed, search);
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
        comparison_(chooser_.scorer(), sponsor, pool.more_time_days_, today_),
        sponsor_has_hours_(sponsor.person.Has(PersonRecord::kHasHours)),
        filter_(FilterFor(sponsor, chooser_.rules())),
        bounds_(sponsor, comparison_, chooser_.scorer().weights()),
        best_(limit, TicketBefore),
        longest_(1, WaitsLonger),
        limit_(limit),
        effort_left_(chooser_.options().effort) {}

  // All in a shelf have the same target and age alike.
  void SearchIn(const BitShelf& shelf, absl::Duration target) {
    aging_per_micro_ = chooser_.options().aging / absl::ToDoubleMicroseconds(target);
    Scan(shelf, filter_, kApartRow, *this);
  }

  std::vector<Candidate> Take() && {
    std::vector<Candidate> candidates = std::move(best_).Take();
    for (const Candidate& waited : std::move(longest_).Take()) {
      const bool listed =
          std::any_of(candidates.begin(), candidates.end(),
                      [&](const Candidate& c) { return c.ticket == waited.ticket; });
      if (listed) continue;
      // Not full: the search ended early.
      if (candidates.size() < limit_) {
        candidates.push_back(waited);
      } else {
        candidates.back() = waited;
      }
    }
    return candidates;
  }

  const ScoreBounds& Bounds() const { return bounds_; }
  double MostOf(int64_t key) const {
    return aging_per_micro_ * static_cast<double>(std::max<int64_t>(0, now_micros_ - key)) - load_;
  }
  double Held() const { return held_; }
  bool Spend(int effort) {
    effort_left_ -= effort;
    return effort_left_ > 0 || best_.size() == 0;
  }
  void Expect(uint32_t slot) const { Prefetch(pool_.tickets_[slot]); }
  void See(uint32_t slot) {
    --effort_left_;
    const TicketRecord& ticket = pool_.tickets_[slot].record;
    if (&ticket == held_one_) return;
    const NewcomerRecord& newcomer = ticket.newcomer;
    const Scorer& scorer = chooser_.scorer();
    const double beside = chooser_.WaitWeight(ticket, now_micros_) - load_;
    const double at_least = (held_ - beside - kWeightMargin) * 100;
    FactorPoints own;
    const FactorPoints* points = &Points();
    if (newcomer.importance.IsDefault()) {
      if (comparison_.Bound(newcomer) < at_least) return;
    } else {
      own = scorer.WeightsFor(newcomer.importance);
      points = &own;
    }
    effort_left_ -= kScoreEffort;
    int minutes = 0;
    if (!PassesAlone(newcomer, minutes)) return;
    const double score = scorer.ScoreWithOverlap(newcomer, sponsor_, today_, *points, minutes);
    if (score < at_least) return;
    const Candidate candidate = chooser_.ScoredCandidate(ticket, sponsor_, score, now_micros_);
    if (best_.IsFull() && !TicketBefore(candidate, best_.Worst())) return;
    if (Passes(ticket)) Hold(candidate);
  }

  bool SeeksFrom(int64_t key) const {
    return limit_ > 1 && (!waited_ || key <= waited_->ticket->enqueue_micros);
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
        int minutes = 0;
        if (PassesAlone(ticket.newcomer, minutes) && Passes(ticket)) Wait(ticket);
      }
    }
  }

 private:
  const FactorPoints& Points() const { return chooser_.scorer().weights().points; }
  // The rules that the filter cannot decide and that take out most of who passed it.
  bool PassesAlone(const NewcomerRecord& newcomer, int& overlap_minutes) const {
    if (!chooser_.rules().PassesMoreTime(newcomer, sponsor_)) return false;
    if (!newcomer.person.Has(PersonRecord::kHasHours) || !sponsor_has_hours_) return true;
    overlap_minutes = newcomer.hours.OverlapMinutes(sponsor_.hours);
    return chooser_.rules().PassesAvailability(overlap_minutes);
  }
  bool Passes(const TicketRecord& ticket) const {
    return chooser_.rules().PassesTheRest(ticket.newcomer, sponsor_, history_, now_);
  }
  void Hold(const Candidate& candidate) {
    best_.Add(candidate);
    if (best_.IsFull()) held_ = static_cast<double>(best_.Worst().weight_billionths) * 1e-9;
  }
  void Wait(const TicketRecord& ticket) {
    const double score = chooser_.scorer().Score(ticket.newcomer, sponsor_, now_);
    const Candidate candidate = chooser_.ScoredCandidate(ticket, sponsor_, score, now_micros_);
    longest_.Add(candidate);
    waited_ = longest_.Worst();
    // Something to be better than, from the beginning.
    if (held_one_ == nullptr) {
      held_one_ = &ticket;
      Hold(candidate);
    }
  }

  const PoolIndex& pool_;
  const Chooser& chooser_;
  const SponsorRecord& sponsor_;
  const PairHistory& history_;
  const absl::Time now_;
  const int64_t now_micros_;
  const int64_t today_;
  const double load_;
  const SponsorComparison comparison_;
  const bool sponsor_has_hours_;
  const RowFilter filter_;
  const ScoreBounds bounds_;
  Best<decltype(&TicketBefore)> best_;
  Best<decltype(&WaitsLonger)> longest_;
  const size_t limit_;
  std::optional<Candidate> waited_;
  const TicketRecord* held_one_ = nullptr;  // of the longest waiting, the first that was found
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
    const auto relationship = static_cast<RelationshipType>(type);
    if (!chooser_.rules().MayPass(record, relationship, now)) continue;
    const RelationshipPolicy& policy = policies_.Of(relationship);
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
        best_(limit, SponsorBefore),
        effort_left_(chooser_.options().effort) {}

  void SearchIn(const BitShelf& shelf) {
    Scan(shelf, FilterFor(ticket_.newcomer, chooser_.rules()), std::nullopt, *this);
  }
  std::vector<Candidate> Take() && { return std::move(best_).Take(); }

  const ScoreBounds& Bounds() {
    if (!bounds_) bounds_.emplace(ticket_.newcomer, points_);
    return *bounds_;
  }

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
  void Expect(uint32_t slot) const { Prefetch(pool_.sponsors_[slot]); }
  void See(uint32_t slot) {
    effort_left_ -= 1 + kScoreEffort;
    const SponsorRecord& sponsor = pool_.sponsors_[slot].record;
    const double beside = wait_ - chooser_.options().balance * sponsor.balance_load;
    const double at_least = (held_ - beside - kWeightMargin) * 100;
    const std::optional<double> score =
        chooser_.scorer().ScoreIfAtLeast(at_least, ticket_.newcomer, sponsor, today_, points_);
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
  std::optional<ScoreBounds> bounds_;
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
