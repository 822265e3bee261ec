#include "services/matching/domain/ticket_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/stores/ledger_test_env.h"

// What the desk says to somebody who cannot ask yet.
namespace handrail::matching {
namespace {

using ::testing::UnorderedElementsAre;

// Profiles knows this one member.
class OneMember final : public MemberDirectory {
 public:
  explicit OneMember(MemberTraits member) { entry_.member = std::move(member); }
  absl::StatusOr<Entry> Fetch(absl::Time, const MemberId&) override { return entry_; }

 private:
  Entry entry_;
};

TEST(TicketDeskTest, WhatIsMissingIsNamedByItsPathAndOnce) {
  LedgerTestEnv env(storage::TestBackend::kSqliteMemory);
  const MemberId id = MemberId::Random(env.random);
  MemberTraits member = env.Newcomer(id);
  member.newcomer->philosophies = {Philosophy::kTwelveStepNa};
  member.newcomer->person.languages.clear();
  OneMember directory(member);
  MemberCache members(4);
  TicketDesk desk(
      *env.ledger, directory, members, BuiltInPrograms(), env.clock, env.random, 1,
      [] { return true; }, [](const Effects&) {});
  std::promise<absl::StatusOr<Ticket>> promise;
  desk.RequestMatch(
      env.As(id), {RelationshipType::kSponsor, Philosophy::kTwelveStepAa, false, {}},
      [&promise](absl::StatusOr<Ticket> ticket) { promise.set_value(std::move(ticket)); });
  const absl::Status status = promise.get_future().get().status();
  EXPECT_TRUE(HasReason(status, reason::kProfileIncomplete)) << status;
  std::vector<std::string> paths;
  for (const auto& [path, text] : DetailsOf(status).field_violations) paths.push_back(path);
  EXPECT_THAT(paths, UnorderedElementsAre("newcomer.philosophies", "newcomer.person.languages"));
  desk.Stop();
}

}  // namespace
}  // namespace handrail::matching
