#include "tests/integration/hostile.h"

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/api.h"

namespace handrail::tests {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kMostDepth = 5;
using Path = std::vector<const FieldDescriptor*>;

// Every field that can be reached. Types of Google's are left alone below their own field.
void FindPaths(const Descriptor* type, Path& path, std::vector<Path>& found) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    path.push_back(field);
    found.push_back(path);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && path.size() < kMostDepth &&
        absl::StartsWith(field->message_type()->full_name(), "handrail.")) {
      FindPaths(field->message_type(), path, found);
    }
    path.pop_back();
  }
}

std::string TextOf(const Path& path) {
  std::string text;
  for (const FieldDescriptor* field : path) {
    absl::StrAppend(&text, text.empty() ? "" : ".", field->name());
  }
  return text;
}

// The message that holds the last field of the path; made where it is missing.
Message& HolderOf(Message& root, const Path& path) {
  Message* message = &root;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    const Reflection* reflection = message->GetReflection();
    if (!path[i]->is_repeated()) {
      message = reflection->MutableMessage(message, path[i]);
    } else if (reflection->FieldSize(*message, path[i]) > 0) {
      message = reflection->MutableRepeatedMessage(message, path[i], 0);
    } else {
      message = reflection->AddMessage(message, path[i]);
    }
  }
  return *message;
}

class Maker {
 public:
  explicit Maker(const Message& valid) : valid_(valid) {}

  std::vector<HostileRequest> Make() {
    Path path;
    std::vector<Path> paths;
    FindPaths(valid_.GetDescriptor(), path, paths);
    for (const Path& each : paths) MakeFor(each);
    AddBytes();
    return std::move(requests_);
  }

 private:
  using Change = std::function<void(Message&, const Reflection*, const FieldDescriptor*)>;

  void Add(const Path& path, const std::string& what, bool must_be_refused, const Change& change) {
    std::unique_ptr<Message> request(valid_.New());
    request->CopyFrom(valid_);
    Message& holder = HolderOf(*request, path);
    change(holder, holder.GetReflection(), path.back());
    requests_.push_back(
        {absl::StrCat(TextOf(path), ": ", what), request->SerializeAsString(), must_be_refused});
  }

