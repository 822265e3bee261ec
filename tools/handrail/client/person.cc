#include "tools/handrail/client/person.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/rpc/client.h"

namespace handrail::tools {
namespace {

using nlohmann::json;

// CANCELLED among them: nothing here cancels a unary call, but a server that stops may.
bool WorthRepeating(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status) ||
         absl::IsDeadlineExceeded(status) || absl::IsAborted(status) ||
         (absl::IsResourceExhausted(status) && DetailsOf(status).retry_after.has_value());
}

// The key in a person's file; `document` gets the rest of it.
absl::StatusOr<crypto::SigningKey> ReadKey(const std::string& path, json& document) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  std::string seed;
  if (document.is_object()) seed = absl::HexStringToBytes(document.value("device_seed", ""));
  if (seed.size() != 32) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
        .Message(absl::StrCat(path, " does not hold a device key"));
  }
  return crypto::SigningKey::FromSeed(seed);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeServiceChannel(const Endpoints& endpoints,
                                                                  const std::string& address) {
  rpc::ClientOptions options;
  options.address = address;
  options.ca_file = endpoints.ca_file;
  if (!options.ca_file.empty()) {
    // gRPC would wait for a file that is not there.
    ASSIGN_OR_RETURN(const std::string authorities, ReadFile(options.ca_file));
    if (!absl::StrContains(authorities, "-----BEGIN CERTIFICATE-----")) {
      return Error(absl::StatusCode::kFailedPrecondition, reason::kConfigurationInvalid)
          .Message(absl::StrCat(options.ca_file, " holds no certificate in PEM"));
    }
  }
  return rpc::MakeChannel(options);
}

absl::StatusOr<std::unique_ptr<Services>> Services::Create(const Endpoints& endpoints) {
  ASSIGN_OR_RETURN(auto profiles_channel, MakeServiceChannel(endpoints, endpoints.profiles));
  ASSIGN_OR_RETURN(auto matching_channel, MakeServiceChannel(endpoints, endpoints.matching));
  ASSIGN_OR_RETURN(auto messaging_channel, MakeServiceChannel(endpoints, endpoints.messaging));
  auto services = std::unique_ptr<Services>(new Services);
  services->identity_ = profiles::v1::IdentityService::NewStub(profiles_channel);
  services->profile_ = profiles::v1::ProfileService::NewStub(profiles_channel);
  services->safety_ = profiles::v1::SafetyService::NewStub(profiles_channel);
  services->avoid_ = profiles::v1::AvoidService::NewStub(profiles_channel);
  services->matching_ = matching::v1::MatchingService::NewStub(matching_channel);
  services->care_ = matching::v1::CareService::NewStub(matching_channel);
  services->candidates_ = matching::v1::CandidateService::NewStub(matching_channel);
  services->help_ = matching::v1::HelpService::NewStub(matching_channel);
  services->operators_ = matching::v1::OperatorService::NewStub(matching_channel);
  services->messaging_ = messaging::v1::MessagingService::NewStub(messaging_channel);
  return services;
}

Person::Person(Services& services, Clock& clock, Random& random, crypto::SigningKey key)
    : services_(services), clock_(clock), random_(random), key_(std::move(key)) {}

absl::StatusOr<std::unique_ptr<Person>> Person::Register(Services& services, Clock& clock,
                                                         Random& random) {
  auto person = std::unique_ptr<Person>(
      new Person(services, clock, random, crypto::SigningKey::Generate(random)));
  RETURN_IF_ERROR(person->SignIn(/*register_device=*/true));
  return person;
}

absl::StatusOr<std::unique_ptr<Person>> Person::Load(Services& services, Clock& clock,
                                                     Random& random, const std::string& path) {
  json document;
  ASSIGN_OR_RETURN(crypto::SigningKey key, ReadKey(path, document));
  auto person = std::unique_ptr<Person>(new Person(services, clock, random, std::move(key)));
  person->member_ = document.value("member", "");
  person->device_ = document.value("device", "");
  return person;
}

absl::StatusOr<std::unique_ptr<Person>> Person::LoadOrRegister(Services& services, Clock& clock,
                                                               Random& random,
                                                               const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, Load(services, clock, random, path));
  if (!person->member_.empty()) return person;
  RETURN_IF_ERROR(person->SignIn(/*register_device=*/true));
  RETURN_IF_ERROR(person->Save(path));
  return person;
}

