#include "services/matching/domain/batch_desk.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr size_t kCodeBytes = 16;
// A plan is not a way to ask about one person.
constexpr int kFewestTickets = 5;

absl::Status OutdatedError(absl::string_view message, absl::string_view cause) {
  return Error(absl::StatusCode::kFailedPrecondition, reason::kBatchPlanOutdated)
      .Message(message)
      .Detail("cause", cause);
}

// Holds the one place in which a plan is made.
class Turn {
 public:
  explicit Turn(std::atomic<bool>& taken) : taken_(taken), mine_(!taken.exchange(true)) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (mine_) taken_.store(false);
  }
  bool mine() const { return mine_; }

 private:
  std::atomic<bool>& taken_;
  const bool mine_;
};

}  // namespace

std::optional<BatchDesk::PlanName> BatchDesk::ParseName(absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '-');
  int64_t micros = 0;
  PlanName parsed;
  if (parts.size() != 3 || parts[2].size() != 2 * kCodeBytes ||
      !absl::SimpleAtoi(parts[0], &micros) || !absl::SimpleAtoi(parts[1], &parsed.max_tickets)) {
    return std::nullopt;
  }
  parsed.create_time = absl::FromUnixMicros(micros);
  parsed.code = std::string(parts[2]);
  return parsed;
}

std::string BatchDesk::NameOf(const PoolKey& pool, absl::Time as_of, int max_tickets,
                              const BatchPlan& plan) const {
  const std::string head = absl::StrCat(absl::ToUnixMicros(as_of), "-", max_tickets);
  std::string bytes = absl::StrCat(operators_.IdOf(pool).Bytes(), head, ";");
  for (const PlannedPair& pair : plan.pairs) {
    absl::StrAppend(&bytes, pair.ticket.Bytes(), pair.sponsor.Bytes());
  }
  return absl::StrCat(head, "-", absl::BytesToHexString(mac_(bytes).substr(0, kCodeBytes)));
}

absl::StatusOr<BatchReport> BatchDesk::PlanAsOf(const Call& call, const PoolKey& pool,
                                                absl::Time as_of, int max_tickets) {
  const Turn turn(planning_);
  if (!turn.mine()) {
    return Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
        .Message("another batch is being planned here")
        .RetryAfter(absl::Seconds(1));
  }
  BatchLimits limits = options_.limits;
  limits.tickets = std::min(limits.tickets, max_tickets);
  ASSIGN_OR_RETURN(std::vector<MemberId> sponsors, sponsors_(call.deadline, pool));
  BatchMarket market(ledger_, chooser_, policies_, pool, as_of, limits);
  RETURN_IF_ERROR(market.Read(call.deadline, std::move(sponsors)));
  BatchReport report;
  report.plan = market.planner().Stable();
  report.name = NameOf(pool, as_of, max_tickets, report.plan);
  report.create_time = as_of;
  report.expire_time = as_of + options_.plan_lifetime;
  report.looked_at = market.looked_at();
  report.complete = market.complete();
  return report;
}

absl::StatusOr<BatchReport> BatchDesk::Plan(const Call& call, const PoolKey& pool,
                                            int max_tickets) {
  // A plan's name says whole microseconds.
  const absl::Time now = absl::FromUnixMicros(absl::ToUnixMicros(clock_.Now()));
  if (max_tickets <= 0) max_tickets = options_.limits.tickets;
  max_tickets = std::max(max_tickets, kFewestTickets);
  ASSIGN_OR_RETURN(BatchReport report, PlanAsOf(call, pool, now, max_tickets));
  ASSIGN_OR_RETURN(const std::vector<PoolDrain> drains, operators_.ListDrains(call.deadline, now));
  report.drained = std::any_of(drains.begin(), drains.end(),
                               [&pool](const PoolDrain& drain) { return drain.pool == pool; });
  return report;
}

absl::StatusOr<std::vector<BatchOffer>> BatchDesk::CheckPlan(const Call& call, const PoolKey& pool,
                                                             absl::string_view name) {
  const std::optional<PlanName> parsed = ParseName(name);
  if (!parsed.has_value() || parsed->max_tickets <= 0 ||
      parsed->max_tickets > options_.limits.tickets) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
        .Message("this is no name of a plan")
        .Field("plan", "must be as a dry run gave it");
  }
  const absl::Time now = clock_.Now();
  // Another replica's clock may be ahead of ours, by less than a second.
  if (parsed->create_time > now + absl::Seconds(1) ||
      parsed->create_time + options_.plan_lifetime <= now) {
    return OutdatedError("the dry run is too old: plan again, and look at it", "AGE");
  }
  ASSIGN_OR_RETURN(const BatchReport report,
                   PlanAsOf(call, pool, parsed->create_time, parsed->max_tickets));
  if (report.name != name) {
    return OutdatedError(
        "somebody's request, seats or wishes changed since the dry run, and it would have other "
        "pairs by now: plan again, and look at it",
        "POOL_CHANGED");
  }
  std::vector<BatchOffer> offers;
  for (const PlannedPair& pair : report.plan.pairs) {
    offers.push_back({pair.ticket, pair.sponsor, OfferId::Random(random_)});
  }
  return offers;
}

absl::StatusOr<BatchRun> BatchDesk::Run(const Call& call, const PoolKey& pool,
                                        absl::string_view plan) {
  const std::string subject = operators_.IdOf(pool).Name();
  ASSIGN_OR_RETURN(std::optional<BatchRun> run, runs_.FindRun(call));
  if (!run.has_value()) {
    const auto offers = CheckPlan(call, pool, plan);
    if (offers.ok()) {
      ASSIGN_OR_RETURN(run, runs_.BeginRun(call, clock_.Now(), subject, *offers));
    } else {
      // This very request may have begun elsewhere meanwhile, and its offers be what has changed.
      ASSIGN_OR_RETURN(run, runs_.FindRun(call));
      if (!run.has_value()) return offers.status();
    }
  }
  if (run->done) {
    RETURN_IF_ERROR(operators_.Record(call, clock_.Now(), subject, "OK", "repeated"));
    return *std::move(run);
  }
  ASSIGN_OR_RETURN(const int64_t made, offers_.MakeAll(call.deadline, pool, run->pairs));
  return runs_.FinishRun(call, clock_.Now(), subject, run->id, made);
}

}  // namespace handrail::matching
