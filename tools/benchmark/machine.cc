#include "tools/benchmark/machine.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace handrail::benchmark {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// In ticks of the kernel's clock; all 0 when there is no such process.
struct ProcessTimes {
  int64_t parent = 0;
  int64_t own = 0;
  int64_t ended_children = 0;
};

ProcessTimes TimesOf(const std::string& pid) {
  const std::string text = ReadAll(absl::StrCat("/proc/", pid, "/stat"));
  const size_t name_end = text.rfind(')');  // the name may hold spaces
  if (name_end == std::string::npos) return {};
  const std::vector<std::string> fields =
      absl::StrSplit(text.substr(name_end + 2), ' ', absl::SkipEmpty());
  int64_t parent = 0;
  // Fields 4 and 14 to 17 of proc(5), counted from 1 with the name as 2.
  if (fields.size() < 15 || !absl::SimpleAtoi(fields[1], &parent)) return {};
  int64_t times[4] = {};
  for (size_t i = 0; i < 4; ++i) {
    if (!absl::SimpleAtoi(fields[11 + i], &times[i])) return {};
  }
  return {parent, times[0] + times[1], times[2] + times[3]};
}

double Seconds(int64_t ticks) {
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

double CpuSeconds(pid_t pid) {
  const ProcessTimes times = TimesOf(absl::StrCat(pid));
  return Seconds(times.own);
}

double FamilyCpuSeconds(pid_t pid) {
  const ProcessTimes times = TimesOf(absl::StrCat(pid));
  int64_t ticks = times.own + times.ended_children;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (!absl::ascii_isdigit(static_cast<unsigned char>(name[0]))) continue;
    const ProcessTimes child = TimesOf(name);
    if (child.parent == pid) ticks += child.own;
  }
  return Seconds(ticks);
}

int64_t ResidentBytes(pid_t pid) {
  const std::vector<std::string> fields =
      absl::StrSplit(ReadAll(absl::StrCat("/proc/", pid, "/statm")), ' ');
  int64_t pages = 0;
  if (fields.size() < 2 || !absl::SimpleAtoi(fields[1], &pages)) return 0;
  return pages * sysconf(_SC_PAGESIZE);
}

std::string CpuModel() {
  for (absl::string_view line : absl::StrSplit(ReadAll("/proc/cpuinfo"), '\n')) {
    if (!absl::StartsWith(line, "model name")) continue;
    const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (parts.size() == 2) return std::string(absl::StripAsciiWhitespace(parts[1]));
  }
  return "unknown";
}

int Cores() { return static_cast<int>(std::thread::hardware_concurrency()); }

double LoadAverage() {
  double load = 0;
  const std::vector<std::string> fields = absl::StrSplit(ReadAll("/proc/loadavg"), ' ');
  if (!absl::SimpleAtod(fields[0], &load)) return 0;
  return load;
}

std::string FileSystemOf(const std::string& path) {
  struct statfs info {};
  if (statfs(path.c_str(), &info) != 0) return "unknown";
  switch (static_cast<uint32_t>(info.f_type)) {
    case 0xEF53: return "ext4";
    case 0x58465342: return "xfs";
    case 0x9123683E: return "btrfs";
    case 0x794C7630: return "overlayfs";
    case 0x01021994: return "tmpfs";
    case 0x6969: return "nfs";
    default: return absl::StrFormat("file system 0x%x", info.f_type);
  }
}

double CommandMicros(absl::string_view commandstats) {
  // Nothing but our scripts calls these; GET and SET are called both ways and cost next to nothing.
  static const auto* const inside = new std::set<absl::string_view>{
      "del",     "expire",  "hdel", "hget", "hincrby", "hmget",         "hset",  "info",
      "persist", "pexpire", "xadd", "zadd", "zrem",    "zrangebyscore", "zscore"};
  double micros = 0;
  for (absl::string_view line : absl::StrSplit(commandstats, absl::ByAnyChar("\r\n"))) {
    if (!absl::ConsumePrefix(&line, "cmdstat_")) continue;
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (inside->count(parts.first) > 0) continue;
    for (absl::string_view field : absl::StrSplit(parts.second, ',')) {
      double value = 0;
      if (absl::ConsumePrefix(&field, "usec=") && absl::SimpleAtod(field, &value)) micros += value;
    }
  }
  return micros;
}

bool CanListen(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool can = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return can;
}

absl::StatusOr<int> FreePorts(int count) {
  // Below the range from which the kernel takes ports for outgoing connections.
  for (int first = 20000; first + count < 32000; first += 97) {
    int free = 0;
    while (free < count && CanListen(first + free)) ++free;
    if (free == count) return first;
  }
  return absl::UnavailableError(absl::StrCat("no ", count, " free ports in a row"));
}

double MetricIn(const std::string& text, const std::string& name) {
  double sum = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, name)) continue;
    const char after = line.size() > name.size() ? line[name.size()] : '\0';
    if (after != ' ' && after != '{') continue;
    double value = 0;
    if (absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &value)) sum += value;
  }
  return sum;
}

std::string FetchMetrics(const std::string& address) {
  httplib::Client client(absl::StrCat("http://", address));
  const auto result = client.Get("/metrics");
  return result && result->status == 200 ? result->body : std::string();
}

}  // namespace handrail::benchmark
