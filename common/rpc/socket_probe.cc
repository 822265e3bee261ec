#include "common/rpc/socket_probe.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace handrail::rpc {
namespace {

struct AddressDeleter {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};

// Connects a socket of its own to one address, waiting at most `timeout`.
bool Dial(const sockaddr* address, socklen_t size, absl::Duration timeout) {
  const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  bool connected = connect(fd, address, size) == 0;
  if (!connected && errno == EINPROGRESS) {
    pollfd waiting{fd, POLLOUT, 0};
    int error = 0;
    socklen_t error_size = sizeof(error);
    connected = poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) == 1 &&
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) == 0 && error == 0;
  }
  close(fd);
  return connected;
}

bool DialUnix(absl::string_view path, absl::Duration timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  return Dial(reinterpret_cast<const sockaddr*>(&address), sizeof(address), timeout);
}

}  // namespace

bool CanConnect(const std::string& address, absl::Duration timeout) {
  absl::string_view path = address;
  if (absl::ConsumePrefix(&path, "unix:")) return DialUnix(path, timeout);
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return false;
  absl::string_view host = absl::string_view(address).substr(0, colon);
  absl::ConsumePrefix(&host, "[");
  absl::ConsumeSuffix(&host, "]");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(std::string(host).c_str(), address.substr(colon + 1).c_str(), &hints, &found) !=
      0) {
    return false;
  }
  const std::unique_ptr<addrinfo, AddressDeleter> addresses(found);
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (Dial(one->ai_addr, one->ai_addrlen, timeout)) return true;
  }
  return false;
}

absl::Status PrepareUnixSocket(const std::string& address) {
  absl::string_view view = address;
  if (!absl::ConsumePrefix(&view, "unix:")) return absl::OkStatus();
  const std::string path(view);
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return absl::OkStatus();  // nothing there
  const auto fault = [&](absl::string_view why) {
    return Error(absl::StatusCode::kUnavailable, reason::kConfigurationInvalid)
        .Message(absl::StrCat("cannot listen on ", address, ": ", why))
        .ToStatus();
  };
  if (!S_ISSOCK(info.st_mode)) return fault("something that is no socket stands there");
  if (CanConnect(address, absl::Seconds(1))) return fault("another process listens there");
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fault("a socket is left there that cannot be removed");
  }
  return absl::OkStatus();
}

}  // namespace handrail::rpc
