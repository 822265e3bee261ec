#include "services/profiles/adapters/operator_list.h"

#include <sys/stat.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/testing/seeded_random.h"
#include "common/testing/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace handrail::profiles {
namespace {

using Role = crypto::TokenClaims::Role;

TEST(OperatorListTest, NamesMembersAndKeys) {
  ::handrail::testing::SeededRandom random(1);
  Device device{
      DeviceId::Random(random), MemberId::Random(random), std::string(32, '\x1f'), {}, {}};
  const auto by_key = OperatorList::Parse("# people\n\n operator\t" +
                                          std::string("1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f") +
                                          "1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F1F\n");
  ASSERT_TRUE(by_key.ok()) << by_key.status();
  EXPECT_EQ(by_key->RoleOf(device), Role::kOperator);
  const auto by_member = OperatorList::Parse(absl::StrCat("staff ", device.member.Name()));
  EXPECT_EQ(by_member->RoleOf(device), Role::kStaff);
  device.member = MemberId::Random(random);
  EXPECT_EQ(by_member->RoleOf(device), Role::kMember);
  EXPECT_EQ(OperatorList().RoleOf(device), Role::kMember);
}

TEST(OperatorListTest, FaultsNameTheirLine) {
  const std::string who = "members/0123456789abcdef0123456789abcdef";
  for (const std::string& bad : {"king " + who, std::string("staff"), std::string("staff nobody"),
                                 "staff " + who + " more", "staff " + who + "0"}) {
    const auto list = OperatorList::Parse("# first\n" + bad);
    EXPECT_EQ(ReasonOf(list.status()), reason::kConfigurationInvalid) << bad;
    EXPECT_THAT(std::string(list.status().message()), ::testing::HasSubstr("line 2")) << bad;
  }
  EXPECT_FALSE(OperatorList::Parse("staff " + who + "\noperator " + who).ok());
}

TEST(OperatorListTest, AFileThatOthersMayWriteIsRefused) {
  ::handrail::testing::TemporaryDirectory directory;
  const std::string path = directory.File("operators");
  EXPECT_FALSE(OperatorList::Load(path).ok());
  std::ofstream(path) << "staff members/0123456789abcdef0123456789abcdef\n";
  chmod(path.c_str(), 0644);
  ASSERT_TRUE(OperatorList::Load(path).ok());
  EXPECT_EQ(OperatorList::Load(path)->size(), 1u);
  chmod(path.c_str(), 0664);
  EXPECT_FALSE(OperatorList::Load(path).ok());
  EXPECT_EQ(OperatorList::Load("")->size(), 0u);
}

}  // namespace
}  // namespace handrail::profiles
