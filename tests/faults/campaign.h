#ifndef HANDRAIL_TESTS_FAULTS_CAMPAIGN_H_
#define HANDRAIL_TESTS_FAULTS_CAMPAIGN_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/support/cluster.h"
#include "tests/support/ledger_audit.h"

namespace handrail::tests {

struct CampaignOptions {
  Backend backend = Backend::kSqlite;
  RedisKind redis = RedisKind::kSingle;
  int faults = 40;
  // Acknowledged operations; both must be reached.
  int64_t operations = 5000;
  uint64_t seed = 1;
  int threads = 8;
  int newcomers = 100;
  int sponsors = 25;
  // Longest time from a fault until the service answers again.
  absl::Duration recovery_bound = absl::Seconds(30);
  // The campaign ends with a finding when it has not come to its end by then.
  absl::Duration time_limit = absl::Minutes(30);
  bool print_progress = false;
};

struct CampaignReport {
  int faults = 0;
  std::map<std::string, int> by_kind;
  AuditReport audit;
  int64_t looks_while_running = 0;
  // Replies to somebody who reached out while every database was down, all with the crisis lines.
  int lines_while_down = 0;
  // How often each kind of care, choice and help was acknowledged, and what came side by side.
  std::map<std::string, int64_t> acknowledged;
  // From the fault until the first OK.
  std::vector<absl::Duration> recoveries;
  absl::Duration took;

  bool clean() const { return audit.clean(); }
  std::string ToString() const;
};

// Newcomers and sponsors play the main job against real processes while these are killed, stopped
// and flushed: with and without a choice of their own, with offers side by side, with calls for
// help, and with the care around a pairing (days pass for each new one, so that its first check-in
// comes). Then everything comes to rest, and the ledgers are held against what people were told.
absl::StatusOr<CampaignReport> RunCampaign(const CampaignOptions& options);

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_FAULTS_CAMPAIGN_H_
