// The program handrail_profiles as apps and the other services meet it: real gRPC, a real file,
// keys made at the first start, peers that go away and come back.
#include <grpcpp/generic/generic_stub.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/client.h"
#include "common/rpc/status_conversion.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "handrail/common/v1/policy.pb.h"
#include "handrail/profiles/v1/case_sync.grpc.pb.h"
#include "handrail/profiles/v1/directory.grpc.pb.h"
#include "handrail/profiles/v1/profile.grpc.pb.h"
#include "handrail/profiles/v1/safety.grpc.pb.h"
#include "services/profiles/testing/running_profiles.h"

namespace handrail::profiles {
namespace {

using testing::App;
using testing::ContextFor;
using testing::RunningProfiles;
using testing::WaitUntil;

std::string ReasonOf(const grpc::Status& status) {
  return status.ok() ? "" : handrail::ReasonOf(rpc::FromGrpcStatus(status));
}

class ProfilesServiceTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(profiles_.Start()) << profiles_.Errors(); }

  grpc::Status Update(const App& app, const v1::Profile& profile, const std::string& request_id,
                      v1::Profile* response) {
    v1::UpdateProfileRequest request;
    *request.mutable_profile() = profile;
    request.set_request_id(request_id);
    return v1::ProfileService::NewStub(profiles_.Public())
        ->UpdateProfile(ContextFor(app.token).get(), request, response);
  }
  grpc::Status Grant(const App& app, v1::ConsentPurpose purpose, const std::string& request_id) {
    v1::GrantConsentRequest request;
    request.set_purpose(purpose);
    request.set_notice_version("2026-01");
    request.set_notice_language("en");
    request.set_request_id(request_id);
    v1::ConsentReceipt receipt;
    return v1::ProfileService::NewStub(profiles_.Public())
        ->GrantConsent(ContextFor(app.token).get(), request, &receipt);
  }
  grpc::Status Block(const App& app, const std::string& member, const std::string& request_id,
                     v1::BlockMemberResponse* response) {
    v1::BlockMemberRequest request;
    request.set_member(member);
    request.set_request_id(request_id);
    return v1::SafetyService::NewStub(profiles_.Public())
        ->BlockMember(ContextFor(app.token).get(), request, response);
  }
  grpc::Status GetOwn(const App& app, v1::Profile* response) {
    return v1::ProfileService::NewStub(profiles_.Public())
        ->GetProfile(ContextFor(app.token).get(), {}, response);
  }

