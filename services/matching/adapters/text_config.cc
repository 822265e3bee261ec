#include "services/matching/adapters/text_config.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr std::streamsize kFileLimit = 1 << 20;

// Gathers what the parser says, with lines that start at 1.
class Complaints final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    faults_.push_back(absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message));
  }
  const ConfigFaults& faults() const { return faults_; }

 private:
  ConfigFaults faults_;
};

}  // namespace

absl::Status InvalidConfig(absl::string_view where, const ConfigFaults& faults) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat(where, ": ", absl::StrJoin(faults, "; ")));
}

absl::Status ParseTextConfig(absl::string_view text, absl::string_view where,
                             google::protobuf::Message& out) {
  Complaints complaints;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&complaints);
  if (parser.ParseFromString(std::string(text), &out)) return absl::OkStatus();
  return InvalidConfig(where, complaints.faults());
}

absl::StatusOr<std::string> ReadConfigFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(kFileLimit) + 1, '\0');
  file.read(text.data(), kFileLimit + 1);
  if (file.bad() || (!file.eof() && file.fail()) || !file.is_open()) {
    return Error(absl::StatusCode::kNotFound, reason::kConfigurationInvalid)
        .Message(absl::StrCat(path, " cannot be read"));
  }
  if (file.gcount() > kFileLimit) return InvalidConfig(path, {"it is longer than 1 MiB"});
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

}  // namespace handrail::matching
