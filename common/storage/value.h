#ifndef HANDRAIL_COMMON_STORAGE_VALUE_H_
#define HANDRAIL_COMMON_STORAGE_VALUE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"

namespace handrail::storage {

struct Null {
  friend bool operator==(Null, Null) { return true; }
};

// Bytes, as opposed to text: BLOB in SQLite, BYTEA in PostgreSQL.
struct Blob {
  std::string bytes;
  friend bool operator==(const Blob&, const Blob&) = default;
};

// One SQL parameter or column. Times are 64-bit microseconds since 1970 UTC, ids are 16-byte blobs,
// booleans are 0 and 1.
class Value {
 public:
  Value(Null) : value_(Null{}) {}                                        // NOLINT
  Value(int64_t v) : value_(v) {}                                        // NOLINT
  Value(int v) : value_(int64_t{v}) {}                                   // NOLINT
  Value(bool v) : value_(int64_t{v ? 1 : 0}) {}                          // NOLINT
  Value(absl::string_view text) : value_(std::string(text)) {}           // NOLINT
  Value(const char* text) : value_(std::string(text)) {}                 // NOLINT
  Value(std::string text) : value_(std::move(text)) {}                   // NOLINT
  Value(Blob blob) : value_(std::move(blob)) {}                          // NOLINT
  Value(absl::Time time) : value_(int64_t{absl::ToUnixMicros(time)}) {}  // NOLINT
  Value(const RawId& id) : value_(Blob{std::string(id.Bytes())}) {}      // NOLINT

  const std::variant<Null, int64_t, std::string, Blob>& variant() const { return value_; }
  bool IsNull() const { return std::holds_alternative<Null>(value_); }

 private:
  std::variant<Null, int64_t, std::string, Blob> value_;
};

// One row of a result. Asking for a column of another type is our own bug and CHECK-fails, because
// the statement and the read stand side by side in one function.
class Row {
 public:
  explicit Row(std::vector<Value> columns) : columns_(std::move(columns)) {}

  size_t size() const { return columns_.size(); }
  bool IsNull(size_t column) const { return columns_[column].IsNull(); }
  int64_t Int(size_t column) const;
  bool Bool(size_t column) const { return Int(column) != 0; }
  absl::string_view Text(size_t column) const;
  absl::string_view Bytes(size_t column) const;
  absl::Time Time(size_t column) const { return absl::FromUnixMicros(Int(column)); }
  // An id column that is not 16 bytes long CHECK-fails too: the schema has a length check.
  template <typename IdType>
  IdType Id(size_t column) const {
    return *IdType::FromBytes(Bytes(column));
  }

 private:
  std::vector<Value> columns_;
};

using Rows = std::vector<Row>;
using Args = std::vector<Value>;

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_VALUE_H_
