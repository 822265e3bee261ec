// What C1, C2 and C6 promise, as a walk sees it that sends, repeats, crashes and reads on; and
// stores that break it as others have, each of which the same walk finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/messaging/stores/schema.h"
#include "services/messaging/stores/store_test_util.h"

namespace handrail::messaging {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

constexpr absl::Time kNever = absl::InfiniteFuture();

// How far a device has read.
struct Mark {
  int64_t sequence = 0;
  absl::Time time = absl::InfinitePast();
};

// What the walk asks of a store, in the terms of the client.
class Delivery {
 public:
  using Between = std::function<void()>;
  using Answer = absl::StatusOr<Appended>;

  virtual ~Delivery() = default;
  virtual Answer Send(const Append& append) = 0;
  // Two at once. Somebody looks when one of them is there for sure.
  virtual std::pair<Answer, Answer> SendTwo(const Append& one, const Append& other,
                                            const Between& between) = 0;
  virtual std::vector<EnvelopePtr> Read(const MemberId& member, const DeviceId& device,
                                        const Mark& mark) = 0;
  virtual void Crash() = 0;
};

enum class Bug { kDeleteOnRead, kAnswerBeforeCommit, kSerialIds, kCursorByTime };

class DeliveryWalkTest : public StoreTest {
 protected:
  void SetUp() override {
    Apply(ann_, {ann_phone_, ann_tablet_});
    Apply(bob_, {bob_phone_});
    id_ = Open(pairing_);
  }

  class Real : public Delivery {
   public:
    explicit Real(DeliveryWalkTest& test) : test_(test) {}
    Answer Send(const Append& append) override { return test_.Send(append); }
    std::pair<Answer, Answer> SendTwo(const Append& one, const Append& other,
                                      const Between& between) override {
      Mutex mutex;
      CondVar answered;
      std::optional<Answer> second;
      test_.store_->AppendAsync(other, nullptr, [&](Answer answer) {
        MutexLock lock(mutex);
        second = std::move(answer);
        answered.SignalAll();
      });
      Answer first = test_.Send(one);
      between();
      MutexLock lock(mutex);
      while (!second.has_value()) answered.Wait(mutex);
      return {std::move(first), *std::move(second)};
    }
    std::vector<EnvelopePtr> Read(const MemberId& member, const DeviceId& device,
                                  const Mark& mark) override {
      const auto page = test_.FetchAs(member, device, test_.id_, mark.sequence);
      EXPECT_TRUE(page.ok()) << page.status();
      return page.ok() ? page->envelopes : std::vector<EnvelopePtr>();
    }
    void Crash() override { test_.OpenStore(); }

   protected:
    DeliveryWalkTest& test_;
  };

  // A queue's habit: what was handed out is gone.
  class DeletingOnRead final : public Real {
   public:
    using Real::Real;
    std::vector<EnvelopePtr> Read(const MemberId& member, const DeviceId& device,
                                  const Mark& mark) override {
      std::vector<EnvelopePtr> read = Real::Read(member, device, mark);
      for (const EnvelopePtr& envelope : read) {
        test_.Plant("DELETE FROM messages WHERE conversation_key = $1 AND sequence = $2",
                    {KeyOf(test_.id_), envelope->sequence});
      }
      return read;
    }
  };

  // The write waits in memory for the next one.
  class AnsweringBeforeCommit final : public Real {
   public:
    using Real::Real;
    Answer Send(const Append& append) override {
      Flush();
      waiting_ = append;
      const auto now =
          test_.store_->GetConversation(kNever, test_.ann_, test_.ann_phone_, test_.id_);
      return Appended{now->head_sequence + 1, test_.clock_.Now()};
    }
    std::vector<EnvelopePtr> Read(const MemberId& member, const DeviceId& device,
                                  const Mark& mark) override {
      Flush();
      return Real::Read(member, device, mark);
    }
    void Crash() override {
      waiting_.reset();
      Real::Crash();
    }

   private:
    void Flush() {
      if (!waiting_.has_value()) return;
      EXPECT_TRUE(Real::Send(*waiting_).ok());
      waiting_.reset();
    }
    std::optional<Append> waiting_;
  };

  // The number is drawn before the row is written, so that a later one may be there first.
  class NumberingSerially final : public Real {
   public:
    using Real::Real;
    Answer Send(const Append& append) override { return Write(append, ++last_); }
    std::pair<Answer, Answer> SendTwo(const Append& one, const Append& other,
                                      const Between& between) override {
      const int64_t first = ++last_;
      const int64_t second = ++last_;
      Answer later = Write(other, second);
      between();
      return {Write(one, first), std::move(later)};
    }

   private:
    Answer Write(const Append& append, int64_t sequence) {
      if (const auto known = known_.find(append.message_id); known != known_.end()) {
        return known->second;
      }
      test_.Plant(
          "INSERT INTO messages (conversation_key, sequence, sender_key, sender_device,"
          " message_id, created_at, payload) VALUES ($1, $2, $3, $4, $5, $6, $7)",
          {KeyOf(test_.id_), sequence, KeyOf(append.member), append.device, append.message_id,
           test_.clock_.Now(), storage::Blob{append.payload}});
      test_.Plant(
          "UPDATE conversations SET head_sequence = $2 WHERE conversation_key = $1"
          " AND head_sequence < $2",
          {KeyOf(test_.id_), sequence});
      return known_[append.message_id] = Appended{sequence, test_.clock_.Now()};
    }
    int64_t last_ = 0;
    std::map<MessageId, Appended> known_;
  };

