#ifndef HANDRAIL_TOOLS_BENCHMARK_PEERS_XMPP_CLIENTS_H_
#define HANDRAIL_TOOLS_BENCHMARK_PEERS_XMPP_CLIENTS_H_

#include <strophe.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"

namespace handrail::benchmark {

// XMPP clients with stream management (XEP-0198), u0 to u(n-1) of kPeerDomain, all on one thread.
// libstrophe asks for an acknowledgement after what it sends, and answers when the server asks.
class XmppClients {
 public:
  // Both run on the clients' thread and must not block.
  struct Events {
    // Everything that the client has sent was handled; or an error, after which it sends nothing.
    std::function<void(int client, const absl::Status& status)> on_acknowledged;
    std::function<void(int client)> on_message;
  };

  // Connects `count` clients to 127.0.0.1:`port` and waits until all are available and their
  // streams managed. UNAVAILABLE, DEADLINE_EXCEEDED.
  static absl::StatusOr<std::unique_ptr<XmppClients>> Connect(int port, int count, Events events);
  ~XmppClients();

  // A chat message from one client to another. Thread-safe; returns at once.
  void Send(int from, int to, const std::string& body);

 private:
  struct Client {
    XmppClients* all = nullptr;
    int number = 0;
    xmpp_conn_t* connection = nullptr;
    int64_t sent = 0;  // stanzas since the stream is managed
    bool ready = false;
    bool failed = false;
  };
  struct Outgoing {
    int from = 0;
    int to = 0;
    std::string body;
  };

  XmppClients(int port, Events events) : port_(port), events_(std::move(events)) {}
  absl::Status Begin(int count);
  void Run();
  void SendQueued();
  void SendNow(const Outgoing& message);
  void Fail(Client& client);

  static void OnConnection(xmpp_conn_t* connection, xmpp_conn_event_t event, int error,
                           xmpp_stream_error_t* stream_error, void* client);
  static int OnAcknowledgement(xmpp_conn_t* connection, xmpp_stanza_t* stanza, void* client);
  static int OnPresence(xmpp_conn_t* connection, xmpp_stanza_t* stanza, void* client);
  static int OnMessage(xmpp_conn_t* connection, xmpp_stanza_t* stanza, void* client);

  const int port_;
  const Events events_;
  xmpp_ctx_t* context_ = nullptr;
  std::vector<std::unique_ptr<Client>> clients_;  // the thread's own once it runs
  std::atomic<int> ready_{0};
  std::atomic<int> failed_{0};
  std::atomic<bool> stopping_{false};
  Mutex mutex_;
  std::deque<Outgoing> queue_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_PEERS_XMPP_CLIENTS_H_
