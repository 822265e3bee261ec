// KeyService over real gRPC: what two devices see of each other's key packages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/crypto/hash.h"
#include "common/rpc/status_conversion.h"
#include "services/messaging/domain/mls_framing.h"
#include "services/messaging/testing/mls_bytes.h"
#include "services/messaging/testing/running_messaging.h"

namespace handrail::messaging {
namespace {

class KeyServiceTest : public MessagingIntegrationTest {
 protected:
  void SetUp() override { keys_ = server_->Keys(); }

  std::string Package(const DeviceId& device, const std::string& salt) {
    return MlsKeyPackageBytes(device.Name(), published_at_, salt);
  }
  grpc::Status Publish(const std::string& token, const std::vector<std::string>& packages,
                       const std::string& last_resort, v1::KeyPackageCount* count = nullptr) {
    v1::PublishKeyPackagesRequest request;
    for (const std::string& package : packages) request.add_key_packages(package);
    request.set_last_resort(last_resort);
    v1::PublishKeyPackagesResponse response;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), token);
    const grpc::Status status = keys_->PublishKeyPackages(context.get(), request, &response);
    if (count != nullptr) *count = response.count();
    return status;
  }
  grpc::Status Claim(const std::string& token, const std::string& claim_id,
                     v1::ClaimKeyPackagesResponse* response) {
    v1::ClaimKeyPackagesRequest request;
    request.set_conversation(conversation_);
    request.set_claim_id(claim_id);
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), token);
    return keys_->ClaimKeyPackages(context.get(), request, response);
  }

  const absl::Time published_at_ = SystemClock().Now();
  std::unique_ptr<v1::KeyService::Stub> keys_;
};

TEST_F(KeyServiceTest, OneDevicePublishesAndTheOtherClaims) {
  v1::KeyPackageCount count;
  const std::string phone = Package(bob_phone_, "1");
  ASSERT_TRUE(Publish(Bob(), {phone}, Package(bob_phone_, "last"), &count).ok());
  EXPECT_EQ(count.available(), 1);
  EXPECT_TRUE(count.has_last_resort());
  EXPECT_TRUE(count.low());

  v1::ClaimKeyPackagesResponse claim;
  ASSERT_TRUE(Claim(Token(ann_, ann_phone_), "claim-1", &claim).ok());
  ASSERT_EQ(claim.key_packages_size(), 1);
  EXPECT_EQ(claim.key_packages(0).device(), bob_phone_.Name());
  EXPECT_EQ(claim.key_packages(0).member(), bob_.Name());
  EXPECT_EQ(claim.key_packages(0).key_package(), phone);
  EXPECT_EQ(claim.key_packages(0).reference(),
            crypto::Sha256(KeyPackageRefInput(ParseMlsKeyPackage(phone)->body)));
  EXPECT_FALSE(claim.key_packages(0).last_resort());
  EXPECT_THAT(claim.devices_without(), ::testing::ElementsAre(bob_tablet_.Name()));

  // The same after a restart, and the last resort under a new id.
  StartServer();
  keys_ = server_->Keys();
  v1::ClaimKeyPackagesResponse again;
  ASSERT_TRUE(Claim(Token(ann_, ann_phone_), "claim-1", &again).ok());
  EXPECT_EQ(again.SerializeAsString(), claim.SerializeAsString());
  v1::ClaimKeyPackagesResponse last;
  ASSERT_TRUE(Claim(Token(ann_, ann_phone_), "claim-2", &last).ok());
  EXPECT_TRUE(last.key_packages(0).last_resort());
}

