#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "tests/faults/campaign.h"

using handrail::tests::Backend;
using handrail::tests::CampaignOptions;
using handrail::tests::RedisKind;

int main(int argc, char** argv) {
  CLI::App app{
      "Plays the main job against real processes while these are killed, stopped and flushed, and "
      "holds\n"
      "the ledgers against what the clients were told. One machine; kill -9 is not power loss."};
  CampaignOptions options;
  options.print_progress = true;
  std::string backend = "both";
  bool is_long = false;
  app.add_flag("--long", is_long, "300 faults and 20,000 acknowledged operations on each database");
  CLI::Option* faults = app.add_option("--faults", options.faults, "Faults on each database");
  CLI::Option* operations = app.add_option("--operations", options.operations,
                                           "Acknowledged operations on each database");
  app.add_option("--seed", options.seed, "Which faults come in which order");
  app.add_option("--threads", options.threads, "Client threads")->check(CLI::Range(1, 64));
  app.add_option("--backend", backend, "sqlite, postgres or both")
      ->check(CLI::IsMember({"sqlite", "postgres", "both"}));
  std::string redis = "single";
  app.add_option("--redis", redis, "single, sentinel or cluster; the last two also fail over")
      ->check(CLI::IsMember({"single", "sentinel", "cluster"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (is_long) {
    if (faults->empty()) options.faults = 300;
    if (operations->empty()) options.operations = 20'000;
    options.newcomers = 200;
    options.sponsors = 50;
    options.time_limit = absl::Hours(3);
  }
  for (const RedisKind kind : {RedisKind::kSingle, RedisKind::kSentinel, RedisKind::kCluster}) {
    if (redis == Name(kind)) options.redis = kind;
  }
  int passed = 0;
  int failed = 0;
  for (const Backend each : {Backend::kSqlite, Backend::kPostgres}) {
    if (backend != "both" && backend != Name(each)) continue;
    options.backend = each;
    const auto report = handrail::tests::RunCampaign(options);
    const bool clean = report.ok() && report->clean();
    ++(clean ? passed : failed);
    std::cout << Name(each) << " with a " << redis << " Redis, seed " << options.seed << ": "
              << (report.ok() ? report->ToString() : report.status().ToString()) << std::endl;
  }
  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return failed == 0 ? 0 : 1;
}
