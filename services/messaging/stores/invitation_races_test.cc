// Many who accept at once, over two replicas of one database; and stores with a seeded bug, which
// the same look at what came of it finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/messaging/stores/invitation_test_util.h"
#include "services/messaging/stores/watched_database.h"

namespace handrail::messaging {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Seeded bugs: faults of construction that the checks must find. None is reachable from production
// code.
enum class Bug {
  kNone,
  kUsedTwice,        // an invitation is not compared before it is set
  kNoSeats,          // who takes part is not counted
  kUsesAnothersOne,  // another invitation is used than the one that was shown
};

std::string WithBug(Bug bug, absl::string_view sql) {
  switch (bug) {
    case Bug::kUsedTwice:
      return absl::StrReplaceAll(sql, {{"AND state = 1 AND expires_at", "AND expires_at"}});
    case Bug::kNoSeats:
      return absl::StrReplaceAll(sql, {{"SELECT COUNT(*) FROM conversation_members WHERE",
                                        "SELECT 0 * COUNT(*) FROM conversation_members WHERE"}});
    case Bug::kUsesAnothersOne:
      return absl::StrReplaceAll(sql, {{"WHERE invitation_id = $1 AND state = 1",
                                        "WHERE invitation_id <> $1 AND state = 1"}});
    case Bug::kNone: break;
  }
  return std::string(sql);
}

// Whom a replica lets in, and when by its clock.
struct Racer {
  DeviceId device;
  InvitationId invitation;
  absl::Time now;
};

class InvitationRacesTest : public InvitationTest {
 protected:
  void OpenReplicas(Bug bug, const InvitationLimits& limits = {}) {
    for (int i = 0; i < 2; ++i) {
      if (backend_.IsPostgres()) own_.push_back(backend_.Open());
      storage::Database& below = own_.empty() ? *database_ : *own_.back();
      buggy_.push_back(std::make_unique<WatchedDatabase>(
          below, nullptr, [bug](absl::string_view sql) { return WithBug(bug, sql); }));
      replicas_.push_back(std::make_unique<SqlInvitationStore>(*buggy_.back(), random_, limits));
    }
  }
  // Lets all of them accept at once; the number of those of whom each of these was said.
  std::map<std::string, int> Race(const std::vector<Racer>& racers) {
    Mutex mutex;
    std::map<std::string, int> answers;
    std::vector<std::thread> threads;
    std::vector<Call> calls;
    std::vector<ShownInvitation> shown;
    for (const Racer& racer : racers) {
      calls.push_back(FreshCall(racer.device));
      shown.push_back(Show(racer.invitation));
    }
    for (size_t i = 0; i < racers.size(); ++i) {
      threads.emplace_back([&, i] {
        const auto joined = replicas_[i % 2]->Accept(calls[i], racers[i].now, shown[i]);
        MutexLock lock(mutex);
        ++answers[joined.ok() ? "in" : ReasonOf(joined.status())];
      });
    }
    for (std::thread& thread : threads) thread.join();
    return answers;
  }
  std::vector<Racer> ManyFor(const InvitationId& id, int count) {
    std::vector<Racer> racers;
    for (int i = 0; i < count; ++i) racers.push_back({MakePerson()[0], id, clock_.Now()});
    return racers;
  }
  // More invitations than places, as replicas whose clocks differ can make them.
  std::vector<Racer> MoreThanPlaces(size_t places) {
    std::vector<Racer> racers;
    const absl::Time early = clock_.Now();
    for (size_t i = 0; i < places; ++i) {
      racers.push_back({MakePerson()[0], Invite(ann_phone_), early});
    }
    clock_.Advance(absl::Hours(7 * 24));
    for (size_t i = 0; i < places; ++i) {
      racers.push_back({MakePerson()[0], Invite(ann_phone_), clock_.Now()});
    }
    return racers;
  }

