#include "common/testing/temporary_certificates.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace handrail::testing {
namespace {

void Run(const std::string& command) {
  if (std::system(absl::StrCat(command, " > /dev/null 2>&1").c_str()) == 0) return;
  std::fprintf(stderr, "TemporaryCertificates: failed: %s\n", command.c_str());
  std::abort();
}

}  // namespace

TemporaryCertificates::TemporaryCertificates(const Options& options) {
  const std::string& folder = directory_.path();
  const auto make_key = [&folder](const std::string& name) {
    Run(absl::StrCat("openssl ecparam -name prime256v1 -genkey -noout -out ", folder, "/", name,
                     ".key"));
  };
  make_key("ca");
  Run(absl::StrCat("openssl req -x509 -new -key ", folder,
                   "/ca.key -days 2 -subj /CN=test-ca -out ", authority()));
  const auto issue = [&](const std::string& name, const std::string& extensions, bool expired) {
    make_key(name);
    std::ofstream(absl::StrCat(folder, "/", name, ".ext")) << extensions;
    const std::string base = absl::StrCat(folder, "/", name);
    Run(absl::StrCat("openssl req -new -key ", base, ".key -subj /CN=", name, " -out ", base,
                     ".csr"));
    // A certificate of -1 days ended yesterday.
    Run(absl::StrCat("openssl x509 -req -in ", base, ".csr -CA ", authority(), " -CAkey ", folder,
                     "/ca.key -CAcreateserial -days ", expired ? "-1" : "2", " -extfile ", base,
                     ".ext -out ", base, ".crt"));
  };
  issue("server", absl::StrCat("subjectAltName=", options.server_names, "\n"),
        options.server_has_expired);
  issue("client", "extendedKeyUsage=clientAuth\n", false);
}

}  // namespace handrail::testing
