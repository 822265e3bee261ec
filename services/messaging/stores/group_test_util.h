#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_GROUP_TEST_UTIL_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_GROUP_TEST_UTIL_H_

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/messaging/stores/schema.h"
#include "services/messaging/stores/sql_group_store.h"
#include "services/messaging/stores/sql_key_package_store.h"
#include "services/messaging/stores/store_test_util.h"
#include "services/messaging/testing/mls_bytes.h"

namespace handrail::messaging {

// A StoreTest whose two people make an MLS group of their conversation. Ann's phone commits.
class GroupTest : public StoreTest {
 protected:
  explicit GroupTest(SqlMessageStore::Options options = {}) : StoreTest(std::move(options)) {
    groups_ = std::make_unique<SqlGroupStore>(*database_, options_.limits, GroupLimits());
    keys_ = std::make_unique<SqlKeyPackageStore>(*database_, KeyLimits());
    Apply(ann_, {ann_phone_, ann_tablet_});
    Apply(bob_, {bob_phone_});
    id_ = Open(pairing_);
  }
  static KeyPackageLimits KeyLimits() {
    KeyPackageLimits limits;
    limits.claims_per_member = limits.claims_per_pair = 1'000'000;
    return limits;
  }

  MemberId MemberOf(const DeviceId& device) const {
    if (const auto other = others_.find(device); other != others_.end()) return other->second;
    return device == bob_phone_ ? bob_ : ann_;
  }
  // Carol with her phone takes part, too: what was said of two is a group conversation, into which
  // Bob came by invitation as well.
  void AddCarol() {
    others_[carol_phone_] = carol_;
    Plant("UPDATE conversations SET kind = 2 WHERE conversation_key = $1", {KeyOf(id_)});
    Plant(
        "UPDATE conversation_members SET invitation_id = $3"
        " WHERE conversation_key = $1 AND member_id = $2",
        {KeyOf(id_), bob_, bob_});
    Plant(
        "INSERT INTO conversation_members (conversation_key, member_key, member_id, created_at,"
        " invitation_id) VALUES ($1, $2, $3, $4, $3)",
        {KeyOf(id_), KeyOf(carol_), carol_, clock_.Now()});
    Apply(carol_, {carol_phone_});
  }
  // As a member calls it from this device.
  Call CallOf(const DeviceId& device, const std::string& request_id) const {
    Call call;
    call.who = {Principal::Kind::kMember, MemberOf(device), device, ""};
    call.deadline = kForever;
    call.method = "a method";
    call.request_id = request_id;
    call.request_hash = id_.ToString();
    return call;
  }
  absl::StatusOr<std::vector<WakeUp>> Leave(const DeviceId& device) {
    const std::string request_id = MessageId::Random(random_).ToString();
    return store_->LeaveConversation(CallOf(device, request_id), clock_.Now(), id_);
  }

  // A commit as `device` makes it in `epoch`, with a Welcome for all that it adds.
  CommitBundle MakeCommit(const DeviceId& device, int64_t epoch, std::vector<DeviceId> added = {},
                          std::vector<DeviceId> removed = {}, const std::string& group = "group") {
    CommitBundle bundle;
    bundle.member = MemberOf(device);
    bundle.device = device;
    bundle.conversation = id_;
    bundle.commit_id = MessageId::Random(random_);
    bundle.commit = MlsPrivateBytes(MlsContentType::kCommit, group, epoch, "by me");
    bundle.group_id = group;
    bundle.epoch = epoch;
    std::sort(added.begin(), added.end());
    std::sort(removed.begin(), removed.end());
    bundle.added = added;
    bundle.removed = std::move(removed);
    bundle.group_info = MlsGroupInfoBytes("info");
    if (!added.empty()) {
      WelcomeFor& welcome = bundle.welcomes.emplace_back();
      for (const DeviceId& target : added) welcome.references.push_back(ClaimOf(device, target));
      welcome.devices = added;
      welcome.message = MlsWelcomeBytes(welcome.references, bundle.commit_id.ToString());
    }
    return bundle;
  }

  // The reference of a package of `target` that `device` has claimed just now.
  std::string ClaimOf(const DeviceId& device, const DeviceId& target) {
    const std::string salt = MessageId::Random(random_).ToString();
    const NewKeyPackage package{"message " + salt, "body " + salt};
    EXPECT_TRUE(
        keys_->Publish(kForever, clock_.Now(), MemberOf(target), target, {&package, 1}, nullptr)
            .ok());
    const auto claim =
        keys_->Claim(kForever, clock_.Now(), MemberOf(device), device, salt, id_, {target});
    EXPECT_TRUE(claim.ok()) << claim.status();
    if (!claim.ok() || claim->packages.size() != 1) return "";
    return claim->packages[0].reference;
  }

  absl::StatusOr<Committed> Commit(const CommitBundle& bundle) {
    return groups_->Commit(kForever, clock_.Now(), bundle);
  }
  // Ann's phone makes the group, with Bob's phone in it: sequence 1, epoch 1.
  void MakeGroup() {
    const auto made = Commit(MakeCommit(ann_phone_, 0, {bob_phone_}));
    ASSERT_TRUE(made.ok()) << made.status();
    ASSERT_EQ(made->epoch, 1);
  }
  absl::StatusOr<Appended> SayIn(int64_t epoch, const DeviceId& device,
                                 MlsContentType type = MlsContentType::kApplication,
                                 const std::string& group = "group") {
    Append append = MakeAppend(id_, MlsPrivateBytes(type, group, epoch, "secret"));
    append.member = MemberOf(device);
    append.device = device;
    return Send(std::move(append));
  }
  std::vector<int64_t> ReadableBy(const DeviceId& device) {
    const auto page = FetchAs(MemberOf(device), device, id_);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? Sequences(*page) : std::vector<int64_t>();
  }
  std::vector<WelcomePtr> WelcomesOf(const DeviceId& device) {
    const auto page = groups_->FetchWelcomes(kForever, MemberOf(device), device);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? page->welcomes : std::vector<WelcomePtr>();
  }
  Group GroupNow() {
    const auto group = groups_->GetGroup(kForever, ann_, ann_phone_, id_);
    EXPECT_TRUE(group.ok()) << group.status();
    return group.ok() ? *group : Group();
  }

  int64_t CountIn(const std::string& table) {
    int64_t count = -1;
    const absl::Status status =
        database_->Read(kForever, [&](storage::Transaction& tx) -> absl::Status {
          ASSIGN_OR_RETURN(const storage::Rows rows,
                           tx.Query(absl::StrCat("SELECT COUNT(*) FROM ", table), {}));
          count = rows.front().Int(0);
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    return count;
  }

  const MemberId carol_ = MemberId::Random(random_);
  const DeviceId carol_phone_ = DeviceId::Random(random_);
  std::map<DeviceId, MemberId> others_;
  std::unique_ptr<SqlGroupStore> groups_;
  std::unique_ptr<SqlKeyPackageStore> keys_;
  ConversationId id_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_GROUP_TEST_UTIL_H_
