#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_SCHEMA_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_SCHEMA_H_

#include <cstdint>
#include <string>

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

// "$first, $first+1, …": `count` parameters.
std::string Parameters(size_t first, size_t count);

// The smallest power of two that is not below `count`. Statements over lists come in these sizes
// only, so that few of them are prepared.
size_t PaddedCount(size_t count);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_SCHEMA_H_
