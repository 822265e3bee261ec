// What a push promises, as a walk sees it that sends, reads, comes, goes and kills over two
// replicas: nobody is told who is there, nobody twice in an absence, nobody without end, and
// everybody in the end. And stores that break it, each of which the same walk finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/messaging/stores/push_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

constexpr char kThere[] = "somebody was told who is there";
constexpr char kTwice[] = "somebody was told twice in an absence";
constexpr char kStorm[] = "somebody was told more than twelve times an hour";
constexpr char kNever[] = "somebody was not told";
constexpr char kOwn[] = "somebody was told of nothing";

enum class Bug {
  kNone,
  kIgnoresStreams,    // whoever has a token is told, stream or not
  kForgetsPushes,     // the same absence again and again
  kForgetsBudget,     // as often as somebody reads and goes
  kOwnMessagesCount,  // the sender's devices, too
  kNoSweep,           // what a killed replica knew is lost
};

// A store with a bug.
class BuggyStore final : public PushStore {
 public:
  BuggyStore(PushStore& below, Bug bug) : below_(below), bug_(bug) {}
  absl::Status Register(absl::Time deadline, const MemberId& member, const DeviceId& device,
                        const std::string& token) override {
    return below_.Register(deadline, member, device, token);
  }
  absl::Status Unregister(absl::Time deadline, const MemberId& member,
                          const DeviceId& device) override {
    return below_.Unregister(deadline, member, device);
  }
  absl::Status RenewLease(absl::Time deadline, absl::Time now, const ReplicaId& replica) override {
    return below_.RenewLease(deadline, now, replica);
  }
  absl::Status EndLease(absl::Time deadline, const ReplicaId& replica) override {
    return below_.EndLease(deadline, replica);
  }
  absl::Status EndStreams(absl::Time deadline, const ReplicaId& replica,
                          absl::Span<const EndedStream> streams) override {
    return below_.EndStreams(deadline, replica, streams);
  }
  absl::StatusOr<std::vector<PushStanding>> Look(absl::Time deadline, absl::Time now,
                                                 absl::Span<const DeviceId> devices) override {
    auto standings = below_.Look(deadline, now, devices);
    if (!standings.ok()) return standings;
    for (PushStanding& standing : *standings) {
      if (bug_ == Bug::kIgnoresStreams) standing.stream_at.reset();
      if (bug_ == Bug::kForgetsPushes) standing.pushed_at.reset();
      if (bug_ == Bug::kForgetsBudget) standing.budget_at = absl::UnixEpoch();
      if (bug_ == Bug::kOwnMessagesCount) standing.unread |= standing.mark.head > 0;
    }
    return standings;
  }
  absl::StatusOr<std::vector<DeviceId>> ListDevices(absl::Time deadline, const DeviceId& after,
                                                    int64_t limit) override {
    if (bug_ == Bug::kNoSweep) return std::vector<DeviceId>();
    return below_.ListDevices(deadline, after, limit);
  }
  absl::StatusOr<std::vector<std::optional<PushId>>> Claim(
      absl::Time deadline, absl::Span<const PushClaim> claims) override {
    return below_.Claim(deadline, claims);
  }
  absl::Status Settle(absl::Time deadline, absl::Time now, const PushClaim& claim,
                      PushOutcome outcome, absl::Time refused_until) override {
    return below_.Settle(deadline, now, claim, outcome, refused_until);
  }

 private:
  PushStore& below_;
  const Bug bug_;
};

class PushWalkTest : public PushTest {
 protected:
  // A device, as the walk knows it.
  struct Walker {
    DeviceId device;
    int absence = 0;  // counts signs of life
    int64_t acked = 0;
    std::optional<int> told_in = std::nullopt;  // absence
    absl::Time told_at = absl::InfinitePast();
    std::deque<absl::Time> hour = {};  // when it was told
  };

  std::vector<std::string> Walk(Bug bug, int steps) {
    BuggyStore store(*pushes_, bug);
    store_under_walk_ = &store;
    gateway_.answer = [this](const PushRequest& request) { return OnPush(request); };
    for (auto& replica : replicas_) replica = Begin();
    for (int i = 0; i < steps; ++i) Step();
    for (Walker& walker : walkers_) Close(walker);
    Say(walkers_[0]);
    Say(walkers_[2]);
    Kill(0);
    Pass(absl::Minutes(15));
    for (const Walker& walker : walkers_) {
      if (walker.told_in != walker.absence) findings_.emplace_back(kNever);
    }
    return findings_;
  }

