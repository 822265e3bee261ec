#include "common/rpc/server_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace handrail::rpc {
namespace {

// The longest path that fits into sockaddr_un, with its ending NUL.
constexpr size_t kMaxUnixPath = 107;
constexpr int kMaxRequestBytes = 64 * 1024 * 1024;

absl::string_view HostOf(absl::string_view address) {
  const size_t colon = address.rfind(':');
  return colon == absl::string_view::npos ? address : address.substr(0, colon);
}

// 127.0.0.0/8 in digits; a name such as 127.example.org is none.
bool IsLoopback4(absl::string_view host) {
  return absl::StartsWith(host, "127.") &&
         host.find_first_not_of("0123456789.") == absl::string_view::npos;
}

void AddFileFaults(absl::string_view flag, const std::string& file,
                   std::vector<std::string>* faults) {
  std::error_code error;
  if (!file.empty() && !std::filesystem::is_regular_file(file, error)) {
    faults->push_back(absl::StrCat("--", flag, ": there is no file ", file));
  }
}

void AddAddressFaults(absl::string_view flag, const std::string& address,
                      std::vector<std::string>* faults) {
  if (address.empty()) return;
  if (const std::string fault = AddressFault(address); !fault.empty()) {
    faults->push_back(absl::StrCat("--", flag, ": ", fault));
  }
}

void AddLimitFaults(const ServerOptions& options, std::vector<std::string>* faults) {
  const auto positive = [faults](absl::string_view flag, int64_t value) {
    if (value <= 0) faults->push_back(absl::StrCat("--", flag, " must be more than 0"));
  };
  positive("max_in_flight", options.edge.max_in_flight);
  positive("min_in_flight", options.edge.min_in_flight);
  positive("safety_threads", options.edge.safety_threads);
  positive("max_streams", options.edge.max_streams);
  positive("max_streams_per_caller", options.edge.max_streams_per_caller);
  positive("max_concurrent_streams", options.max_concurrent_streams);
  const auto request_size = [faults](absl::string_view flag, int value) {
    if (value > 0 && value <= kMaxRequestBytes) return;
    faults->push_back(absl::StrCat("--", flag, " must lie between 1 and ", kMaxRequestBytes));
  };
  request_size("max_receive_bytes", options.edge.max_request_bytes);
  request_size("internal_max_receive_bytes", options.edge.internal_max_request_bytes);
  positive("max_metadata_bytes", options.max_metadata_bytes);
  if (options.edge.worker_threads < 0) faults->push_back("--worker_threads must not be below 0");
  if (options.edge.min_in_flight > options.edge.max_in_flight) {
    faults->push_back("--min_in_flight must not be more than --max_in_flight");
  }
  if (options.edge.rate_limit_scale < 0) {
    faults->push_back("--rate_limit_scale must not be below 0");
  }
  for (const absl::Duration phase :
       {options.drain_serve_on, options.drain_refuse, options.drain_deadline}) {
    if (phase >= absl::ZeroDuration() && phase <= absl::Hours(1)) continue;
    faults->push_back(
        "--drain_serve_on, --drain_refuse and --drain_deadline must lie between 0 and 1h");
    break;
  }
}

std::string EnvironmentOf(const std::string& name) {
  return "HANDRAIL_" + absl::AsciiStrToUpper(name);
}

template <typename T>
void AddPlainFlag(CLI::App& app, const std::string& name, T* value, const std::string& help) {
  app.add_option("--" + name, *value, help)->envname(EnvironmentOf(name))->capture_default_str();
}

}  // namespace

bool IsUnixAddress(absl::string_view address) { return absl::StartsWith(address, "unix:"); }

bool IsLocalAddress(absl::string_view address) {
  if (IsUnixAddress(address)) return true;
  const absl::string_view host = HostOf(address);
  return host == "localhost" || host == "[::1]" || IsLoopback4(host);
}

std::string AddressFault(absl::string_view address) {
  absl::string_view path = address;
  if (absl::ConsumePrefix(&path, "unix:")) {
    if (path.empty() || path[0] != '/') return "a Unix socket is written unix:/path";
    if (path.size() > kMaxUnixPath) return "the path of a Unix socket has at most 107 bytes";
    return "";
  }
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::StrCat("an address is unix:/path or host:port, not \"", address, "\"");
  }
  return "";
}

