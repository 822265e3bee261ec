// Each sentence of domain/store.h is a case here; each backend runs them all.
#include <atomic>
#include <set>
#include <thread>

#include "common/base/status.h"
#include "common/storage/database_test_backends.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/profiles/domain/member_guard.h"
#include "services/profiles/stores/schema.h"
#include "services/profiles/testing/world.h"

namespace handrail::profiles {
namespace {

using testing::Person;
using testing::World;

constexpr absl::Time kNever = absl::InfiniteFuture();

class StoreConformanceTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  absl::Status Write(Store::Work work) { return world_.store->Write(kNever, work); }
  absl::Status Read(Store::Work work) { return world_.store->Read(kNever, work); }
  int64_t Version(const MemberId& member) {
    int64_t version = -1;
    EXPECT_TRUE(Read([&](Unit& unit) -> absl::Status {
                  ASSIGN_OR_RETURN(const auto found, unit.FindMember(member));
                  version = found.has_value() ? found->version : -1;
                  return absl::OkStatus();
                }).ok());
    return version;
  }

  storage::TestDatabase test_database_{GetParam()};
  World world_{[this](const Clock& clock) {
    test_database_.options.clock = &clock;
    return test_database_.Open();
  }};
};

INSTANTIATE_TEST_SUITE_P(Backends, StoreConformanceTest,
                         ::testing::ValuesIn(storage::AllTestBackends()),
                         [](const auto& info) { return storage::TestBackendName(info.param); });

TEST_P(StoreConformanceTest, MigrationsMayRunAgain) {
  EXPECT_TRUE(world_.database->Migrate(ProfilesMigrations()).ok());
}

TEST_P(StoreConformanceTest, AUnitThatFailsLeavesNothing) {
  const MemberId member = MemberId::Random(world_.random);
  const absl::Status failed = Write([&](Unit& unit) -> absl::Status {
    RETURN_IF_ERROR(unit.InsertMember({member, 1, Standing::kGood, world_.clock.Now()}));
    RETURN_IF_ERROR(unit.BumpVersion(member, world_.clock.Now(), kReceivers));
    return NotFoundError();
  });
  EXPECT_EQ(failed.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Version(member), -1);
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 0);
}

TEST_P(StoreConformanceTest, MembersAndDevicesAreFoundAsWritten) {
  const Person person = world_.Register();
  ASSERT_TRUE(Read([&](Unit& unit) -> absl::Status {
                ASSIGN_OR_RETURN(const auto member, unit.LockMember(person.member));
                EXPECT_EQ(member->version, 1);
                EXPECT_EQ(member->standing, Standing::kGood);
                EXPECT_EQ(member->create_time, world_.clock.Now());
                ASSIGN_OR_RETURN(const auto by_id, unit.FindDevice(person.device));
                ASSIGN_OR_RETURN(const auto by_key,
                                 unit.FindDeviceByKey(person.key->verify_key().bytes()));
                EXPECT_EQ(*by_id, *by_key);
                EXPECT_EQ(by_id->public_key, person.key->verify_key().bytes());
                ASSIGN_OR_RETURN(const auto none, unit.FindDeviceByKey(std::string(32, 'x')));
                EXPECT_FALSE(none.has_value());
                ASSIGN_OR_RETURN(const int count, unit.CountActiveDevices(person.member));
                EXPECT_EQ(count, 1);
                const absl::Time now = world_.clock.Now();
                EXPECT_EQ(*unit.CountDevicesSince(person.member, now), 0);
                EXPECT_EQ(*unit.CountDevicesSince(person.member, now - absl::Seconds(1)), 1);
                return absl::OkStatus();
              }).ok());
}

TEST_P(StoreConformanceTest, AKeyIsRegisteredOnce) {
  const Person person = world_.Register();
  ASSERT_TRUE(Write([&](Unit& unit) -> absl::Status {
                ASSIGN_OR_RETURN(const bool inserted,
                                 unit.InsertDevice({DeviceId::Random(world_.random), person.member,
                                                    std::string(person.key->verify_key().bytes()),
                                                    world_.clock.Now(), std::nullopt}));
                EXPECT_FALSE(inserted);
                return absl::OkStatus();
              }).ok());
}

