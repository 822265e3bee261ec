#include "tools/handrail/operators/batch_view.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tools/handrail/operators/tables.h"

namespace handrail::tools {
namespace {

using matching::v1::BatchPlan;
using matching::v1::BatchWaits;

std::string Counted(int64_t count, const char* one, const char* many) {
  return absl::StrCat(count, " ", count == 1 ? one : many);
}

std::string WaitsText(const BatchWaits& waits) {
  const auto word = [](const google::protobuf::Duration& wait) {
    return AgeWord(absl::Seconds(wait.seconds()));
  };
  return absl::StrCat("half up to ", word(waits.p50()), ", 90% up to ", word(waits.p90()),
                      ", 99% up to ", word(waits.p99()));
}

std::string PairTable(const BatchPlan& plan, int limit) {
  std::vector<std::vector<std::string>> rows = {{"ticket", "sponsor of this plan"}};
  for (const auto& pair : plan.pairs()) {
    if (rows.size() > static_cast<size_t>(limit)) break;
    rows.push_back({pair.ticket(), absl::StrCat(pair.sponsor_number())});
  }
  std::string text = Table(rows);
  if (plan.pairs_size() > limit) {
    absl::StrAppend(&text, "… and ", plan.pairs_size() - limit, " more; see --limit.\n");
  }
  return text;
}

}  // namespace

std::string BatchPlanText(const BatchPlan& plan, const std::string& pool_word, int limit) {
  std::string text = absl::StrCat(
      "Dry run for ", pool_word, ": nothing was changed, and nobody was asked.\n\n", "Looked at ",
      Counted(plan.looked_at(), "waiting ticket", "waiting tickets"),
      plan.complete() ? "" : ", the longest waiting; there are more", ". For ",
      CountWord(plan.tickets()), " there is somebody now; sponsors: ", CountWord(plan.sponsors()),
      ", their free seats: ", CountWord(plan.seats()), ".\n", "Would make ",
      Counted(plan.pairs_size(), "offer", "offers"), "; ", CountWord(plan.unmatched()),
      " would go on waiting, in their place.\n",
      "Pairs who would both rather have each other: ", plan.blocking_pairs(), ".\n");
  if (plan.pairs_size() > 0) {
    if (plan.mean_score() > 0) {
      absl::StrAppend(&text, "Mean score ", std::lround(plan.mean_score()), " of 100. ");
    }
    absl::StrAppend(&text, "They have waited: ", WaitsText(plan.matched_waits()), ".\n");
  }
  if (plan.unmatched().value() > 0 || plan.unmatched().under_five()) {
    absl::StrAppend(&text, "The others: ", WaitsText(plan.unmatched_waits()), ".\n");
  }
  if (plan.pairs_size() == 0) {
    absl::StrAppend(&text,
                    "There is nothing to run. `handrail explain tickets/…` tells why "
                    "somebody waits.\n");
    if (plan.drained()) {
      absl::StrAppend(&text, "The pool is drained; to open it again: handrail resume '", pool_word,
                      "'\n");
    }
    return text;
  }
  absl::StrAppend(&text, "\n", PairTable(plan, limit), "\n");
  if (!plan.drained()) {
    absl::StrAppend(&text,
                    "The matcher makes offers here too, so this may not hold for long. To "
                    "let it hold still (this withdraws every open offer, also those of an earlier "
                    "batch; nobody loses their place):\n  handrail drain pool '",
                    pool_word, "' --minutes 30\n");
  }
  absl::StrAppend(&text, "To make these offers within ten minutes (sponsors decide, as always):\n",
                  "  handrail batch run '", pool_word, "' --plan ", plan.plan(), "\n");
  return text;
}

std::string BatchRunText(const matching::v1::BatchRun& run, const std::string& pool_word) {
  std::string text =
      absl::StrCat("Made ", run.offers(), " of ", Counted(run.pairs(), "offer", "offers"), ".");
  if (run.offers() > 0) absl::StrAppend(&text, " The sponsors were told; each decides.");
  absl::StrAppend(&text, "\n");
  if (run.passed_over() > 0) {
    absl::StrAppend(&text, Counted(run.passed_over(), "ticket was", "tickets were"),
                    " passed over, because somebody changed in the meantime, and keep",
                    run.passed_over() == 1 ? "s its" : " their", " place.\n");
  }
  absl::StrAppend(&text, "See them with: handrail offers open --pool '", pool_word, "'\n",
                  "If you drained the pool for this, plan the rest before the drain ends (draining "
                  "again would withdraw these offers), then: handrail resume '",
                  pool_word, "'\n");
  return text;
}

}  // namespace handrail::tools
