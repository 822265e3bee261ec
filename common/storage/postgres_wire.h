#ifndef HANDRAIL_COMMON_STORAGE_POSTGRES_WIRE_H_
#define HANDRAIL_COMMON_STORAGE_POSTGRES_WIRE_H_

#include <libpq-fe.h>

#include <array>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "common/storage/value.h"

namespace handrail::storage {

// Arguments in PostgreSQL's binary format, as the arrays that libpq wants. Borrows `args`.
class PostgresParameters {
 public:
  explicit PostgresParameters(const Args& args);
  PostgresParameters(const PostgresParameters&) = delete;
  PostgresParameters& operator=(const PostgresParameters&) = delete;

  int count() const { return static_cast<int>(types_.size()); }
  const Oid* types() const { return types_.data(); }
  const char* const* values() const { return values_.data(); }
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }

 private:
  static constexpr size_t kInline = 12;
  absl::InlinedVector<Oid, kInline> types_;
  absl::InlinedVector<const char*, kInline> values_;
  absl::InlinedVector<int, kInline> lengths_;
  absl::InlinedVector<int, kInline> formats_;
  absl::InlinedVector<std::array<char, 8>, kInline> integers_;
};

// One character for each argument's type: i, t, b, or n for NULL, which has none.
void AppendTypeSignature(const Args& args, std::string& out);

// All rows of a result in binary format. Integers of any width, booleans (0 and 1) and whole
// numerics become int64. INTERNAL for a column type that our SQL should not produce.
absl::StatusOr<Rows> DecodeRows(const PGresult* result);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_POSTGRES_WIRE_H_
