#ifndef HANDRAIL_SERVICES_MESSAGING_TESTING_RUNNING_MESSAGING_H_
#define HANDRAIL_SERVICES_MESSAGING_TESTING_RUNNING_MESSAGING_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/ed25519.h"
#include "common/crypto/key_set.h"
#include "common/crypto/token.h"
#include "common/rpc/testing/raw_call.h"
#include "common/rpc/testing/test_host.h"
#include "common/testing/temporary_directory.h"
#include "common/testing/temporary_redis.h"
#include "handrail/messaging/v1/attachment.grpc.pb.h"
#include "handrail/messaging/v1/conversation_sync.grpc.pb.h"
#include "handrail/messaging/v1/group.grpc.pb.h"
#include "handrail/messaging/v1/invitation.grpc.pb.h"
#include "handrail/messaging/v1/key_service.grpc.pb.h"
#include "handrail/messaging/v1/messaging.grpc.pb.h"
#include "handrail/messaging/v1/push.grpc.pb.h"
#include "handrail/messaging/v1/report.grpc.pb.h"
#include "services/messaging/messaging_process.h"
#include "services/messaging/stores/invariants.h"

// The whole service as its main builds it, over real gRPC, a real Redis and a SQLite file, with two
// people and their conversation.
namespace handrail::messaging {

inline std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) {
  rpc::ClientOptions options;
  options.address = address;
  return *rpc::MakeChannel(options);
}

// One process of the service, as its main builds it.
class Server {
 public:
  Server(const std::string& database_url, const std::string& redis_url,
         const crypto::KeySet& key_set, const std::string& name,
         const handrail::testing::TemporaryDirectory& folder)
      : keys_(clock_, "handrail", "handrail"),
        revocations_(clock_),
        tokens_(keys_, revocations_),
        services_({{"profiles", "matching"}, "handrail"}) {
    EXPECT_TRUE(keys_.Update(crypto::EncodeKeySet(key_set)).ok());
    options_.database_url = database_url;
    options_.redis_url = redis_url;
    options_.server.public_address = "unix:" + folder.File(name + ".public");
    options_.server.internal_address = "unix:" + folder.File(name + ".internal");
    options_.server.admin_address = "";
    options_.server.drain_serve_on = absl::ZeroDuration();
    options_.server.drain_refuse = absl::ZeroDuration();
    options_.server.drain_deadline = absl::Seconds(5);
    options_.server.edge.rate_limit_scale = 0;
    auto edge = rpc::Edge::Create(
        options_.server.edge, {clock_, tokens_, services_, drain_, registry_},
        {rpc::DescriptorOf<v1::MessagingService>(), rpc::DescriptorOf<v1::KeyService>(),
         rpc::DescriptorOf<v1::GroupService>(), rpc::DescriptorOf<v1::AttachmentService>(),
         rpc::DescriptorOf<v1::InvitationService>(), rpc::DescriptorOf<v1::PushService>(),
         rpc::DescriptorOf<v1::ReportService>()},
        {rpc::DescriptorOf<v1::ConversationSyncService>()});
    EXPECT_TRUE(edge.ok()) << edge.status();
    edge_ = *std::move(edge);
    context_.emplace(rpc::MainContext{options_, clock_, random_, *edge_,
                                      rpc::StreamEnvironment{timers_, drain_, random_}, registry_,
                                      keys_, revocations_});
    MessagingOptions options;
    options.key_ring_file = folder.File("messaging.keyring");
    options.create_keys = true;
    auto process = BuildMessaging(options, *context_);
    EXPECT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    auto host = rpc::ServerHost::Start(options_.server, edge_->policy(), process_->Services(),
                                       drain_, registry_);
    EXPECT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
    EXPECT_TRUE(process_->Start().ok());
  }
  ~Server() {
    host_->Stop();
    process_->Stop();
  }
  void Drain() { host_->Drain(); }
  // The value of a series, as Prometheus would read it; -1 when it is not there.
  double Metric(const std::string& series) {
    for (const auto& refresh : process_->Services().refresh_metrics) refresh();
    const std::string text = prometheus::TextSerializer().Serialize(registry_.Collect());
    const size_t at = text.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
  }
  std::string Address() const { return options_.server.public_address; }

