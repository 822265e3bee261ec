#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_TEXT_CONFIG_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_TEXT_CONFIG_H_

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Configuration as protocol buffers in text form, with all faults named at once.
namespace handrail::matching {

using ConfigFaults = std::vector<std::string>;

// INVALID_ARGUMENT, CONFIGURATION_INVALID: "<where>: <fault>; <fault>".
absl::Status InvalidConfig(absl::string_view where, const ConfigFaults& faults);

// Reads the text form into `out`. INVALID_ARGUMENT, CONFIGURATION_INVALID, with the line and column
// of every fault of a text that cannot be read. `where` names the text.
absl::Status ParseTextConfig(absl::string_view text, absl::string_view where,
                             google::protobuf::Message& out);

// The bytes of a file of at most 1 MiB. NOT_FOUND, CONFIGURATION_INVALID, when it cannot be read;
// INVALID_ARGUMENT, CONFIGURATION_INVALID, when it is longer.
absl::StatusOr<std::string> ReadConfigFile(const std::string& path);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_TEXT_CONFIG_H_
