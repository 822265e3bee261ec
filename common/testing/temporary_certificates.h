#ifndef HANDRAIL_COMMON_TESTING_TEMPORARY_CERTIFICATES_H_
#define HANDRAIL_COMMON_TESTING_TEMPORARY_CERTIFICATES_H_

#include <string>

#include "common/testing/temporary_directory.h"

namespace handrail::testing {

// An authority with a server's and a client's certificate, made by the openssl command in a
// temporary folder. Ends the process when that fails. All are files of PEM.
class TemporaryCertificates {
 public:
  struct Options {
    std::string server_names = "IP:127.0.0.1,DNS:localhost";
    bool server_has_expired = false;
  };
  TemporaryCertificates() : TemporaryCertificates(Options()) {}
  explicit TemporaryCertificates(const Options& options);

  std::string authority() const { return directory_.File("ca.crt"); }
  std::string server_certificate() const { return directory_.File("server.crt"); }
  std::string server_key() const { return directory_.File("server.key"); }
  std::string client_certificate() const { return directory_.File("client.crt"); }
  std::string client_key() const { return directory_.File("client.key"); }

 private:
  const TemporaryDirectory directory_;
};

}  // namespace handrail::testing

#endif  // HANDRAIL_COMMON_TESTING_TEMPORARY_CERTIFICATES_H_
