#ifndef HANDRAIL_SERVICES_MATCHING_MATCHING_PROCESS_H_
#define HANDRAIL_SERVICES_MATCHING_MATCHING_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/main_support.h"
#include "services/matching/domain/care.h"

namespace handrail::matching {

// The care that holds where nothing else is said: with the probation of new sponsors.
inline CarePolicy ProductionCare() {
  CarePolicy care;
  care.probation = absl::Hours(24 * 90);
  return care;
}

// What matching is told beside the flags that every service has.
struct MatchingOptions {
  std::string key_ring_file;  // empty: <data_folder>/keys/matching.keyring
  bool create_keys = false;   // make the key ring that is missing; implied in the data folder
  bool group_readable_keys = false;
  std::string programs_file;                        // empty: the table that is built in
  std::string messages_folder;                      // empty: English, Spanish and French
  std::string weights_file;                         // empty: the weights that are built in
  std::string crisis_file;                          // rows over the crisis lines that are built in
  int waiting_limit = 2'000'000;                    // tickets that may wait
  int member_cache = 200'000;                       // members kept in memory
  absl::Duration coalesce = absl::Milliseconds(2);  // 0..10 ms: events collected before a round
  // 0..24 h: how long seats that more tickets want than there are wait for one another.
  absl::Duration window = absl::ZeroDuration();
  absl::Duration response_deadline = absl::ZeroDuration();  // replaces the programs' when not zero
  CarePolicy care = ProductionCare();
};

// Fills what is empty from `common.data_folder`.
void SetDefaults(const rpc::CommonOptions& common, MatchingOptions& options);
// Every fault at once, each a sentence that names the flag.
std::vector<std::string> Validate(const rpc::CommonOptions& common, const MatchingOptions& options);

// The whole service. `options` has its defaults set. Codes of crypto::KeyRing::Load,
// storage::OpenDatabase and storage::ConnectRedis. A Redis that is down is no fault.
absl::StatusOr<std::unique_ptr<rpc::ServiceProcess>> MakeMatchingProcess(
    const MatchingOptions& options, const rpc::MainContext& context);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_MATCHING_PROCESS_H_
