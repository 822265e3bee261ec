#ifndef HANDRAIL_TOOLS_HANDRAIL_COMMANDS_OPERATOR_CONTEXT_H_
#define HANDRAIL_TOOLS_HANDRAIL_COMMANDS_OPERATOR_CONTEXT_H_

#include <google/protobuf/message.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/handrail/commands/context.h"

namespace handrail::tools {

// What every command of an operator takes: who acts, and whether a program reads the answer.
struct OperatorOptions {
  std::string as = "operator";
  bool json = false;
  int limit = 200;  // rows of a list
};

// Adds --as and --json to `command`.
std::shared_ptr<OperatorOptions> AddOperatorOptions(CLI::App& command);

// "tickets/…" from that or from its 32 digits.
std::string FullName(const std::string& collection, const std::string& given);

// One JSON document on standard output, field names as in the proto.
absl::Status PrintJson(const google::protobuf::Message& message);

// A channel to matching, for what only operators call.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MatchingChannel(Context& context);

// The pool that `word` means: its name, or words such as "aa online"; the program alone means
// online. NOT_FOUND that lists the pools there are.
absl::StatusOr<matching::v1::Pool> FindPool(Person& person, const std::string& word);
// At most `limit` pools, over as many pages as it takes.
absl::StatusOr<std::vector<matching::v1::Pool>> ReadPools(Person& person, int limit,
                                                          Patience patience = Patience());

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_COMMANDS_OPERATOR_CONTEXT_H_
