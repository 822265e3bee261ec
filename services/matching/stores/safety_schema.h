#ifndef HANDRAIL_SERVICES_MATCHING_STORES_SAFETY_SCHEMA_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_SAFETY_SCHEMA_H_

#include "common/storage/database.h"

namespace handrail::matching {

// Who said of a pairing that it ended for safety, or because a boundary was crossed: each of the
// two for themselves, also after it had ended otherwise. No call returns it.
const storage::Migration& SafetyWordsMigration();

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_SAFETY_SCHEMA_H_
