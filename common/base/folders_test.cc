#include "common/base/folders.h"

#include <filesystem>
#include <fstream>

#include "common/base/status.h"
#include "common/testing/temporary_directory.h"
#include "gtest/gtest.h"

namespace handrail {
namespace {

namespace fs = std::filesystem;

TEST(FoldersTest, APathIsAbsoluteAndPlain) {
  EXPECT_EQ(InFolder("/data", "keys/ring"), "/data/keys/ring");
  EXPECT_EQ(InFolder("/data/../other/", "ring"), "/other/ring");
  EXPECT_TRUE(fs::path(InFolder("data", "ring")).is_absolute());
}

TEST(FoldersTest, AFolderThatIsMissingIsMadeForItsOwnerOnly) {
  testing::TemporaryDirectory directory;
  const std::string path = directory.File("keys") + "/deep/ring";
  ASSERT_TRUE(MakeFolderOf(path).ok());
  EXPECT_EQ(fs::status(fs::path(path).parent_path()).permissions(), fs::perms::owner_all);
  EXPECT_FALSE(fs::exists(path));
}

TEST(FoldersTest, AFolderThatIsThereStaysAsItIs) {
  testing::TemporaryDirectory directory;
  const fs::path folder = directory.File("keys");
  fs::create_directory(folder);
  const fs::perms before = fs::perms::owner_all | fs::perms::group_read;
  fs::permissions(folder, before);
  ASSERT_TRUE(MakeFolderOf(folder / "ring").ok());
  EXPECT_EQ(fs::status(folder).permissions(), before);
  EXPECT_TRUE(MakeFolderOf("ring").ok()) << "the folder we are in";
}

TEST(FoldersTest, WhereNoneCanBeMadeTheConfigurationIsAtFault) {
  testing::TemporaryDirectory directory;
  const std::string file = directory.File("file");
  std::ofstream(file) << "no folder";
  EXPECT_TRUE(HasReason(MakeFolderOf(file + "/keys/ring"), reason::kConfigurationInvalid));
}

}  // namespace
}  // namespace handrail