TEST_F(KeyServiceTest, NobodyPublishesForAnotherOrClaimsFromOutside) {
  const grpc::Status other = Publish(Bob(), {Package(bob_tablet_, "1")}, "");
  EXPECT_EQ(other.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const MemberId stranger = MemberId::Random(random_);
  const DeviceId device = DeviceId::Random(random_);
  ApplyMember(stranger, {device}, 1);
  v1::ClaimKeyPackagesResponse claim;
  EXPECT_EQ(Claim(Token(stranger, device), "claim-1", &claim).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Claim("no token", "claim-1", &claim).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  const std::string over =
      MlsKeyPackageBytes(bob_phone_.Name(), published_at_ - absl::Hours(24 * 90), "");
  EXPECT_EQ(Publish(Bob(), {over}, "").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Claim(Bob(), "", &claim).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(KeyServiceTest, ADeviceCountsItsOwn) {
  ASSERT_TRUE(Publish(Bob(), {Package(bob_phone_, "1"), Package(bob_phone_, "2")}, "").ok());
  for (const auto& [device, expected] : {std::pair(bob_phone_, 2), std::pair(bob_tablet_, 0)}) {
    v1::CountKeyPackagesResponse response;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), Token(bob_, device));
    ASSERT_TRUE(keys_->CountKeyPackages(context.get(), {}, &response).ok());
    EXPECT_EQ(response.count().available(), expected);
  }
}

TEST_F(KeyServiceTest, AStreamTellsOnceThatFewAreLeft) {
  std::vector<std::string> packages;
  for (int i = 0; i < 21; ++i) packages.push_back(Package(bob_phone_, std::to_string(i)));
  ASSERT_TRUE(Publish(Bob(), packages, "").ok());
  Subscription stream(*stub_, Bob());
  ASSERT_TRUE(stream.ReadUntil(v1::SubscribeResponse::kCaughtUp));
  v1::ClaimKeyPackagesResponse claim;
  ASSERT_TRUE(Claim(Token(ann_, ann_phone_), "claim-1", &claim).ok());
  ASSERT_TRUE(Claim(Token(ann_, ann_phone_), "claim-2", &claim).ok());
  ASSERT_TRUE(stream.ReadUntil(v1::SubscribeResponse::kKeyPackagesLow));
  EXPECT_EQ(stream.last.key_packages_low().count().available(), 19);
  EXPECT_TRUE(stream.last.key_packages_low().count().low());

  // The next one says no more; a stream that begins says it at once.
  ASSERT_TRUE(Claim(Token(ann_, ann_phone_), "claim-3", &claim).ok());
  ASSERT_TRUE(Send(Message("hello")).ok());
  Subscription newer(*stub_, Bob());
  ASSERT_TRUE(newer.ReadUntil(v1::SubscribeResponse::kKeyPackagesLow));
  EXPECT_EQ(newer.last.key_packages_low().count().available(), 18);
  EXPECT_FALSE(stream.ReadUntil(v1::SubscribeResponse::kKeyPackagesLow));
}

TEST_F(KeyServiceTest, ADeviceLogIsToldToThoseInTheConversation) {
  v1::ApplyMembersRequest apply;
  auto* snapshot = apply.add_members();
  snapshot->set_member(bob_.Name());
  snapshot->set_version(2);
  snapshot->set_standing(handrail::common::v1::STANDING_GOOD);
  snapshot->add_devices(bob_phone_.Name());
  auto* key = apply.add_device_keys();
  key->set_device(bob_phone_.Name());
  const auto tell = [&] {
    v1::ApplyMembersResponse response;
    const auto context = rpc::MakeServiceContext(absl::Seconds(20), "profiles");
    return server_->Internal()->ApplyMembers(context.get(), apply, &response).error_code();
  };
  key->set_public_key(std::string(31, 'k'));
  EXPECT_EQ(tell(), grpc::StatusCode::INVALID_ARGUMENT);
  key->set_public_key(std::string(32, 'k'));
  ASSERT_EQ(tell(), grpc::StatusCode::OK);

  v1::ListDeviceLogResponse log;
  const auto list = [&](const std::string& token, const std::string& member, int64_t after) {
    v1::ListDeviceLogRequest request;
    request.set_member(member);
    request.set_after_index(after);
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), token);
    return keys_->ListDeviceLog(context.get(), request, &log).error_code();
  };
  ASSERT_EQ(list(Token(ann_, ann_phone_), bob_.Name(), 0), grpc::StatusCode::OK);
  ASSERT_EQ(log.entries_size(), 1);
  EXPECT_EQ(log.head_index(), 1);
  EXPECT_EQ(log.entries(0).index(), 1);
  EXPECT_EQ(log.entries(0).kind(), v1::DEVICE_LOG_KIND_ADDED);
  EXPECT_EQ(log.entries(0).device(), bob_phone_.Name());
  EXPECT_EQ(log.entries(0).public_key(), key->public_key());
  EXPECT_EQ(log.entries(0).previous_hash(), std::string(32, '\0'));
  EXPECT_EQ(log.entries(0).hash(), log.head_hash());
  ASSERT_EQ(list(Bob(), bob_.Name(), 1), grpc::StatusCode::OK);
  EXPECT_EQ(log.entries_size(), 0);
  EXPECT_EQ(log.head_index(), 1);

  const MemberId stranger = MemberId::Random(random_);
  const DeviceId device = DeviceId::Random(random_);
  ApplyMember(stranger, {device}, 1);
  EXPECT_EQ(list(Token(stranger, device), bob_.Name(), 0), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(list(Bob(), stranger.Name(), 0), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(list(Bob(), bob_.Name(), -1), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(list(Bob(), "members/", 0), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(list(Bob(), "", 0), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace handrail::messaging
