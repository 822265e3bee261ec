#include "common/rpc/validator.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <openssl/sha.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/text_rules.h"
#include "handrail/common/v1/policy.pb.h"

namespace handrail::rpc {
namespace {

using common::v1::FieldRule;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kDefaultMaxBytes = 1024;
constexpr int kDefaultMaxItems = 64;

// Well-known messages that have bounds of their own.
enum class WellKnown { kNone, kTimestamp, kDuration, kDate };

// What is at fault; the reason of the whole follows from the kinds that occur.
enum class Fault { kField, kEnum, kResource, kRequestId };

WellKnown WellKnownOf(const Descriptor& type) {
  if (type.full_name() == "google.protobuf.Timestamp") return WellKnown::kTimestamp;
  if (type.full_name() == "google.protobuf.Duration") return WellKnown::kDuration;
  if (type.full_name() == "google.type.Date") return WellKnown::kDate;
  return WellKnown::kNone;
}

}  // namespace

struct Validator::Plan {
  struct Field {
    const FieldDescriptor* field = nullptr;
    const Plan* message = nullptr;  // the type's plan, for a message field
    FieldRule rule;
    size_t max_bytes = kDefaultMaxBytes;
    size_t min_bytes = 0;
    int max_items = kDefaultMaxItems;
  };
  std::vector<Field> fields;
  WellKnown well_known = WellKnown::kNone;
  bool map_entry = false;
  const FieldDescriptor* request_id = nullptr;
};

namespace {

using Plan = Validator::Plan;

// One walk over one request.
class Walk {
 public:
  void Visit(const Plan& plan, Message* message, int depth) {
    if (depth > Validator::kMaxDepth) {
      Add(Fault::kField, "nested too deeply");
      return;
    }
    const Reflection* reflection = message->GetReflection();
    if (!reflection->GetUnknownFields(*message).empty()) {
      reflection->MutableUnknownFields(message)->Clear();
    }
    if (plan.well_known != WellKnown::kNone) CheckWellKnown(plan, *message);
    for (const Plan::Field& field : plan.fields) {
      if (Full()) return;
      const size_t length = path_.size();
      if (!path_.empty()) path_ += '.';
      path_ += field.field->name();
      if (field.field->is_repeated()) {
        VisitRepeated(field, message, *reflection, depth);
      } else {
        VisitSingular(field, plan.map_entry, message, *reflection, depth);
      }
      path_.resize(length);
    }
  }

  absl::Status Result() const {
    if (violations_.empty()) return absl::OkStatus();
    Error error(absl::StatusCode::kInvalidArgument, Reason());
    error.Message(absl::StrCat(violations_[0].first.empty() ? "the request" : violations_[0].first,
                               ": ", violations_[0].second));
    for (const auto& [path, description] : violations_) error.Field(path, description);
    return error;
  }

 private:
  bool Full() const { return violations_.size() >= Validator::kMaxViolations; }

  absl::string_view Reason() const {
    if (!same_fault_) return reason::kFieldInvalid;
    switch (first_fault_) {
      case Fault::kEnum: return reason::kEnumUnknown;
      case Fault::kResource: return reason::kResourceNameInvalid;
      case Fault::kRequestId: return reason::kRequestIdRequired;
      case Fault::kField: return reason::kFieldInvalid;
    }
    return reason::kFieldInvalid;
  }

  void Add(Fault fault, std::string description) {
    if (Full()) return;
    if (violations_.empty()) first_fault_ = fault;
    same_fault_ = same_fault_ && fault == first_fault_;
    violations_.emplace_back(path_, std::move(description));
  }

  void AddMissing(const FieldRule& rule) {
    Add(rule.request_id() ? Fault::kRequestId : Fault::kField, "required");
  }

  void VisitRepeated(const Plan::Field& field, Message* message, const Reflection& reflection,
                     int depth) {
    const int size = reflection.FieldSize(*message, field.field);
    if (size == 0) {
      if (field.rule.required()) AddMissing(field.rule);
      return;
    }
    if (size > field.max_items) {
      Add(Fault::kField, absl::StrCat("at most ", field.max_items, " items"));
      return;
    }
    const size_t length = path_.size();
    for (int i = 0; i < size && !Full(); ++i) {
      absl::StrAppend(&path_, "[", i, "]");
      VisitItem(field, message, reflection, i, depth);
      path_.resize(length);
    }
  }