std::vector<std::string> ServerOptions::Validate() const {
  std::vector<std::string> faults;
  if (public_address.empty()) faults.push_back("--public_address is needed");
  AddAddressFaults("public_address", public_address, &faults);
  AddAddressFaults("internal_address", internal_address, &faults);
  AddAddressFaults("admin_address", admin_address, &faults);
  if (IsUnixAddress(admin_address)) faults.push_back("--admin_address must be host:port");
  AddFileFaults("tls_certificate_file", tls_certificate_file, &faults);
  AddFileFaults("tls_key_file", tls_key_file, &faults);
  AddFileFaults("tls_client_ca_file", tls_client_ca_file, &faults);
  AddFileFaults("internal_certificate_file", internal_certificate_file, &faults);
  AddFileFaults("internal_key_file", internal_key_file, &faults);
  AddFileFaults("internal_ca_file", internal_ca_file, &faults);

  if (tls_certificate_file.empty() != tls_key_file.empty()) {
    faults.push_back("--tls_certificate_file and --tls_key_file come together");
  }
  if (!tls_client_ca_file.empty() && tls_certificate_file.empty()) {
    faults.push_back("--tls_client_ca_file needs --tls_certificate_file and --tls_key_file");
  }
  // A stranger must not reach libgrpc (security §1): TLS alone does not help against that, a client
  // certificate or our proxy does.
  if (!public_address.empty() && !IsLocalAddress(public_address) && tls_client_ca_file.empty() &&
      !behind_edge) {
    faults.push_back(
        "--public_address is open to others: it needs mTLS (--tls_certificate_file, "
        "--tls_key_file, --tls_client_ca_file) or, behind the proxy that ships with Handrail, "
        "--behind_edge");
  }
  const bool internal_tls =
      !internal_certificate_file.empty() && !internal_key_file.empty() && !internal_ca_file.empty();
  const bool internal_tls_wanted =
      !internal_certificate_file.empty() || !internal_key_file.empty() || !internal_ca_file.empty();
  if (internal_tls_wanted && !internal_tls) {
    faults.push_back(
        "--internal_certificate_file, --internal_key_file and --internal_ca_file come together");
  }
  if (!internal_address.empty() && !IsUnixAddress(internal_address) && !internal_tls) {
    faults.push_back(
        "--internal_address is TCP: it needs mTLS (--internal_certificate_file, "
        "--internal_key_file, --internal_ca_file); without it use unix:/path");
  }
  // It would tell a stranger every method there is, and has no policy of its own.
  if (reflection && (behind_edge || !IsLocalAddress(public_address) ||
                     (!internal_address.empty() && !IsLocalAddress(internal_address)))) {
    faults.push_back(
        "--reflection is for development: not with --behind_edge, nor with an address that others "
        "reach");
  }
  if (trust_domain.empty()) faults.push_back("--trust_domain must not be empty");
  AddLimitFaults(*this, &faults);
  return faults;
}

void AddFlag(CLI::App& app, const std::string& name, std::string* value, const std::string& help) {
  AddPlainFlag(app, name, value, help);
}
void AddFlag(CLI::App& app, const std::string& name, int* value, const std::string& help) {
  AddPlainFlag(app, name, value, help);
}
void AddFlag(CLI::App& app, const std::string& name, double* value, const std::string& help) {
  AddPlainFlag(app, name, value, help);
}
void AddFlag(CLI::App& app, const std::string& name, bool* value, const std::string& help) {
  app.add_flag("--" + name + ",!--no" + name, *value, help)->envname(EnvironmentOf(name));
}
void AddFlag(CLI::App& app, const std::string& name, absl::Duration* value,
             const std::string& help) {
  app.add_option_function<std::string>(
         "--" + name,
         [name, value](const std::string& text) {
           if (!absl::ParseDuration(text, value)) {
             throw CLI::ValidationError("--" + name, "a duration is written like 5s or 250ms");
           }
         },
         help)
      ->envname(EnvironmentOf(name))
      ->default_str(absl::FormatDuration(*value));
}

void AddServerFlags(CLI::App& app, ServerOptions* options) {
  AddFlag(app, "public_address", &options->public_address,
          "where apps come: unix:/path, host:port");
  AddFlag(app, "internal_address", &options->internal_address, "where other services come");
  AddFlag(app, "admin_address", &options->admin_address,
          "plain HTTP for /livez, /readyz, /metrics; empty: none");
  AddFlag(app, "tls_certificate_file", &options->tls_certificate_file, "public listener, PEM");
  AddFlag(app, "tls_key_file", &options->tls_key_file, "public listener, PEM");
  AddFlag(app, "tls_client_ca_file", &options->tls_client_ca_file,
          "public listener: clients need a certificate of this authority");
  AddFlag(app, "internal_certificate_file", &options->internal_certificate_file,
          "our certificate towards other services, PEM");
  AddFlag(app, "internal_key_file", &options->internal_key_file, "its key, PEM");
  AddFlag(app, "internal_ca_file", &options->internal_ca_file, "who signs services' certificates");
  AddFlag(app, "trust_domain", &options->trust_domain, "spiffe://<trust domain>/<service>");
  app.add_option("--allowed_services", options->allowed_services,
                 "the services that may call the internal listener")
      ->delimiter(',')
      ->envname("HANDRAIL_ALLOWED_SERVICES")
      ->capture_default_str();
  AddFlag(app, "behind_edge", &options->behind_edge,
          "only the proxy that ships with Handrail reaches the public listener");
  AddFlag(app, "worker_threads", &options->edge.worker_threads, "0: 16 a core");
  AddFlag(app, "safety_threads", &options->edge.safety_threads, "kept for safety calls");
  AddFlag(app, "max_in_flight", &options->edge.max_in_flight, "unary calls under way at once");
  AddFlag(app, "min_in_flight", &options->edge.min_in_flight, "the limit never falls below");
  AddFlag(app, "max_streams", &options->edge.max_streams, "open streams");
  AddFlag(app, "max_streams_per_caller", &options->edge.max_streams_per_caller, "open streams");
  AddFlag(app, "rate_limit_scale", &options->edge.rate_limit_scale,
          "multiplies every method's rate limit; 0 lifts them, for load tests");
  AddFlag(app, "max_concurrent_streams", &options->max_concurrent_streams, "calls a connection");
  AddFlag(app, "max_receive_bytes", &options->edge.max_request_bytes, "largest request of an app");
  AddFlag(app, "internal_max_receive_bytes", &options->edge.internal_max_request_bytes,
          "largest request of a service");
  AddFlag(app, "max_metadata_bytes", &options->max_metadata_bytes, "largest headers of a call");
  AddFlag(app, "reflection", &options->reflection, "gRPC reflection, for development");
  AddFlag(app, "drain_serve_on", &options->drain_serve_on, "how long to serve on after SIGTERM");
  AddFlag(app, "drain_refuse", &options->drain_refuse,
          "then what comes is told to go elsewhere for so long");
  AddFlag(app, "drain_deadline", &options->drain_deadline, "then calls have so long to end");
}

}  // namespace handrail::rpc
