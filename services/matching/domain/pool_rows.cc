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
constexpr size_t kHours = 60;          // 56, of three hours each, in UTC
constexpr size_t kNoHours = 116;       // who gave none passes for any
static_assert(kApartRow == 117 && kApartRow + 1 == kTicketRows);  // tickets only
constexpr size_t kRelationship = 117;                             // 9, sponsors only
static_assert(kRelationship + kRelationshipTypeCount == kSponsorRows);
static_assert(kSponsorRows <= 128, "a RowSet holds no more");

constexpr int kSlotsInRow = 12;
static_assert(56 * kSlotsInRow == UtcWeek::kSlots);

void AddHours(const PersonRecord& person, const WeekHours& hours, RowSet& rows) {
  if (!person.Has(PersonRecord::kHasHours)) return rows.Add(kNoHours);
  hours.ForEachRun([&rows](int first, int end) {
    for (int row = first / kSlotsInRow; row * kSlotsInRow < end; ++row) {
      rows.Add(kHours + static_cast<size_t>(row));
    }
  });
}

RowSet CommonRows(const PersonRecord& person, const WeekHours& hours) {
  RowSet rows;
  AddHours(person, hours, rows);
  rows.AddBits(kAcceptedGender, person.accepted_genders & 31u);
  rows.AddBits(kGender, person.gender_bit & 31u);
  rows.AddBits(kLanguage, LanguageBits(person));
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

}  // namespace

RowSet RowsOf(const TicketRecord& ticket) {
  const NewcomerRecord& newcomer = ticket.newcomer;
  RowSet rows = CommonRows(newcomer.person, newcomer.hours);
  rows.AddBits(kModality, WaysOf(newcomer));
  rows.AddIf(newcomer.requires_in_person, kInPerson);
  rows.AddIf(newcomer.requires_medication_support, kMedication);
  rows.AddBits(kAccess, newcomer.access_needs & kAllAccess);
  rows.AddIf(!newcomer.importance.IsDefault() || ticket.boost > 0, kApartRow);
  return rows;
}

RowSet RowsOf(const SponsorRecord& sponsor, int64_t until) {
  RowSet rows = CommonRows(sponsor.person, sponsor.hours);
  rows.AddBits(kModality, sponsor.person.modalities & 127u);
  rows.AddIf(sponsor.supports_medication, kMedication);
  rows.AddBits(kAccess, sponsor.access_offered & kAllAccess);
  for (size_t type = 0; type < sponsor.eligible_minute.size(); ++type) {
    rows.AddIf(((sponsor.relationship_types >> type) & 1u) != 0 &&
                   int64_t{60} * sponsor.eligible_minute[type] <= until,
               kRelationship + type);
  }
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

}  // namespace handrail::matching