  std::unique_ptr<v1::MessagingService::Stub> Public() const {
    return v1::MessagingService::NewStub(ChannelTo(options_.server.public_address));
  }
  std::unique_ptr<v1::KeyService::Stub> Keys() const {
    return v1::KeyService::NewStub(ChannelTo(options_.server.public_address));
  }
  std::unique_ptr<v1::GroupService::Stub> Groups() const {
    return v1::GroupService::NewStub(ChannelTo(options_.server.public_address));
  }
  std::unique_ptr<v1::AttachmentService::Stub> Attachments() const {
    return v1::AttachmentService::NewStub(ChannelTo(options_.server.public_address));
  }
  std::unique_ptr<v1::InvitationService::Stub> Invitations() const {
    return v1::InvitationService::NewStub(ChannelTo(options_.server.public_address));
  }
  std::unique_ptr<v1::ReportService::Stub> Reports() const {
    return v1::ReportService::NewStub(ChannelTo(options_.server.public_address));
  }
  std::unique_ptr<v1::PushService::Stub> Push() const {
    return v1::PushService::NewStub(ChannelTo(options_.server.public_address));
  }
  std::unique_ptr<v1::ConversationSyncService::Stub> Internal() const {
    return v1::ConversationSyncService::NewStub(ChannelTo(options_.server.internal_address));
  }

 private:
  SystemClock clock_;
  SystemRandom random_;
  rpc::CommonOptions options_;
  prometheus::Registry registry_;
  rpc::TimerQueue timers_;
  rpc::DrainNotifier drain_;
  rpc::KeySource keys_;
  rpc::RevocationSet revocations_;
  rpc::TokenAuthenticator tokens_;
  rpc::ServiceAuthenticator services_;
  std::unique_ptr<rpc::Edge> edge_;
  std::optional<rpc::MainContext> context_;
  std::unique_ptr<rpc::ServiceProcess> process_;
  std::unique_ptr<rpc::ServerHost> host_;
};

// A reader of Subscribe.
class Subscription {
 public:
  Subscription(v1::MessagingService::Stub& stub, const std::string& token,
               const std::string& conversation = "", int64_t after = 0)
      : context_(rpc::MakeMemberContext(absl::Seconds(60), token)) {
    v1::SubscribeRequest request;
    if (!conversation.empty()) {
      request.add_cursors()->set_conversation(conversation);
      request.mutable_cursors(0)->set_after_sequence(after);
    }
    reader_ = stub.Subscribe(context_.get(), request);
  }
  ~Subscription() {
    context_->TryCancel();
    reader_->Finish();
  }
  // Reads until an event of this kind came; false when the stream ended first. Envelopes that pass
  // are noted.
  bool ReadUntil(v1::SubscribeResponse::EventCase kind) {
    while (reader_->Read(&last)) {
      if (last.has_envelope()) sequences.push_back(last.envelope().sequence());
      if (last.event_case() == kind) return true;
    }
    return false;
  }
  bool ReadToSequence(int64_t sequence) {
    while (sequences.empty() || sequences.back() < sequence) {
      if (!ReadUntil(v1::SubscribeResponse::kEnvelope)) return false;
    }
    return true;
  }
  grpc::Status Finish() { return reader_->Finish(); }

  v1::SubscribeResponse last;
  std::vector<int64_t> sequences;

 private:
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReader<v1::SubscribeResponse>> reader_;
};

class MessagingIntegrationTest : public ::testing::Test {
 protected:
  MessagingIntegrationTest() {
    auto key = crypto::SigningKey::Generate(random_);
    key_set_ = {{"key-1", key.verify_key()}};
    signer_.emplace(*crypto::TokenSigner::Create("handrail", "key-1", std::move(key)));
    StartServer();
    ApplyMember(ann_, {ann_phone_}, 1);
    ApplyMember(bob_, {bob_phone_, bob_tablet_}, 1);
    conversation_ = Open(PairingId::Random(random_));
  }
  ~MessagingIntegrationTest() override {
    stub_.reset();
    server_.reset();
    storage::DatabaseOptions options;
    options.url = DatabaseUrl();
    const auto database = storage::OpenDatabase(options);
    EXPECT_TRUE(database.ok()) << database.status();
    if (database.ok()) {
      EXPECT_THAT(*CheckMessages(**database, absl::InfiniteFuture()), ::testing::IsEmpty());
    }
  }

