#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/rpc/server.h"

namespace handrail::rpc {
namespace {

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

void LogWithoutText(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/,
                    const std::string& /*message*/) {
  Log(level >= google::protobuf::LOGLEVEL_ERROR ? Severity::kWarning : Severity::kDebug,
      "protobuf_message_refused");
}

void LogPlaceOnly(gpr_log_func_args* message) {
  if (message->severity != GPR_LOG_SEVERITY_ERROR) return;
  absl::string_view file = message->file;
  file.remove_prefix(file.rfind('/') == absl::string_view::npos ? 0 : file.rfind('/') + 1);
  Log(Severity::kDebug, "grpc_error",
      {{LogField::kDetail, absl::StrCat(file, ":", message->line)}});
}

}  // namespace

SignalWaiter::SignalWaiter() {
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

SignalWaiter::~SignalWaiter() {
  if (!second_.joinable()) return;
  stopping_ = true;
  pthread_kill(second_.native_handle(), SIGTERM);  // wakes its sigwait, and nobody else's
  second_.join();
}

int SignalWaiter::Wait() {
  const sigset_t signals = StopSignals();
  int first = 0;
  while (sigwait(&signals, &first) != 0) {
  }
  Log(Severity::kInfo, "signal", {{LogField::kSignal, static_cast<int64_t>(first)}});
  if (!second_.joinable()) {
    second_ = std::thread([this, signals] {
      int second = 0;
      while (sigwait(&signals, &second) != 0) {
      }
      if (stopping_) return;
      Log(Severity::kWarning, "second_signal", {{LogField::kSignal, static_cast<int64_t>(second)}});
      _exit(1);  // destructors could wait for what hangs
    });
  }
  return first;
}

void SilenceLibraries() {
  google::protobuf::SetLogHandler(&LogWithoutText);
  gpr_set_log_function(&LogPlaceOnly);
}

}  // namespace handrail::rpc