TEST_P(StoreConformanceTest, OneKeyRegisteredByManyAtOnceBecomesOneMember) {
  const auto key = world_.NewKey();
  std::vector<DeviceProof> proofs;
  for (int i = 0; i < 8; ++i) proofs.push_back(world_.Prove(*key));
  std::vector<MemberId> members(proofs.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < proofs.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto registered = world_.identity->RegisterDevice(World::Anonymous(), proofs[i]);
      EXPECT_TRUE(registered.ok()) << registered.status();
      if (registered.ok()) members[i] = registered->device.member;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const MemberId& member : members) EXPECT_EQ(member, members[0]);
}

TEST_P(StoreConformanceTest, OneChallengeUsedByManyAtOnceIsUsedOnce) {
  const Person person = world_.Register();
  const DeviceProof proof = world_.Prove(*person.key);
  std::atomic<int> accepted = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      if (world_.identity->CreateToken(World::Anonymous(), proof).ok()) ++accepted;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted, 1);
}

TEST_P(StoreConformanceTest, VersionsOfConcurrentChangesAreDense) {
  const Person person = world_.Register();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 5; ++j) {
        ProfileUpdate update;
        update.pseudonym = "Sparrow";
        const std::string id = std::to_string(i) + "-" + std::to_string(j);
        EXPECT_TRUE(world_.profiles->Update(world_.CallBy(person, id), update).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Version(person.member), 41);
  EXPECT_EQ(world_.profiles->Get(world_.CallBy(person))->revision, 40);
}

TEST_P(StoreConformanceTest, OneRequestSentManyTimesAtOnceIsWrittenOnce) {
  const Person person = world_.Register();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      ProfileUpdate update;
      update.pseudonym = "Sparrow";
      const auto profile = world_.profiles->Update(world_.CallBy(person, "same"), update);
      EXPECT_TRUE(profile.ok()) << profile.status();
      EXPECT_EQ(profile.ok() ? profile->revision : 0, 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Version(person.member), 2);
}

TEST_P(StoreConformanceTest, TwoWhoBlockEachOtherAtOnceBothSucceed) {
  for (int round = 0; round < 5; ++round) {
    const Person one = world_.Register();
    const Person other = world_.Register();
    std::thread first([&] {
      EXPECT_TRUE(world_.safety->BlockMember(world_.CallBy(one, "b"), other.member).ok());
    });
    std::thread second([&] {
      EXPECT_TRUE(world_.safety->BlockMember(world_.CallBy(other, "b"), one.member).ok());
    });
    first.join();
    second.join();
    EXPECT_EQ(world_.directory->GetMember(World::Anonymous(), one.member)->blocks.size(), 2u);
  }
}

TEST_P(StoreConformanceTest, ProfilesAreFoundAsWritten) {
  const Person person = world_.Register();
  Profile profile;
  profile.member = person.member;
  profile.pseudonym = "Sparrow";
  profile.newcomer = std::string("a\0b", 3);
  profile.sponsor = "";
  profile.audiences = {{"pseudonym", Audience::kCandidate}};
  profile.attest_time = world_.clock.Now();
  profile.revision = 3;
  profile.update_time = world_.clock.Now();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Write([&](Unit& unit) { return unit.PutProfile(profile); }).ok());
    ASSERT_TRUE(Read([&](Unit& unit) -> absl::Status {
                  ASSIGN_OR_RETURN(const Profile found, unit.GetProfile(person.member));
                  EXPECT_EQ(found, profile);
                  return absl::OkStatus();
                }).ok());
    profile.newcomer.reset();
    profile.attest_time.reset();
  }
}

