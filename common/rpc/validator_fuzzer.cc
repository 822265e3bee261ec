// The validator over every request message of the API. Two bytes name the message; the next says
// how it comes about: even, the rest is its wire format; odd, the rest decides field by field, so
// that requests which nearly or wholly follow the rules are common. What the validator accepts must
// come through the wire unchanged and be accepted again unchanged.

#include <google/protobuf/message.h>

#include <array>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/rpc/validator.h"
#include "common/testing/fuzzing.h"
#include "handrail/common/v1/policy.pb.h"
#include "handrail/matching/v1/matching.pb.h"
#include "handrail/matching/v1/member_sync.pb.h"
#include "handrail/messaging/v1/conversation_sync.pb.h"
#include "handrail/messaging/v1/messaging.pb.h"
#include "handrail/profiles/v1/directory.pb.h"
#include "handrail/profiles/v1/identity.pb.h"
#include "handrail/profiles/v1/profile.pb.h"
#include "handrail/profiles/v1/safety.pb.h"

namespace handrail::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// The bytes of the input one after the other; zeros after its end.
class Choices {
 public:
  explicit Choices(absl::string_view bytes) : rest_(bytes) {}

  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return byte;
  }
  // Of any size: its first byte says how many follow.
  uint64_t Number() {
    uint64_t number = 0;
    for (int n = Byte() % 9; n > 0; --n) number = (number << 8) | Byte();
    return number;
  }
  std::string Bytes() {
    const std::string bytes(rest_.substr(0, Byte()));
    rest_.remove_prefix(bytes.size());
    return bytes;
  }

 private:
  absl::string_view rest_;
};

// Fills a message. A choice of 0 is a value that follows the field's rule.
class Builder {
 public:
  explicit Builder(absl::string_view bytes) : choices_(bytes) {}

  void Fill(Message* message, int depth) {
    const Descriptor& type = *message->GetDescriptor();
    if (depth > Validator::kMaxDepth + 2) return;
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor* field = type.field(i);
      const uint8_t choice = choices_.Byte();
      if (choice % 4 == 1) continue;
      const bool valid = choice % 4 != 2;
      if (!field->is_repeated()) {
        Set(message, field, valid, depth);
        continue;
      }
      const int count = choice == 0 ? 1 : choice == 255 ? 65 : choices_.Byte() % 5;
      for (int n = 0; n < count; ++n) Set(message, field, valid, depth);
    }
  }

 private:
  void Set(Message* message, const FieldDescriptor* field, bool valid, int depth) {
    const Reflection& r = *message->GetReflection();
    const auto set = [&](auto setter, auto adder, auto value) {
      if (field->is_repeated()) {
        (r.*adder)(message, field, value);
      } else {
        (r.*setter)(message, field, value);
      }
    };
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        // Types that hold themselves go deep only as long as the input says so.
        if (depth > 4 && choices_.Byte() == 0) return;
        Message* part =
            field->is_repeated() ? r.AddMessage(message, field) : r.MutableMessage(message, field);
        Fill(part, depth + 1);
        return;
      }
      case FieldDescriptor::CPPTYPE_STRING:
        return set(kSetString, kAddString, valid ? ValidText(*field) : choices_.Bytes());
      case FieldDescriptor::CPPTYPE_ENUM:
        return set(&Reflection::SetEnumValue, &Reflection::AddEnumValue,
                   valid ? ValidEnum(*field) : static_cast<int>(choices_.Number()));
      case FieldDescriptor::CPPTYPE_INT32:
        return set(&Reflection::SetInt32, &Reflection::AddInt32,
                   static_cast<int32_t>(Integer(*field, valid)));
      case FieldDescriptor::CPPTYPE_INT64:
        return set(&Reflection::SetInt64, &Reflection::AddInt64,
                   static_cast<int64_t>(Integer(*field, valid)));
      case FieldDescriptor::CPPTYPE_UINT32:
        return set(&Reflection::SetUInt32, &Reflection::AddUInt32,
                   static_cast<uint32_t>(Integer(*field, valid)));
      case FieldDescriptor::CPPTYPE_UINT64:
        return set(&Reflection::SetUInt64, &Reflection::AddUInt64, Integer(*field, valid));
      case FieldDescriptor::CPPTYPE_BOOL:
        return set(&Reflection::SetBool, &Reflection::AddBool, choices_.Byte() % 2 == 0);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return set(&Reflection::SetDouble, &Reflection::AddDouble,
                   static_cast<double>(choices_.Number()));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return set(&Reflection::SetFloat, &Reflection::AddFloat,
                   static_cast<float>(choices_.Number()));
    }
  }

  std::string ValidText(const FieldDescriptor& field) {
    const auto& rule = field.options().GetExtension(common::v1::rule);
    const uint8_t choice = choices_.Byte();
    if (!rule.resource().empty()) {
      return absl::StrCat(rule.resource(), "/", std::string(31, '0'), choice % 10);
    }
    if (rule.time_zone()) return choice % 2 == 0 ? "America/New_York" : "Asia/Kolkata";
    if (rule.language()) return choice % 2 == 0 ? "pt-BR" : "es";
    if (rule.country()) return choice % 2 == 0 ? "CA" : "MX";
    const size_t least = rule.min_bytes() > 0 ? static_cast<size_t>(rule.min_bytes()) : 1;
    if (rule.request_id()) return std::string(least, static_cast<char>('a' + choice % 26));
    std::string text(least, static_cast<char>('a' + choice % 26));
    // Decomposed: what is accepted of it is stored composed.
    if (choice >= 128) text = "a\xcc\x88" + text;
    return text;
  }

  int ValidEnum(const FieldDescriptor& field) {
    const int count = field.enum_type()->value_count();
    return field.enum_type()->value(count == 1 ? 0 : 1 + choices_.Byte() % (count - 1))->number();
  }

  uint64_t Integer(const FieldDescriptor& field, bool valid) {
    if (!valid) return choices_.Number();
    const auto& rule = field.options().GetExtension(common::v1::rule);
    const uint64_t choice = choices_.Byte();
    if (!rule.has_range()) return 1 + choice % 12;  // a month, too
    const auto least = static_cast<uint64_t>(rule.min());
    const uint64_t span = static_cast<uint64_t>(rule.max()) - least;
    // From above: the smallest number is often 0, which is empty.
    return static_cast<uint64_t>(rule.max()) - (span == UINT64_MAX ? choice : choice % (span + 1));
  }

  // Of the overloads, those that take the text by value.
  static constexpr void (Reflection::*kSetString)(Message*, const FieldDescriptor*,
                                                  std::string) const = &Reflection::SetString;
  static constexpr void (Reflection::*kAddString)(Message*, const FieldDescriptor*,
                                                  std::string) const = &Reflection::AddString;

  Choices choices_;
};

