#include "tools/handrail/client/person.h"

#include <gmock/gmock.h>
#include <grpcpp/security/server_credentials.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/rpc/client.h"
#include "common/testing/temporary_certificates.h"
#include "common/testing/temporary_directory.h"

namespace handrail::tools {
namespace {

using profiles::v1::IdentityService;
using testing::TemporaryCertificates;

// Answers every call with UNIMPLEMENTED, over TLS.
class TlsServer {
 public:
  explicit TlsServer(const TemporaryCertificates& certificates) {
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back(
        {*ReadFile(certificates.server_key()), *ReadFile(certificates.server_certificate())});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
  }

  Endpoints endpoints(const std::string& ca_file) const {
    const std::string address = absl::StrCat("127.0.0.1:", port_);
    Endpoints endpoints;
    endpoints.profiles = endpoints.matching = endpoints.messaging = address;
    endpoints.ca_file = ca_file;
    return endpoints;
  }

 private:
  IdentityService::Service service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

grpc::StatusCode CodeOfACall(const Endpoints& endpoints) {
  const auto services = Services::Create(endpoints);
  if (!services.ok()) return grpc::StatusCode::FAILED_PRECONDITION;
  const auto context = rpc::MakeContext(absl::Seconds(10));
  profiles::v1::CreateChallengeResponse response;
  return (*services)
      ->identity()
      .CreateChallenge(context.get(), profiles::v1::CreateChallengeRequest(), &response)
      .error_code();
}

TEST(ServicesTest, SpeakTlsToAServerOfAnAuthorityThatIsTrusted) {
  const TemporaryCertificates certificates;
  const TemporaryCertificates others;
  const TlsServer server(certificates);
  EXPECT_EQ(CodeOfACall(server.endpoints(certificates.authority())),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(CodeOfACall(server.endpoints(others.authority())), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(CodeOfACall(server.endpoints("")), grpc::StatusCode::UNAVAILABLE);
}

TEST(ServicesTest, ACaFileThatCannotBeUsedIsSaidAtOnce) {
  const TemporaryCertificates certificates;
  const testing::TemporaryDirectory directory;
  for (const std::string& file : {directory.File("none"), certificates.server_key()}) {
    Endpoints endpoints;
    endpoints.profiles = endpoints.matching = endpoints.messaging = "127.0.0.1:1";
    endpoints.ca_file = file;
    const auto services = Services::Create(endpoints);
    EXPECT_EQ(services.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(services.status().message()), ::testing::HasSubstr(file));
  }
}

}  // namespace
}  // namespace handrail::tools
