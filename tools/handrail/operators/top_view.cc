#include "tools/handrail/operators/top_view.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tools/handrail/operators/tables.h"

namespace handrail::tools {
namespace {

using matching::v1::Pool;

constexpr char kCalls[] = "handrail_rpc_calls_total";
// Answers that say that something of ours is wrong; a refusal is not among them.
constexpr const char* kFaultCodes[] = {"UNAVAILABLE", "INTERNAL",          "UNKNOWN",
                                       "DATA_LOSS",   "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"};

double Faults(const Metrics& metrics) {
  double sum = 0;
  for (const char* code : kFaultCodes) {
    sum += metrics.Sum(kCalls, {absl::StrCat("code=\"", code, "\"")});
  }
  return sum;
}

const ServiceSample& Of(const TopSample& sample, const std::string& service) {
  static const auto* const nothing = new ServiceSample();
  const auto found = sample.services.find(service);
  return found == sample.services.end() ? *nothing : found->second;
}

// Per second; "?" when there is nothing to compare with, or the service started anew.
class Rates {
 public:
  Rates(const TopSample& before, const TopSample& now) : before_(before), now_(now) {}

  template <typename Read>
  std::string PerSecond(const std::string& service, Read read, double times = 1) const {
    const ServiceSample& was = Of(before_, service);
    const ServiceSample& is = Of(now_, service);
    const double seconds = absl::ToDoubleSeconds(now_.time - before_.time);
    if (!was.answers || !is.answers || seconds <= 0) return "?";
    const double change = read(is.metrics) - read(was.metrics);
    if (change < 0) return "?";
    return absl::StrFormat("%.1f", times * change / seconds);
  }

