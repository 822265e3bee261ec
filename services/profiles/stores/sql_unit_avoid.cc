// Lists of people whom a member does not wish to be matched with.
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/profiles/domain/avoid_list.h"
#include "services/profiles/stores/sql_unit.h"

namespace handrail::profiles {
namespace {

using storage::Blob;
using storage::Row;
using storage::Rows;

// What somebody says of how they know another is about both: it goes with the member's key.
constexpr SealedColumn kRelationColumn = {"avoided", "sealed_relation"};

constexpr char kQuery[] =
    "SELECT member_id, other_id, sealed_relation, created_at FROM avoided WHERE member_id = $1 ";

std::string RowOf(const MemberId& member, const MemberId& other) {
  return absl::StrCat(member.Bytes(), other.Bytes());
}

}  // namespace

absl::StatusOr<AvoidedMember> SqlUnit::ReadAvoided(const Row& row) {
  AvoidedMember avoided;
  avoided.member = row.Id<MemberId>(0);
  avoided.other = row.Id<MemberId>(1);
  avoided.create_time = row.Time(3);
  ASSIGN_OR_RETURN(
      const std::string relation,
      Open(avoided.member, kRelationColumn, RowOf(avoided.member, avoided.other), row.Bytes(2)));
  int number = 0;
  if (!absl::SimpleAtoi(relation, &number)) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("a stored row cannot be read");
  }
  avoided.relation = static_cast<Relation>(number);
  return avoided;
}

absl::StatusOr<AvoidedMember> SqlUnit::PutAvoided(const AvoidedMember& avoided) {
  ASSIGN_OR_RETURN(const storage::Value relation,
                   Seal(avoided.member, kRelationColumn, RowOf(avoided.member, avoided.other),
                        absl::StrCat(static_cast<int>(avoided.relation))));
  RETURN_IF_ERROR(
      transaction_
          .Execute("INSERT INTO avoided (member_id, other_id, sealed_relation, created_at) "
                   "VALUES ($1, $2, $3, $4) ON CONFLICT (member_id, other_id) DO UPDATE SET "
                   "sealed_relation = excluded.sealed_relation",
                   {avoided.member, avoided.other, relation, avoided.create_time})
          .status());
  ASSIGN_OR_RETURN(std::optional<AvoidedMember> stands, FindAvoided(avoided.member, avoided.other));
  return *std::move(stands);
}

absl::StatusOr<bool> SqlUnit::RemoveAvoided(const MemberId& member, const MemberId& other) {
  ASSIGN_OR_RETURN(
      const int64_t removed,
      transaction_.Execute("DELETE FROM avoided WHERE member_id = $1 AND other_id = $2",
                           {member, other}));
  return removed > 0;
}

absl::StatusOr<std::optional<AvoidedMember>> SqlUnit::FindAvoided(const MemberId& member,
                                                                  const MemberId& other) {
  ASSIGN_OR_RETURN(const Rows rows,
                   transaction_.Query(absl::StrCat(kQuery, "AND other_id = $2"), {member, other}));
  if (rows.empty()) return std::optional<AvoidedMember>();
  ASSIGN_OR_RETURN(AvoidedMember found, ReadAvoided(rows.front()));
  return std::optional<AvoidedMember>(std::move(found));
}

absl::StatusOr<int> SqlUnit::CountAvoided(const MemberId& member) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      transaction_.Query("SELECT COUNT(*) FROM avoided WHERE member_id = $1", {member}));
  return static_cast<int>(rows.front().Int(0));
}

absl::StatusOr<Page<AvoidedMember>> SqlUnit::ListAvoided(const MemberId& member,
                                                         const PageRequest& page) {
  const PageCursor after = page.after.value_or(PageCursor{absl::InfiniteFuture(), ""});
  ASSIGN_OR_RETURN(
      const Rows rows,
      transaction_.Query(absl::StrCat(kQuery,
                                      "AND (created_at, other_id) < ($2, $3) "
                                      "ORDER BY created_at DESC, other_id DESC LIMIT $4"),
                         {member, after.time, Blob{after.id}, page.limit + 1}));
  return MakePage<AvoidedMember>(
      rows, page.limit, [this](const Row& row) { return ReadAvoided(row); },
      [](const AvoidedMember& avoided) {
        return PageCursor{avoided.create_time, std::string(avoided.other.Bytes())};
      });
}

absl::StatusOr<std::vector<AvoidedPair>> SqlUnit::AvoidedPairs(const MemberId& member) {
  ASSIGN_OR_RETURN(const Rows rows,
                   transaction_.Query(absl::StrCat(kQuery, "ORDER BY other_id LIMIT $2"),
                                      {member, kAvoidedLimit}));
  std::vector<AvoidedPair> pairs;
  pairs.reserve(rows.size());
  for (const Row& row : rows) {
    ASSIGN_OR_RETURN(const AvoidedMember avoided, ReadAvoided(row));
    pairs.push_back({avoided.other, IsDualRole(avoided.relation)});
  }
  return pairs;
}

}  // namespace handrail::profiles
