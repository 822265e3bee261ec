#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_PUSH_TEST_UTIL_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_PUSH_TEST_UTIL_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/messaging/domain/pusher.h"
#include "services/messaging/stores/group_test_util.h"
#include "services/messaging/stores/sql_push_store.h"

namespace handrail::messaging {

// A gateway that notes what it is told, and answers what the test wants.
class FakePushGateway final : public PushGateway {
 public:
  std::vector<PushResult> Push(absl::Span<const PushRequest> requests) override {
    std::vector<PushResult> results;
    for (const PushRequest& request : requests) {
      tried.push_back(request);
      const PushResult result = answer(request);
      if (result.outcome == PushOutcome::kSent) told.push_back(request.token);
      results.push_back(result);
    }
    return results;
  }
  void Cancel() override {}
  void AnswerAlways(PushOutcome outcome) {
    answer = [outcome](const PushRequest&) { return PushResult{outcome}; };
  }
  std::function<PushResult(const PushRequest&)> answer = [](const PushRequest&) {
    return PushResult{PushOutcome::kSent};
  };
  std::vector<PushRequest> tried;
  std::vector<std::string> told;
};

class CountingPushMeter final : public PushMeter {
 public:
  void OnPush(PushOutcome outcome) override { ++outcomes[outcome]; }
  void OnDropped(int64_t devices) override { dropped += devices; }
  std::map<PushOutcome, int> outcomes;
  int64_t dropped = 0;
};

// One process of messaging, as far as pushes go: streams and the pusher.
class PushReplica {
 public:
  PushReplica(storage::Database& database, PushStore& pushes, PushGateway& gateway,
              const Clock& clock, Random& random, const Pusher::Options& options)
      : id_(ReplicaId::Random(random)), clock_(clock) {
    SqlMessageStore::Options store;
    store.replica = id_;
    store_ = *SqlMessageStore::Create(database, clock, random, store);
    pusher_ = std::make_unique<Pusher>(
        pushes, gateway, clock, random, meter, id_,
        [this](const DeviceId& device) { return streams_.contains(device); }, options);
  }

  void Open(const MemberId& member, const DeviceId& device) {
    const auto generation =
        store_->StartStream(absl::InfiniteFuture(), clock_.Now(), member, device);
    ASSERT_TRUE(generation.ok()) << generation.status();
    streams_[device] = *generation;
  }
  void Close(const DeviceId& device) {
    const auto stream = streams_.find(device);
    if (stream == streams_.end()) return;
    const int64_t generation = stream->second;
    streams_.erase(stream);
    pusher_->OnStreamEnded(device, generation);
  }
  // What its threads do.
  void Run() {
    pusher_->Keep();
    pusher_->Tell();
  }
  bool Has(const DeviceId& device) const { return streams_.contains(device); }
  Pusher& pusher() { return *pusher_; }

  CountingPushMeter meter;

 private:
  const ReplicaId id_;
  const Clock& clock_;
  std::unique_ptr<SqlMessageStore> store_;
  std::map<DeviceId, int64_t> streams_;
  std::unique_ptr<Pusher> pusher_;
};

// A GroupTest with tokens: Ann's phone and tablet and Bob's phone have registered one.
class PushTest : public GroupTest {
 protected:
  PushTest() {
    for (const DeviceId& device : {ann_phone_, ann_tablet_, bob_phone_}) {
      const absl::Status registered =
          pushes_->Register(kForever, MemberOf(device), device, TokenOf(device));
      EXPECT_TRUE(registered.ok()) << registered;
    }
  }
  static std::string TokenOf(const DeviceId& device) { return "token " + device.ToString(); }

  // Somebody says something from this device; the phone of Ann unless told otherwise.
  int64_t SayFrom(const DeviceId& device) {
    const auto sent = Send(Append{MemberOf(device), device, id_, MessageId::Random(random_),
                                  "hello", absl::InfiniteFuture()});
    EXPECT_TRUE(sent.ok()) << sent.status();
    return sent.ok() ? sent->sequence : 0;
  }
  PushStanding Look(const DeviceId& device) {
    const auto standings = pushes_->Look(kForever, clock_.Now(), {&device, 1});
    EXPECT_TRUE(standings.ok()) << standings.status();
    if (!standings.ok() || standings->size() != 1) return PushStanding();
    return standings->front();
  }
  bool HasToken(const DeviceId& device) { return !Look(device).token.empty(); }

  std::unique_ptr<SqlPushStore> pushes_ = std::make_unique<SqlPushStore>(*database_, PushLimits());
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_PUSH_TEST_UTIL_H_