  std::string DatabaseUrl() const { return "sqlite://" + folder_.File("messaging.db"); }
  void StartServer() {
    stub_.reset();
    server_.reset();
    server_ = std::make_unique<Server>(DatabaseUrl(), redis_.url(), key_set_, "messaging", folder_);
    stub_ = server_->Public();
  }
  std::string Token(const MemberId& member, const DeviceId& device) {
    crypto::TokenClaims claims;
    claims.audience = "handrail";
    claims.member = member;
    claims.device = device;
    claims.issued_at = clock_.Now();
    claims.not_before = absl::InfinitePast();
    claims.expires_at = clock_.Now() + absl::Minutes(10);
    claims.token_id = MessageId::Random(random_).ToString();
    return signer_->Sign(claims);
  }
  void ApplyMember(const MemberId& member, const std::vector<DeviceId>& devices, int64_t version) {
    v1::ApplyMembersRequest request;
    auto* snapshot = request.add_members();
    snapshot->set_member(member.Name());
    snapshot->set_version(version);
    snapshot->set_standing(handrail::common::v1::STANDING_GOOD);
    for (const DeviceId& device : devices) snapshot->add_devices(device.Name());
    v1::ApplyMembersResponse response;
    const auto context = rpc::MakeServiceContext(absl::Seconds(20), "profiles");
    const auto status = server_->Internal()->ApplyMembers(context.get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  std::string Open(const PairingId& pairing) {
    v1::OpenConversationRequest request;
    request.set_pairing(pairing.Name());
    request.add_members(ann_.Name());
    request.add_members(bob_.Name());
    request.set_request_id("outbox-1");
    v1::OpenConversationResponse response;
    const auto context = rpc::MakeServiceContext(absl::Seconds(20), "matching");
    const auto status = server_->Internal()->OpenConversation(context.get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.conversation();
  }
  v1::SendMessageRequest Message(const std::string& payload) {
    v1::SendMessageRequest request;
    request.set_conversation(conversation_);
    request.set_message_id(MessageId::Random(random_).ToString());
    request.set_payload(payload);
    return request;
  }
  grpc::Status Send(const v1::SendMessageRequest& request, int64_t* sequence = nullptr) {
    v1::SendMessageResponse response;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), Token(ann_, ann_phone_));
    const grpc::Status status = stub_->SendMessage(context.get(), request, &response);
    if (sequence != nullptr) *sequence = response.sequence();
    return status;
  }
  void SendMany(int count) {
    for (int i = 0; i < count; ++i) {
      const grpc::Status status = Send(Message("hello"));
      ASSERT_TRUE(status.ok()) << status.error_message();
    }
  }
  grpc::Status Ack(const std::string& token, int64_t sequence) {
    v1::AckMessagesRequest request;
    request.add_cursors()->set_conversation(conversation_);
    request.mutable_cursors(0)->set_after_sequence(sequence);
    v1::AckMessagesResponse response;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), token);
    return stub_->AckMessages(context.get(), request, &response);
  }
  std::string Bob() { return Token(bob_, bob_phone_); }
  static std::vector<int64_t> Range(int64_t first, int64_t last) {
    std::vector<int64_t> range;
    for (int64_t i = first; i <= last; ++i) range.push_back(i);
    return range;
  }

  SystemClock clock_;
  SystemRandom random_;
  handrail::testing::TemporaryDirectory folder_;
  handrail::testing::TemporaryRedis redis_;
  crypto::KeySet key_set_;
  std::optional<crypto::TokenSigner> signer_;
  const MemberId ann_ = MemberId::Random(random_);
  const MemberId bob_ = MemberId::Random(random_);
  const DeviceId ann_phone_ = DeviceId::Random(random_);
  const DeviceId bob_phone_ = DeviceId::Random(random_);
  const DeviceId bob_tablet_ = DeviceId::Random(random_);
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::MessagingService::Stub> stub_;
  std::string conversation_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_TESTING_RUNNING_MESSAGING_H_