  // An empty request to any method; its status.
  static grpc::Status CallEmpty(const std::shared_ptr<grpc::Channel>& channel,
                                const google::protobuf::MethodDescriptor& method,
                                std::unique_ptr<grpc::ClientContext> context) {
    grpc::GenericStub stub(channel);
    const std::string name = absl::StrCat("/", method.service()->full_name(), "/", method.name());
    grpc::ByteBuffer request(nullptr, 0);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> done;
    stub.UnaryCall(context.get(), name, grpc::StubOptions(), &request, &response,
                   [&](grpc::Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }

  RunningProfiles profiles_;
};

// Every method × {no token, member, another service} on both listeners, from the policy that stands
// in the protos.
TEST_F(ProfilesServiceTest, EveryMethodLetsInWhoItsPolicySays) {
  const App app = profiles_.NewApp();
  ASSERT_FALSE(app.token.empty());
  const auto service = [](absl::string_view name) {
    return rpc::MakeServiceContext(absl::Seconds(15), name);
  };
  int methods = 0;
  for (const char* file : {"identity", "profile", "safety", "avoid", "directory"}) {
    const auto* descriptor =
        google::protobuf::DescriptorPool::generated_pool()
            ->FindFileByName(absl::StrCat("handrail/profiles/v1/", file, ".proto"))
            ->service(0);
    for (int i = 0; i < descriptor->method_count(); ++i, ++methods) {
      const auto& method = *descriptor->method(i);
      const auto access = method.options().GetExtension(common::v1::policy).access();
      SCOPED_TRACE(method.full_name());
      const auto none = CallEmpty(profiles_.Public(), method, ContextFor(""));
      const auto member = CallEmpty(profiles_.Public(), method, ContextFor(app.token));
      const auto forged = CallEmpty(profiles_.Public(), method, ContextFor(app.token + "A"));
      const auto outside = CallEmpty(profiles_.Public(), method, service("matching"));
      const auto inside = CallEmpty(profiles_.Internal(), method, service("matching"));
      const auto stranger = CallEmpty(profiles_.Internal(), method, service("stranger"));
      const auto unnamed = CallEmpty(profiles_.Internal(), method, ContextFor(app.token));
      const auto refusals = ::testing::AnyOf("TOKEN_MISSING", "TOKEN_INVALID", "ROLE_REQUIRED");
      switch (access) {
        case common::v1::ACCESS_PUBLIC:
          EXPECT_THAT(ReasonOf(none), ::testing::Not(refusals));
          EXPECT_THAT(ReasonOf(member), ::testing::Not(refusals));
          EXPECT_EQ(inside.error_code(), grpc::StatusCode::UNIMPLEMENTED);
          break;
        case common::v1::ACCESS_MEMBER:
          EXPECT_EQ(ReasonOf(none), "TOKEN_MISSING");
          EXPECT_EQ(ReasonOf(outside), "TOKEN_MISSING");
          EXPECT_EQ(ReasonOf(forged), "TOKEN_INVALID");
          EXPECT_THAT(ReasonOf(member), ::testing::Not(refusals));
          EXPECT_EQ(inside.error_code(), grpc::StatusCode::UNIMPLEMENTED);
          break;
        case common::v1::ACCESS_SERVICE:
          EXPECT_EQ(none.error_code(), grpc::StatusCode::UNIMPLEMENTED);
          EXPECT_EQ(member.error_code(), grpc::StatusCode::UNIMPLEMENTED);
          EXPECT_EQ(outside.error_code(), grpc::StatusCode::UNIMPLEMENTED);
          EXPECT_THAT(ReasonOf(inside), ::testing::Not(refusals));
          EXPECT_FALSE(stranger.ok());
          EXPECT_FALSE(unnamed.ok());
          EXPECT_NE(stranger.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
          EXPECT_NE(unnamed.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
          break;
        default: ADD_FAILURE() << "an access that this matrix does not know";
      }
    }
  }
  EXPECT_EQ(methods, 20);
}

TEST_F(ProfilesServiceTest, AProfileTravelsWholeAndReachesMatchingWithConsentOnly) {
  const App app = profiles_.NewApp();
  v1::Profile profile;
  profile.set_pseudonym("Sparrow");
  auto* person = profile.mutable_newcomer()->mutable_person();
  person->add_languages("en");
  person->set_time_zone("Europe/Dublin");
  person->set_age_band(common::v1::AGE_BAND_25_34);
  auto* window = person->add_availability();
  window->set_iso_weekday(7);
  window->set_start_minute(1200);
  window->set_length_minutes(300);
  auto* program = profile.mutable_sponsor()->add_programs();
  program->set_philosophy(common::v1::PHILOSOPHY_TWELVE_STEP_NA);
  program->mutable_recovery_date()->set_year(2020);
  program->mutable_recovery_date()->set_month(2);
  program->mutable_recovery_date()->set_day(29);
  profile.mutable_sponsor()->mutable_attest_time()->set_seconds(1);  // output only
  auto* audience = profile.add_audiences();
  audience->set_field("newcomer.person.age_band");
  audience->set_audience(v1::AUDIENCE_NOBODY);
  v1::Profile written;
  ASSERT_TRUE(Update(app, profile, "1", &written).ok());
  EXPECT_EQ(written.name(), app.member);
  EXPECT_EQ(written.newcomer().SerializeAsString(), profile.newcomer().SerializeAsString());
  EXPECT_FALSE(written.sponsor().has_attest_time());
  EXPECT_FALSE(written.etag().empty());
  v1::Profile read;
  ASSERT_TRUE(GetOwn(app, &read).ok());
  EXPECT_EQ(read.SerializeAsString(), written.SerializeAsString());

  // Matching hears that there are two sides, and not what is in them.
  ASSERT_TRUE(WaitUntil([&] { return profiles_.peers.matching.Find(app.member).version() >= 2; }));
  common::v1::MemberSnapshot held = profiles_.peers.matching.Find(app.member);
  EXPECT_TRUE(held.has_newcomer());
  EXPECT_TRUE(held.has_sponsor());
  EXPECT_EQ(held.newcomer().ByteSizeLong(), 0u);
  EXPECT_EQ(held.sponsor().programs_size(), 0);

  ASSERT_TRUE(Grant(app, v1::CONSENT_PURPOSE_MATCHING, "2").ok());
  ASSERT_TRUE(Grant(app, v1::CONSENT_PURPOSE_HEALTH_DATA, "3").ok());
  ASSERT_TRUE(WaitUntil([&] { return profiles_.peers.matching.Find(app.member).version() >= 4; }));
  held = profiles_.peers.matching.Find(app.member);
  EXPECT_TRUE(held.consent().matching());
  EXPECT_TRUE(held.consent().health_data());
  EXPECT_EQ(held.newcomer().person().time_zone(), "Europe/Dublin");
  EXPECT_EQ(held.newcomer().person().age_band(), common::v1::AGE_BAND_UNSPECIFIED);
  EXPECT_EQ(held.sponsor().programs_size(), 1);

  const auto stub = v1::ProfileService::NewStub(profiles_.Public());
  v1::AttestAvailabilityRequest attest;
  attest.set_request_id("4");
  v1::Profile attested;
  ASSERT_TRUE(stub->AttestAvailability(ContextFor(app.token).get(), attest, &attested).ok());
  EXPECT_TRUE(attested.sponsor().has_attest_time());
  v1::WithdrawConsentRequest withdraw;
  withdraw.set_purpose(v1::CONSENT_PURPOSE_HEALTH_DATA);
  withdraw.set_request_id("5");
  v1::ConsentReceipt receipt;
  ASSERT_TRUE(stub->WithdrawConsent(ContextFor(app.token).get(), withdraw, &receipt).ok());
  EXPECT_TRUE(receipt.has_withdraw_time());
  ASSERT_TRUE(WaitUntil([&] { return profiles_.peers.matching.Find(app.member).version() >= 6; }));
  held = profiles_.peers.matching.Find(app.member);
  EXPECT_FALSE(held.consent().health_data());
  EXPECT_EQ(held.newcomer().ByteSizeLong(), 0u);

  // Messaging hears of the device, and of nothing else.
  const common::v1::MemberSnapshot copy = profiles_.peers.messaging.Find(app.member);
  EXPECT_THAT(copy.devices(), ::testing::ElementsAre(app.device));
  EXPECT_FALSE(copy.has_newcomer());
  EXPECT_FALSE(copy.has_consent());
}

TEST_F(ProfilesServiceTest, MasksEtagsAndFaultsAreAnsweredByField) {
  const App app = profiles_.NewApp();
  const auto stub = v1::ProfileService::NewStub(profiles_.Public());
  v1::Profile profile;
  profile.set_pseudonym("Sparrow");
  v1::Profile first;
  ASSERT_TRUE(Update(app, profile, "1", &first).ok());

  v1::UpdateProfileRequest masked;
  masked.mutable_profile()->set_pseudonym("ignored");
  masked.mutable_profile()->mutable_sponsor();
  masked.mutable_update_mask()->add_paths("sponsor");
  masked.set_request_id("2");
  v1::Profile second;
  ASSERT_TRUE(stub->UpdateProfile(ContextFor(app.token).get(), masked, &second).ok());
  EXPECT_EQ(second.pseudonym(), "Sparrow");
  EXPECT_TRUE(second.has_sponsor());

  masked.set_request_id("3");
  masked.mutable_profile()->set_etag(first.etag());
  grpc::Status status = stub->UpdateProfile(ContextFor(app.token).get(), masked, &second);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(ReasonOf(status), "ETAG_MISMATCH");

  masked.mutable_profile()->clear_etag();
  masked.mutable_update_mask()->add_paths("etag");
  status = stub->UpdateProfile(ContextFor(app.token).get(), masked, &second);
  EXPECT_EQ(ReasonOf(status), "FIELD_INVALID");

  for (const char* path : {"name", "newcomer.person.agex", "newcomer.", "audiences", "*"}) {
    v1::Profile audiences;
    auto* audience = audiences.add_audiences();
    audience->set_field(path);
    audience->set_audience(v1::AUDIENCE_PAIRED);
    EXPECT_EQ(ReasonOf(Update(app, audiences, "4", &second)), "FIELD_INVALID") << path;
  }
  v1::Profile ahead;
  ahead.mutable_newcomer()->mutable_recovery_date()->set_year(3000);
  ahead.mutable_newcomer()->mutable_recovery_date()->set_month(1);
  ahead.mutable_newcomer()->mutable_recovery_date()->set_day(1);
  status = Update(app, ahead, "5", &second);
  const auto violations = DetailsOf(rpc::FromGrpcStatus(status)).field_violations;
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].first, "profile.newcomer.recovery_date");

  // The same request id: the first answer again; with other content, a refusal.
  v1::Profile repeated;
  ASSERT_TRUE(Update(app, profile, "1", &repeated).ok());
  EXPECT_EQ(repeated.SerializeAsString(), first.SerializeAsString());
  profile.set_pseudonym("Wren");
  EXPECT_EQ(ReasonOf(Update(app, profile, "1", &repeated)), "REQUEST_ID_REUSED");
}

TEST_F(ProfilesServiceTest, NobodyReachesWhatIsAnothers) {
  const App app = profiles_.NewApp();
  const App other = profiles_.NewApp();
  v1::GetProfileRequest get;
  get.set_name(other.member);
  v1::Profile profile;
  const auto stub = v1::ProfileService::NewStub(profiles_.Public());
  const auto foreign = stub->GetProfile(ContextFor(app.token).get(), get, &profile);
  get.set_name("members/" + std::string(32, '0'));
  const auto missing = stub->GetProfile(ContextFor(app.token).get(), get, &profile);
  EXPECT_EQ(foreign.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(foreign.error_message(), missing.error_message());
  EXPECT_EQ(foreign.error_details(), missing.error_details());

  v1::RevokeDeviceRequest revoke;
  revoke.set_name(other.device);
  revoke.set_request_id("1");
  v1::Device device;
  const auto identity = v1::IdentityService::NewStub(profiles_.Public());
  EXPECT_EQ(identity->RevokeDevice(ContextFor(app.token).get(), revoke, &device).error_code(),
            grpc::StatusCode::NOT_FOUND);

  // A page token of one person is none for another.
  for (int i = 0; i < 3; ++i) {
    v1::BlockMemberResponse blocked;
    ASSERT_TRUE(Block(app, profiles_.NewApp().member, absl::StrCat("b", i), &blocked).ok());
  }
  const auto safety = v1::SafetyService::NewStub(profiles_.Public());
  v1::ListBlocksRequest list;
  list.set_page_size(2);
  v1::ListBlocksResponse page;
  ASSERT_TRUE(safety->ListBlocks(ContextFor(app.token).get(), list, &page).ok());
  EXPECT_EQ(page.blocks_size(), 2);
  list.set_page_token(page.next_page_token());
  v1::ListBlocksResponse stolen;
  EXPECT_EQ(ReasonOf(safety->ListBlocks(ContextFor(other.token).get(), list, &stolen)),
            "PAGE_TOKEN_INVALID");
  v1::ListBlocksResponse rest;
  ASSERT_TRUE(safety->ListBlocks(ContextFor(app.token).get(), list, &rest).ok());
  EXPECT_EQ(rest.blocks_size(), 1);
  EXPECT_EQ(rest.next_page_token(), "");
}

TEST_F(ProfilesServiceTest, ABlockIsAnsweredWhenBothHaveItAndPendingWhileTheyAreDown) {
  const App app = profiles_.NewApp();
  const App other = profiles_.NewApp();
  const App third = profiles_.NewApp();
  v1::BlockMemberResponse response;
  ASSERT_TRUE(Block(app, other.member, "1", &response).ok());
  EXPECT_FALSE(response.pending());
  EXPECT_TRUE(profiles_.peers.matching.HasBlock(response.block().name()));
  EXPECT_TRUE(profiles_.peers.messaging.HasBlock(response.block().name()));
  EXPECT_EQ(ReasonOf(Block(app, app.member, "2", &response)), "FIELD_INVALID");
  EXPECT_EQ(Block(app, "members/" + std::string(32, '0'), "3", &response).error_code(),
            grpc::StatusCode::NOT_FOUND);

  profiles_.peers.Stop();
  ASSERT_TRUE(Block(app, third.member, "4", &response).ok());
  EXPECT_TRUE(response.pending());
  // Killed before it could deliver; the row is there when it comes back.
  profiles_.Kill();
  ASSERT_TRUE(profiles_.Start()) << profiles_.Errors();
  EXPECT_FALSE(profiles_.peers.matching.HasBlock(response.block().name()));
  profiles_.peers.Start();
  EXPECT_TRUE(WaitUntil([&] {
    return profiles_.peers.matching.HasBlock(response.block().name()) &&
           profiles_.peers.messaging.HasBlock(response.block().name());
  }));
}

TEST_F(ProfilesServiceTest, WhatWasAcknowledgedOutlivesAKill) {
  const App app = profiles_.NewApp();
  v1::Profile profile;
  profile.set_pseudonym("Sparrow");
  v1::Profile written;
  ASSERT_TRUE(Update(app, profile, "1", &written).ok());
  profiles_.Kill();
  ASSERT_TRUE(profiles_.Start()) << profiles_.Errors();
  v1::Profile read;
  // The token counts on: the signing key is in its folder.
  ASSERT_TRUE(WaitUntil([&] { return GetOwn(app, &read).ok(); }));
  EXPECT_EQ(read.SerializeAsString(), written.SerializeAsString());
  EXPECT_EQ(profiles_.Terminate(), 0);
}

TEST_F(ProfilesServiceTest, ARevokedDeviceIsOutAtOnceAndListed) {
  const App app = profiles_.NewApp();
  const auto identity = v1::IdentityService::NewStub(profiles_.Public());
  v1::RevokeDeviceRequest revoke;
  revoke.set_name(app.device);
  revoke.set_request_id("1");
  v1::Device device;
  ASSERT_TRUE(identity->RevokeDevice(ContextFor(app.token).get(), revoke, &device).ok());
  EXPECT_TRUE(device.has_revoke_time());
  v1::Profile profile;
  EXPECT_EQ(ReasonOf(GetOwn(app, &profile)), "TOKEN_REVOKED");
  v1::CreateTokenRequest again;
  *again.mutable_proof() = profiles_.Prove(*app.key);
  v1::AccessToken token;
  EXPECT_EQ(ReasonOf(identity->CreateToken(ContextFor("").get(), again, &token)),
            "SIGNATURE_INVALID");

  const auto directory = v1::DirectoryService::NewStub(profiles_.Internal());
  v1::ListRevocationsResponse revocations;
  ASSERT_TRUE(directory
                  ->ListRevocations(rpc::MakeServiceContext(absl::Seconds(15), "messaging").get(),
                                    {}, &revocations)
                  .ok());
  ASSERT_EQ(revocations.revocations_size(), 1);
  EXPECT_EQ(revocations.revocations(0).device(), app.device);
}

TEST_F(ProfilesServiceTest, TheDirectoryTellsEachServiceItsShare) {
  const App app = profiles_.NewApp();
  v1::Profile profile;
  profile.mutable_newcomer()->mutable_person()->set_time_zone("Europe/Dublin");
  v1::Profile written;
  ASSERT_TRUE(Update(app, profile, "1", &written).ok());
  const auto directory = v1::DirectoryService::NewStub(profiles_.Internal());
  google::protobuf::RepeatedPtrField<common::v1::DeviceKey> keys;
  const auto ask = [&](const std::string& service, const std::string& member) {
    v1::GetMemberSnapshotRequest request;
    request.set_member(member);
    v1::GetMemberSnapshotResponse response;
    const auto status = directory->GetMemberSnapshot(
        rpc::MakeServiceContext(absl::Seconds(15), service).get(), request, &response);
    keys = response.device_keys();
    return std::make_pair(status.error_code(), response.snapshot());
  };
  EXPECT_TRUE(ask("matching", app.member).second.has_newcomer());
  EXPECT_TRUE(keys.empty());
  EXPECT_FALSE(ask("messaging", app.member).second.has_newcomer());
  EXPECT_EQ(ask("messaging", app.member).second.devices_size(), 1);
  ASSERT_EQ(keys.size(), 1);
  EXPECT_EQ(keys[0].device(), app.device);
  EXPECT_EQ(keys[0].public_key(), app.key->verify_key().bytes());
  EXPECT_EQ(ask("matching", "members/" + std::string(32, '0')).first, grpc::StatusCode::NOT_FOUND);
}

TEST_F(ProfilesServiceTest, OnlyMessagingOpensCases) {
  const App app = profiles_.NewApp();
  const auto desk = v1::CaseSyncService::NewStub(profiles_.Internal());
  v1::OpenCaseRequest request;
  request.set_report("reports/" + std::string(32, '5'));
  request.set_reporter(app.member);
  request.set_conversation("conversations/" + std::string(32, '6'));
  request.set_reason(common::v1::REPORT_REASON_OTHER);
  request.mutable_report_time()->set_seconds(1'700'000'000);
  auto* message = request.add_messages();
  message->set_sequence(1);
  message->set_sender("members/" + std::string(32, '7'));
  message->set_sender_device("devices/" + std::string(32, '8'));
  message->mutable_create_time()->set_seconds(1'700'000'000);
  message->set_content(std::string(60 << 10, 'x'));  // as long as reports may be
  for (auto* bytes : {message->mutable_franking_key(), message->mutable_commitment(),
                      message->mutable_previous_commitment(), message->mutable_stamp()}) {
    bytes->assign(32, 'b');
  }
  message->set_key_id("first");
  const auto open = [&](const std::string& service) {
    v1::OpenCaseResponse response;
    return desk->OpenCase(rpc::MakeServiceContext(absl::Seconds(15), service).get(), request,
                          &response);
  };
  EXPECT_EQ(ReasonOf(open("matching")), "ROLE_REQUIRED");
  const grpc::Status status = open("messaging");
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(open("messaging").ok());
  request.set_reporter("members/" + std::string(32, '0'));
  request.set_report("reports/" + std::string(32, '9'));
  EXPECT_EQ(ReasonOf(open("messaging")), "NOT_FOUND");
}

TEST_F(ProfilesServiceTest, ALostKeyRingIsNotReplaced) {
  profiles_.NewApp();
  profiles_.Kill();
  ASSERT_TRUE(std::filesystem::remove(profiles_.folder.File("keys/profiles.keyring")));
  EXPECT_FALSE(profiles_.Start());
  EXPECT_THAT(profiles_.Errors(), ::testing::HasSubstr("restore it from a backup"));
}

TEST(ProfilesFlagsTest, AllFaultsAreToldAtOnce) {
  RunningProfiles profiles({"--rotate_signing_keys_after=-1s", "--operators_file", "/no/such/file",
                            "--key_ring_file", "/no/such/ring", "--signing_keys_folder",
                            "/no/such/folder"});
  EXPECT_FALSE(profiles.Start());
  for (const char* flag : {"--rotate_signing_keys_after", "--operators_file", "--key_ring_file",
                           "--signing_keys_folder", "--create_keys"}) {
    EXPECT_THAT(profiles.Errors(), ::testing::HasSubstr(flag));
  }
}

}  // namespace
}  // namespace handrail::profiles
