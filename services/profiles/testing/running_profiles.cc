#include "services/profiles/testing/running_profiles.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc/client.h"

namespace handrail::profiles::testing {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(15);

class MemberSync final : public matching::v1::MemberSyncService::Service {
 public:
  explicit MemberSync(PeerCopy& copy) : copy_(copy) {}
  grpc::Status ApplyMembers(grpc::ServerContext*, const matching::v1::ApplyMembersRequest* request,
                            matching::v1::ApplyMembersResponse*) override {
    copy_.Apply(request->members());
    return grpc::Status::OK;
  }
  grpc::Status ApplyBlock(grpc::ServerContext*, const matching::v1::ApplyBlockRequest* request,
                          matching::v1::ApplyBlockResponse*) override {
    copy_.Apply(request->block());
    return grpc::Status::OK;
  }

 private:
  PeerCopy& copy_;
};

class ConversationSync final : public messaging::v1::ConversationSyncService::Service {
 public:
  explicit ConversationSync(PeerCopy& copy) : copy_(copy) {}
  grpc::Status ApplyMembers(grpc::ServerContext*, const messaging::v1::ApplyMembersRequest* request,
                            messaging::v1::ApplyMembersResponse*) override {
    copy_.Apply(request->members());
    return grpc::Status::OK;
  }
  grpc::Status ApplyBlock(grpc::ServerContext*, const messaging::v1::ApplyBlockRequest* request,
                          messaging::v1::ApplyBlockResponse*) override {
    copy_.Apply(request->block());
    return grpc::Status::OK;
  }

 private:
  PeerCopy& copy_;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) {
  rpc::ClientOptions options;
  options.address = address;
  return *rpc::MakeChannel(options);
}

}  // namespace

bool WaitUntil(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

void PeerCopy::Apply(
    const google::protobuf::RepeatedPtrField<common::v1::MemberSnapshot>& members) {
  MutexLock lock(mutex_);
  for (const common::v1::MemberSnapshot& member : members) {
    common::v1::MemberSnapshot& held = members_[member.member()];
    if (member.version() > held.version()) held = member;
  }
}

void PeerCopy::Apply(const common::v1::Block& block) {
  MutexLock lock(mutex_);
  blocks_[block.name()] = block;
}

common::v1::MemberSnapshot PeerCopy::Find(const std::string& member) const {
  MutexLock lock(mutex_);
  const auto found = members_.find(member);
  return found == members_.end() ? common::v1::MemberSnapshot() : found->second;
}

bool PeerCopy::HasBlock(const std::string& name) const {
  MutexLock lock(mutex_);
  return blocks_.count(name) > 0;
}

Peers::Peers(const std::string& socket)
    : address_(absl::StrCat("unix:", socket)),
      member_sync_(std::make_unique<MemberSync>(matching)),
      conversation_sync_(std::make_unique<ConversationSync>(messaging)) {
  Start();
}

Peers::~Peers() { Stop(); }

void Peers::Start() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
  builder.RegisterService(member_sync_.get());
  builder.RegisterService(conversation_sync_.get());
  server_ = builder.BuildAndStart();
}

void Peers::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(gpr_inf_past(GPR_CLOCK_MONOTONIC));  // cancels what is under way
  server_.reset();
}

RunningProfiles::RunningProfiles(std::vector<std::string> arguments)
    : peers(folder.File("peers")), arguments_(std::move(arguments)) {}

RunningProfiles::~RunningProfiles() { Kill(); }

bool RunningProfiles::Start() {
  const std::string out = folder.File("out");
  const std::string err = folder.File("err");
  std::vector<std::string> command = {
      absl::StrCat(std::getenv("HANDRAIL_BIN_DIR"), "/handrail_profiles"),
      "--data_folder",
      folder.path(),
      "--database_url",
      absl::StrCat("sqlite://", folder.File("profiles.db")),
      "--public_address",
      absl::StrCat("unix:", folder.File("public")),
      "--internal_address",
      absl::StrCat("unix:", folder.File("internal")),
      "--admin_address",
      "127.0.0.1:0",
      "--matching_internal_address",
      absl::StrCat("unix:", folder.File("peers")),
      "--messaging_internal_address",
      absl::StrCat("unix:", folder.File("peers")),
      "--deployment",
      "test",
      "--drain_serve_on",
      "0s",
      "--drain_refuse",
      "0s"};
  command.insert(command.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::ofstream(out, std::ios::trunc).flush();
  pid_ = fork();
  if (pid_ == 0) {
    dup2(open(out.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), STDOUT_FILENO);
    dup2(open(err.c_str(), O_CREAT | O_APPEND | O_WRONLY, 0600), STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  bool ended = false;
  const bool listens = WaitUntil([&] {
    ended = waitpid(pid_, nullptr, WNOHANG) == pid_;
    return ended || ReadAll(out).find('\n') != std::string::npos;
  });
  if (ended) pid_ = -1;
  return listens && !ended;
}

void RunningProfiles::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  Wait();
}

int RunningProfiles::Terminate() {
  kill(pid_, SIGTERM);
  return Wait();
}

int RunningProfiles::Wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string RunningProfiles::Errors() const { return ReadAll(folder.File("err")); }

std::shared_ptr<grpc::Channel> RunningProfiles::Public() const {
  return ChannelTo(absl::StrCat("unix:", folder.File("public")));
}

std::shared_ptr<grpc::Channel> RunningProfiles::Internal() const {
  return ChannelTo(absl::StrCat("unix:", folder.File("internal")));
}

v1::DeviceProof RunningProfiles::Prove(const crypto::SigningKey& key) const {
  v1::DeviceProof proof;
  v1::CreateChallengeRequest request;
  request.set_public_key(std::string(key.verify_key().bytes()));
  v1::CreateChallengeResponse challenge;
  const auto stub = v1::IdentityService::NewStub(Public());
  if (!stub->CreateChallenge(ContextFor("").get(), request, &challenge).ok()) return proof;
  proof.set_public_key(request.public_key());
  proof.set_challenge(challenge.challenge());
  proof.set_signature(key.Sign(absl::StrCat(challenge.signing_context(), challenge.challenge())));
  return proof;
}

App RunningProfiles::NewApp() {
  App app;
  app.key = std::make_shared<crypto::SigningKey>(crypto::SigningKey::Generate(random));
  v1::RegisterDeviceRequest request;
  *request.mutable_proof() = Prove(*app.key);
  v1::RegisterDeviceResponse response;
  const auto stub = v1::IdentityService::NewStub(Public());
  if (!stub->RegisterDevice(ContextFor("").get(), request, &response).ok()) return app;
  app.member = response.device().member();
  app.device = response.device().name();
  app.token = response.access_token().token();
  return app;
}

std::unique_ptr<grpc::ClientContext> ContextFor(const std::string& token) {
  return token.empty() ? rpc::MakeContext(kCallTimeout)
                       : rpc::MakeMemberContext(kCallTimeout, token);
}

}  // namespace handrail::profiles::testing
