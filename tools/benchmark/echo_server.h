#ifndef HANDRAIL_TOOLS_BENCHMARK_ECHO_SERVER_H_
#define HANDRAIL_TOOLS_BENCHMARK_ECHO_SERVER_H_

#include <string>

namespace handrail::benchmark {

// Serves benchmark.EchoService on `address` (host:port) with gRPC's callback API and nothing else,
// until the process is asked to end. Returns the exit status.
int RunEchoServer(const std::string& address);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_ECHO_SERVER_H_
