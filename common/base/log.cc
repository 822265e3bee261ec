#include "common/base/log.h"

#include <unistd.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace handrail {
namespace {

absl::string_view FieldName(LogField field) {
  switch (field) {
    case LogField::kMethod: return "method";
    case LogField::kCode: return "code";
    case LogField::kReason: return "reason";
    case LogField::kLatencyUs: return "latency_us";
    case LogField::kTraceId: return "trace_id";
    case LogField::kComponent: return "component";
    case LogField::kState: return "state";
    case LogField::kFromState: return "from_state";
    case LogField::kCount: return "count";
    case LogField::kAttempt: return "attempt";
    case LogField::kDelayMs: return "delay_ms";
    case LogField::kVersion: return "version";
    case LogField::kAddress: return "address";
    case LogField::kPath: return "path";
    case LogField::kSignal: return "signal";
    case LogField::kDetail: return "detail";
  }
  return "unknown";
}

absl::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kDebug: return "DEBUG";
    case Severity::kInfo: return "INFO";
    case Severity::kWarning: return "WARNING";
    case Severity::kError: return "ERROR";
  }
  return "UNKNOWN";
}

struct LogState {
  Mutex mutex;
  std::string service ABSL_GUARDED_BY(mutex) = "handrail";
  std::function<void(absl::string_view)> sink ABSL_GUARDED_BY(mutex);
  std::atomic<Severity> threshold{Severity::kInfo};
};

LogState& State() {
  static auto* state = new LogState;  // never destroyed: threads may log until the very end
  return *state;
}

void AppendJsonString(std::string& out, absl::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      // Bytes outside ASCII are escaped one by one, so that a line is always valid JSON.
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 0x0f];
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

void Log(Severity severity, absl::string_view event, std::initializer_list<LogValue> values) {
  LogState& state = State();
  if (severity < state.threshold.load(std::memory_order_relaxed)) return;
  std::string line = absl::StrCat(
      "{\"ts\":\"", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone()),
      "\",\"severity\":\"", SeverityName(severity), "\",\"service\":");
  MutexLock lock(state.mutex);
  AppendJsonString(line, state.service);
  line += ",\"event\":";
  AppendJsonString(line, event);
  for (const LogValue& value : values) {
    absl::StrAppend(&line, ",\"", FieldName(value.field), "\":");
    if (const auto* number = std::get_if<int64_t>(&value.value)) {
      absl::StrAppend(&line, *number);
    } else {
      AppendJsonString(line, std::get<absl::string_view>(value.value));
    }
  }
  line += "}\n";
  if (state.sink) {
    state.sink(line);
    return;
  }
  // A log that cannot be written is lost; there is nowhere left to say so.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

void SetLogOptions(absl::string_view service, Severity threshold) {
  LogState& state = State();
  MutexLock lock(state.mutex);
  state.service = std::string(service);
  state.threshold = threshold;
}

void SetLogSinkForTest(std::function<void(absl::string_view line)> sink) {
  LogState& state = State();
  MutexLock lock(state.mutex);
  state.sink = std::move(sink);
}

}  // namespace handrail
