#include "common/storage/value.h"

#include <cstdlib>

#include "common/base/log.h"

namespace handrail::storage {
namespace {

template <typename T>
const T& Expect(const std::vector<Value>& columns, size_t column, absl::string_view wanted) {
  if (column < columns.size()) {
    if (const T* value = std::get_if<T>(&columns[column].variant())) return *value;
  }
  Log(Severity::kError, "column has another type than the code that reads it expects",
      {{LogField::kDetail, wanted}, {LogField::kCount, static_cast<int64_t>(column)}});
  std::abort();
}

}  // namespace

int64_t Row::Int(size_t column) const { return Expect<int64_t>(columns_, column, "integer"); }

absl::string_view Row::Text(size_t column) const {
  return Expect<std::string>(columns_, column, "text");
}

absl::string_view Row::Bytes(size_t column) const {
  return Expect<Blob>(columns_, column, "bytes").bytes;
}

}  // namespace handrail::storage
