#ifndef HANDRAIL_COMMON_BASE_LOG_H_
#define HANDRAIL_COMMON_BASE_LOG_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"

namespace handrail {

// The only fields a log line may have. There is no field for a member, a name, a text, a program or
// a trait, on purpose: what has no field cannot be logged. Adding one is a privacy decision.
enum class LogField {
  kMethod,  // "/handrail.matching.v1.MatchingService/RequestMatch"
  kCode,    // canonical status code
  kReason,  // handrail::reason
  kLatencyUs,
  kTraceId,
  kComponent,  // "sweeper", "outbox", "redis"
  kState,
  kFromState,
  kCount,
  kAttempt,
  kDelayMs,
  kVersion,
  kAddress,  // our own listening address or a dependency's host and port, without credentials
  kPath,     // a path of our own files
  kSignal,
  kDetail,  // a fixed text of ours, or an error text of a library that quotes no data
};

enum class Severity { kDebug, kInfo, kWarning, kError };

struct LogValue {
  LogField field;
  std::variant<int64_t, absl::string_view> value;
  LogValue(LogField f, absl::string_view v) : field(f), value(v) {}
  LogValue(LogField f, const char* v) : field(f), value(absl::string_view(v)) {}
  LogValue(LogField f, const std::string& v) : field(f), value(absl::string_view(v)) {}
  LogValue(LogField f, int64_t v) : field(f), value(v) {}
};

// Writes one JSON line to standard error with a single write(2): {"ts":…,"severity":…,"service":…,
// "event":…,fields}. `event` is a literal. Thread-safe.
void Log(Severity severity, absl::string_view event, std::initializer_list<LogValue> values = {});

// Called once by main. `service` appears in every line; lines below `threshold` are dropped.
void SetLogOptions(absl::string_view service, Severity threshold);

// Tests catch lines here; an empty function restores standard error.
void SetLogSinkForTest(std::function<void(absl::string_view line)> sink);

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_LOG_H_
