#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_STORE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_STORE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/call.h"
#include "common/base/ids.h"

// The runs of operators' batches. A run makes many offers, each in a transaction of its own, so
// what is to be offered is written down before the first of them: a call that ends early goes on
// where it stopped, and one that is repeated gives its first answer. Errors as of Ledger.
namespace handrail::matching {

struct BatchRunIdTag {
  static constexpr absl::string_view kCollection = "batchRuns";
};
using BatchRunId = Id<BatchRunIdTag>;

// One pair of a run, and the offer that it becomes: the offer is there or it is not, whoever asks.
struct BatchOffer {
  TicketId ticket;
  MemberId sponsor;
  OfferId offer;
};

struct BatchRun {
  BatchRunId id;
  absl::Time create_time;
  int64_t pair_count = 0;
  bool done = false;
  int64_t offer_count = 0;        // when done: how many were made
  std::vector<BatchOffer> pairs;  // until then, in their order
};

class BatchStore {
 public:
  virtual ~BatchStore() = default;

  // The run that this request began, or nothing.
  virtual absl::StatusOr<std::optional<BatchRun>> FindRun(const Call& call) = 0;
  // Writes down what is to be offered, with a row in the operators' record; until the run is done
  // these offers, and no others, are made in a drained pool too (Ledger::MakeOffer). Under a
  // request id that began a run already: that run, whatever the pairs.
  virtual absl::StatusOr<BatchRun> BeginRun(const Call& call, absl::Time now,
                                            absl::string_view subject,
                                            absl::Span<const BatchOffer> pairs) = 0;
  // Those of `ids` that were made, in whatever state they are by now; in no order.
  virtual absl::StatusOr<std::vector<OfferId>> FindMade(absl::Time deadline,
                                                        absl::Span<const OfferId> ids) = 0;
  // Says how many offers came of it and forgets the pairs, with a row in the operators' record. The
  // first to say it is right. NOT_FOUND.
  virtual absl::StatusOr<BatchRun> FinishRun(const Call& call, absl::Time now,
                                             absl::string_view subject, const BatchRunId& id,
                                             int64_t offer_count) = 0;
  // Forgets runs that no request id names any more, at most `limit`. How many there were.
  virtual absl::StatusOr<int64_t> TrimRuns(absl::Time deadline, absl::Time now, int limit) = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_BATCH_STORE_H_
