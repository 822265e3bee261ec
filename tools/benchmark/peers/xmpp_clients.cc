#include "tools/benchmark/peers/xmpp_clients.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tools/benchmark/load.h"
#include "tools/benchmark/peers/ejabberd_config.h"

namespace handrail::benchmark {
namespace {

constexpr unsigned long kTurnMilliseconds = 1;  // after which what was queued meanwhile is seen
constexpr int64_t kConnectPatience = 120'000'000'000;  // nanoseconds
constexpr int64_t kPoll = 10'000'000;

struct ReleaseStanza {
  void operator()(xmpp_stanza_t* stanza) const { xmpp_stanza_release(stanza); }
};
using Stanza = std::unique_ptr<xmpp_stanza_t, ReleaseStanza>;

std::string AddressOf(int client) { return absl::StrCat("u", client, "@", kPeerDomain); }

// A message and the request to acknowledge it are written one after the other: without this the
// second would wait for the kernel of the other side.
int SendAtOnce(xmpp_conn_t*, void* socket) {
  const int on = 1;
  return setsockopt(*static_cast<int*>(socket), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

absl::StatusOr<std::unique_ptr<XmppClients>> XmppClients::Connect(int port, int count,
                                                                  Events events) {
  auto clients = std::unique_ptr<XmppClients>(new XmppClients(port, std::move(events)));
  const absl::Status begun = clients->Begin(count);
  if (!begun.ok()) return begun;
  const int64_t give_up = SteadyNanoseconds() + kConnectPatience;
  while (clients->ready_ < count) {
    if (clients->failed_ > 0) return absl::UnavailableError("an XMPP client was refused");
    if (SteadyNanoseconds() > give_up) {
      return absl::DeadlineExceededError(
          absl::StrCat("only ", clients->ready_.load(), " of ", count, " XMPP clients are ready"));
    }
    SleepUntil(SteadyNanoseconds() + kPoll);
  }
  return clients;
}

absl::Status XmppClients::Begin(int count) {
  xmpp_initialize();
  context_ = xmpp_ctx_new(nullptr, nullptr);
  for (int number = 0; number < count; ++number) {
    Client& client = *clients_.emplace_back(std::make_unique<Client>());
    client.all = this;
    client.number = number;
    client.connection = xmpp_conn_new(context_);
    xmpp_conn_set_jid(client.connection, (AddressOf(number) + "/bench").c_str());
    xmpp_conn_set_pass(client.connection, kPeerPassword);
    xmpp_conn_set_flags(client.connection, XMPP_CONN_FLAG_DISABLE_TLS);
    xmpp_conn_set_sockopt_callback(client.connection, SendAtOnce);
    if (xmpp_connect_client(client.connection, "127.0.0.1", static_cast<unsigned short>(port_),
                            OnConnection, &client) != XMPP_EOK) {
      return absl::UnavailableError("an XMPP client cannot connect");
    }
  }
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

XmppClients::~XmppClients() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  for (const auto& client : clients_) xmpp_conn_release(client->connection);
  if (context_ != nullptr) xmpp_ctx_free(context_);
  xmpp_shutdown();
}

void XmppClients::Run() {
  while (!stopping_) {
    SendQueued();
    xmpp_run_once(context_, kTurnMilliseconds);
  }
}

void XmppClients::Send(int from, int to, const std::string& body) {
  if (std::this_thread::get_id() == thread_.get_id()) return SendNow({from, to, body});
  MutexLock lock(mutex_);
  queue_.push_back({from, to, body});
}

void XmppClients::SendQueued() {
  std::deque<Outgoing> queued;
  {
    MutexLock lock(mutex_);
    queued.swap(queue_);
  }
  for (const Outgoing& message : queued) SendNow(message);
}

void XmppClients::SendNow(const Outgoing& message) {
  Client& client = *clients_[static_cast<size_t>(message.from)];
  if (client.failed) return Fail(client);
  const Stanza stanza(xmpp_message_new(context_, "chat", AddressOf(message.to).c_str(), nullptr));
  xmpp_message_set_body(stanza.get(), message.body.c_str());
  ++client.sent;
  xmpp_send(client.connection, stanza.get());
}

void XmppClients::Fail(Client& client) {
  if (!std::exchange(client.failed, true)) ++failed_;
  events_.on_acknowledged(client.number, absl::UnavailableError("the XMPP stream ended"));
}

void XmppClients::OnConnection(xmpp_conn_t* connection, xmpp_conn_event_t event, int,
                               xmpp_stream_error_t*, void* context) {
  Client& client = *static_cast<Client*>(context);
  if (event != XMPP_CONN_CONNECT) return client.all->Fail(client);
  xmpp_handler_add(connection, OnAcknowledgement, XMPP_NS_SM, "a", nullptr, context);
  xmpp_handler_add(connection, OnPresence, nullptr, "presence", nullptr, context);
  xmpp_handler_add(connection, OnMessage, nullptr, "message", nullptr, context);
  const Stanza presence(xmpp_presence_new(client.all->context_));
  ++client.sent;
  xmpp_send(connection, presence.get());
}

int XmppClients::OnAcknowledgement(xmpp_conn_t*, xmpp_stanza_t* stanza, void* context) {
  const Client& client = *static_cast<Client*>(context);
  const char* text = xmpp_stanza_get_attribute(stanza, "h");
  int64_t handled = 0;  // as the server counts
  if (text == nullptr || !absl::SimpleAtoi(text, &handled) || handled < client.sent) return 1;
  client.all->events_.on_acknowledged(client.number, absl::OkStatus());
  return 1;
}

// The server sends a client's own presence back, after it has answered that the stream is managed.
int XmppClients::OnPresence(xmpp_conn_t*, xmpp_stanza_t*, void* context) {
  Client& client = *static_cast<Client*>(context);
  if (!std::exchange(client.ready, true)) ++client.all->ready_;
  return 1;
}

int XmppClients::OnMessage(xmpp_conn_t*, xmpp_stanza_t*, void* context) {
  const Client& client = *static_cast<Client*>(context);
  client.all->events_.on_message(client.number);
  return 1;
}

}  // namespace handrail::benchmark