  void VisitItem(const Plan::Field& field, Message* message, const Reflection& reflection, int i,
                 int depth) {
    switch (field.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        Visit(*field.message, reflection.MutableRepeatedMessage(message, field.field, i),
              depth + 1);
        return;
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string scratch;
        const std::string& value =
            reflection.GetRepeatedStringReference(*message, field.field, i, &scratch);
        if (value.empty() && field.rule.required()) return AddMissing(field.rule);
        if (auto normalized = CheckText(field, value)) {
          reflection.SetRepeatedString(message, field.field, i, *std::move(normalized));
        }
        return;
      }
      case FieldDescriptor::CPPTYPE_ENUM:
        return CheckEnum(field, reflection.GetRepeatedEnumValue(*message, field.field, i),
                         field.rule.required());
      case FieldDescriptor::CPPTYPE_INT32:
        return CheckRange(field.rule, reflection.GetRepeatedInt32(*message, field.field, i));
      case FieldDescriptor::CPPTYPE_INT64:
        return CheckRange(field.rule, reflection.GetRepeatedInt64(*message, field.field, i));
      case FieldDescriptor::CPPTYPE_UINT32:
        return CheckRange(field.rule, reflection.GetRepeatedUInt32(*message, field.field, i));
      case FieldDescriptor::CPPTYPE_UINT64:
        return CheckUnsigned(field.rule, reflection.GetRepeatedUInt64(*message, field.field, i));
      default: return;
    }
  }

  void VisitSingular(const Plan::Field& field, bool in_map_entry, Message* message,
                     const Reflection& reflection, int depth) {
    const bool has_presence = field.field->has_presence();
    const bool present = !has_presence || reflection.HasField(*message, field.field);
    if (!present) {
      if (field.rule.required()) AddMissing(field.rule);
      return;
    }
    switch (field.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Visit(*field.message, reflection.MutableMessage(message, field.field), depth + 1);
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string scratch;
        const std::string& value = reflection.GetStringReference(*message, field.field, &scratch);
        if (value.empty()) {
          if (field.rule.required()) AddMissing(field.rule);
          return;
        }
        if (auto normalized = CheckText(field, value)) {
          if (in_map_entry && field.field->number() == 1) {
            // Two keys could become one.
            return Add(Fault::kField, "a key must be in Unicode NFC");
          }
          reflection.SetString(message, field.field, *std::move(normalized));
        }
        return;
      }
      case FieldDescriptor::CPPTYPE_ENUM:
        return CheckEnum(field, reflection.GetEnumValue(*message, field.field),
                         field.rule.required());
      default: return VisitNumber(field, *message, reflection);
    }
  }

  void VisitNumber(const Plan::Field& field, const Message& message, const Reflection& reflection) {
    const FieldRule& rule = field.rule;
    const bool zero_is_empty = rule.required() && !field.field->has_presence();
    const auto check_signed = [&](int64_t value) {
      if (zero_is_empty && value == 0) return AddMissing(rule);
      CheckRange(rule, value);
    };
    switch (field.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return check_signed(reflection.GetInt32(message, field.field));
      case FieldDescriptor::CPPTYPE_INT64:
        return check_signed(reflection.GetInt64(message, field.field));
      case FieldDescriptor::CPPTYPE_UINT32:
        return check_signed(reflection.GetUInt32(message, field.field));
      case FieldDescriptor::CPPTYPE_UINT64: {
        const uint64_t value = reflection.GetUInt64(message, field.field);
        if (zero_is_empty && value == 0) return AddMissing(rule);
        return CheckUnsigned(rule, value);
      }
      default: return;  // bool and floating point have no rules; Prepare refuses rules on them
    }
  }

