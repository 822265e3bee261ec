#ifndef HANDRAIL_SERVICES_MESSAGING_TESTING_MADE_MESSAGES_H_
#define HANDRAIL_SERVICES_MESSAGING_TESTING_MADE_MESSAGES_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"

// Messages that two MLS libraries made in random walks of one group, with what the walk knows of
// each (services/web/client/test/support/made_messages.ts writes them): one a line,
// "<library> <what> <field>=<value>... message=<hexadecimal>".
namespace handrail::messaging {

struct MadeMessage {
  std::string maker;  // ts-mls or core-crypto
  std::string what;   // key_package, welcome, group_info, commit, external_commit, application
  std::map<std::string, std::string> fields;  // as they are written
  std::string bytes;

  std::string Text(const std::string& field) const {
    const auto found = fields.find(field);
    if (found != fields.end()) return found->second;
    ADD_FAILURE() << "a " << what << " of " << maker << " says no " << field;
    return "";
  }
  std::string Bytes(const std::string& field) const { return absl::HexStringToBytes(Text(field)); }
};

// Of the file that HANDRAIL_MLS_MESSAGES names, else of the few that are kept in the repository.
inline std::vector<MadeMessage> ReadMadeMessages() {
  const char* const named = std::getenv("HANDRAIL_MLS_MESSAGES");
  const std::string path =
      named == nullptr ? "services/messaging/testing/made_messages.txt" : named;
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  std::vector<MadeMessage> messages;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, ' ');
    MadeMessage& made = messages.emplace_back();
    if (parts.size() < 3) {
      ADD_FAILURE() << path << ", line " << messages.size() << " is no message";
      continue;
    }
    made.maker = parts[0];
    made.what = parts[1];
    for (size_t i = 2; i < parts.size(); ++i) {
      made.fields.insert(std::pair<std::string, std::string>(absl::StrSplit(parts[i], '=')));
    }
    made.bytes = made.Bytes("message");
  }
  return messages;
}

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_TESTING_MADE_MESSAGES_H_
