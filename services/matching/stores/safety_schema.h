#ifndef HANDRAIL_SERVICES_MATCHING_STORES_SAFETY_SCHEMA_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_SAFETY_SCHEMA_H_

#include "common/storage/database.h"

namespace handrail::matching {

// Who said of a pairing that it ended for safety, or because a boundary was crossed: each of the
// two for themselves, also after it had ended otherwise. No call returns it.
const storage::Migration& SafetyWordsMigration();

// Whom members do not wish to be matched with, as profiles tells it: ids, and whether one of the
// two treats or employs the other. Why, and where they know each other from, stays in profiles.
const storage::Migration& AvoidedMigration();

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_SAFETY_SCHEMA_H_