  // The normalised text when it differs.
  std::optional<std::string> CheckText(const Plan::Field& field, const std::string& value) {
    if (value.size() > field.max_bytes) {
      Add(Fault::kField, absl::StrCat("at most ", field.max_bytes, " bytes"));
      return std::nullopt;
    }
    if (!value.empty() && value.size() < field.min_bytes) {
      Add(field.rule.request_id() ? Fault::kRequestId : Fault::kField,
          absl::StrCat("at least ", field.min_bytes, " bytes"));
      return std::nullopt;
    }
    if (field.field->type() == FieldDescriptor::TYPE_BYTES || value.empty()) return std::nullopt;
    if (!field.rule.resource().empty()) {
      if (!IsResourceName(value, field.rule.resource())) {
        Add(Fault::kResource, absl::StrCat("must be ", field.rule.resource(), "/{id}"));
      }
      return std::nullopt;  // ASCII
    }
    if (field.rule.request_id()) {
      if (!IsRequestId(value)) {
        Add(Fault::kRequestId, "must be 1 to 64 of letters, digits, '-' and '_'");
      }
      return std::nullopt;  // ASCII
    }
    std::string normalized = value;
    if (!NormalizeText(&normalized)) {
      Add(Fault::kField, "must be UTF-8 text without control, invisible or unassigned characters");
      return std::nullopt;
    }
    if (normalized.size() > field.max_bytes) {
      Add(Fault::kField, absl::StrCat("at most ", field.max_bytes, " bytes"));
      return std::nullopt;
    }
    if (field.rule.time_zone() && !IsTimeZone(normalized)) {
      Add(Fault::kField, "must be an IANA time zone, such as America/Los_Angeles");
    }
    if (field.rule.language() && !IsLanguageTag(normalized)) {
      Add(Fault::kField, "must be a BCP 47 language tag, such as pt-BR");
    }
    if (field.rule.country() && !IsCountry(normalized)) {
      Add(Fault::kField, "must be an ISO 3166-1 country code, such as CA");
    }
    if (normalized == value) return std::nullopt;
    return normalized;
  }

  void CheckEnum(const Plan::Field& field, int value, bool required) {
    if (value == 0 && required) return AddMissing(field.rule);
    if (field.field->enum_type()->FindValueByNumber(value) == nullptr) {
      Add(Fault::kEnum, "unknown value");
    }
  }

  void CheckRange(const FieldRule& rule, int64_t value) {
    if (rule.has_range() && (value < rule.min() || value > rule.max())) {
      Add(Fault::kField, absl::StrCat("must lie between ", rule.min(), " and ", rule.max()));
    }
  }

  void CheckUnsigned(const FieldRule& rule, uint64_t value) {
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (value > kMost) {
      if (rule.has_range()) {
        Add(Fault::kField, absl::StrCat("must lie between ", rule.min(), " and ", rule.max()));
      }
      return;
    }
    CheckRange(rule, static_cast<int64_t>(value));
  }

  void CheckWellKnown(const Plan& plan, const Message& message) {
    const Reflection& reflection = *message.GetReflection();
    const Descriptor& type = *message.GetDescriptor();
    if (plan.well_known == WellKnown::kDate) {
      const int year = reflection.GetInt32(message, type.FindFieldByName("year"));
      const int month = reflection.GetInt32(message, type.FindFieldByName("month"));
      const int day = reflection.GetInt32(message, type.FindFieldByName("day"));
      const absl::CivilDay civil(year, month, day);
      if (year < 1 || year > 9999 || civil.month() != month || civil.day() != day) {
        Add(Fault::kField, "must be a date of the calendar");
      }
      return;
    }
    const int64_t seconds = reflection.GetInt64(message, type.FindFieldByName("seconds"));
    const int nanos = reflection.GetInt32(message, type.FindFieldByName("nanos"));
    if (plan.well_known == WellKnown::kTimestamp) {
      // 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
      if (seconds < -62'135'596'800 || seconds > 253'402'300'799 || nanos < 0 ||
          nanos > 999'999'999) {
        Add(Fault::kField, "must be a time between the years 1 and 9999");
      }
    } else if (seconds < -315'576'000'000 || seconds > 315'576'000'000 || nanos < -999'999'999 ||
               nanos > 999'999'999 || (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0)) {
      Add(Fault::kField, "must be a duration of at most 10,000 years");
    }
  }

