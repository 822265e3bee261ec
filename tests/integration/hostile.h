#ifndef HANDRAIL_TESTS_INTEGRATION_HOSTILE_H_
#define HANDRAIL_TESTS_INTEGRATION_HOSTILE_H_

#include <google/protobuf/message.h>

#include <string>
#include <vector>

namespace handrail::tests {

// One request that a broken or hostile client sends.
struct HostileRequest {
  std::string label;  // "profile.newcomer.person.time_zone: NUL"
  std::string bytes;
  bool must_be_refused =
      false;  // it breaks a rule of its fields for sure; else only must not do harm
};

// Each field of the request, at any depth, with each value that its type invites; then bytes that
// are no such message at all. Everything else in the request is as in `valid`.
std::vector<HostileRequest> MakeHostileRequests(const google::protobuf::Message& valid);

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_INTEGRATION_HOSTILE_H_
