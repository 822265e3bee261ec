#ifndef HANDRAIL_SERVICES_MATCHING_STORES_HELP_SCHEMA_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_HELP_SCHEMA_H_

#include "common/storage/database.h"

namespace handrail::matching {

// Calls for help. No column holds a text, a reason, a place or a program. As constraints:
//   one open call a member                  help_calls_open
//   an answer and whoever gave it, or none  help_calls
//   nobody is asked twice for one call      help_asks
const storage::Migration& HelpMigration();
// An ask can be over for one person while the call goes on.
const storage::Migration& HelpAsksOverMigration();

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_HELP_SCHEMA_H_
