#include "common/base/outbox_loop.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/testing/seeded_random.h"
#include "common/testing/simulated_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace handrail {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

// A queue in memory, and a receiver that does as it is told.
class FakeQueue final : public OutboxQueue {
 public:
  struct Entry {
    std::string name;
    absl::Time due;
    int attempts = 0;
  };

  void Add(const std::string& name) { entries.push_back({name, absl::InfinitePast()}); }

  absl::StatusOr<size_t> TakeDue(absl::Time, absl::Time now, int limit) override {
    in_hand.clear();
    if (!ledger.ok()) return ledger;
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.due < b.due; });
    for (const Entry& entry : entries) {
      if (entry.due <= now && in_hand.size() < static_cast<size_t>(limit)) in_hand.push_back(entry);
    }
    return in_hand.size();
  }
  size_t CountTogether(size_t) const override { return together; }
  absl::Status Send(absl::Time, size_t first, size_t count) override {
    calls.emplace_back();
    absl::Status outcome = receiver;
    for (size_t i = first; i < first + count; ++i) {
      calls.back() += in_hand[i].name;
      if (faulty.contains(in_hand[i].name) && outcome.ok()) outcome = fault;
    }
    if (!outcome.ok()) return outcome;
    for (size_t i = first; i < first + count; ++i) delivered += in_hand[i].name;
    return absl::OkStatus();
  }
  absl::Status Remove(absl::Time, size_t first, size_t count) override {
    if (!ledger.ok()) return ledger;
    for (size_t i = first; i < first + count; ++i) {
      std::erase_if(entries, [&](const Entry& entry) { return entry.name == in_hand[i].name; });
    }
    return absl::OkStatus();
  }
  int Attempts(size_t place) const override { return in_hand[place].attempts; }
  absl::Status Defer(absl::Time, size_t place, absl::Time due, int attempts) override {
    for (Entry& entry : entries) {
      if (entry.name == in_hand[place].name) entry = {entry.name, due, attempts};
    }
    return absl::OkStatus();
  }

  std::vector<Entry> entries;
  std::vector<Entry> in_hand;
  size_t together = 1;
  absl::Status ledger;
  absl::Status receiver;
  std::set<std::string> faulty;
  absl::Status fault = absl::InvalidArgumentError("refused");
  std::vector<std::string> calls;
  std::string delivered;
};

class OutboxLoopTest : public ::testing::Test {
 protected:
  OutboxLoopTest() {
    SetLogSinkForTest([this](absl::string_view line) { lines_.emplace_back(line); });
  }
  ~OutboxLoopTest() override { SetLogSinkForTest({}); }

  void Advance(absl::Duration by) {
    clock_.Advance(by);
    loop_.Run();
  }

  FakeQueue queue_;
  testing::SimulatedClock clock_;
  testing::SeededRandom random_{3};
  std::vector<std::string> lines_;
  OutboxLoop loop_{queue_, "the outbox", clock_, random_, {}};
};

TEST_F(OutboxLoopTest, SendsEverythingThatIsDueOnceAndInOrder) {
  for (int i = 0; i < 40; ++i) queue_.Add(std::string(1, static_cast<char>('A' + i)));
  loop_.Run();
  EXPECT_EQ(queue_.delivered, "ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh");
  EXPECT_THAT(queue_.entries, IsEmpty());
  EXPECT_EQ(loop_.delivered(), 40);
  loop_.Run();
  EXPECT_THAT(queue_.calls, SizeIs(40));
}

TEST_F(OutboxLoopTest, SomeGoTogether) {
  queue_.together = 3;
  for (const char* name : {"a", "b", "c", "d"}) queue_.Add(name);
  loop_.Run();
  EXPECT_THAT(queue_.calls, ElementsAre("abc", "d"));
}

TEST_F(OutboxLoopTest, AReceiverThatIsDownIsTriedAgainWithGrowingPauses) {
  queue_.receiver = absl::UnavailableError("down");
  queue_.Add("a");
  for (int i = 0; i < 100; ++i) loop_.Run();
  EXPECT_THAT(queue_.calls, SizeIs(1)) << "a pause is a pause";
  size_t tries = 1;
  for (absl::Duration pause = absl::Milliseconds(100); pause < absl::Seconds(10); pause *= 2) {
    Advance(pause);
    EXPECT_THAT(queue_.calls, SizeIs(++tries)) << pause;
    Advance(pause / 4);
    EXPECT_THAT(queue_.calls, SizeIs(tries)) << pause;
  }
  EXPECT_EQ(queue_.entries[0].attempts, 0);
  EXPECT_THAT(loop_.Refusals(), IsEmpty());
  queue_.receiver = absl::OkStatus();
  Advance(absl::Seconds(10));
  EXPECT_EQ(queue_.delivered, "a");
}