 private:
  const TopSample& before_;
  const TopSample& now_;
};

std::string Colour(Paint paint, int colour, const std::string& text) {
  if (paint == Paint::kPlain) return text;
  return absl::StrCat("\033[", colour, "m", text, "\033[0m");
}
constexpr int kRed = 31;
constexpr int kYellow = 33;
constexpr int kBold = 1;

std::string Seconds(double seconds) { return AgeWord(absl::Seconds(seconds)); }

std::string ServiceLines(const TopSample& before, const TopSample& now, Paint paint) {
  const Rates rates(before, now);
  std::vector<std::vector<std::string>> rows = {
      {"service", "state", "calls/s", "faults/s", "outbox", "oldest", "broken invariants", ""}};
  for (const auto& [name, service] : now.services) {
    if (!service.answers) {
      rows.push_back({name, "DOWN", "?", "?", "?", "?", "?", ""});
      continue;
    }
    const Metrics& metrics = service.metrics;
    rows.push_back({name, service.ready ? "ready" : "NOT READY",
                    rates.PerSecond(name, [](const Metrics& m) { return m.Sum(kCalls); }),
                    rates.PerSecond(name, Faults),
                    absl::StrFormat("%.0f", metrics.Sum("handrail_outbox_entries")),
                    Seconds(metrics.Max("handrail_outbox_age_seconds")),
                    absl::StrFormat("%.0f", metrics.Sum("handrail_invariant_violations")),
                    service.trouble});
  }
  std::string text;
  for (const absl::string_view line : absl::StrSplit(Table(rows), '\n', absl::SkipEmpty())) {
    const bool bad = absl::StrContains(line, " DOWN") || absl::StrContains(line, " NOT READY");
    absl::StrAppend(&text, bad ? Colour(paint, kRed, std::string(line)) : std::string(line), "\n");
  }
  return text;
}

struct Sums {
  int64_t bands[5] = {};
  int64_t waiting = 0;
  int64_t offers = 0;
  int64_t queued = 0;
  bool queue_known = true;
  absl::Time oldest = absl::InfiniteFuture();
};

Sums SumUp(const std::vector<Pool>& pools) {
  Sums sums;
  for (const Pool& pool : pools) {
    const auto& waiting = pool.waiting();
    const int64_t bands[] = {waiting.under_1h(), waiting.under_24h(), waiting.under_48h(),
                             waiting.under_72h(), waiting.over_72h()};
    for (size_t i = 0; i < 5; ++i) sums.bands[i] += bands[i];
    sums.waiting += WaitingIn(pool);
    sums.offers += pool.open_offers();
    sums.queue_known = sums.queue_known && pool.queued_tickets() >= 0;
    sums.queued += pool.queued_tickets();
    if (pool.has_oldest_create_time()) {
      sums.oldest =
          std::min(sums.oldest, absl::FromUnixSeconds(pool.oldest_create_time().seconds()));
    }
  }
  return sums;
}

std::string WaitingLines(const TopSample& before, const TopSample& now, Paint paint) {
  const Sums sums = SumUp(now.pools);
  const Rates rates(before, now);
  const Metrics& matching = Of(now, "matching").metrics;
  const auto accepted = [](const Metrics& m) {
    return m.Sum(kCalls, {"/AcceptOffer\"", "code=\"OK\""});
  };
  std::string late = absl::StrCat("48h+ ", sums.bands[3] + sums.bands[4]);
  if (sums.bands[3] + sums.bands[4] > 0) late = Colour(paint, kRed, late);
  std::string redis = "?";
  if (matching.Has("handrail_matching_redis_up")) {
    redis = matching.Sum("handrail_matching_redis_up") > 0 ? "up" : Colour(paint, kRed, "DOWN");
  }
  if (now.pools_time == absl::InfinitePast()) {
    // Numbers that nobody read are not zero.
    std::string text =
        absl::StrCat("waiting ?   offers open ?   pairings/min ",
                     rates.PerSecond("matching", accepted, 60), "   redis ", redis, "\n");
    if (!now.pools_trouble.empty()) {
      absl::StrAppend(&text, Colour(paint, kYellow, absl::StrCat("pools: ", now.pools_trouble)),
                      "\n");
    }
    return text;
  }
  const std::string lag =
      sums.queue_known ? absl::StrCat(std::max<int64_t>(0, sums.waiting - sums.queued)) : "?";
  std::string text = absl::StrCat(
      "waiting ", sums.waiting, "   under 1h ", sums.bands[0], "   24h ", sums.bands[1], "   48h ",
      sums.bands[2], "   ", late, "   oldest ",
      sums.oldest == absl::InfiniteFuture() ? "-" : AgeWord(now.time - sums.oldest), "\n");
  absl::StrAppend(&text, "offers open ", sums.offers, "   pairings/min ",
                  rates.PerSecond("matching", accepted, 60), "   sponsors free ",
                  absl::StrFormat("%.0f", matching.Sum("handrail_matching_sponsors_free")),
                  "   redis ", redis, "   not in the queues yet ", lag, "\n");
  if (!now.pools_trouble.empty()) {
    absl::StrAppend(&text, Colour(paint, kYellow, absl::StrCat("pools: ", now.pools_trouble)),
                    "\n");
  }
  return text;
}

}  // namespace

std::string TopScreen(const TopSample& before, const TopSample& now, int height, Paint paint) {
  std::string text = absl::StrCat(
      Colour(paint, kBold, "handrail top"), "   ",
      absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", now.time, absl::UTCTimeZone()),
      now.pools_time == absl::InfinitePast()
          ? "   pools: not read yet"
          : absl::StrCat("   pools read ", AgeWord(now.time - now.pools_time), " ago"),
      "\n\n", ServiceLines(before, now, paint), "\n", WaitingLines(before, now, paint), "\n");
  std::vector<Pool> pools = now.pools;
  std::sort(pools.begin(), pools.end(), [](const Pool& a, const Pool& b) {
    return std::make_pair(-WaitingIn(a), a.name()) < std::make_pair(-WaitingIn(b), b.name());
  });
  if (!pools.empty()) absl::StrAppend(&text, PoolTable(pools, now.time));
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (lines.size() > static_cast<size_t>(height)) {
    lines.resize(static_cast<size_t>(height) - 1);
    lines.push_back("… and more pools");
  }
  return absl::StrJoin(lines, "\n");
}

}  // namespace handrail::tools