  // Reads on after the moment of the last message.
  class ReadingByTime final : public Real {
   public:
    using Real::Real;
    std::vector<EnvelopePtr> Read(const MemberId& member, const DeviceId& device,
                                  const Mark& mark) override {
      std::vector<EnvelopePtr> newer;
      for (const EnvelopePtr& envelope : Real::Read(member, device, Mark())) {
        if (envelope->create_time > mark.time) newer.push_back(envelope);
      }
      return newer;
    }
  };

  std::unique_ptr<Delivery> WithBug(Bug bug) {
    switch (bug) {
      case Bug::kDeleteOnRead: return std::make_unique<DeletingOnRead>(*this);
      case Bug::kAnswerBeforeCommit: return std::make_unique<AnsweringBeforeCommit>(*this);
      case Bug::kSerialIds: return std::make_unique<NumberingSerially>(*this);
      case Bug::kCursorByTime: return std::make_unique<ReadingByTime>(*this);
    }
    return nullptr;
  }

  // Walks, and tells every promise that was broken.
  std::vector<std::string> Walk(Delivery& delivery) {
    for (int step = 0; step < kSteps; ++step) {
      switch (random_.Below(6)) {
        case 0: SayTwo(delivery); break;
        case 1: Repeat(delivery); break;
        case 2: ReadOn(delivery, random_.Below(3)); break;
        case 3: delivery.Crash(); break;
        default: SayOne(delivery);
      }
      if (random_.Below(2) == 0) clock_.Advance(absl::Milliseconds(3));
    }
    for (size_t i = 0; i < readers_.size(); ++i) ReadOn(delivery, i);
    for (const Reader& reader : readers_) CheckReader(reader);
    return std::move(findings_);
  }

 private:
  static constexpr int kSteps = 120;
  struct Reader {
    MemberId member;
    DeviceId device;
    Mark mark;
    std::vector<EnvelopePtr> read;
  };
  struct Said {
    Append append;
    Appended answer;
  };

  Append Next() { return MakeAppend(id_, absl::StrCat("message ", ++said_count_)); }
  void Note(const Append& append, const Delivery::Answer& answer) {
    if (answer.ok()) {
      said_.push_back({append, *answer});
    } else {
      findings_.push_back(absl::StrCat("a send was refused: ", answer.status().ToString()));
    }
  }
  void SayOne(Delivery& delivery) {
    const Append append = Next();
    Note(append, delivery.Send(append));
  }
  void SayTwo(Delivery& delivery) {
    const Append one = Next();
    const Append other = Next();
    const auto answers =
        delivery.SendTwo(one, other, [&] { ReadOn(delivery, random_.Below(readers_.size())); });
    Note(one, answers.first);
    Note(other, answers.second);
  }
  void Repeat(Delivery& delivery) {
    if (said_.empty()) return;
    const Said& said = said_[random_.Below(said_.size())];
    const auto again = delivery.Send(said.append);
    if (!again.ok() || again->sequence != said.answer.sequence) {
      findings_.push_back("a repeated send got another answer");
    }
  }
  void ReadOn(Delivery& delivery, size_t which) {
    Reader& reader = readers_[which];
    for (const EnvelopePtr& envelope : delivery.Read(reader.member, reader.device, reader.mark)) {
      reader.read.push_back(envelope);
      reader.mark = {envelope->sequence, envelope->create_time};
    }
  }
  void CheckReader(const Reader& reader) {
    std::map<MessageId, std::set<int64_t>> places;
    int64_t next = 1;
    for (const EnvelopePtr& envelope : reader.read) {
      places[envelope->message_id].insert(envelope->sequence);
      if (envelope->sequence != next) findings_.push_back("a device did not get the next place");
      next = envelope->sequence + 1;
    }
    for (const Said& said : said_) {
      const auto found = places.find(said.append.message_id);
      if (found == places.end()) {
        findings_.push_back("a device lacks what was acknowledged");
      } else if (found->second != std::set<int64_t>{said.answer.sequence}) {
        findings_.push_back("a message is elsewhere than was answered, or twice");
      }
    }
  }

  ConversationId id_;
  std::vector<Reader> readers_ = {
      {ann_, ann_phone_, {}, {}}, {ann_, ann_tablet_, {}, {}}, {bob_, bob_phone_, {}, {}}};
  std::vector<Said> said_;
  std::vector<std::string> findings_;
  int said_count_ = 0;
};

TEST_P(DeliveryWalkTest, NoPromiseIsBroken) {
  Real real(*this);
  EXPECT_THAT(Walk(real), IsEmpty());
}

TEST_P(DeliveryWalkTest, WhatDeletesOnReadIsFound) {
  check_invariants_ = false;
  EXPECT_THAT(Walk(*WithBug(Bug::kDeleteOnRead)), Contains("a device lacks what was acknowledged"));
}

TEST_P(DeliveryWalkTest, WhatAnswersBeforeItCommitsIsFound) {
  check_invariants_ = false;
  EXPECT_THAT(Walk(*WithBug(Bug::kAnswerBeforeCommit)),
              Contains("a device lacks what was acknowledged"));
}

TEST_P(DeliveryWalkTest, NumbersThatAreDrawnBeforeTheCommitAreFound) {
  check_invariants_ = false;
  EXPECT_THAT(Walk(*WithBug(Bug::kSerialIds)), Contains("a device did not get the next place"));
}

TEST_P(DeliveryWalkTest, ACursorByTimeIsFound) {
  check_invariants_ = false;
  EXPECT_THAT(Walk(*WithBug(Bug::kCursorByTime)), Contains("a device lacks what was acknowledged"));
}

INSTANTIATE_TEST_SUITE_P(Backends, DeliveryWalkTest,
                         ::testing::ValuesIn(storage::DurableTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
