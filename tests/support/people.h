#ifndef HANDRAIL_TESTS_SUPPORT_PEOPLE_H_
#define HANDRAIL_TESTS_SUPPORT_PEOPLE_H_

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "tools/handrail/client/person.h"

namespace handrail::tests {

inline constexpr common::v1::Philosophy kDefaultProgram = common::v1::PHILOSOPHY_TWELVE_STEP_AA;

// Registers a person with a newcomer's profile and both consents. All such people and sponsors of
// one program suit each other by every hard rule.
absl::StatusOr<std::unique_ptr<tools::Person>> JoinAsNewcomer(
    tools::Services& services, Clock& clock, Random& random,
    common::v1::Philosophy program = kDefaultProgram);
// The same for a sponsor, who has attested and takes offers for `capacity` people.
absl::StatusOr<std::unique_ptr<tools::Person>> JoinAsSponsor(
    tools::Services& services, Clock& clock, Random& random, int capacity,
    common::v1::Philosophy program = kDefaultProgram);
// A registered device and nothing else.
absl::StatusOr<std::unique_ptr<tools::Person>> JoinAsNobody(tools::Services& services, Clock& clock,
                                                            Random& random);

// True for what is no answer of a service to the request: a process that dies or drains takes its
// connections with it, and gRPC reports that under several codes.
bool IsUnanswered(const absl::Status& status);

// The call, repeated under the same request until a service has answered it, or patience ends.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Insist(tools::Person& person, Clock& clock, Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request,
                                absl::Duration patience = absl::Seconds(120)) {
  const absl::Time give_up = clock.Now() + patience;
  while (true) {
    auto response =
        person.Call(stub, method, request, {.total = patience, .attempt = absl::Seconds(4)});
    if (!IsUnanswered(response.status()) || clock.Now() > give_up) return response;
  }
}

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_SUPPORT_PEOPLE_H_