  std::string path_;
  std::vector<std::pair<std::string, std::string>> violations_;
  Fault first_fault_ = Fault::kField;
  bool same_fault_ = true;
};

// Rules that could never do what they say are mistakes of ours, found when the server starts.
std::string RuleFault(const FieldDescriptor& field, const FieldRule& rule) {
  const bool is_text = field.type() == FieldDescriptor::TYPE_STRING;
  const bool has_bytes = is_text || field.type() == FieldDescriptor::TYPE_BYTES;
  const bool is_integer = field.cpp_type() == FieldDescriptor::CPPTYPE_INT32 ||
                          field.cpp_type() == FieldDescriptor::CPPTYPE_INT64 ||
                          field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32 ||
                          field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
  if (!is_text && (!rule.resource().empty() || rule.request_id() || rule.time_zone() ||
                   rule.language() || rule.country())) {
    return "a rule for text on another type";
  }
  if (!has_bytes && (rule.max_bytes() != 0 || rule.min_bytes() != 0)) {
    return "a number of bytes on a field that has none";
  }
  if (rule.has_range() && (!is_integer || rule.min() > rule.max())) return "an impossible range";
  if (rule.max_items() != 0 && !field.is_repeated()) return "max_items on a single value";
  if (rule.max_bytes() < 0 || rule.min_bytes() < 0 || rule.max_items() < 0)
    return "a limit below 0";
  if (rule.required() && field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL &&
      !field.has_presence() && !field.is_repeated()) {
    return "a required bool, which would always have to be true";
  }
  return "";
}

}  // namespace

Validator::Validator() = default;
Validator::~Validator() = default;

absl::Status Validator::Prepare(const Descriptor* type) {
  Plan* plan = nullptr;
  return Compile(type, &plan);
}

absl::Status Validator::Compile(const Descriptor* type, Plan** result) {
  if (const auto it = plans_.find(type); it != plans_.end()) {
    *result = it->second.get();  // complete, or in progress in a recursive type
    return absl::OkStatus();
  }
  Plan* const plan = plans_.emplace(type, std::make_unique<Plan>()).first->second.get();
  *result = plan;
  plan->well_known = WellKnownOf(*type);
  plan->map_entry = type->options().map_entry();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const FieldRule& rule = field->options().GetExtension(common::v1::rule);
    if (const std::string fault = RuleFault(*field, rule); !fault.empty()) {
      return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
          .Message(absl::StrCat(field->full_name(), " has ", fault));
    }
    Plan::Field compiled;
    compiled.field = field;
    compiled.rule = rule;
    if (rule.max_bytes() > 0) compiled.max_bytes = static_cast<size_t>(rule.max_bytes());
    compiled.min_bytes = static_cast<size_t>(rule.min_bytes());
    if (rule.max_items() > 0) compiled.max_items = rule.max_items();
    if (rule.request_id() && !field->is_repeated()) plan->request_id = field;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Plan* message = nullptr;
      RETURN_IF_ERROR(Compile(field->message_type(), &message));
      compiled.message = message;
    }
    plan->fields.push_back(std::move(compiled));
  }
  return absl::OkStatus();
}

absl::Status Validator::Check(Message* message) const {
  const auto it = plans_.find(message->GetDescriptor());
  if (it == plans_.end()) {
    return Error(absl::StatusCode::kInternal, reason::kInternal)
        .Message("no rules were prepared for this request");
  }
  Walk walk;
  walk.Visit(*it->second, message, 1);
  return walk.Result();
}

std::string Validator::RequestIdOf(const Message& message) const {
  const auto it = plans_.find(message.GetDescriptor());
  if (it == plans_.end() || it->second->request_id == nullptr) return "";
  return message.GetReflection()->GetString(message, it->second->request_id);
}

bool Validator::HasRequestId(const Descriptor* type) const {
  const auto it = plans_.find(type);
  return it != plans_.end() && it->second->request_id != nullptr;
}

std::string RequestHash(const Message& request) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    const std::string& name = request.GetDescriptor()->full_name();
    coded.WriteVarint32(static_cast<uint32_t>(name.size()));
    coded.WriteString(name);
    request.SerializeToCodedStream(&coded);
  }
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

}  // namespace handrail::rpc
