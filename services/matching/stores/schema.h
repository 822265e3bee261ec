#ifndef HANDRAIL_SERVICES_MATCHING_STORES_SCHEMA_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_SCHEMA_H_

#include <vector>

#include "common/storage/database.h"

namespace handrail::matching {

// The ledger's tables, in the order in which they are applied. The same text runs on SQLite and
// PostgreSQL. What cannot be undone by a bug in a statement stands here as a constraint:
//   one open ticket a member and relationship type      tickets_open
//   one open offer a ticket (unless parallel)           offers_open_ticket
//   one holder a seat, at most ten seats a sponsor      seats
//   one pairing an accepted offer                       pairings.offer
const std::vector<storage::Migration>& LedgerMigrations();

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_SCHEMA_H_
