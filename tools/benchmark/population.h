#ifndef HANDRAIL_TOOLS_BENCHMARK_POPULATION_H_
#define HANDRAIL_TOOLS_BENCHMARK_POPULATION_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "tools/handrail/client/person.h"

namespace handrail::benchmark {

// A member who is signed in.
struct Member {
  std::unique_ptr<tools::Person> person;
  std::string name;           // members/{member}
  std::string authorization;  // "Bearer …", good for some minutes
};

// The programs that people ask in. Sponsors are in the paired ones alone: who asks in the other one
// waits.
inline constexpr common::v1::Philosophy kPairedPrograms[] = {
    common::v1::PHILOSOPHY_TWELVE_STEP_AA, common::v1::PHILOSOPHY_TWELVE_STEP_NA,
    common::v1::PHILOSOPHY_TWELVE_STEP_CA, common::v1::PHILOSOPHY_TWELVE_STEP_HA};
inline constexpr int kPairedProgramCount = 4;
inline constexpr common::v1::Philosophy kWaitingProgram = common::v1::PHILOSOPHY_SMART;

// A request to be paired with a sponsor in a paired program, and one that waits for nobody.
matching::v1::RequestMatchRequest PairedRequest(int64_t newcomer, std::string request_id);
matching::v1::RequestMatchRequest WaitingRequest(std::string request_id);

// People who registered, described themselves and agreed, as an app would have them do.
class Population {
 public:
  // Registers everybody, `threads` at a time. The first error ends it. Sponsors have not set their
  // availability: see OpenSeats.
  static absl::StatusOr<std::unique_ptr<Population>> Create(const tools::Endpoints& endpoints,
                                                            int newcomers, int sponsors);

  std::vector<Member>& newcomers() { return newcomers_; }
  std::vector<Member>& sponsors() { return sponsors_; }

  // Every token is good for at least five more minutes afterwards.
  absl::Status RenewTokens();
  // Lets sponsors [first, last) take up to `capacity` people; 0 takes them out of the matching.
  absl::Status SetCapacity(size_t first, size_t last, int capacity);
  // A fresh request id.
  std::string NewId();
  // `work(i)` for i in [0, count), on some threads; the first error.
  static absl::Status InParallel(size_t count, const std::function<absl::Status(size_t)>& work);

 private:
  Population() = default;
  absl::Status Join(Member& member, bool sponsor, size_t number);

  SystemClock clock_;
  SystemRandom random_;
  std::vector<std::unique_ptr<tools::Services>> services_;  // several connections
  std::vector<Member> newcomers_;
  std::vector<Member> sponsors_;
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_POPULATION_H_
