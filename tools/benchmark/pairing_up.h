#ifndef HANDRAIL_TOOLS_BENCHMARK_PAIRING_UP_H_
#define HANDRAIL_TOOLS_BENCHMARK_PAIRING_UP_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/handrail/client/person.h"

namespace handrail::benchmark {

// Who was paired with a sponsor: a name and the conversation of both.
struct Paired {
  std::string newcomer;
  std::string conversation;
};

// Accepts what the sponsor is offered at this moment, at most 10, and waits for the conversations.
absl::StatusOr<std::vector<Paired>> AcceptOffers(tools::Person& sponsor);

// Waits for an offer and accepts it. For a sponsor with room for one. DEADLINE_EXCEEDED after a
// minute without.
absl::StatusOr<Paired> AcceptNext(tools::Person& sponsor);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_PAIRING_UP_H_
