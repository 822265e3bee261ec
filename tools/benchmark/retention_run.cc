#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "services/messaging/stores/sql_message_store.h"
#include "tools/benchmark/runs.h"

// What it costs to remove what nobody needs any more (C6).
namespace handrail::benchmark {
namespace {

// As retention does it: steps, until nothing is left to do at that time. The messages that went.
absl::StatusOr<int64_t> TrimAll(messaging::SqlMessageStore& store, absl::Time now) {
  int64_t trimmed = 0;
  while (true) {
    ASSIGN_OR_RETURN(const messaging::RetentionResult step,
                     store.TrimSome(SystemClock().Now() + absl::Seconds(60), now));
    trimmed += step.messages_trimmed;
    if (!step.more) return trimmed;
  }
}

absl::StatusOr<double> MessagesPerSecond(const std::string& database_url, int rows) {
  SystemClock clock;
  SystemRandom random;
  storage::DatabaseOptions options;
  options.url = database_url;
  ASSIGN_OR_RETURN(const auto database, storage::OpenDatabase(options));
  ASSIGN_OR_RETURN(const auto store,
                   messaging::SqlMessageStore::Create(*database, clock, random, {}));
  const absl::Time now = clock.Now();
  const absl::Time begin = now;
  ASSIGN_OR_RETURN(const int64_t early, TrimAll(*store, now));
  ASSIGN_OR_RETURN(const int64_t trimmed, TrimAll(*store, now + absl::Hours(25)));
  const double seconds = absl::ToDoubleSeconds(clock.Now() - begin);
  if (early != 0 || trimmed != rows) {
    return absl::InternalError(absl::StrCat("retention removed ", early, " messages too early, ",
                                            trimmed, " of ", rows, " when they were due"));
  }
  return static_cast<double>(trimmed) / seconds;
}

}  // namespace

absl::Status MeasureRetention(const std::string& backend, const Plan& plan, Report& report) {
  double per_second = 0;
  const auto measure = [&](const tools::Layout&, const Deployment& deployment) -> absl::Status {
    const std::string url = deployment.database_url("messaging");
    RETURN_IF_ERROR(FillMessages(url, plan.stored_rows, plan.pairs_payload_bytes));
    RETURN_IF_ERROR(FillPeople(url, plan.stored_rows));
    ASSIGN_OR_RETURN(per_second, MessagesPerSecond(url, plan.stored_rows));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(Deployment::Start(backend, measure).status());
  report.Add({"retention_1m_rows", backend, per_second, "messages/s", ""});
  return absl::OkStatus();
}

}  // namespace handrail::benchmark
