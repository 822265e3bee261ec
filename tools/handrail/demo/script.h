#ifndef HANDRAIL_TOOLS_HANDRAIL_DEMO_SCRIPT_H_
#define HANDRAIL_TOOLS_HANDRAIL_DEMO_SCRIPT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "tools/handrail/demo/actors.h"
#include "tools/handrail/demo/narrator.h"
#include "tools/handrail/demo/population.h"
#include "tools/handrail/up/supervisor.h"

namespace handrail::tools {

struct DemoOptions {
  std::string data_folder;
  std::string sample;  // a Meeting Guide file of our own
  std::string binary_folder;
  std::string encrypted;  // the script of the chapters that run commands; left out when empty
  int port = 7700;
  int newcomers = 200;
  int sponsors = 48;
  uint64_t seed = 1;
};

// Plays the main job on real processes and tells what happens. OK when nobody was lost and every
// invariant holds in the ledgers at the end.
class Demo {
 public:
  Demo(DemoOptions options, Clock& clock, Random& system_random);
  ~Demo();

  absl::Status Run();

 private:
  // The chapters, in order.
  absl::Status StartEverything();
  absl::Status BringPeople();
  absl::Status AskAndMatch();
  absl::Status TalkTogether();
  absl::Status BreakThings();
  absl::Status TalkThroughRestart();
  absl::Status TalkEncrypted();
  absl::Status CheckLedgers();

  absl::Status LookAtEveryone();
  std::string Counts() const;
  // Looks at everyone every half second until `done`, or until `timeout` passed.
  absl::Status WaitUntil(absl::Duration timeout, const std::function<bool()>& done,
                         absl::string_view what);
  absl::Status Kill(const std::string& service);
  absl::Status FlushRedis();
  NewcomerActor* AnyPaired();
  SponsorActor* SponsorOf(NewcomerActor& newcomer);

  const DemoOptions options_;
  Clock& clock_;
  Random& random_;  // keys and ids; the population has a seeded source of its own
  Narrator narrator_;
  Tally tally_;
  std::unique_ptr<Supervisor> supervisor_;
  std::thread supervisor_thread_;
  std::atomic<bool> stop_supervisor_{false};
  std::unique_ptr<Services> services_;
  std::vector<std::unique_ptr<NewcomerActor>> newcomers_;
  std::vector<std::unique_ptr<SponsorActor>> sponsors_;
};

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_DEMO_SCRIPT_H_
