#ifndef HANDRAIL_SERVICES_MESSAGING_TESTING_GROUP_SERVICE_H_
#define HANDRAIL_SERVICES_MESSAGING_TESTING_GROUP_SERVICE_H_

#include <memory>
#include <string>

#include "services/messaging/testing/mls_bytes.h"
#include "services/messaging/testing/running_messaging.h"

namespace handrail::messaging {

// A running service whose two people use GroupService.
class GroupServiceTest : public MessagingIntegrationTest {
 protected:
  void SetUp() override {
    groups_ = server_->Groups();
    keys_ = server_->Keys();
  }
  std::string TokenOf(const DeviceId& device) {
    return Token(device == ann_phone_ ? ann_ : bob_, device);
  }
  // Publishes a package of `target`, and claims it for `claimer`.
  std::string Claim(const DeviceId& target) { return Claim(target, ann_phone_); }
  std::string Claim(const DeviceId& target, const DeviceId& claimer) {
    v1::PublishKeyPackagesRequest publish;
    publish.add_key_packages(
        MlsKeyPackageBytes(target.Name(), clock_.Now(), MessageId::Random(random_).ToString()));
    v1::PublishKeyPackagesResponse published;
    const auto theirs = rpc::MakeMemberContext(absl::Seconds(20), TokenOf(target));
    EXPECT_TRUE(keys_->PublishKeyPackages(theirs.get(), publish, &published).ok());
    v1::ClaimKeyPackagesRequest claim;
    claim.set_conversation(conversation_);
    claim.add_devices(target.Name());
    claim.set_claim_id(MessageId::Random(random_).ToString());
    v1::ClaimKeyPackagesResponse claimed;
    const auto ours = rpc::MakeMemberContext(absl::Seconds(20), TokenOf(claimer));
    EXPECT_TRUE(keys_->ClaimKeyPackages(ours.get(), claim, &claimed).ok());
    return claimed.key_packages_size() == 1 ? claimed.key_packages(0).reference() : "";
  }
  v1::CommitBundleRequest Bundle(int64_t epoch) {
    v1::CommitBundleRequest request;
    request.set_conversation(conversation_);
    request.set_commit_id(MessageId::Random(random_).ToString());
    request.set_commit(MlsPrivateBytes(MlsContentType::kCommit, "group", epoch, "commit"));
    request.set_group_info(MlsGroupInfoBytes("info"));
    return request;
  }
  v1::CommitBundleRequest Adding(int64_t epoch, const DeviceId& device) {
    v1::CommitBundleRequest request = Bundle(epoch);
    request.add_devices_added(device.Name());
    v1::WelcomeBundle* welcome = request.add_welcomes();
    welcome->set_welcome(MlsWelcomeBytes({Claim(device)}, "group info"));
    welcome->add_devices(device.Name());
    return request;
  }
  grpc::Status Commit(const DeviceId& device, const v1::CommitBundleRequest& request,
                      v1::CommitBundleResponse* response = nullptr) {
    v1::CommitBundleResponse unused;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), TokenOf(device));
    return groups_->CommitBundle(context.get(), request, response == nullptr ? &unused : response);
  }
  v1::Group GetGroup(const DeviceId& device) {
    v1::GetGroupRequest request;
    request.set_conversation(conversation_);
    v1::Group group;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), TokenOf(device));
    const grpc::Status status = groups_->GetGroup(context.get(), request, &group);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return group;
  }
  v1::FetchWelcomesResponse FetchWelcomes(const DeviceId& device) {
    v1::FetchWelcomesResponse response;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), TokenOf(device));
    EXPECT_TRUE(groups_->FetchWelcomes(context.get(), {}, &response).ok());
    return response;
  }
  grpc::Status AckWelcome(const DeviceId& device, int64_t sequence) {
    v1::AckWelcomeRequest request;
    request.set_conversation(conversation_);
    request.set_sequence(sequence);
    v1::AckWelcomeResponse response;
    const auto context = rpc::MakeMemberContext(absl::Seconds(20), TokenOf(device));
    return groups_->AckWelcome(context.get(), request, &response);
  }
  grpc::Status SayIn(int64_t epoch) {
    return Send(Message(MlsPrivateBytes(MlsContentType::kApplication, "group", epoch, "hello")));
  }

  std::unique_ptr<v1::GroupService::Stub> groups_;
  std::unique_ptr<v1::KeyService::Stub> keys_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_TESTING_GROUP_SERVICE_H_
