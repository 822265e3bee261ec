#ifndef HANDRAIL_SERVICES_MATCHING_STORES_CARE_SCHEMA_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_CARE_SCHEMA_H_

#include "common/storage/database.h"

namespace handrail::matching {

// Notices, check-ins and rematches, and the columns that say when a row needs care next. Those
// columns hold microseconds; 0, which older code leaves, means "not known: look now", and the
// largest number means that nothing more is due.
const storage::Migration& CareMigration();

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_CARE_SCHEMA_H_
