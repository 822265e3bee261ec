#ifndef HANDRAIL_TESTS_FAULTS_INJECTOR_H_
#define HANDRAIL_TESTS_FAULTS_INJECTOR_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "tests/support/cluster.h"
#include "tests/support/people.h"

namespace handrail::tests {

// Does one thing after the other to the processes of a cluster, and waits after each until every
// service answers again. Used by the thread that made the cluster.
class Injector {
 public:
  // `observer` is a member whose calls tell whether a service answers.
  Injector(Cluster& cluster, std::unique_ptr<tools::Person> observer, Clock& clock, Random& chance)
      : cluster_(cluster), observer_(std::move(observer)), clock_(clock), chance_(chance) {}

  struct Outcome {
    std::string kind;
    absl::Duration recovery;  // until all three services gave an OK that needs their stores
  };
  // DEADLINE_EXCEEDED when a service is not back after a minute.
  absl::StatusOr<Outcome> InjectOne();

 private:
  std::string Kill();
  std::string Freeze();
  absl::StatusOr<std::string> KillDatabase();
  // One of the processes that the supervisor looks after.
  std::string SomeProcess();
  absl::Status WaitUntilAllAnswer();

  Cluster& cluster_;
  const std::unique_ptr<tools::Person> observer_;
  Clock& clock_;
  Random& chance_;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_FAULTS_INJECTOR_H_
