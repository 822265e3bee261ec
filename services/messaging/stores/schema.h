#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_SCHEMA_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_SCHEMA_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/ids.h"
#include "common/storage/database.h"

namespace handrail::messaging {

// The schema of the messaging database, in order.
absl::Span<const storage::Migration> Migrations();

// The narrow key under which rows of a conversation or a member are found: 63 bits of its random
// id. Derived, so that nothing has to be looked up; the full id stands in the row and is compared,
// so a collision (one in 2^63) is refused and never mixes two conversations.
int64_t KeyOf(const RawId& id);

// When a key package is over: as its lifetime says, or, of one that was published before that was
// kept, 90 days after it was published. Columns of key_packages; an index is on it.
inline constexpr absl::string_view kKeyPackageEnd =
    "COALESCE(expires_at, changed_at + 7776000000000)";

// "$first, $first+1, …": `count` parameters.
std::string Parameters(size_t first, size_t count);

// The smallest power of two that is not below `count`. Statements over lists come in these sizes
// only, so that few of them are prepared.
size_t PaddedCount(size_t count);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_SCHEMA_H_
