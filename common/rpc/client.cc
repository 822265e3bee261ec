#include "common/rpc/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/authenticator.h"

namespace handrail::rpc {
namespace {

constexpr unsigned kFileRefreshSeconds = 2;
constexpr int kMaxAttempts = 3;

std::shared_ptr<grpc::ChannelCredentials> CredentialsOf(const ClientOptions& options) {
  if (options.ca_file.empty()) return grpc::InsecureChannelCredentials();
  namespace experimental = grpc::experimental;
  experimental::TlsChannelCredentialsOptions tls;
  const bool has_identity = !options.certificate_file.empty();
  tls.set_certificate_provider(std::make_shared<experimental::FileWatcherCertificateProvider>(
      has_identity ? options.key_file : "", has_identity ? options.certificate_file : "",
      options.ca_file, kFileRefreshSeconds));
  tls.watch_root_certs();
  if (has_identity) tls.watch_identity_key_cert_pairs();
  return experimental::TlsCredentials(tls);
}

absl::Duration Remaining(std::chrono::steady_clock::time_point end) {
  return absl::FromChrono(end - std::chrono::steady_clock::now());
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ClientOptions& options) {
  const auto fault = [](absl::string_view text) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid).Message(text);
  };
  if (options.address.empty()) return fault("a channel needs an address").ToStatus();
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return fault("a certificate and its key come together").ToStatus();
  }
  if (!options.certificate_file.empty() && options.ca_file.empty()) {
    return fault("a certificate of ours is of use only with TLS, which needs a CA file").ToStatus();
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_receive_bytes);
  arguments.SetLoadBalancingPolicyName("round_robin");
  // New pods get their share within seconds (operations §4).
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 2'000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  // Retries are ours (CallWithRetry): only the caller knows what is idempotent.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  if (!options.server_name.empty()) arguments.SetSslTargetNameOverride(options.server_name);
  return grpc::CreateCustomChannel(options.address, CredentialsOf(options), arguments);
}

std::unique_ptr<grpc::ClientContext> MakeContext(absl::Duration timeout) {
  auto context = std::make_unique<grpc::ClientContext>();
  // A deadline of gRPC's own kind, so that no time of day is asked.
  const absl::Duration bounded = std::clamp(timeout, absl::ZeroDuration(), absl::Hours(24));
  context->set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_micros(absl::ToInt64Microseconds(bounded), GPR_TIMESPAN)));
  return context;
}

std::unique_ptr<grpc::ClientContext> MakeServiceContext(absl::Duration timeout,
                                                        absl::string_view service,
                                                        absl::string_view trace_id) {
  auto context = MakeContext(timeout);
  context->AddMetadata(kServiceMetadata, std::string(service));
  if (trace_id.size() == 32) {
    // The parent is not known here: the trace alone ties the lines of the log together.
    context->AddMetadata("traceparent", absl::StrCat("00-", trace_id, "-0000000000000001-00"));
  }
  return context;
}

std::unique_ptr<grpc::ClientContext> MakeMemberContext(absl::Duration timeout,
                                                       absl::string_view token) {
  auto context = MakeContext(timeout);
  context->AddMetadata("authorization", absl::StrCat("Bearer ", token));
  return context;
}

absl::Status CallWithRetry(absl::Duration timeout, Random& random,
                           const std::function<absl::Status(absl::Duration timeout)>& attempt) {
  const absl::Duration bounded = std::clamp(timeout, absl::ZeroDuration(), absl::Hours(24));
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoMicroseconds(bounded);
  absl::Duration most = absl::Milliseconds(100);
  for (int i = 1;; ++i) {
    const absl::Duration left = Remaining(end);
    if (left <= absl::ZeroDuration()) {
      return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
          .Message("the call took longer than its deadline");
    }
    absl::Status status = attempt(left);
    if (status.code() != absl::StatusCode::kUnavailable || i == kMaxAttempts) return status;
    absl::Duration pause = most * random.Unit();
    if (const auto asked = DetailsOf(status).retry_after) pause += *asked;
    if (pause >= Remaining(end))
      return status;  // the answer at hand says more than a deadline would
    // allowed(sleep): the documented pause between attempts, on the caller's thread.
    std::this_thread::sleep_for(absl::ToChronoMicroseconds(pause));
    most *= 2;
  }
}

}  // namespace handrail::rpc
