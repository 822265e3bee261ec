#ifndef HANDRAIL_TOOLS_BENCHMARK_MACHINE_H_
#define HANDRAIL_TOOLS_BENCHMARK_MACHINE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace handrail::benchmark {

// CPU time of a process so far, user and system, all threads, in seconds. 0 when it is gone.
double CpuSeconds(pid_t pid);
// The same with its children, those that ended and were waited for included: a PostgreSQL server
// with the processes that serve its connections.
double FamilyCpuSeconds(pid_t pid);
// Resident memory of a process in bytes. 0 when it is gone.
int64_t ResidentBytes(pid_t pid);

std::string CpuModel();
int Cores();
// The share of the cores that anybody used in the last minute, as the kernel's load average.
double LoadAverage();
// The kind of file system below `path`: "ext4", "tmpfs", …
std::string FileSystemOf(const std::string& path);

// Whether nobody listens on this port of 127.0.0.1.
bool CanListen(int port);
// A port from which `count` ports in a row can be listened on at this moment.
absl::StatusOr<int> FreePorts(int count);

// The value of a counter in Prometheus text, without labels: the sum where it has labels. 0 when it
// is not there.
double MetricIn(const std::string& text, const std::string& name);
// The microseconds that commands took, from Redis' INFO commandstats. Scripts count whole, and what
// they call inside is not counted again.
double CommandMicros(absl::string_view commandstats);
// GET http://address/metrics; empty when nobody answers.
std::string FetchMetrics(const std::string& address);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_MACHINE_H_
