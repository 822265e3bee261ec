// `handrail_demo`: plays the main job with a small population on real processes. Run by tools/demo.

#include <CLI/CLI.hpp>
#include <iostream>

#include "common/base/log.h"
#include "tools/handrail/demo/script.h"

int main(int argc, char** argv) {
  handrail::SetLogOptions("demo", handrail::Severity::kWarning);
  handrail::tools::DemoOptions options;
  options.data_folder = "build/demo-data";
  options.sample = "tools/handrail/demo/sample_meetings.json";
  options.encrypted = "tools/handrail/demo/encrypted";
  CLI::App app(
      "Plays Handrail's main job: newcomers ask, sponsors accept, people talk, things break.",
      "handrail_demo");
  app.option_defaults()->always_capture_default();
  app.add_option("--data", options.data_folder, "Made anew; removed first if it exists");
  app.add_option("--sample", options.sample, "The meetings that people are drawn from");
  app.add_option("--binaries", options.binary_folder, "Where the service programs are");
  app.add_option("--encrypted", options.encrypted,
                 "The script that talks end to end encrypted; empty to leave it out");
  app.add_option("--port", options.port, "Base port, as of handrail up");
  app.add_option("--newcomers", options.newcomers, "How many ask")->check(CLI::Range(20, 100000));
  app.add_option("--sponsors", options.sponsors, "How many are there for them")
      ->check(CLI::Range(10, 10000));
  app.add_option("--seed", options.seed, "The same seed draws the same people");
  CLI11_PARSE(app, argc, argv);

  handrail::SystemClock clock;
  handrail::SystemRandom random;
  handrail::tools::Demo demo(options, clock, random);
  const absl::Status status = demo.Run();
  if (status.ok()) {
    std::cout << "\nThe demo ran to its end; everything that was promised held.\n";
    return 0;
  }
  std::cerr << "\nThe demo failed: " << status.message() << "\nLogs: " << options.data_folder
            << "/log\n";
  return 1;
}