TEST_P(StoreConformanceTest, AReceiptOfAPurposeStandsOnce) {
  const Person person = world_.Register();
  const auto insert = [&] {
    return Write([&](Unit& unit) {
      return unit.InsertReceipt({ReceiptId::Random(world_.random), person.member,
                                 ConsentPurpose::kMatching, "1", "en", world_.clock.Now(),
                                 std::nullopt});
    });
  };
  EXPECT_TRUE(insert().ok());
  EXPECT_EQ(insert().code(), absl::StatusCode::kAlreadyExists);
}

TEST_P(StoreConformanceTest, PagesWithEqualTimesLeaveNobodyOut) {
  const Person person = world_.Register();
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(
        world_.identity
            ->AddDevice(world_.CallBy(person, std::to_string(i)), world_.Prove(*world_.NewKey()))
            .ok());
  }
  std::set<DeviceId> seen;
  PageRequest request{std::nullopt, 3};
  int pages = 0;
  do {
    const auto page = world_.identity->ListDevices(world_.CallBy(person), request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const Device& device : page->items) EXPECT_TRUE(seen.insert(device.id).second);
    request.after = page->next;
    ++pages;
  } while (request.after.has_value());
  EXPECT_EQ(seen.size(), 8u);
  EXPECT_EQ(pages, 3);
}

TEST_P(StoreConformanceTest, OutboxEntriesAreDueOldestFirstAndWaitWhenDeferred) {
  const Person first = world_.Register();
  world_.clock.Advance(absl::Seconds(1));
  const Person second = world_.Register();
  auto due = world_.store->DueOutbox(Receiver::kMatching, world_.clock.Now(), 100, kNever);
  ASSERT_TRUE(due.ok()) << due.status();
  ASSERT_EQ(due->size(), 2u);
  EXPECT_EQ((*due)[0].snapshot.member, first.member);
  EXPECT_EQ((*due)[1].snapshot.member, second.member);
  ASSERT_EQ(world_.store->DueOutbox(Receiver::kMatching, world_.clock.Now(), 1, kNever)->size(),
            1u);

  const absl::Time later = world_.clock.Now() + absl::Seconds(30);
  ASSERT_TRUE(world_.store->DeferOutbox(Receiver::kMatching, (*due)[0], later, 1, kNever).ok());
  due = world_.store->DueOutbox(Receiver::kMatching, world_.clock.Now(), 100, kNever);
  ASSERT_EQ(due->size(), 1u);
  EXPECT_EQ((*due)[0].snapshot.member, second.member);
  due = world_.store->DueOutbox(Receiver::kMatching, later, 100, kNever);
  ASSERT_EQ(due->size(), 2u);
  EXPECT_EQ((*due)[1].attempts, 1);
  // The other receiver's entries are its own.
  EXPECT_EQ(world_.OutboxCount(Receiver::kMessaging), 2);
  ASSERT_TRUE(world_.store->RemoveOutbox(Receiver::kMatching, *due, kNever).ok());
  EXPECT_EQ(world_.OutboxCount(Receiver::kMatching), 0);
  EXPECT_EQ(world_.OutboxCount(Receiver::kMessaging), 2);
}

TEST_P(StoreConformanceTest, TrimmingIsBoundedAndSparesWhatIsYoung) {
  for (int i = 0; i < 5; ++i) world_.Register();
  EXPECT_EQ(*world_.store->Trim(world_.clock.Now(), 100, kNever), 0);
  world_.clock.Advance(absl::Minutes(5));
  EXPECT_EQ(*world_.store->Trim(world_.clock.Now(), 3, kNever), 3);
  EXPECT_EQ(*world_.store->Trim(world_.clock.Now(), 3, kNever), 2);
}

// Fails the k-th statement of a flow, before and after it took effect, for every k: a flow that
// failed changed nothing, and repeated under the same request id it works.
class FailingTransaction final : public storage::Transaction {
 public:
  FailingTransaction(storage::Transaction& inner, int& left, bool after)
      : inner_(inner), left_(left), after_(after) {}

