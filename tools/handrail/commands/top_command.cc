#include <httplib.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "tools/handrail/commands/operator_context.h"
#include "tools/handrail/operators/top_view.h"

namespace handrail::tools {
namespace {

// Every look at the pools is a row in the record of operators.
constexpr absl::Duration kPoolsInterval = absl::Seconds(10);
constexpr int kMostPools = 200;

volatile std::sig_atomic_t interrupted = 0;
void Interrupt(int) { interrupted = 1; }

ServiceSample Look(const std::string& address) {
  httplib::Client client(absl::StrCat("http://", address));
  client.set_connection_timeout(std::chrono::seconds(1));
  client.set_read_timeout(std::chrono::seconds(2));
  ServiceSample sample;
  const auto ready = client.Get("/readyz");
  if (!ready) return sample;
  sample.answers = true;
  sample.ready = ready->status == 200;
  if (!sample.ready) sample.trouble = ready->body.substr(0, ready->body.find('\n')).substr(0, 60);
  const auto metrics = client.Get("/metrics");
  if (metrics) sample.metrics = Metrics::Parse(metrics->body);
  return sample;
}

// Looks at everything. The pools stay as they were read before, for a while.
class Watcher {
 public:
  // `admin` is "service=host:port" each; empty for what the data folder says.
  Watcher(Context& context, std::string as, const std::vector<std::string>& admin)
      : context_(context), as_(std::move(as)) {
    for (const std::string& one : admin) {
      const std::pair<std::string, std::string> parts =
          absl::StrSplit(one, absl::MaxSplits('=', 1));
      admin_.insert(parts);
    }
  }

  absl::StatusOr<TopSample> Take() {
    ASSIGN_OR_RETURN(const Endpoints endpoints, context_.GetEndpoints());
    TopSample sample;
    sample.time = context_.clock.Now();
    for (const auto& [service, address] : admin_.empty() ? endpoints.admin : admin_) {
      sample.services[service] = Look(address);
    }
    if (sample.time - asked_ >= kPoolsInterval) {
      asked_ = sample.time;
      auto pools = AskPools();
      trouble_ = pools.ok() ? "" : std::string(pools.status().message());
      if (pools.ok()) {
        pools_ = *std::move(pools);
        read_ = sample.time;
      }
    }
    sample.pools = pools_;
    sample.pools_time = read_;
    sample.pools_trouble = trouble_;
    return sample;
  }

 private:
  absl::StatusOr<std::vector<matching::v1::Pool>> AskPools() {
    if (person_ == nullptr) {
      ASSIGN_OR_RETURN(person_, context_.LoadOperator(as_));
    }
    return ReadPools(*person_, kMostPools,
                     {.total = absl::Seconds(2), .attempt = absl::Seconds(2)});
  }

  Context& context_;
  const std::string as_;
  std::map<std::string, std::string> admin_;
  std::unique_ptr<Person> person_;
  std::vector<matching::v1::Pool> pools_;
  std::string trouble_;
  absl::Time asked_ = absl::InfinitePast();
  absl::Time read_ = absl::InfinitePast();
};

int TerminalHeight() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 5) return 40;
  return size.ws_row - 1;
}

void WaitOrStop(const Clock& clock, absl::Duration interval) {
  const absl::Time until = clock.Now() + interval;
  while (interrupted == 0 && clock.Now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

absl::Status Top(Context& context, const std::string& as, const std::vector<std::string>& admin,
                 double interval_seconds, const bool* once) {
  const absl::Duration interval = absl::Seconds(interval_seconds);
  Watcher watcher(context, as, admin);
  ASSIGN_OR_RETURN(TopSample before, watcher.Take());
  if (*once) {
    WaitOrStop(context.clock, interval);
    ASSIGN_OR_RETURN(const TopSample now, watcher.Take());
    std::cout << TopScreen(before, now, 1000, Paint::kPlain);
    return absl::OkStatus();
  }
  struct sigaction action = {};
  action.sa_handler = Interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  while (interrupted == 0) {
    ASSIGN_OR_RETURN(TopSample now, watcher.Take());
    // Home, the screen, and what is left of the older one below it.
    if (terminal) std::cout << "\033[H\033[2J";
    std::cout << TopScreen(before, now, TerminalHeight(), terminal ? Paint::kAnsi : Paint::kPlain)
              << std::endl;
    before = std::move(now);
    WaitOrStop(context.clock, interval);
  }
  return absl::OkStatus();
}

}  // namespace

void AddTopCommand(CLI::App& app, Context& context) {
  CLI::App* top = app.add_subcommand(
      "top", "For operators: who waits, what is offered and how the services are, live");
  top->footer(
      "Rates are since the screen before. Works while a service is down, and shows it. The pools "
      "are\nread every 10 seconds, because each reading is a row in the record of operators.");
  auto as = std::make_shared<std::string>("operator");
  auto interval = std::make_shared<double>(2.0);
  auto once = std::make_shared<bool>(false);
  auto admin = std::make_shared<std::vector<std::string>>();
  top->add_option("--as", *as, "The operator, made by `handrail up` or `operator new`");
  top->add_option("--interval", *interval, "Seconds between two screens")
      ->check(CLI::Range(0.2, 60.0));
  top->add_option("--admin", *admin,
                  "service=host:port of an admin port; default: what the data folder says");
  top->add_flag("--once", *once, "One screen without colours, after one interval");
  top->callback([=, &context] {
    context.action = [=, &context] { return Top(context, *as, *admin, *interval, once.get()); };
  });
}

}  // namespace handrail::tools
