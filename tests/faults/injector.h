#ifndef HANDRAIL_TESTS_FAULTS_INJECTOR_H_
#define HANDRAIL_TESTS_FAULTS_INJECTOR_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "tests/faults/stage.h"
#include "tests/support/cluster.h"
#include "tests/support/people.h"

namespace handrail::tests {

// Does one thing after the other to the processes of a cluster, and waits after each until every
// service answers again. Used by the thread that made the cluster.
class Injector {
 public:
  // `observer` is a member whose calls tell whether a service answers; what they see that must not
  // be goes to the history.
  Injector(Cluster& cluster, std::unique_ptr<tools::Person> observer, Stage& stage, Random& chance)
      : cluster_(cluster),
        observer_(std::move(observer)),
        stage_(stage),
        clock_(stage.clock),
        chance_(chance) {}

  struct Outcome {
    std::string kind;
    absl::Duration recovery;  // until all three services gave an OK that needs their stores
  };
  // DEADLINE_EXCEEDED when a service is not back after a minute.
  absl::StatusOr<Outcome> InjectOne();
  // How often somebody reached out while every database was down, and got the crisis lines.
  int lines_while_down() const { return lines_while_down_; }

 private:
  std::string Kill();
  std::string Freeze();
  absl::StatusOr<std::string> KillDatabase();
  void ReachOutWithoutDatabases();
  // One of the processes that the supervisor looks after.
  std::string SomeProcess();
  absl::Status WaitUntilAllAnswer();

  Cluster& cluster_;
  const std::unique_ptr<tools::Person> observer_;
  Stage& stage_;
  Clock& clock_;
  Random& chance_;
  int lines_while_down_ = 0;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_FAULTS_INJECTOR_H_