absl::Status Person::Save(const std::string& path) const {
  const json document = {{"member", member_},
                         {"device", device_},
                         {"device_seed", absl::BytesToHexString(key_.RevealSeed())}};
  return WriteFileAtomically(path, document.dump(2) + "\n");
}

std::string Person::NewRequestId() { return MessageId::Random(random_).ToString(); }

absl::StatusOr<profiles::v1::DeviceProof> Person::Prove() {
  profiles::v1::CreateChallengeRequest request;
  request.set_public_key(std::string(key_.verify_key().bytes()));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(clock_.Now() + absl::Seconds(10)));
  profiles::v1::CreateChallengeResponse challenge;
  RETURN_IF_ERROR(
      rpc::FromGrpcStatus(services_.identity().CreateChallenge(&context, request, &challenge)));
  profiles::v1::DeviceProof proof;
  proof.set_public_key(std::string(key_.verify_key().bytes()));
  proof.set_challenge(challenge.challenge());
  proof.set_signature(key_.Sign(absl::StrCat(challenge.signing_context(), challenge.challenge())));
  return proof;
}

absl::Status Person::SignIn(bool register_device) {
  ASSIGN_OR_RETURN(profiles::v1::DeviceProof proof, Prove());
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(clock_.Now() + absl::Seconds(10)));
  if (register_device) {
    profiles::v1::RegisterDeviceRequest request;
    *request.mutable_proof() = std::move(proof);
    profiles::v1::RegisterDeviceResponse response;
    RETURN_IF_ERROR(
        rpc::FromGrpcStatus(services_.identity().RegisterDevice(&context, request, &response)));
    member_ = response.access_token().member();
    device_ = response.access_token().device();
    KeepToken(response.access_token());
    return absl::OkStatus();
  }
  profiles::v1::CreateTokenRequest request;
  *request.mutable_proof() = std::move(proof);
  profiles::v1::AccessToken token;
  RETURN_IF_ERROR(rpc::FromGrpcStatus(services_.identity().CreateToken(&context, request, &token)));
  KeepToken(token);
  return absl::OkStatus();
}

void Person::KeepToken(const profiles::v1::AccessToken& token) {
  MutexLock lock(mutex_);
  token_ = token.token();
  token_expires_ = absl::FromUnixSeconds(token.expire_time().seconds());
}

absl::StatusOr<std::string> Person::TokenGoodFor(absl::Duration remaining) {
  {
    MutexLock lock(mutex_);
    if (clock_.Now() + remaining < token_expires_) return token_;
  }
  RETURN_IF_ERROR(SignIn(/*register_device=*/false));
  MutexLock lock(mutex_);
  return token_;
}

absl::Status Person::Authorize(grpc::ClientContext& context) {
  ASSIGN_OR_RETURN(const std::string token, TokenGoodFor(absl::Minutes(1)));
  context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
  return absl::OkStatus();
}

absl::Status Person::Repeat(Patience patience,
                            const std::function<grpc::Status(grpc::ClientContext&)>& attempt) {
  const absl::Time give_up = clock_.Now() + patience.total;
  absl::Duration backoff = absl::Milliseconds(50);
  bool renewed = false;
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(std::min(give_up, clock_.Now() + patience.attempt)));
    absl::Status status = Authorize(context);
    if (status.ok()) status = rpc::FromGrpcStatus(attempt(context));
    if (status.ok()) return status;
    if (absl::IsUnauthenticated(status) && !renewed) {
      renewed = true;
      MutexLock lock(mutex_);
      token_expires_ = absl::InfinitePast();
      continue;
    }
    const absl::Duration delay =
        std::max(backoff, DetailsOf(status).retry_after.value_or(absl::ZeroDuration())) *
        (0.5 + random_.Unit());
    if (!WorthRepeating(status) || clock_.Now() + delay > give_up) return status;
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(delay));
    backoff = std::min(backoff * 2, absl::Seconds(2));
  }
}

absl::StatusOr<std::string> EnsureDeviceKey(Random& random, const std::string& path) {
  if (!ReadFile(path).ok()) {
    const crypto::SigningKey key = crypto::SigningKey::Generate(random);
    const json document = {{"device_seed", absl::BytesToHexString(key.RevealSeed())}};
    RETURN_IF_ERROR(WriteFileAtomically(path, document.dump(2) + "\n"));
  }
  json document;
  ASSIGN_OR_RETURN(const crypto::SigningKey key, ReadKey(path, document));
  return absl::BytesToHexString(key.verify_key().bytes());
}

}  // namespace handrail::tools
