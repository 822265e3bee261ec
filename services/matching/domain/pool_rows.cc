#include "services/matching/domain/pool_rows.h"

#include <algorithm>

namespace handrail::matching {
namespace {

// The first row of each attribute; how many follow is in the comment.
constexpr size_t kAcceptedGender = 0;  // 5, by Gender
constexpr size_t kGender = 5;          // 5
constexpr size_t kModality = 10;       // 7
constexpr size_t kInPerson = 17;       // a ticket that asks for it
constexpr size_t kMedication = 18;     // a ticket that asks for support, a sponsor who gives it
constexpr size_t kAccess = 19;         // 9: needed by a ticket, offered by a sponsor
constexpr size_t kLanguage = 28;       // 32, by LanguageBits
// By ComparedAnswer, without "not said": 4, 4, 3, 2, 4 and 6.
constexpr std::array<size_t, kComparedAnswerCount> kAnswer = {60, 64, 68, 71, 73, 77};
constexpr size_t kHours = 83;              // 56, of three hours each, in UTC
constexpr size_t kNoHours = 139;           // who gave none passes for any
constexpr size_t kMarksCommunities = 140;  // tickets only
static_assert(kApartRow == 141);           // tickets only
constexpr size_t kRelationship = 140;      // 9, sponsors only
constexpr size_t kCommunity = 149;         // 14, sponsors only
static_assert(kCommunity + 14 == kSponsorRows);

constexpr int kSlotsInRow = 12;
static_assert(56 * kSlotsInRow == UtcWeek::kSlots);

// From here on an answer is near.
constexpr double kNear = 0.8;
// Sums of a few terms in another order differ by less.
constexpr double kMargin = 1e-6;

void AddHours(const PersonRecord& person, const WeekHours& hours, RowSet& rows) {
  if (!person.Has(PersonRecord::kHasHours)) return rows.Add(kNoHours);
  hours.ForEachRun([&rows](int first, int end) {
    for (int row = first / kSlotsInRow; row * kSlotsInRow < end; ++row) {
      rows.Add(kHours + static_cast<size_t>(row));
    }
  });
}

RowSet CommonRows(const PersonRecord& person, const SoftRecord& soft, const WeekHours& hours) {
  RowSet rows;
  AddHours(person, hours, rows);
  rows.AddBits(kAcceptedGender, person.accepted_genders & 31u);
  rows.AddBits(kGender, person.gender_bit & 31u);
  rows.AddBits(kLanguage, LanguageBits(person));
  const std::array<size_t, kComparedAnswerCount> answers = {
      static_cast<size_t>(soft.spiritual_stance),  static_cast<size_t>(soft.goal),
      static_cast<size_t>(soft.medication_stance), static_cast<size_t>(soft.approach),
      static_cast<size_t>(soft.step_work_style),   static_cast<size_t>(soft.age_band)};
  constexpr std::array<size_t, kComparedAnswerCount> kCounts = {4, 4, 3, 2, 4, 6};
  for (size_t i = 0; i < answers.size(); ++i) {
    if (answers[i] != 0 && answers[i] <= kCounts[i]) rows.Add(kAnswer[i] + answers[i] - 1);
  }
  return rows;
}

RowSet RowsOfBits(size_t first, uint64_t bits) {
  RowSet rows;
  rows.AddBits(first, bits);
  return rows;
}

constexpr uint32_t kInPersonBit = 1u << static_cast<unsigned>(Modality::kInPersonPublic);
constexpr uint32_t kAllAccess = 0x1ff;

// The ways in which a newcomer can be in touch as they ask for it.
uint32_t WaysOf(const NewcomerRecord& newcomer) {
  return newcomer.person.modalities & (newcomer.requires_in_person ? kInPersonBit : 127u);
}

// What both ask of each other alike.
RowFilter CommonFilter(const PersonRecord& person, const WeekHours& hours, const RuleSet& rules) {
  RowFilter filter;
  // Hours that overlap lie in the same three hours somewhere.
  if (rules.IsOn(Rule::kAvailability) && rules.options().min_overlap_minutes > 0 &&
      person.Has(PersonRecord::kHasHours)) {
    RowSet any;
    AddHours(person, hours, any);
    any.Add(kNoHours);
    filter.Require(any);
  }
  if (rules.IsOn(Rule::kGenderPolicy)) {
    filter.Require(RowsOfBits(kGender, person.accepted_genders & 31u));
    filter.Require(RowsOfBits(kAcceptedGender, person.gender_bit & 31u));
  }
  if (rules.IsOn(Rule::kLanguage)) filter.Require(RowsOfBits(kLanguage, LanguageBits(person)));
  return filter;
}

// The points of the answers that are compared one by one, at their best, and what is lost where
// they are not near.
double AddAnswers(const std::array<NearAnswers, kComparedAnswerCount>& all,
                  const FactorPoints& points, FitTiers& tiers) {
  double best = 0;
  for (size_t field = 0; field < all.size(); ++field) {
    const NearAnswers& answers = all[field];
    RowSet good;
    double most = 0;
    double most_apart = answers.near[0];
    for (size_t i = 1; i <= answers.answers; ++i) {
      most = std::max(most, answers.near[i]);
      if (answers.near[i] >= kNear) {
        good.Add(kAnswer[field] + i - 1);
      } else {
        most_apart = std::max(most_apart, answers.near[i]);
      }
    }
    most = std::max(most, most_apart);
    const double worth = answers.share * points[static_cast<size_t>(answers.factor)];
    best += worth * most;
    if (!good.empty()) tiers.Add(good, worth * (most - most_apart));
  }
  return best;
}

double PointsOf(const FactorPoints& points, FactorCode factor) {
  return points[static_cast<size_t>(factor)];
}

// What is compared otherwise: all of it, or the neutral half where this person said nothing.
double RestAtBest(const PersonRecord& person, const SoftRecord& soft, const FactorPoints& points) {
  const auto known = [](bool said) { return said ? 1.0 : 0.5; };
  return PointsOf(points, FactorCode::kLifeStage) * known(soft.life_situations != 0) / 2 +
         PointsOf(points, FactorCode::kContactFit) *
             (1 + known(soft.contact_frequency != ContactFrequency::kUnspecified)) / 2 +
         PointsOf(points, FactorCode::kLocality) *
             known(person.Has(PersonRecord::kHasCell) || soft.home_group != 0) +
         PointsOf(points, FactorCode::kSubstance) * known(soft.substances != 0);
}

}  // namespace

RowSet RowsOf(const TicketRecord& ticket) {
  const NewcomerRecord& newcomer = ticket.newcomer;
  RowSet rows = CommonRows(newcomer.person, newcomer.soft, newcomer.hours);
  rows.AddBits(kModality, WaysOf(newcomer));
  rows.AddIf(newcomer.requires_in_person, kInPerson);
  rows.AddIf(newcomer.requires_medication_support, kMedication);
  rows.AddBits(kAccess, newcomer.access_needs & kAllAccess);
  rows.AddIf(newcomer.important_communities != 0, kMarksCommunities);
  rows.AddIf(!newcomer.importance.IsDefault() || ticket.boost > 0, kApartRow);
  return rows;
}

RowSet RowsOf(const SponsorRecord& sponsor, int64_t until) {
  RowSet rows = CommonRows(sponsor.person, sponsor.soft, sponsor.hours);
  rows.AddBits(kModality, sponsor.person.modalities & 127u);
  rows.AddIf(sponsor.supports_medication, kMedication);
  rows.AddBits(kAccess, sponsor.access_offered & kAllAccess);
  for (size_t type = 0; type < sponsor.eligible_minute.size(); ++type) {
    rows.AddIf(((sponsor.relationship_types >> type) & 1u) != 0 &&
                   int64_t{60} * sponsor.eligible_minute[type] <= until,
               kRelationship + type);
  }
  rows.AddBits(kCommunity, sponsor.soft.communities & 0x3fffu);
  return rows;
}

void RowFilter::AddGroup(const RowSet& rows, bool excludes) {
  Group& group = groups_[count_++];
  group.set = rows;
  group.excludes = excludes;
  rows.ForEach([&group](size_t row) { group.rows[group.count++] = static_cast<uint8_t>(row); });
}

void RowFilter::Require(const RowSet& any) { AddGroup(any, false); }

void RowFilter::Exclude(const RowSet& rows) {
  if (!rows.empty()) AddGroup(rows, true);
}

bool RowFilter::MayPass(const RowSet& of_block) const {
  for (size_t i = 0; i < count_; ++i) {
    if (!groups_[i].excludes && !groups_[i].set.Meets(of_block)) return false;
  }
  return true;
}

BitShelf::Bits RowFilter::Match(const BitShelf::Block& block) const {
  BitShelf::Bits passed = block.live;
  for (size_t i = 0; i < count_; ++i) {
    const Group& group = groups_[i];
    BitShelf::Bits any{};
    for (size_t k = 0; k < group.count; ++k) {
      const BitShelf::Bits& row = block.Row(group.rows[k]);
      for (size_t word = 0; word < BitShelf::kWords; ++word) any[word] |= row[word];
    }
    const uint64_t flip = group.excludes ? ~uint64_t{0} : 0;
    for (size_t word = 0; word < BitShelf::kWords; ++word) passed[word] &= any[word] ^ flip;
  }
  return passed;
}

void FitTiers::Add(const RowSet& good, double loss) {
  Field& field = fields_[count_++];
  field.loss = loss;
  good.ForEach([&field](size_t row) { field.rows[field.count++] = static_cast<uint8_t>(row); });
}

void FitTiers::Finish() {
  std::array<double, kMaxFields> losses{};
  for (size_t i = 0; i < count_; ++i) losses[i] = fields_[i].loss;
  std::sort(losses.begin(), losses.begin() + static_cast<std::ptrdiff_t>(count_));
  best_ += kMargin;
  double bound = best_;
  for (size_t missing = 0; missing <= count_; ++missing) {
    bounds_[count_ - missing] = bound;
    if (missing < count_) bound -= losses[missing];
  }
}

FitTiers::Tiers FitTiers::Sort(const BitShelf::Block& block, const BitShelf::Bits& passed) const {
  // How many fields are good, as a number of three bits for each place.
  BitShelf::Bits ones{}, twos{}, fours{};
  for (size_t i = 0; i < count_; ++i) {
    const Field& field = fields_[i];
    BitShelf::Bits good{};
    for (size_t k = 0; k < field.count; ++k) {
      const BitShelf::Bits& row = block.Row(field.rows[k]);
      for (size_t word = 0; word < BitShelf::kWords; ++word) good[word] |= row[word];
    }
    for (size_t word = 0; word < BitShelf::kWords; ++word) {
      const uint64_t carry = ones[word] & good[word];
      ones[word] ^= good[word];
      fours[word] |= twos[word] & carry;
      twos[word] ^= carry;
    }
  }
  Tiers tiers;
  for (size_t tier = 0; tier <= count_; ++tier) {
    const uint64_t one = (tier & 1) != 0 ? 0 : ~uint64_t{0};
    const uint64_t two = (tier & 2) != 0 ? 0 : ~uint64_t{0};
    const uint64_t four = (tier & 4) != 0 ? 0 : ~uint64_t{0};
    for (size_t word = 0; word < BitShelf::kWords; ++word) {
      tiers[tier][word] =
          passed[word] & (ones[word] ^ one) & (twos[word] ^ two) & (fours[word] ^ four);
    }
  }
  return tiers;
}

namespace {

int RequiredFlags(const RuleSet& rules) {
  return (rules.IsOn(Rule::kAdult) ? PersonRecord::kAdult : 0) |
         (rules.IsOn(Rule::kConsent) ? PersonRecord::kConsent : 0) |
         (rules.IsOn(Rule::kStanding) ? PersonRecord::kStanding : 0);
}

}  // namespace

bool MayBePaired(const NewcomerRecord& newcomer, const RuleSet& rules) {
  return newcomer.person.HasAll(RequiredFlags(rules)) &&
         (newcomer.accepts_philosophy || !rules.IsOn(Rule::kPhilosophy));
}

bool MayBePaired(const SponsorRecord& sponsor, const RuleSet& rules, int64_t since) {
  const int64_t lapsed = since - int64_t{86400} * rules.options().fresh_days;
  if (rules.IsOn(Rule::kFresh) && sponsor.attested_at <= std::max<int64_t>(0, lapsed)) return false;
  return sponsor.IsLive() && sponsor.person.HasAll(RequiredFlags(rules)) &&
         (sponsor.HasFreeSeat() || !rules.IsOn(Rule::kCapacity));
}

RowFilter FilterFor(const SponsorRecord& sponsor, const RuleSet& rules) {
  RowFilter filter = CommonFilter(sponsor.person, sponsor.hours, rules);
  RowSet excluded;
  if (rules.IsOn(Rule::kModality)) {
    filter.Require(RowsOfBits(kModality, sponsor.person.modalities & 127u));
    excluded.AddIf((sponsor.person.modalities & kInPersonBit) == 0, kInPerson);
  }
  if (rules.IsOn(Rule::kAccess)) {
    excluded.AddBits(kAccess, ~uint32_t{sponsor.access_offered} & kAllAccess);
  }
  excluded.AddIf(rules.IsOn(Rule::kMedicationSupport) && !sponsor.supports_medication, kMedication);
  filter.Exclude(excluded);
  return filter;
}

RowFilter FilterFor(const NewcomerRecord& newcomer, const RuleSet& rules) {
  RowFilter filter = CommonFilter(newcomer.person, newcomer.hours, rules);
  if (rules.IsOn(Rule::kModality)) {
    const uint32_t wanted = newcomer.requires_in_person ? newcomer.person.modalities & kInPersonBit
                                                        : newcomer.person.modalities;
    filter.Require(RowsOfBits(kModality, wanted & 127u));
  }
  if (rules.IsOn(Rule::kProgramPolicy)) {
    filter.Require(RowsOfBits(kRelationship,
                              uint64_t{1} << static_cast<unsigned>(newcomer.relationship_type)));
  }
  if (rules.IsOn(Rule::kMedicationSupport) && newcomer.requires_medication_support) {
    filter.Require(RowsOfBits(kMedication, 1));
  }
  // Of several needs one is asked for by bits; the rule looks at all.
  if (const uint32_t needs = newcomer.access_needs & kAllAccess;
      rules.IsOn(Rule::kAccess) && needs != 0) {
    filter.Require(RowsOfBits(kAccess, needs & (~needs + 1)));
  }
  return filter;
}

FitTiers TiersFor(const SponsorRecord& sponsor, const SponsorComparison& comparison,
                  const FactorPoints& points) {
  FitTiers tiers;
  double best = AddAnswers(comparison.answers(), points, tiers) +
                RestAtBest(sponsor.person, sponsor.soft, points);
  const double shared = PointsOf(points, FactorCode::kSharedExperience);
  if (sponsor.soft.communities != 0) {
    RowSet marked;
    marked.Add(kMarksCommunities);
    tiers.Add(marked, shared / 2);
    best += shared;
  } else {
    best += shared / 2;
  }
  // What the sponsor brings to every newcomer alike.
  best += comparison.Best() - 100;
  best += PointsOf(points, FactorCode::kAvailability) + PointsOf(points, FactorCode::kEngagement) +
          PointsOf(points, FactorCode::kLoadBalance);
  tiers.SetBest(best);
  tiers.Finish();
  return tiers;
}

FitTiers TiersFor(const NewcomerRecord& newcomer, const FactorPoints& points) {
  FitTiers tiers;
  double best = AddAnswers(NearAnswersTo(newcomer.soft), points, tiers) +
                RestAtBest(newcomer.person, newcomer.soft, points);
  const double shared = PointsOf(points, FactorCode::kSharedExperience);
  if (newcomer.important_communities != 0) {
    tiers.Add(RowsOfBits(kCommunity, newcomer.important_communities & 0x3fffu), shared / 2);
    best += shared;
  } else {
    best += shared / 2;
  }
  best += PointsOf(points, FactorCode::kAvailability) + PointsOf(points, FactorCode::kEngagement) +
          PointsOf(points, FactorCode::kLoadBalance);
  tiers.SetBest(best);
  tiers.Finish();
  return tiers;
}

}  // namespace handrail::matching