  void MakeFor(const Path& path) {
    const FieldDescriptor* field = path.back();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        if (field->type() == FieldDescriptor::TYPE_BYTES) {
          AddBytesField(path);
        } else {
          AddText(path);
        }
        break;
      case FieldDescriptor::CPPTYPE_ENUM: AddEnum(path); break;
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64: AddNumbers(path); break;
      case FieldDescriptor::CPPTYPE_MESSAGE: AddMessages(path); break;
      default: break;
    }
  }

  void AddString(const Path& path, const std::string& what, const std::string& value,
                 bool must_be_refused) {
    Add(path, what, must_be_refused,
        [&value](Message& message, const Reflection* reflection, const FieldDescriptor* field) {
          if (field->is_repeated()) {
            reflection->AddString(&message, field, value);
          } else {
            reflection->SetString(&message, field, value);
          }
        });
  }

  void AddText(const Path& path) {
    AddString(path, "bad UTF-8", "a\xff\xfe", true);
    AddString(path, "an overlong encoding", "a\xc0\xaf", true);
    AddString(path, "half a surrogate pair", "a\xed\xa0\x80", true);
    AddString(path, "NUL", std::string("a\0b", 3), true);
    AddString(path, "right-to-left override", "a\xe2\x80\xae", true);
    AddString(path, "zero-width space", "a\xe2\x80\x8b", true);
    AddString(path, "a control character", "a\x1b[2J", true);
    AddString(path, "70 kB", std::string(70'000, 'a'), true);
    AddString(path, "1 MB", std::string(1'000'000, 'a'), true);
    AddString(path, "a path", "../../../etc/passwd", false);
    AddString(path, "SQL", "'; DROP TABLE tickets; --", false);
    const std::string& collection = RuleOf(path.back()).resource();
    if (!collection.empty()) {
      AddString(path, "another collection", "nothings/00000000000000000000000000000000", true);
      AddString(path, "no id", absl::StrCat(collection, "/"), true);
      AddString(path, "a short id", absl::StrCat(collection, "/abc"), true);
      AddString(path, "an id of other digits", absl::StrCat(collection, "/", std::string(32, 'Z')),
                true);
      AddString(path, "a longer path",
                absl::StrCat(collection, "/00000000000000000000000000000000/x"), true);
    }
    if (path.back()->is_repeated()) AddMany(path);
  }

  void AddBytesField(const Path& path) {
    AddString(path, "1 MB", std::string(1'000'000, '\xff'), true);
    AddString(path, "one byte", std::string(1, '\0'), false);
    AddString(path, "nothing", "", false);
  }

  void AddEnum(const Path& path) {
    for (const int value : {9999, -1, std::numeric_limits<int>::min()}) {
      Add(path, absl::StrCat("unknown value ", value), true,
          [value](Message& message, const Reflection* reflection, const FieldDescriptor* field) {
            if (field->is_repeated()) {
              reflection->AddEnumValue(&message, field, value);
            } else {
              reflection->SetEnumValue(&message, field, value);
            }
          });
    }
    if (path.back()->is_repeated()) AddMany(path);
  }

  void AddNumbers(const Path& path) {
    const common::v1::FieldRule& rule = RuleOf(path.back());
    const bool wide = path.back()->cpp_type() == FieldDescriptor::CPPTYPE_INT64;
    const int64_t least = wide ? std::numeric_limits<int64_t>::min() : INT32_MIN;
    const int64_t most = wide ? std::numeric_limits<int64_t>::max() : INT32_MAX;
    for (const int64_t value : {int64_t{-1}, least, most, int64_t{1'000'001}}) {
      const bool refused = rule.has_range() && (value < rule.min() || value > rule.max());
      Add(path, absl::StrCat(value), refused && !path.back()->is_repeated(),
          [value, wide](Message& message, const Reflection* reflection,
                        const FieldDescriptor* field) {
            if (field->is_repeated()) return;
            if (wide) {
              reflection->SetInt64(&message, field, value);
            } else {
              reflection->SetInt32(&message, field, static_cast<int32_t>(value));
            }
          });
    }
  }

  void AddMessages(const Path& path) {
    if (path.back()->is_repeated()) AddMany(path);
    Add(path, "cleared", false,
        [](Message& message, const Reflection* reflection, const FieldDescriptor* field) {
          reflection->ClearField(&message, field);
        });
  }

  // More elements than any list takes.
  void AddMany(const Path& path) {
    Add(path, "5,000 elements", true,
        [](Message& message, const Reflection* reflection, const FieldDescriptor* field) {
          for (int i = 0; i < 5000; ++i) {
            switch (field->cpp_type()) {
              case FieldDescriptor::CPPTYPE_STRING:
                reflection->AddString(&message, field, "en");
                break;
              case FieldDescriptor::CPPTYPE_ENUM:
                reflection->AddEnumValue(&message, field, 1);
                break;
              case FieldDescriptor::CPPTYPE_MESSAGE: reflection->AddMessage(&message, field); break;
              default: break;
            }
          }
        });
  }

  // No message of this type, or none at all.
  void AddBytes() {
    const std::string whole = valid_.SerializeAsString();
    requests_.push_back({"empty", "", false});
    requests_.push_back({"random bytes", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", true});
    requests_.push_back({"a length beyond the end", std::string("\x0a\x7f") + "abc", true});
    requests_.push_back({"a group that never ends", std::string(200, '\x0b'), true});
    requests_.push_back({"200 levels deep", Nested(200), false});
    requests_.push_back({"an unknown field of 100 kB",
                         whole + "\xfa\x3f\xa0\x8d\x06" + std::string(100'000, 'u'), false});
    if (whole.size() > 3) {
      requests_.push_back({"cut off", whole.substr(0, whole.size() - 1), true});
    }
  }
  static std::string Nested(int levels) {
    std::string bytes;
    for (int i = 0; i < levels && bytes.size() < 120; ++i) {
      bytes = std::string("\x0a") + static_cast<char>(bytes.size()) + bytes;
    }
    return bytes;
  }

  const Message& valid_;
  std::vector<HostileRequest> requests_;
};

}  // namespace

std::vector<HostileRequest> MakeHostileRequests(const Message& valid) {
  return Maker(valid).Make();
}

}  // namespace handrail::tests
