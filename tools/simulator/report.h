#ifndef HANDRAIL_TOOLS_SIMULATOR_REPORT_H_
#define HANDRAIL_TOOLS_SIMULATOR_REPORT_H_

#include <string>

#include "tools/simulator/simulator.h"

namespace handrail::simulator {

// For a terminal: a row for each supply and policy, then waits by language and program for ours.
std::string ToTable(const Report& report);
// An array with an object for each row of the table; waits in hours. Whoever reads it may rely on
// supply, policy, matched, score_vs_bound, score_vs_optimum, p99_wait, p99_wait_vs_fcfs, gini,
// starved and blocking_pairs; the rest is for the curious.
std::string ToJson(const Report& report);
// One page that needs nothing else: no script, no network; the charts are SVG in the text.
std::string ToHtml(const Report& report);

}  // namespace handrail::simulator

#endif  // HANDRAIL_TOOLS_SIMULATOR_REPORT_H_