 private:
  absl::StatusOr<storage::Rows> DoQuery(absl::string_view sql, const storage::Args& args) override {
    if (--left_ != 0) return inner_.Query(sql, args);
    if (after_) (void)inner_.Query(sql, args);
    return Broken();
  }
  absl::StatusOr<int64_t> DoExecute(absl::string_view sql, const storage::Args& args) override {
    if (--left_ != 0) return inner_.Execute(sql, args);
    if (after_) (void)inner_.Execute(sql, args);
    return Broken();
  }
  static absl::Status Broken() {
    // Of a code that no database runs a unit again for.
    return Error(absl::StatusCode::kResourceExhausted, reason::kDatabaseFull)
        .Message("it broke here");
  }

  storage::Transaction& inner_;
  int& left_;
  const bool after_;
};

class FailingDatabase final : public storage::Database {
 public:
  explicit FailingDatabase(storage::Database& inner) : inner_(inner) {}
  absl::string_view BackendName() const override { return inner_.BackendName(); }
  storage::DatabaseStats Stats() const override { return inner_.Stats(); }

  int left = 0;  // statements until the failure; 0 or less: none
  bool after = false;

 private:
  absl::Status DoWrite(absl::Time deadline, Work work) override {
    return inner_.Write(deadline, [&](storage::Transaction& transaction) {
      FailingTransaction failing(transaction, left, after);
      return work(failing);
    });
  }
  void DoWriteAsync(absl::Time, AsyncWork, Done done) override {
    done(absl::UnimplementedError("not used"));
  }
  absl::Status DoRead(absl::Time deadline, Work work) override {
    return inner_.Read(deadline, [&](storage::Transaction& transaction) {
      FailingTransaction failing(transaction, left, after);
      return work(failing);
    });
  }
  absl::Status DoMigrate(absl::Span<const storage::Migration> migrations) override {
    return inner_.Migrate(migrations);
  }
  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override { return inner_.Now(deadline); }

  storage::Database& inner_;
};

TEST_P(StoreConformanceTest, AFlowThatFailsAtAnyStatementChangesNothingAndCanBeRepeated) {
  const Person person = world_.Register();
  const Person other = world_.Register();
  FailingDatabase failing(*world_.database);
  ProfileStore store(failing, world_.cipher);
  Consent consent(store, world_.clock, world_.random, [] {});
  Safety safety(store,
                Safety::Receivers{{Receiver::kMatching, &world_.matching},
                                  {Receiver::kMessaging, &world_.messaging}},
                world_.clock, world_.random, SafetyOptions(), [] {});
  int failures = 0;
  for (const bool after : {false, true}) {
    for (int k = 1; k < 40; ++k) {
      const std::string id = std::to_string(after) + "-" + std::to_string(k);
      const int64_t version = Version(person.member);
      failing.after = after;
      failing.left = k;
      const auto granted = consent.Grant(world_.CallBy(person, id), ConsentPurpose::kMatching,
                                         {"notice " + id, "en"});
      if (!granted.ok()) {
        ++failures;
        EXPECT_EQ(Version(person.member), version) << k;
      }
      failing.left = 0;
      EXPECT_TRUE(
          consent
              .Grant(world_.CallBy(person, id), ConsentPurpose::kMatching, {"notice " + id, "en"})
              .ok());
      EXPECT_EQ(Version(person.member), version + 1) << k;

      failing.left = k;
      const auto blocked = safety.BlockMember(world_.CallBy(person, "b" + id), other.member);
      failing.left = 0;
      const auto repeated = safety.BlockMember(world_.CallBy(person, "b" + id), other.member);
      ASSERT_TRUE(repeated.ok()) << repeated.status();
      EXPECT_FALSE(repeated->pending);
      EXPECT_TRUE(world_.matching.Has(repeated->block.id));
    }
  }
  EXPECT_GT(failures, 10);
  EXPECT_EQ(world_.directory->GetMember(World::Anonymous(), person.member)->blocks.size(), 1u);
}

}  // namespace
}  // namespace handrail::profiles
