#include "tools/benchmark/selection.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace handrail::benchmark {
namespace {

struct Link {
  const char* name;
  const char* run;
};

// Figures of which the name does not say which measurement they come from.
constexpr Link kFigures[] = {
    {"create_to_offer_p99", "pairing_lifecycle"}, {"redis_us_per_pairing", "pairing_lifecycle"},
    {"fsyncs_per_send", "send_stream"},           {"memory_per_open_stream", "idle_stream_kib"},
    {"memory_per_open_stream", "memory"},         {"first_match_after_loss", "rebuild_1m"}};

// What a measurement is compared with, which is measured in the same round.
constexpr Link kCompared[] = {
    {"request_match", "unary_echo"},       {"send_unary", "unary_echo"},
    {"pairing_lifecycle", "unary_echo"},   {"send_stream", "stream_echo"},
    {"send_stream_frames", "stream_echo"}, {"send_pairs32", "peer_ejabberd_pairs32"}};

constexpr const char* kMessaging[] = {
    "send_unary",          "send_stream",      "send_stream_frames",
    "send_pairs32",        "delivery",         "idle_stream_kib",
    "catch_up_5000",       "reconnect_1000",   "stalled_readers_p99_ratio",
    "send_stream_1m_rows", "retention_1m_rows"};

bool IsMessaging(const std::string& run) {
  return std::find(std::begin(kMessaging), std::end(kMessaging), run) != std::end(kMessaging);
}

}  // namespace

bool Selection::Names(const std::string& run) const {
  return std::any_of(only_.begin(), only_.end(), [&](const std::string& only) {
    // "delivery_p99" and "cpu_per_send_stream" mean the runs that measure them.
    if (only == run || absl::StartsWith(only, run + "_p")) return true;
    if (only == "cpu_per_" + run || only == "fsyncs_per_" + run) return true;
    if (only == "messaging" && IsMessaging(run)) return true;
    return std::any_of(std::begin(kFigures), std::end(kFigures), [&](const Link& figure) {
      return only == figure.name && run == figure.run;
    });
  });
}

bool Selection::Wants(const std::string& run) const {
  if (everything() || Names(run)) return true;
  return std::any_of(std::begin(kCompared), std::end(kCompared), [&](const Link& compared) {
    return compared.run == run && Names(compared.name);
  });
}

bool Selection::WantsServices() const { return WantsBeside({}); }

bool Selection::WantsBeside(const std::vector<std::string>& runs) const {
  return std::any_of(std::begin(kRuns), std::end(kRuns), [&](const char* other) {
    return Wants(other) && std::find(runs.begin(), runs.end(), other) == runs.end();
  });
}

}  // namespace handrail::benchmark
