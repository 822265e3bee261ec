#include "common/base/status.h"
#include "common/storage/database_test_backends.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/profiles/domain/cases.h"
#include "services/profiles/testing/world.h"

// Cases that reports open, over the real store on every database.
namespace handrail::profiles {
namespace {

using testing::Person;
using testing::World;

class CasesTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  absl::Status Open(const CaseId& id, const MemberId& reporter, const std::string& evidence) {
    Call call;
    call.who.kind = Principal::Kind::kService;
    call.who.service = "messaging";
    Case opened;
    opened.id = id;
    opened.reporter = reporter;
    opened.evidence = Secret<std::string>(evidence);
    opened.report_time = world_.clock.Now() - absl::Seconds(5);
    return cases_.Open(call, std::move(opened));
  }
  std::optional<Case> Find(const CaseId& id) {
    std::optional<Case> found;
    const absl::Status status =
        world_.store->Read(absl::InfiniteFuture(), [&](Unit& unit) -> absl::Status {
          ASSIGN_OR_RETURN(found, unit.FindCase(id));
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  }

  storage::TestDatabase test_database_{GetParam()};
  World world_{[this](const Clock& clock) {
    test_database_.options.clock = &clock;
    return test_database_.Open();
  }};
  Cases cases_{*world_.store, world_.clock};
  Person person_ = world_.Register();
  const CaseId id_ = CaseId::Random(world_.random);
};

INSTANTIATE_TEST_SUITE_P(Backends, CasesTest, ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

TEST_P(CasesTest, ACaseIsKeptAsItWasReported) {
  ASSERT_TRUE(Open(id_, person_.member, "evidence").ok());
  const auto found = Find(id_);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->reporter, person_.member);
  EXPECT_EQ(found->evidence.Reveal(), "evidence");
  EXPECT_EQ(found->open_time, world_.clock.Now());
  EXPECT_EQ(found->report_time, world_.clock.Now() - absl::Seconds(5));
  EXPECT_FALSE(Find(CaseId::Random(world_.random)).has_value());
}

TEST_P(CasesTest, AReportHasOneCaseHoweverOftenItComes) {
  ASSERT_TRUE(Open(id_, person_.member, "evidence").ok());
  world_.clock.Advance(absl::Hours(1));
  EXPECT_TRUE(Open(id_, person_.member, "evidence").ok());
  EXPECT_TRUE(Open(id_, person_.member, "something else").ok());
  EXPECT_EQ(Find(id_)->evidence.Reveal(), "evidence");
  EXPECT_EQ(Find(id_)->open_time, world_.clock.Now() - absl::Hours(1));
}

TEST_P(CasesTest, AReporterWhoIsNotHereHasNone) {
  const absl::Status status = Open(id_, MemberId::Random(world_.random), "evidence");
  EXPECT_TRUE(HasReason(status, reason::kNotFound)) << status;
  EXPECT_FALSE(Find(id_).has_value());
}

}  // namespace
}  // namespace handrail::profiles
