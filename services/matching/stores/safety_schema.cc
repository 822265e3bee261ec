#include "services/matching/stores/safety_schema.h"

namespace handrail::matching {
namespace {

constexpr char kSafetyWords[] =
    "CREATE TABLE safety_words ("
    "pairing {blob} NOT NULL CHECK (length(pairing) = 16), "
    "member {blob} NOT NULL CHECK (length(member) = 16), "  // who said it
    "other {blob} NOT NULL CHECK (length(other) = 16), "
    "reason {int} NOT NULL, "
    "said_at {int} NOT NULL, "
    "PRIMARY KEY (pairing, member)) {strict}";

}  // namespace

const storage::Migration& SafetyWordsMigration() {
  static const auto* const migration = new storage::Migration{
      "0012_safety_words",
      {kSafetyWords, "CREATE INDEX safety_words_by_member ON safety_words (member, other)"}};
  return *migration;
}

}  // namespace handrail::matching
