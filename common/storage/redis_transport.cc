#include "common/storage/redis_transport.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/redis_tls.h"

namespace handrail::storage {
namespace {

class PlainTransport final : public RedisTransport {
 public:
  explicit PlainTransport(int fd) : fd_(fd) {}
  ~PlainTransport() override { close(fd_); }
  PlainTransport(const PlainTransport&) = delete;
  PlainTransport& operator=(const PlainTransport&) = delete;

  int fd() const override { return fd_; }

  short PollEvents(bool has_output) const override {
    if (!established_) return POLLOUT;
    return static_cast<short>(has_output ? POLLIN | POLLOUT : POLLIN);
  }

  Outcome Establish() override {
    if (established_) return Outcome::kDone;
    pollfd ready = {fd_, POLLOUT, 0};
    if (poll(&ready, 1, 0) <= 0) return Outcome::kAgain;
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0) {
      failure_ = absl::AsciiStrToLower(std::strerror(error));
      return Outcome::kFailed;
    }
    established_ = true;
    return Outcome::kDone;
  }

  Transfer Read(char* out, size_t size) override { return Result(recv(fd_, out, size, 0)); }

  Transfer Write(const char* data, size_t size) override {
    return Result(send(fd_, data, size, MSG_NOSIGNAL));
  }

  std::string Failure() const override { return failure_; }

 private:
  static Transfer Result(ssize_t result) {
    if (result > 0) return {Outcome::kDone, static_cast<size_t>(result)};
    if (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
      return {Outcome::kAgain, 0};
    }
    return {Outcome::kFailed, 0};
  }

  const int fd_;
  bool established_ = false;
  std::string failure_ = "the server closed the connection";
};

absl::Status BeginError(absl::string_view what) {
  return UnavailableError(reason::kRedisUnavailable,
                          absl::StrCat(what, ": ", absl::AsciiStrToLower(std::strerror(errno))));
}

absl::StatusOr<std::unique_ptr<RedisTransport>> BeginPlainTransport(const RedisAddress& address) {
  const int family = address.storage.ss_family;
  const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return BeginError("no socket");
  auto transport = std::make_unique<PlainTransport>(fd);
  if (family != AF_UNIX) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  }
  const auto* target = reinterpret_cast<const sockaddr*>(&address.storage);
  if (connect(fd, target, address.length) != 0 && errno != EINPROGRESS) {
    return BeginError("no connection");
  }
  return transport;
}

}  // namespace

bool IsLiteral(const RedisEndpoint& endpoint) {
  if (endpoint.kind == RedisEndpoint::Kind::kUnix) return true;
  in6_addr scratch;
  return inet_pton(AF_INET, endpoint.host.c_str(), &scratch) == 1 ||
         inet_pton(AF_INET6, endpoint.host.c_str(), &scratch) == 1;
}

std::vector<RedisAddress> ResolveRedisAddresses(const RedisEndpoint& endpoint) {
  std::vector<RedisAddress> addresses;
  if (endpoint.kind == RedisEndpoint::Kind::kUnix) {
    RedisAddress address;
    auto* unix_address = reinterpret_cast<sockaddr_un*>(&address.storage);
    unix_address->sun_family = AF_UNIX;
    if (endpoint.path.size() >= sizeof(unix_address->sun_path)) return addresses;
    std::memcpy(unix_address->sun_path, endpoint.path.c_str(), endpoint.path.size() + 1);
    address.length = sizeof(sockaddr_un);
    address.text = endpoint.Address();
    addresses.push_back(address);
    return addresses;
  }
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = absl::StrCat(endpoint.port);
  if (getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &found) != 0) return addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_addrlen > sizeof(sockaddr_storage)) continue;
    RedisAddress address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.length = entry->ai_addrlen;
    address.host = endpoint.host;
    address.text = endpoint.Address();
    addresses.push_back(address);
  }
  freeaddrinfo(found);
  return addresses;
}

absl::StatusOr<std::unique_ptr<RedisTransport>> BeginRedisTransport(const RedisAddress& address,
                                                                    const RedisAccess& access) {
  ASSIGN_OR_RETURN(std::unique_ptr<RedisTransport> plain, BeginPlainTransport(address));
  if (access.tls == nullptr) return plain;
  return access.tls->Wrap(std::move(plain), address.host);
}

}  // namespace handrail::storage
