#include "tests/faults/injector.h"

#include <signal.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/faults/help_part.h"
#include "tests/support/stop_signal.h"

namespace handrail::tests {
namespace {

using matching::v1::HelpService;
using matching::v1::MatchingService;
using messaging::v1::MessagingService;
using profiles::v1::IdentityService;

constexpr std::array<const char*, 4> kProcesses = {"matching", "messaging", "profiles", "redis"};
constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr tools::Patience kProbe = {.total = kPatience, .attempt = absl::Seconds(1)};

}  // namespace

absl::StatusOr<Injector::Outcome> Injector::InjectOne() {
  Outcome outcome;
  const absl::Time started = clock_.Now();
  const uint64_t draw = chance_.Below(100);
  if (draw < (cluster_.redis_world() != nullptr ? 40 : 55)) {
    outcome.kind = Kill();
  } else if (draw < 65 && cluster_.redis_world() != nullptr) {
    // Instead of the kills that one server gets as a process.
    ASSIGN_OR_RETURN(outcome.kind, cluster_.redis_world()->FailOver(chance_));
  } else if (draw < 70) {
    outcome.kind = Freeze();
  } else if (draw < 80 && cluster_.postgres() != nullptr) {
    ASSIGN_OR_RETURN(outcome.kind, KillDatabase());
  } else {
    outcome.kind = "FLUSHALL";
    RETURN_IF_ERROR(cluster_.FlushRedis());
  }
  RETURN_IF_ERROR(WaitUntilAllAnswer());
  outcome.recovery = clock_.Now() - started;
  return outcome;
}

std::string Injector::SomeProcess() {
  // Redis is the last of them.
  const size_t count = kProcesses.size() - (cluster_.redis_world() != nullptr ? 1 : 0);
  return kProcesses[chance_.Below(count)];
}

std::string Injector::Kill() {
  const std::string process = SomeProcess();
  const pid_t before = cluster_.PidOf(process);
  if (!cluster_.Signal(process, SIGKILL)) return absl::StrCat("kill -9 ", process, " (was down)");
  // Until the supervisor has started another one.
  StopSignal pause;
  const absl::Time give_up = clock_.Now() + kPatience;
  while (cluster_.PidOf(process) == before && clock_.Now() < give_up) {
    pause.Pause(absl::Milliseconds(10));
  }
  return absl::StrCat("kill -9 ", process);
}

std::string Injector::Freeze() {
  const std::string process = SomeProcess();
  cluster_.Signal(process, SIGSTOP);
  StopSignal().Pause(absl::Milliseconds(200 + static_cast<int64_t>(chance_.Below(1500))));
  cluster_.Signal(process, SIGCONT);
  return absl::StrCat("SIGSTOP, SIGCONT ", process);
}

absl::StatusOr<std::string> Injector::KillDatabase() {
  // A token that outlasts the fault: profiles cannot give another one meanwhile.
  RETURN_IF_ERROR(observer_->TokenGoodFor(absl::Minutes(2)).status());
  cluster_.postgres()->Kill();
  ReachOutWithoutDatabases();
  RETURN_IF_ERROR(cluster_.postgres()->Restart());
  return "kill -9 postgres";
}

void Injector::ReachOutWithoutDatabases() {
  matching::v1::ListCrisisLinesRequest list;
  list.set_country(kCallersCountry);
  matching::v1::ListCrisisLinesResponse lines;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(clock_.Now() + absl::Seconds(10)));
  const grpc::Status listed = cluster_.services().help().ListCrisisLines(&context, list, &lines);
  if (!listed.ok()) {
    return stage_.history.Contradiction("there were no crisis lines without a database");
  }
  CheckLines(stage_.history, lines.crisis());
  matching::v1::ReachRequest reach;
  reach.set_country(kCallersCountry);
  reach.set_language("en");
  reach.set_request_id(observer_->NewRequestId());
  const auto reached = observer_->Call(cluster_.services().help(), &HelpService::Stub::Reach, reach,
                                       {.total = absl::Seconds(10), .attempt = absl::Seconds(10)});
  if (!reached.ok()) return Unexpected(stage_, "Reach without a database", reached.status());
  CheckLines(stage_.history, reached->crisis());
  if (reached->has_help_call()) {
    stage_.history.Contradiction("a call for help was acknowledged without a database");
  }
  ++lines_while_down_;
}

absl::Status Injector::WaitUntilAllAnswer() {
  auto& services = cluster_.services();
  RETURN_IF_ERROR(observer_
                      ->Call(services.identity(), &IdentityService::Stub::ListDevices,
                             profiles::v1::ListDevicesRequest(), kProbe)
                      .status());
  RETURN_IF_ERROR(observer_
                      ->Call(services.matching(), &MatchingService::Stub::ListTickets,
                             matching::v1::ListTicketsRequest(), kProbe)
                      .status());
  return observer_
      ->Call(services.messaging(), &MessagingService::Stub::ListConversations,
             messaging::v1::ListConversationsRequest(), kProbe)
      .status();
}

}  // namespace handrail::tests
