#ifndef HANDRAIL_TESTS_SUPPORT_API_H_
#define HANDRAIL_TESTS_SUPPORT_API_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "handrail/common/v1/policy.pb.h"
#include "tools/handrail/client/endpoints.h"

namespace handrail::tests {

// Every method of the API, found by reading the folder proto/ and the descriptors that are linked
// in: a new method is tested without anybody having to remember.
struct Method {
  const google::protobuf::MethodDescriptor* descriptor = nullptr;
  common::v1::MethodPolicy policy;
  std::string service;  // "profiles": the process that serves it
  std::string path;     // "/handrail.profiles.v1.ProfileService/GetProfile"
};
// Empty, and the reason on standard error, when a proto of the folder is not linked into this test.
std::vector<Method> AllMethods();

const common::v1::FieldRule& RuleOf(const google::protobuf::FieldDescriptor* field);

// Resource names by collection, for requests that are to be well-formed.
using Resources = std::map<std::string, std::string>;

// A request that keeps every rule of its fields, with these resource names and a fresh request id.
std::unique_ptr<google::protobuf::Message> MakeValidRequest(
    const google::protobuf::Descriptor* type, const Resources& resources, Random& random);

// Calls any method with any bytes. A stream is left after its first answer.
class RawCaller {
 public:
  RawCaller(const tools::Endpoints& endpoints, Clock& clock);

  struct Outcome {
    bool answered = false;  // a message came, or an empty OK
    grpc::Status status;    // OK for a stream that answered
    std::string reason;     // of ErrorInfo
  };
  Outcome Call(const Method& method, const std::string& request, const std::string& authorization);

 private:
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
  Clock& clock_;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_SUPPORT_API_H_
