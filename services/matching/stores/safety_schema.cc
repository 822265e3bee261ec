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

constexpr char kAvoided[] =
    "CREATE TABLE avoided ("
    "member {blob} NOT NULL CHECK (length(member) = 16), "  // whose list it is
    "other {blob} NOT NULL CHECK (length(other) = 16), "
    "dual_role {int} NOT NULL CHECK (dual_role BETWEEN 0 AND 1), "
    "PRIMARY KEY (member, other)) {strict}";

}  // namespace

const storage::Migration& SafetyWordsMigration() {
  static const auto* const migration = new storage::Migration{
      "0012_safety_words",
      {kSafetyWords, "CREATE INDEX safety_words_by_member ON safety_words (member, other)"}};
  return *migration;
}

const storage::Migration& AvoidedMigration() {
  static const auto* const migration = new storage::Migration{
      "0015_avoided", {kAvoided, "CREATE INDEX avoided_by_other ON avoided (other)"}};
  return *migration;
}

}  // namespace handrail::matching