  std::vector<std::unique_ptr<storage::Database>> own_;
  std::vector<std::unique_ptr<WatchedDatabase>> buggy_;
  std::vector<std::unique_ptr<SqlInvitationStore>> replicas_;
};

TEST_P(InvitationRacesTest, OfManyWhoShowOneInvitationOneComesIn) {
  OpenReplicas(Bug::kNone);
  for (int round = 0; round < 6; ++round) {
    const auto answers = Race(ManyFor(Invite(ann_phone_), 6));
    EXPECT_EQ(answers, (std::map<std::string, int>{{"in", 1}, {"NOT_FOUND", 5}}));
    EXPECT_THAT(Violations(), IsEmpty());
  }
}

TEST_P(InvitationRacesTest, TheLastPlaceIsTakenOnce) {
  OpenReplicas(Bug::kNone);
  for (int i = 0; i < 6; ++i) LetIn(MakePerson()[0]);
  std::vector<Racer> racers = MoreThanPlaces(1);
  EXPECT_EQ(Race(racers), (std::map<std::string, int>{{"in", 1}, {"QUEUE_FULL", 1}}));
  EXPECT_EQ(SeenBy(ann_phone_).members.size(), 8);
}

TEST_P(InvitationRacesTest, OfManyForFewPlacesSoManyComeIn) {
  OpenReplicas(Bug::kNone);
  EXPECT_EQ(Race(MoreThanPlaces(7)), (std::map<std::string, int>{{"in", 7}, {"QUEUE_FULL", 7}}));
}

TEST_P(InvitationRacesTest, OneRequestThatComesTwiceAtOnceIsOneWrite) {
  OpenReplicas(Bug::kNone);
  const DeviceId dan = MakePerson()[0];
  const InvitationId id = Invite(ann_phone_);
  const Call call = FreshCall(dan);
  const ShownInvitation shown = Show(id);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const auto joined = replicas_[i % 2]->Accept(call, clock_.Now(), shown);
      EXPECT_TRUE(joined.ok()) << joined.status();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(SeenBy(ann_phone_).members.size(), 2);
}

TEST_P(InvitationRacesTest, AnInvitationThatIsUsedTwiceIsFound) {
  check_invariants_ = false;
  OpenReplicas(Bug::kUsedTwice);
  const InvitationId id = Invite(ann_phone_);
  // The index alone already keeps the second one out.
  EXPECT_EQ(Race(ManyFor(id, 3))["in"], 1);
  EXPECT_THAT(Violations(), IsEmpty());
  Plant("DROP INDEX conversation_members_by_invitation");
  EXPECT_EQ(Race(ManyFor(id, 3))["in"], 3);
  EXPECT_THAT(Violations(), Contains(HasSubstr("has let in more than one")));
}

TEST_P(InvitationRacesTest, ANinthIsFound) {
  check_invariants_ = false;
  OpenReplicas(Bug::kNoSeats);
  EXPECT_EQ(Race(MoreThanPlaces(7))["in"], 14);
  EXPECT_THAT(Violations(), Contains(HasSubstr("more than 8 take part")));
}

TEST_P(InvitationRacesTest, WhoCameWithoutAnInvitationOfTheirsIsFound) {
  check_invariants_ = false;
  OpenReplicas(Bug::kUsesAnothersOne);
  const InvitationId shown = Invite(ann_phone_);
  Invite(ann_phone_);
  EXPECT_EQ(Race(ManyFor(shown, 1))["in"], 1);
  EXPECT_THAT(Violations(), Contains(HasSubstr("neither a pairing nor an invitation of theirs")));
  Plant("UPDATE invitations SET state = 2, accepted_by = $1 WHERE state = 2", {bob_});
  EXPECT_THAT(Violations(), Contains(HasSubstr("neither a pairing nor an invitation of theirs")));
}

TEST_P(InvitationRacesTest, WhoCameByNothingAtAllIsFound) {
  check_invariants_ = false;
  LetIn(bob_phone_);
  ASSERT_THAT(Violations(), IsEmpty());
  Plant("UPDATE conversation_members SET invitation_id = NULL");
  EXPECT_THAT(Violations(), Contains(HasSubstr("neither a pairing nor an invitation of theirs")));
}

INSTANTIATE_TEST_SUITE_P(Backends, InvitationRacesTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::messaging
