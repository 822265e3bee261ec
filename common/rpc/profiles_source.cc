#include "common/rpc/profiles_source.h"

#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/rpc/client.h"
#include "common/rpc/status_conversion.h"
#include "handrail/profiles/v1/directory.grpc.pb.h"
#include "handrail/profiles/v1/identity.grpc.pb.h"

namespace handrail::rpc {
namespace {

namespace v1 = profiles::v1;

constexpr absl::Duration kTimeout = absl::Seconds(2);
constexpr int kMaxPages = 1'000;

absl::StatusOr<std::string> ReadKeys(v1::IdentityService::StubInterface& stub) {
  const auto context = MakeContext(kTimeout);
  v1::ListSigningKeysResponse response;
  RETURN_IF_ERROR(
      FromGrpcStatus(stub.ListSigningKeys(context.get(), v1::ListSigningKeysRequest(), &response)));
  return response.json_web_key_set();
}

absl::StatusOr<std::vector<Revocation>> ReadRevocations(v1::DirectoryService::StubInterface& stub,
                                                        const std::string& service,
                                                        absl::Time since) {
  std::vector<Revocation> revocations;
  v1::ListRevocationsRequest request;
  const int64_t since_us = absl::ToUnixMicros(since);
  if (since_us > 0) {
    request.mutable_since()->set_seconds(since_us / 1'000'000);
    request.mutable_since()->set_nanos(static_cast<int>(since_us % 1'000'000) * 1'000);
  }
  for (int page = 0; page < kMaxPages; ++page) {
    const auto context = MakeServiceContext(kTimeout, service);
    v1::ListRevocationsResponse response;
    RETURN_IF_ERROR(FromGrpcStatus(stub.ListRevocations(context.get(), request, &response)));
    for (const v1::Revocation& revoked : response.revocations()) {
      ASSIGN_OR_RETURN(const DeviceId device, DeviceId::FromName(revoked.device()));
      revocations.push_back({device, absl::FromUnixSeconds(revoked.revoke_time().seconds()) +
                                         absl::Nanoseconds(revoked.revoke_time().nanos())});
    }
    if (response.next_page_token().empty()) return revocations;
    request.set_page_token(response.next_page_token());
  }
  return revocations;  // the newest come last and are asked for again
}

}  // namespace

KeyRefresher::Sources ProfilesSources(std::shared_ptr<grpc::Channel> public_channel,
                                      std::shared_ptr<grpc::Channel> internal_channel,
                                      std::string service) {
  KeyRefresher::Sources sources;
  const std::shared_ptr<v1::IdentityService::Stub> identity =
      v1::IdentityService::NewStub(public_channel);
  sources.keys = [identity] { return ReadKeys(*identity); };
  if (internal_channel != nullptr) {
    const std::shared_ptr<v1::DirectoryService::Stub> directory =
        v1::DirectoryService::NewStub(internal_channel);
    sources.revocations = [directory, service = std::move(service)](absl::Time since) {
      return ReadRevocations(*directory, service, since);
    };
  }
  return sources;
}

}  // namespace handrail::rpc
