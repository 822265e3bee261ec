#include "common/rpc/admin_server.h"

#include <httplib.h>
#include <prometheus/gauge.h>
#include <prometheus/text_serializer.h>

#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace handrail::rpc {

struct AdminServer::Impl {
  httplib::Server server;
  std::string address;
  std::thread thread;
};

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

AdminServer::~AdminServer() {
  impl_->server.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

const std::string& AdminServer::address() const { return impl_->address; }

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const std::string& address,
                                                                Probes probes,
                                                                prometheus::Registry& registry) {
  auto impl = std::make_unique<Impl>();
  httplib::Server& server = impl->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(4); };
  server.set_read_timeout(5);
  server.set_write_timeout(5);
  server.set_payload_max_length(1024);
  // Not SO_REUSEPORT, the library's choice: with it a second process would take half of the probes.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server.Get("/livez", [live = probes.live](const httplib::Request&, httplib::Response& response) {
    const bool is_live = live();
    response.status = is_live ? 200 : 503;
    response.set_content(is_live ? "ok\n" : "the listener takes no connection\n", "text/plain");
  });
  server.Get("/readyz", [failing_checks = probes.failing_checks](const httplib::Request&,
                                                                 httplib::Response& response) {
    const std::vector<std::string> failing = failing_checks();
    response.status = failing.empty() ? 200 : 503;
    response.set_content(
        failing.empty() ? "ok\n" : absl::StrCat(absl::StrJoin(failing, "\n"), "\n"), "text/plain");
  });
  // Readiness is asked anew at each scrape, so that an alert sees what Kubernetes sees.
  prometheus::Gauge& ready = prometheus::BuildGauge()
                                 .Name("handrail_ready")
                                 .Help("1 while every readiness check passes, else 0.")
                                 .Register(registry)
                                 .Add({});
  server.Get("/metrics", [&registry, &ready, failing_checks = probes.failing_checks,
                          refresh = probes.refresh_metrics](const httplib::Request&,
                                                            httplib::Response& response) {
    refresh();
    ready.Set(failing_checks().empty() ? 1 : 0);
    response.set_content(prometheus::TextSerializer().Serialize(registry.Collect()),
                         "text/plain; version=0.0.4");
  });

  const size_t colon = address.rfind(':');
  absl::string_view host = absl::string_view(address).substr(0, colon);
  absl::ConsumePrefix(&host, "[");
  absl::ConsumeSuffix(&host, "]");
  int port = -1;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) port = -1;
  if (port == 0) {
    port = server.bind_to_any_port(std::string(host));
  } else if (port > 0 && !server.bind_to_port(std::string(host), port)) {
    port = -1;
  }
  if (port <= 0) {
    return Error(absl::StatusCode::kUnavailable, reason::kConfigurationInvalid)
        .Message(absl::StrCat("cannot listen on the admin address ", address,
                              ": it is in use or not ours"));
  }
  impl->address = absl::StrCat(address.substr(0, colon), ":", port);
  impl->thread = std::thread([&server] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();  // stop() before that would be lost
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

}  // namespace handrail::rpc