TEST_F(OutboxLoopTest, WhateverIsAnsweredNoEntryStandsInTheWayOfOthersForEver) {
  for (int code = 1; code <= 16; ++code) {
    SCOPED_TRACE(absl::StatusCodeToString(static_cast<absl::StatusCode>(code)));
    queue_.delivered.clear();
    queue_.faulty = {"bad"};
    queue_.fault = absl::Status(static_cast<absl::StatusCode>(code), "of this one");
    queue_.Add("bad");
    queue_.Add("a");
    queue_.Add("b");
    for (int i = 0; i < 30 && queue_.delivered != "ab"; ++i) Advance(absl::Seconds(10));
    EXPECT_EQ(queue_.delivered, "ab");
    // Nothing is lost.
    queue_.faulty.clear();
    for (int i = 0; i < 30 && !queue_.entries.empty(); ++i) Advance(absl::Seconds(10));
    EXPECT_EQ(queue_.delivered, "abbad");
  }
}

TEST_F(OutboxLoopTest, AnEntryThatIsRefusedIsSetAsideForAGrowingWhile) {
  queue_.faulty = {"bad"};
  queue_.fault = absl::UnknownError("what is this");
  queue_.Add("bad");
  queue_.Add("a");
  loop_.Run();
  EXPECT_EQ(queue_.delivered, "a");
  size_t calls = 2;
  for (absl::Duration delay = absl::Seconds(1); delay < absl::Minutes(10); delay *= 2) {
    Advance(delay - absl::Milliseconds(1));
    EXPECT_THAT(queue_.calls, SizeIs(calls)) << delay;
    Advance(absl::Milliseconds(1));
    EXPECT_THAT(queue_.calls, SizeIs(++calls)) << delay;
  }
  Advance(absl::Minutes(10));
  EXPECT_THAT(queue_.calls, SizeIs(calls + 1)) << "and no longer than that";
}

TEST_F(OutboxLoopTest, RefusalsAreCountedByTheirCodeAndLogged) {
  queue_.faulty = {"bad"};
  queue_.Add("bad");
  loop_.Run();
  queue_.fault = absl::UnknownError("other");
  Advance(absl::Seconds(1));
  Advance(absl::Seconds(2));
  EXPECT_THAT(loop_.Refusals(), ElementsAre(Pair(absl::StatusCode::kUnknown, 2),
                                            Pair(absl::StatusCode::kInvalidArgument, 1)));
  EXPECT_EQ(loop_.failures(), 3);
  ASSERT_THAT(lines_, SizeIs(3));
  EXPECT_THAT(lines_[0], HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(lines_[0], HasSubstr("the outbox"));
}

TEST_F(OutboxLoopTest, WhoLetsNobodyInHasRefusedNoEntry) {
  // A wrong certificate or policy: when it is set right, a block must not wait ten minutes more.
  queue_.faulty = {"block"};
  queue_.fault = absl::PermissionDeniedError("not you");
  queue_.Add("block");
  for (int i = 0; i < 100; ++i) Advance(absl::Seconds(10));
  EXPECT_THAT(loop_.Refusals(), IsEmpty());
  queue_.faulty.clear();
  Advance(absl::Seconds(10));
  EXPECT_EQ(queue_.delivered, "block");
}

TEST_F(OutboxLoopTest, WhatGoesTogetherIsSentApartWhenItIsRefused) {
  queue_.together = 3;
  queue_.faulty = {"b"};
  for (const char* name : {"a", "b", "c"}) queue_.Add(name);
  loop_.Run();
  EXPECT_THAT(queue_.calls, ElementsAre("abc", "a", "b", "c"));
  EXPECT_EQ(queue_.delivered, "ac");
}

TEST_F(OutboxLoopTest, OneThatTheReceiverFailsOfGoesBehindTheOthersAndCountsNoRefusal) {
  queue_.together = 3;
  queue_.faulty = {"bad"};
  queue_.fault = absl::DeadlineExceededError("too slow");
  for (const char* name : {"bad", "a", "b"}) queue_.Add(name);
  for (int i = 0; i < 11; ++i) Advance(absl::Seconds(10));
  EXPECT_THAT(queue_.calls.back(), "bad") << "alone";
  for (int i = 0; i < 30 && queue_.delivered != "ab"; ++i) Advance(absl::Seconds(10));
  EXPECT_EQ(queue_.delivered, "ab");
  EXPECT_EQ(queue_.entries[0].attempts, 0);
}

TEST_F(OutboxLoopTest, ALedgerThatFailsIsAskedAgainAfterAPauseAndNothingIsSentTwiceForIt) {
  queue_.Add("a");
  queue_.ledger = absl::UnavailableError("no ledger");
  loop_.Run();
  EXPECT_THAT(queue_.calls, IsEmpty());
  queue_.ledger = absl::OkStatus();
  loop_.Run();
  EXPECT_THAT(queue_.calls, IsEmpty()) << "it pauses";
  Advance(absl::Seconds(1));
  EXPECT_EQ(queue_.delivered, "a");
}

TEST_F(OutboxLoopTest, StoppedItSendsNothing) {
  queue_.Add("a");
  loop_.Stop();
  loop_.Run();
  EXPECT_THAT(queue_.calls, IsEmpty());
}

}  // namespace
}  // namespace handrail
