#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "services/matching/stores/choice_store_fixture.h"

// What a newcomer may ask and see in a day, on every backend.
namespace handrail::matching {
namespace {

using ::testing::IsEmpty;

class CandidateBudgetTest : public ChoiceStoreFixture {
 protected:
  absl::StatusOr<Shown> Ask(const MemberId& newcomer, const Question& question,
                            const std::vector<MemberId>& candidates) {
    return choices_.Show(env_.As(newcomer), env_.clock.Now(), question, candidates, 5, {});
  }
  absl::StatusOr<Shown> Find(const MemberId& newcomer, const Question& question) {
    return choices_.FindShown(env_.As(newcomer), env_.clock.Now(), question, {});
  }
  static ShownList ListOf(const std::vector<MemberId>& people) {
    ShownList list;
    list.suitable_count = 10;
    for (const MemberId& sponsor : people) list.people.push_back({sponsor, {}});
    return list;
  }
  void ExpectSpent(const absl::Status& status) {
    EXPECT_TRUE(HasReason(status, reason::kCandidatesSpent)) << status;
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    const auto retry = DetailsOf(status).retry_after;
    ASSERT_TRUE(retry.has_value());
    EXPECT_EQ(DayOf(env_.clock.Now() + *retry), DayOf(env_.clock.Now()) + 1);
    EXPECT_EQ(DayOf(env_.clock.Now() + *retry - absl::Seconds(1)), DayOf(env_.clock.Now()));
  }
};

TEST_P(CandidateBudgetTest, ThreeDifferentQuestionsADay) {
  const std::vector<MemberId> sponsors = Sponsors(5);
  const MemberId newcomer = env_.AddNewcomer();
  Importance importance;
  importance.Set(FactorCode::kLocality, Emphasis::kMore);
  Question contact = About(1);
  contact.relationship_type = RelationshipType::kTemporaryContact;
  Question elsewhere = About(1);
  elsewhere.pool.philosophy = Philosophy::kSmart;
  EXPECT_EQ(Find(newcomer, About(1))->questions_left, 3);
  EXPECT_EQ(Ask(newcomer, About(1), sponsors)->questions_left, 2);
  EXPECT_EQ(Ask(newcomer, About(1), sponsors)->questions_left, 2) << "the same one";
  EXPECT_EQ(Ask(newcomer, About(1, importance), sponsors)->questions_left, 1);
  EXPECT_EQ(Ask(newcomer, contact, {})->questions_left, 0) << "nobody is an answer too";
  for (const Question& another : {About(2), elsewhere}) {
    ExpectSpent(Find(newcomer, another).status());
    ExpectSpent(Ask(newcomer, another, sponsors).status());
  }
  EXPECT_TRUE(Find(newcomer, contact).ok());
  EXPECT_TRUE(Ask(newcomer, contact, sponsors).ok());
  EXPECT_TRUE(Ask(env_.AddNewcomer(), About(2), sponsors).ok()) << "each has a budget";
  env_.clock.Advance(absl::Hours(24));
  EXPECT_TRUE(Ask(newcomer, About(2), sponsors).ok());
}

TEST_P(CandidateBudgetTest, TheFirstAnswerStandsForTheDay) {
  const std::vector<MemberId> sponsors = Sponsors(4);
  const MemberId newcomer = env_.AddNewcomer();
  const auto keep = [&](const ShownList& list) {
    auto stands = choices_.KeepShown(env_.As(newcomer), env_.clock.Now(), About(1), list);
    EXPECT_TRUE(stands.ok()) << stands.status();
    return stands.value_or(ShownList());
  };
  EXPECT_TRUE(HasReason(
      choices_.KeepShown(env_.As(newcomer), env_.clock.Now(), About(1), ListOf(sponsors)).status(),
      reason::kNotFound))
      << "it was not asked";
  ASSERT_TRUE(Ask(newcomer, About(1), sponsors).ok());
  EXPECT_FALSE(Find(newcomer, About(1))->answer.has_value());
  const ShownList first = ListOf({sponsors[2], sponsors[0]});
  EXPECT_EQ(keep(first), first);
  EXPECT_EQ(keep(ListOf({sponsors[1]})), first);
  EXPECT_EQ(Find(newcomer, About(1))->answer, first);
  const auto again = Ask(newcomer, About(1), sponsors);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->answer, first);
  EXPECT_THAT(again->people, IsEmpty());
  EXPECT_FALSE(Find(newcomer, About(2))->answer.has_value());
  env_.clock.Advance(absl::Hours(24));
  EXPECT_FALSE(Find(newcomer, About(1))->answer.has_value());
}

TEST_P(CandidateBudgetTest, ARowSaysNothingOfWhoWasShown) {
  const std::vector<MemberId> sponsors = Sponsors(1);
  const MemberId newcomer = env_.AddNewcomer();
  ASSERT_TRUE(Ask(newcomer, About(1), sponsors).ok());
  ASSERT_TRUE(
      choices_.KeepShown(env_.As(newcomer), env_.clock.Now(), About(1), ListOf(sponsors)).ok());
  std::string answer;
  ASSERT_TRUE(env_.database
                  ->Read(absl::InfiniteFuture(),
                         [&](storage::Transaction& tx) -> absl::Status {
                           ASSIGN_OR_RETURN(const storage::Rows rows,
                                            tx.Query("SELECT answer FROM candidate_questions", {}));
                           answer = std::string(rows.at(0).Bytes(0));
                           return absl::OkStatus();
                         })
                  .ok());
  EXPECT_FALSE(answer.empty());
  EXPECT_EQ(answer.find(std::string(sponsors[0].Bytes())), std::string::npos);
  env_.clock.Advance(absl::Hours(72));
  EXPECT_EQ(*choices_.Trim(absl::InfiniteFuture(), env_.clock.Now(), 1000), 2);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM candidate_questions"), 0);
}

TEST_P(CandidateBudgetTest, QuestionsAtOnceAreNotMoreTogether) {
  const std::vector<MemberId> sponsors = Sponsors(5);
  const MemberId newcomer = env_.AddNewcomer();
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  std::atomic<int> spent = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i, call = env_.As(newcomer)] {
      const auto shown = choices_.Show(call, env_.clock.Now(), About(i), sponsors, 5, ShowBudget());
      if (shown.ok()) {
        ++answered;
      } else if (HasReason(shown.status(), reason::kCandidatesSpent)) {
        ++spent;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(spent, 5);
  EXPECT_EQ(env_.Count("SELECT COUNT(*) FROM candidate_questions"), 3);
}

INSTANTIATE_TEST_SUITE_P(Backends, CandidateBudgetTest,
                         ::testing::Values(storage::TestBackend::kSqliteMemory,
                                           storage::TestBackend::kPostgres),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

}  // namespace
}  // namespace handrail::matching