// FNV-1a, folded to 16 bits: seeds keep their message when others join the API.
uint16_t KeyOf(absl::string_view name) {
  uint32_t hash = 2166136261;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619;
  return static_cast<uint16_t>(hash ^ (hash >> 16));
}

struct Api {
  Api() {
    const std::array<const Descriptor*, 8> one_of_each_file = {
        matching::v1::RequestMatchRequest::descriptor(),
        matching::v1::ApplyMembersRequest::descriptor(),
        messaging::v1::OpenConversationRequest::descriptor(),
        messaging::v1::SendMessageRequest::descriptor(),
        profiles::v1::GetMemberSnapshotRequest::descriptor(),
        profiles::v1::CreateTokenRequest::descriptor(),
        profiles::v1::UpdateProfileRequest::descriptor(),
        profiles::v1::BlockMemberRequest::descriptor(),
    };
    for (const Descriptor* type : one_of_each_file) {
      FUZZ_CHECK(type->file()->service_count() > 0);
      for (int s = 0; s < type->file()->service_count(); ++s) {
        const auto* service = type->file()->service(s);
        for (int m = 0; m < service->method_count(); ++m) Add(service->method(m)->input_type());
      }
    }
  }
  void Add(const Descriptor* type) {
    FUZZ_CHECK(validator.Prepare(type).ok());
    FUZZ_CHECK(requests.emplace(KeyOf(type->full_name()), type).second);
  }
  std::unique_ptr<Message> NewRequest(uint16_t key) const {
    auto found = requests.lower_bound(key);
    if (found == requests.end()) found = requests.begin();
    auto* factory = google::protobuf::MessageFactory::generated_factory();
    return std::unique_ptr<Message>(factory->GetPrototype(found->second)->New());
  }

  Validator validator;
  std::map<uint16_t, const Descriptor*> requests;
};

void Try(const Api& api, Message* request) {
  if (const absl::Status status = api.validator.Check(request); !status.ok()) {
    FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    return;
  }
  const std::string hash = RequestHash(*request);
  std::string wire;
  FUZZ_CHECK(request->SerializeToString(&wire));
  const std::unique_ptr<Message> again(request->New());
  FUZZ_CHECK(again->ParseFromString(wire));
  FUZZ_CHECK(api.validator.Check(again.get()).ok());
  FUZZ_CHECK(RequestHash(*again) == hash);
  FUZZ_CHECK(api.validator.RequestIdOf(*again) == api.validator.RequestIdOf(*request));
}

}  // namespace
}  // namespace handrail::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  static const rpc::Api api;
  if (size < 3) return 0;
  const auto request = api.NewRequest(static_cast<uint16_t>(data[0] << 8 | data[1]));
  const absl::string_view rest = testing::FuzzText(data + 3, size - 3);
  if (data[2] % 2 == 0) {
    if (!request->ParseFromArray(rest.data(), static_cast<int>(rest.size()))) return 0;
  } else {
    rpc::Builder(rest).Fill(request.get(), 1);
  }
  rpc::Try(api, request.get());
  return 0;
}
