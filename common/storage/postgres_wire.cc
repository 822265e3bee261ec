#include "common/storage/postgres_wire.h"

#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::storage {
namespace {

// pg_type.dat; these numbers are part of the protocol and never change.
constexpr Oid kBool = 16, kBytea = 17, kName = 19, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25,
              kVarchar = 1043, kNumeric = 1700, kVoid = 2278;

int64_t ReadBigEndian(const char* bytes, int size) {
  // Sign-extends from the first byte.
  int64_t value = static_cast<signed char>(bytes[0]);
  for (int i = 1; i < size; ++i) {
    value = static_cast<int64_t>((static_cast<uint64_t>(value) << 8) |
                                 static_cast<unsigned char>(bytes[i]));
  }
  return value;
}

absl::Status TypeError(Oid type) {
  return Error(absl::StatusCode::kInternal, reason::kInternal)
      .Message(absl::StrCat("a column has a type that cannot be read: ", type));
}

// A numeric, which is what SUM over a BIGINT gives: digits of base 10,000, the first one worth
// 10,000^weight. Only whole numbers that fit into 64 bits.
absl::StatusOr<int64_t> ReadNumeric(const char* bytes, int size) {
  if (size < 8) return TypeError(kNumeric);
  const int64_t digits = ReadBigEndian(bytes, 2);
  const int64_t weight = ReadBigEndian(bytes + 2, 2);
  const int64_t sign = ReadBigEndian(bytes + 4, 2);  // 0, or 0x4000 for a negative number
  if (digits < 0 || size < 8 + 2 * digits || weight > 4 || digits > weight + 1 ||
      (sign != 0 && sign != 0x4000)) {
    return TypeError(kNumeric);
  }
  int64_t value = 0;
  for (int64_t i = 0; i <= weight; ++i) {
    const int64_t digit = i < digits ? ReadBigEndian(bytes + 8 + 2 * i, 2) : 0;
    if (__builtin_mul_overflow(value, 10'000, &value) ||
        __builtin_add_overflow(value, digit, &value)) {
      return TypeError(kNumeric);
    }
  }
  return sign == 0 ? value : -value;
}

absl::StatusOr<Value> DecodeValue(Oid type, const char* bytes, int size) {
  switch (type) {
    case kInt8:
    case kInt4:
    case kInt2: return Value(ReadBigEndian(bytes, size));
    case kBool: return Value(bytes[0] != 0);
    case kText:
    case kVarchar:
    case kName: return Value(std::string(bytes, static_cast<size_t>(size)));
    case kBytea: return Value(Blob{std::string(bytes, static_cast<size_t>(size))});
    case kVoid: return Value(Null{});
    case kNumeric: {
      ASSIGN_OR_RETURN(const int64_t value, ReadNumeric(bytes, size));
      return Value(value);
    }
    default: return TypeError(type);
  }
}

}  // namespace

PostgresParameters::PostgresParameters(const Args& args) {
  types_.reserve(args.size());
  values_.reserve(args.size());
  lengths_.reserve(args.size());
  formats_.reserve(args.size());
  integers_.reserve(args.size());  // never grows: pointers into it stay good
  const auto add = [this](Oid type, const char* value, size_t size) {
    types_.push_back(type);
    values_.push_back(value);
    lengths_.push_back(static_cast<int>(size));
    formats_.push_back(1);
  };
  for (const Value& value : args) {
    if (const auto* number = std::get_if<int64_t>(&value.variant())) {
      std::array<char, 8>& bytes = integers_.emplace_back();
      for (size_t i = 0; i < 8; ++i) {
        bytes[i] = static_cast<char>(static_cast<uint64_t>(*number) >> (56 - 8 * i));
      }
      add(kInt8, bytes.data(), bytes.size());
    } else if (const auto* text = std::get_if<std::string>(&value.variant())) {
      add(kText, text->data(), text->size());
    } else if (const auto* blob = std::get_if<Blob>(&value.variant())) {
      add(kBytea, blob->bytes.data(), blob->bytes.size());
    } else {
      add(0, nullptr, 0);
    }
  }
}

void AppendTypeSignature(const Args& args, std::string& out) {
  static constexpr char kSigns[] = {'n', 'i', 't', 'b'};  // in the order of Value's variant
  for (const Value& value : args) out += kSigns[value.variant().index()];
}

absl::StatusOr<Rows> DecodeRows(const PGresult* result) {
  const int count = PQntuples(result);
  const int columns = PQnfields(result);
  Rows rows;
  rows.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    std::vector<Value> values;
    values.reserve(static_cast<size_t>(columns));
    for (int j = 0; j < columns; ++j) {
      if (PQgetisnull(result, i, j) != 0) {
        values.emplace_back(Null{});
        continue;
      }
      ASSIGN_OR_RETURN(Value value, DecodeValue(PQftype(result, j), PQgetvalue(result, i, j),
                                                PQgetlength(result, i, j)));
      values.push_back(std::move(value));
    }
    rows.emplace_back(std::move(values));
  }
  return rows;
}

}  // namespace handrail::storage
