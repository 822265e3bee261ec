#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_ROWS_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_ROWS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "services/matching/domain/bit_shelf.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/match_record.h"
#include "services/matching/domain/rules.h"

// Which attribute values of a ticket and of a sponsor have a bitset, and what one of them asks of
// the other's bitsets. A filter passes everybody whom the rules pass, and some whom they do not:
// hours, distance, time in recovery and what stands between two people are looked at pair by pair.
namespace handrail::matching {

inline constexpr size_t kTicketRows = 118;
inline constexpr size_t kSponsorRows = 126;

RowSet RowsOf(const TicketRecord& ticket);
// `until`, in Unix seconds, is when the rows are made anew: a relationship for which the sponsor
// has not been in recovery for long enough by then is left out.
RowSet RowsOf(const SponsorRecord& sponsor, int64_t until);

// Rows of which somebody must have at least one of each group, and rows that nobody may have.
class RowFilter {
 public:
  void Require(const RowSet& any);
  void Exclude(const RowSet& rows);

  // False when nobody in the block can pass.
  bool MayPass(const RowSet& of_block) const;
  // Those in the block who pass.
  BitShelf::Bits Match(const BitShelf::Block& block) const;

 private:
  static constexpr size_t kMaxGroups = 10;
  struct Group {
    RowSet set;
    std::array<uint8_t, 64> rows{};
    size_t count = 0;
    bool excludes = false;
  };

  void AddGroup(const RowSet& rows, bool excludes);

  std::array<Group, kMaxGroups> groups_;
  size_t count_ = 0;
};

// Whether the rules that look at one person only can pass.
bool MayBePaired(const NewcomerRecord& newcomer, const RuleSet& rules);
// As of `since`, in Unix seconds, or later, if nothing changes.
bool MayBePaired(const SponsorRecord& sponsor, const RuleSet& rules, int64_t since);

// What a sponsor asks of tickets, and a ticket of sponsors.
RowFilter FilterFor(const SponsorRecord& sponsor, const RuleSet& rules);
RowFilter FilterFor(const NewcomerRecord& newcomer, const RuleSet& rules);
// Tickets for which no ScoreBounds hold, nor do keys tell their weight beside the score: the
// newcomer weighs the factors in their own way, or an operator has given a boost. Few.
inline constexpr size_t kApartRow = 117;

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_POOL_ROWS_H_
