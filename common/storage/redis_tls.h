#ifndef HANDRAIL_COMMON_STORAGE_REDIS_TLS_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_TLS_H_

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/storage/redis_endpoint.h"
#include "common/storage/redis_transport.h"

namespace handrail::storage {

// TLS 1.2 or later towards Redis: the server's certificate must come from a trusted authority and
// name the server. There is no way to switch that off. Certificates that are replaced on disk are
// used for connections made a minute later. Thread-safe.
class RedisTls {
 public:
  // Null, and a text in `faults` for each file that cannot be used.
  static std::shared_ptr<RedisTls> Create(const RedisTlsFiles& files,
                                          std::vector<std::string>& faults);

  // TLS over a connection that is being made. `host` is what the certificate must name, unless
  // RedisTlsFiles::server_name says otherwise.
  std::unique_ptr<RedisTransport> Wrap(std::unique_ptr<RedisTransport> plain,
                                       const std::string& host);

 private:
  explicit RedisTls(RedisTlsFiles files) : files_(std::move(files)) {}
  std::shared_ptr<SSL_CTX> Context();

  const RedisTlsFiles files_;
  Mutex mutex_;
  std::shared_ptr<SSL_CTX> context_ ABSL_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point loaded_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_TLS_H_
