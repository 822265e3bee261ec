// Searches the files of the database for what people said.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/escaping.h"
#include "common/storage/database.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/profiles/domain/cases.h"
#include "services/profiles/stores/schema.h"
#include "services/profiles/testing/world.h"

namespace handrail::profiles {
namespace {

using testing::Person;
using testing::World;

std::string AllBytesBelow(const std::string& folder) {
  std::string bytes;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    bytes.append((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  }
  return bytes;
}

TEST(SealedAtRestTest, NothingThatAMemberSaidIsInTheFiles) {
  ::handrail::testing::TemporaryDirectory directory;
  World world([&](const Clock& clock) {
    storage::DatabaseOptions options;
    options.url = "sqlite://" + directory.File("profiles.db");
    options.clock = &clock;
    auto database = storage::OpenDatabase(options);
    EXPECT_TRUE(database.ok()) << database.status();
    return *std::move(database);
  });
  const Person person = world.Register();
  const Person other = world.Register();

  ProfileUpdate update;
  update.pseudonym = "canary-pseudonym";
  Side newcomer;
  newcomer.traits = "canary-newcomer-traits";
  update.newcomer = newcomer;
  Side sponsor;
  sponsor.traits = "canary-sponsor-traits";
  update.sponsor = sponsor;
  update.audiences = {{{"canary-audience-path", Audience::kNobody}}};
  ASSERT_TRUE(world.profiles->Update(world.CallBy(person, "canary-open-1"), update).ok());
  ASSERT_TRUE(world.profiles->AttestAvailability(world.CallBy(person, "2")).ok());
  ASSERT_TRUE(
      world.consent
          ->Grant(world.CallBy(person, "3"), ConsentPurpose::kMatching, {"1", "canary-language"})
          .ok());
  ASSERT_TRUE(world.safety->BlockMember(world.CallBy(person, "4"), other.member).ok());
  Case opened;
  opened.id = CaseId::Random(world.random);
  opened.reporter = person.member;
  opened.evidence = Secret<std::string>("canary-evidence");
  ASSERT_TRUE(Cases(*world.store, world.clock).Open(Call(), std::move(opened)).ok());
  const auto second = world.NewKey();
  ASSERT_TRUE(world.identity->AddDevice(world.CallBy(person, "5"), world.Prove(*second)).ok());

  // The log, with everything in it, and the files after it was copied back.
  for (int round = 0; round < 2; ++round) {
    const std::string bytes = AllBytesBelow(directory.path());
    // The search finds what is there in the clear.
    EXPECT_NE(bytes.find("canary-open-1"), std::string::npos) << round;
    EXPECT_NE(bytes.find("sealed_newcomer"), std::string::npos) << round;
    const std::string key(person.key->verify_key().bytes());
    const std::string second_key(second->verify_key().bytes());
    for (const std::string& secret :
         {std::string("canary-pseudonym"), std::string("canary-newcomer-traits"),
          std::string("canary-sponsor-traits"), std::string("canary-audience-path"),
          std::string("canary-language"), std::string("canary-evidence"), key, second_key}) {
      EXPECT_EQ(bytes.find(secret), std::string::npos);
      EXPECT_EQ(bytes.find(absl::BytesToHexString(secret)), std::string::npos);
      EXPECT_EQ(bytes.find(absl::WebSafeBase64Escape(secret)), std::string::npos);
    }
    world.database.reset();
  }
}

}  // namespace
}  // namespace handrail::profiles