 private:
  std::unique_ptr<PushReplica> Begin() {
    return std::make_unique<PushReplica>(*database_, *store_under_walk_, gateway_, clock_, random_,
                                         Pusher::Options());
  }
  void Step() {
    Walker& walker = walkers_[random_.Below(walkers_.size())];
    switch (random_.Below(10)) {
      case 0:
      case 1:
      case 2: return Say(walker);
      case 3: return Open(walker);
      case 4: return Close(walker);
      case 5:
      case 6: return Acknowledge(walker);
      case 7:
        if (random_.Below(6) == 0) Kill(random_.Below(replicas_.size()));
        return;
      default: return Pass(absl::Seconds(1 + static_cast<int64_t>(random_.Below(40))));
    }
  }
  void Say(const Walker& walker) {
    newest_[MemberOf(walker.device)] = SayFrom(walker.device);
    PushReplica& replica = *replicas_[random_.Below(replicas_.size())];
    std::vector<DeviceId> away;
    for (const Walker& other : walkers_) {
      if (!replica.Has(other.device)) away.push_back(other.device);
    }
    // Now and then it is killed before it has noted anything.
    if (random_.Below(4) > 0) replica.pusher().OnAway(away);
  }
  bool HasStream(const Walker& walker) const {
    return std::any_of(replicas_.begin(), replicas_.end(),
                       [&](const auto& replica) { return replica->Has(walker.device); });
  }
  void Open(Walker& walker) {
    const auto& chosen = replicas_[random_.Below(replicas_.size())];
    chosen->Open(MemberOf(walker.device), walker.device);
    ++walker.absence;
    // The older stream hears of it.
    for (auto& replica : replicas_) {
      if (replica != chosen) replica->Close(walker.device);
    }
  }
  void Close(Walker& walker) {
    for (auto& replica : replicas_) replica->Close(walker.device);
  }
  void Acknowledge(Walker& walker) {
    int64_t newest = 0;
    for (const auto& [member, sequence] : newest_) newest = std::max(newest, sequence);
    if (newest == walker.acked) return;
    ASSERT_TRUE(Ack(walker.device, id_, newest).ok());
    walker.acked = newest;
    ++walker.absence;
  }
  void Kill(size_t index) { replicas_[index] = Begin(); }
  void Pass(absl::Duration time) {
    for (const absl::Time end = clock_.Now() + time; clock_.Now() < end;) {
      clock_.Advance(absl::Seconds(1));
      for (auto& replica : replicas_) replica->Run();
    }
  }
  PushResult OnPush(const PushRequest& request) {
    for (Walker& walker : walkers_) {
      if (TokenOf(walker.device) == request.token) Note(walker);
    }
    return PushResult{PushOutcome::kSent};
  }
  void Note(Walker& walker) {
    const absl::Time now = clock_.Now();
    if (HasStream(walker)) findings_.emplace_back(kThere);
    const bool reminder = now - walker.told_at >= PushLimits().reminder_after;
    if (walker.told_in == walker.absence && !reminder) findings_.emplace_back(kTwice);
    int64_t of_others = 0;
    for (const auto& [member, sequence] : newest_) {
      if (member != MemberOf(walker.device)) of_others = std::max(of_others, sequence);
    }
    if (of_others <= walker.acked) findings_.emplace_back(kOwn);
    while (!walker.hour.empty() && now - walker.hour.front() >= absl::Hours(1)) {
      walker.hour.pop_front();
    }
    walker.hour.push_back(now);
    if (walker.hour.size() > 12) findings_.emplace_back(kStorm);
    walker.told_in = walker.absence;
    walker.told_at = now;
  }

  FakePushGateway gateway_;
  PushStore* store_under_walk_ = nullptr;
  std::vector<Walker> walkers_ = {{ann_phone_}, {ann_tablet_}, {bob_phone_}};
  std::array<std::unique_ptr<PushReplica>, 2> replicas_;
  std::map<MemberId, int64_t> newest_;
  std::vector<std::string> findings_;
};

constexpr int kSteps = 600;

TEST_P(PushWalkTest, NoPromiseIsBroken) { EXPECT_THAT(Walk(Bug::kNone, kSteps), IsEmpty()); }

TEST_P(PushWalkTest, WhoTellsDespiteAStreamIsFound) {
  EXPECT_THAT(Walk(Bug::kIgnoresStreams, kSteps), Contains(kThere));
}

TEST_P(PushWalkTest, WhoTellsAgainInOneAbsenceIsFound) {
  EXPECT_THAT(Walk(Bug::kForgetsPushes, kSteps), Contains(kTwice));
}

TEST_P(PushWalkTest, WhoTellsWithoutEndIsFound) {
  EXPECT_THAT(Walk(Bug::kForgetsBudget, kSteps), Contains(kStorm));
}

TEST_P(PushWalkTest, WhoTellsOfWhatOneSaidOneselfIsFound) {
  EXPECT_THAT(Walk(Bug::kOwnMessagesCount, kSteps), Contains(kOwn));
}

TEST_P(PushWalkTest, WhoLosesWhatAKilledReplicaKnewIsFound) {
  EXPECT_THAT(Walk(Bug::kNoSweep, kSteps), Contains(kNever));
}

INSTANTIATE_TEST_SUITE_P(Backends, PushWalkTest,
                         ::testing::ValuesIn(storage::DurableTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
