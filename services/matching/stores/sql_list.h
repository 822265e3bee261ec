#ifndef HANDRAIL_SERVICES_MATCHING_STORES_SQL_LIST_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_SQL_LIST_H_

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/storage/value.h"

// Lists of ids as SQL parameters.
namespace handrail::matching {

inline constexpr size_t kIdListLimit = 256;

template <typename Id>
std::vector<absl::Span<const Id>> Chunks(absl::Span<const Id> ids) {
  std::vector<absl::Span<const Id>> chunks;
  for (size_t at = 0; at < ids.size(); at += kIdListLimit) {
    chunks.push_back(ids.subspan(at, kIdListLimit));
  }
  return chunks;
}

// "($1, $2, …)" for 1 to kIdListLimit ids, which are put into `args`, where nothing may be yet. The
// list is filled up to 1, 16 or 256 places with its last id, so that the database sees few
// statements.
template <typename Id>
std::string IdList(absl::Span<const Id> ids, storage::Args& args) {
  const size_t places = ids.size() == 1 ? 1 : ids.size() <= 16 ? 16 : kIdListLimit;
  std::string list = "(";
  for (size_t i = 0; i < places; ++i) {
    args.push_back(ids[std::min(i, ids.size() - 1)]);
    absl::StrAppend(&list, i == 0 ? "$" : ", $", i + 1);
  }
  list += ')';
  return list;
}

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_SQL_LIST_H_
