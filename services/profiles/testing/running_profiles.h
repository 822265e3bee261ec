#ifndef HANDRAIL_SERVICES_PROFILES_TESTING_RUNNING_PROFILES_H_
#define HANDRAIL_SERVICES_PROFILES_TESTING_RUNNING_PROFILES_H_

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/crypto/ed25519.h"
#include "common/testing/temporary_directory.h"
#include "handrail/matching/v1/member_sync.grpc.pb.h"
#include "handrail/messaging/v1/conversation_sync.grpc.pb.h"
#include "handrail/profiles/v1/identity.grpc.pb.h"

namespace handrail::profiles::testing {

// True once `condition` holds; false after 20 s.
bool WaitUntil(const std::function<bool()>& condition);

// What a peer of profiles was told over real gRPC. Thread-safe.
class PeerCopy {
 public:
  void Apply(const google::protobuf::RepeatedPtrField<common::v1::MemberSnapshot>& members);
  void Apply(const common::v1::Block& block);
  // A snapshot without a name when the member is not known.
  common::v1::MemberSnapshot Find(const std::string& member) const;
  bool HasBlock(const std::string& name) const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, common::v1::MemberSnapshot> members_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, common::v1::Block> blocks_ ABSL_GUARDED_BY(mutex_);
};

// Stands for matching and for messaging on one Unix socket; can go away and come back.
class Peers {
 public:
  explicit Peers(const std::string& socket);
  ~Peers();
  void Start();
  void Stop();

  PeerCopy matching;
  PeerCopy messaging;

 private:
  const std::string address_;
  std::unique_ptr<matching::v1::MemberSyncService::Service> member_sync_;
  std::unique_ptr<messaging::v1::ConversationSyncService::Service> conversation_sync_;
  std::unique_ptr<grpc::Server> server_;
};

// A person with one device and a token.
struct App {
  std::shared_ptr<crypto::SigningKey> key;
  std::string member;
  std::string device;
  std::string token;
};

// The program handrail_profiles on Unix sockets, with its data in a temporary folder.
class RunningProfiles {
 public:
  // With `arguments` beside those that it always gets.
  explicit RunningProfiles(std::vector<std::string> arguments = {});
  ~RunningProfiles();

  // Waits until it listens; false when it ended instead.
  bool Start();
  void Kill();
  // SIGTERM; the exit status.
  int Terminate();
  // Waits for its end by itself; the exit status.
  int Wait();
  std::string Errors() const;

  std::shared_ptr<grpc::Channel> Public() const;
  std::shared_ptr<grpc::Channel> Internal() const;
  v1::DeviceProof Prove(const crypto::SigningKey& key) const;
  // Registers someone new and signs them in; without a token when that failed.
  App NewApp();

  ::handrail::testing::TemporaryDirectory folder;
  SystemRandom random;
  Peers peers;

 private:
  const std::vector<std::string> arguments_;
  pid_t pid_ = -1;
};

// For one call of an app; without a token when `token` is empty.
std::unique_ptr<grpc::ClientContext> ContextFor(const std::string& token);

}  // namespace handrail::profiles::testing

#endif  // HANDRAIL_SERVICES_PROFILES_TESTING_RUNNING_PROFILES_H_
