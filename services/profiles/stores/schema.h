#ifndef HANDRAIL_SERVICES_PROFILES_STORES_SCHEMA_H_
#define HANDRAIL_SERVICES_PROFILES_STORES_SCHEMA_H_

#include "absl/types/span.h"
#include "common/storage/database.h"

namespace handrail::profiles {

// The tables of profiles, oldest step first. Columns named sealed_* are enciphered with the key of
// the member they belong to; key_index is a keyed hash. Nothing else in them tells who a person is
// or what they said.
absl::Span<const storage::Migration> ProfilesMigrations();

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_STORES_SCHEMA_H_
