#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_STORE_TEST_UTIL_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_STORE_TEST_UTIL_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/storage/database_test_backends.h"
#include "common/testing/seeded_random.h"
#include "common/testing/simulated_clock.h"
#include "services/messaging/stores/invariants.h"
#include "services/messaging/stores/sql_message_store.h"

namespace handrail::messaging {

// A database of one test with the store on it, two members with a device each, and words for the
// steps that every test takes. Everything is checked against the invariants at the end.
class StoreTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  explicit StoreTest(SqlMessageStore::Options options = {})
      : options_(std::move(options)), backend_(GetParam()) {
    backend_.options.clock = &clock_;
    database_ = backend_.Open();
    OpenStore();
  }
  void TearDown() override {
    if (!check_invariants_ || database_ == nullptr) return;
    const auto violations = CheckMessages(*database_, kForever, options_.limits);
    ASSERT_TRUE(violations.ok()) << violations.status();
    EXPECT_THAT(*violations, ::testing::IsEmpty());
  }

  void OpenStore() {
    store_.reset();
    auto store = SqlMessageStore::Create(*database_, clock_, random_, options_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // Applies the next version of a member's snapshot.
  std::vector<WakeUp> Apply(const MemberId& member, std::vector<DeviceId> devices,
                            Standing standing = Standing::kGood) {
    return ApplyVersion(member, ++version_, std::move(devices), standing);
  }
  std::vector<WakeUp> ApplyVersion(const MemberId& member, int64_t version,
                                   std::vector<DeviceId> devices,
                                   Standing standing = Standing::kGood) {
    const MemberSnapshot snapshot{member, version, standing, std::move(devices)};
    auto wake_ups = store_->ApplyMembers(kForever, clock_.Now(), {&snapshot, 1});
    EXPECT_TRUE(wake_ups.ok()) << wake_ups.status();
    return wake_ups.ok() ? *wake_ups : std::vector<WakeUp>();
  }
  ConversationId Open(const PairingId& pairing) {
    auto opened = store_->OpenConversation(kForever, clock_.Now(), pairing, {{ann_, bob_}});
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? opened->id : ConversationId();
  }
  // Two people with a phone each, and their conversation.
  ConversationId OpenBetweenKnown() {
    Apply(ann_, {ann_phone_});
    Apply(bob_, {bob_phone_});
    return Open(pairing_);
  }
  void CloseIt() { EXPECT_TRUE(store_->CloseConversation(kForever, clock_.Now(), pairing_).ok()); }
  std::vector<WakeUp> BlockThem() {
    auto wake_ups =
        store_->ApplyBlock(kForever, clock_.Now(), Block{BlockId::Random(random_), bob_, ann_});
    EXPECT_TRUE(wake_ups.ok()) << wake_ups.status();
    return wake_ups.ok() ? *wake_ups : std::vector<WakeUp>();
  }

  Append MakeAppend(const ConversationId& conversation, std::string payload) {
    return Append{ann_,         ann_phone_,
                  conversation, MessageId::Random(random_),
                  payload,      absl::InfiniteFuture()};
  }
  absl::StatusOr<Appended> Send(Append append) {
    Mutex mutex;
    CondVar signal;
    absl::optional<absl::StatusOr<Appended>> result;
    store_->AppendAsync(std::move(append), nullptr, [&](absl::StatusOr<Appended> appended) {
      MutexLock lock(mutex);
      result = std::move(appended);
      signal.SignalAll();
    });
    MutexLock lock(mutex);
    while (!result.has_value()) signal.Wait(mutex);
    return *std::move(result);
  }
  absl::StatusOr<Appended> Say(const ConversationId& conversation, std::string payload) {
    return Send(MakeAppend(conversation, std::move(payload)));
  }
  void SayMany(const ConversationId& conversation, int count) {
    for (int i = 0; i < count; ++i) {
      const auto sent = Say(conversation, "hello");
      ASSERT_TRUE(sent.ok()) << sent.status();
    }
  }
  absl::Status Ack(const DeviceId& device, const ConversationId& conversation, int64_t sequence) {
    Mutex mutex;
    CondVar signal;
    absl::optional<absl::Status> result;
    store_->AckAsync(device, {{conversation, sequence}}, [&](absl::Status status) {
      MutexLock lock(mutex);
      result = std::move(status);
      signal.SignalAll();
    });
    MutexLock lock(mutex);
    while (!result.has_value()) signal.Wait(mutex);
    return *std::move(result);
  }
  absl::StatusOr<MessagePage> FetchAs(const MemberId& member, const DeviceId& device,
                                      const ConversationId& conversation, int64_t after = 0,
                                      int64_t limit = 500) {
    return store_->Fetch(kForever, member, device, conversation, after, limit);
  }
  static std::vector<int64_t> Sequences(const MessagePage& page) {
    std::vector<int64_t> sequences;
    for (const EnvelopePtr& envelope : page.envelopes) sequences.push_back(envelope->sequence);
    return sequences;
  }
  // Runs retention until nothing is left to do.
  int64_t TrimAll() {
    int64_t trimmed = 0;
    for (int i = 0; i < 1000; ++i) {
      const auto result = store_->TrimSome(kForever, clock_.Now());
      EXPECT_TRUE(result.ok()) << result.status();
      if (!result.ok()) break;
      trimmed += result->messages_trimmed;
      if (!result->more) break;
    }
    return trimmed;
  }
  // Damages the database, for tests of what notices.
  void Plant(absl::string_view sql, const storage::Args& args = {}) {
    const absl::Status status = database_->Write(
        kForever, [&](storage::Transaction& tx) { return tx.Execute(sql, args).status(); });
    ASSERT_TRUE(status.ok()) << status;
  }

  static constexpr absl::Time kForever = absl::InfiniteFuture();
  SqlMessageStore::Options options_;
  testing::SimulatedClock clock_;
  testing::SeededRandom random_{20260301};
  const MemberId ann_ = MemberId::Random(random_);
  const MemberId bob_ = MemberId::Random(random_);
  const DeviceId ann_phone_ = DeviceId::Random(random_);
  const DeviceId ann_tablet_ = DeviceId::Random(random_);
  const DeviceId bob_phone_ = DeviceId::Random(random_);
  const PairingId pairing_ = PairingId::Random(random_);
  int64_t version_ = 0;
  bool check_invariants_ = true;
  storage::TestDatabase backend_;
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<SqlMessageStore> store_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_STORE_TEST_UTIL_H_
