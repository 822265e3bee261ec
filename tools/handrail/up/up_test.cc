#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/testing/temporary_directory.h"
#include "tools/handrail/client/endpoints.h"
#include "tools/handrail/up/layout.h"
#include "tools/handrail/up/process.h"

namespace handrail::tools {
namespace {

using testing::TemporaryDirectory;

TEST(LayoutTest, FoldersAreForTheOwnerOnly) {
  const TemporaryDirectory directory;
  const auto layout = MakeLayout(directory.File("data/"));
  ASSERT_TRUE(layout.ok()) << layout.status();
  struct stat info {};
  for (const std::string& path : {layout->root, layout->Keys(), layout->root + "/run"}) {
    ASSERT_EQ(stat(path.c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_mode & 0777, 0700u) << path;
  }
  EXPECT_EQ(layout->root.back(), 'a') << "no slash at the end";
}

TEST(LayoutTest, APathTooLongForSocketsIsRefusedInWords) {
  const TemporaryDirectory directory;
  const auto layout = MakeLayout(directory.File(std::string(100, 'x')));
  EXPECT_TRUE(HasReason(layout.status(), reason::kConfigurationInvalid));
  EXPECT_NE(layout.status().message().find("too long"), std::string::npos);
}

TEST(LayoutTest, AFolderThatCannotBeMadeIsRefused) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(WriteFileAtomically(directory.File("file"), "x").ok());
  EXPECT_TRUE(
      HasReason(MakeLayout(directory.File("file")).status(), reason::kConfigurationInvalid));
}

TEST(FolderLockTest, ASecondHolderIsRefusedAndToldWho) {
  const TemporaryDirectory directory;
  const auto layout = MakeLayout(directory.File("data"));
  ASSERT_TRUE(layout.ok());
  auto first = FolderLock::Take(*layout);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = FolderLock::Take(*layout);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find(absl::StrCat("process ", getpid())), std::string::npos)
      << second.status();
  first->reset();
  EXPECT_TRUE(FolderLock::Take(*layout).ok());
}

TEST(PersonNameTest, NamesBecomeFileNamesAndNothingElse) {
  EXPECT_TRUE(CheckPersonName("maria-2").ok());
  for (const char* name :
       {"", "../x", "A", "a b", "a/b", "a.json", "a23456789012345678901234567890123"}) {
    EXPECT_FALSE(CheckPersonName(name).ok()) << name;
  }
}

TEST(EndpointsTest, ReadBackAsWritten) {
  const TemporaryDirectory directory;
  const std::string folder = directory.path();
  EXPECT_TRUE(absl::IsNotFound(ReadEndpoints(folder).status()));
  Endpoints endpoints;
  endpoints.profiles = "127.0.0.1:1";
  endpoints.admin["profiles"] = "127.0.0.1:2";
  endpoints.pids["profiles"] = 3;
  ASSERT_TRUE(WriteEndpoints(folder, endpoints).ok());
  const auto read = ReadEndpoints(folder);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->profiles, endpoints.profiles);
  EXPECT_EQ(read->admin, endpoints.admin);
  EXPECT_EQ(read->pids, endpoints.pids);
  ASSERT_TRUE(WriteFileAtomically(folder + "/endpoints.json", "[").ok());
  EXPECT_TRUE(HasReason(ReadEndpoints(folder).status(), reason::kConfigurationInvalid));
  RemoveEndpoints(folder);
  EXPECT_TRUE(absl::IsNotFound(ReadEndpoints(folder).status()));
}

class ProcessTest : public ::testing::Test {
 protected:
  Process::Options Shell(const std::string& script) {
    return {"shell", {"/bin/sh", "-c", script}, directory_.File("log")};
  }
  // What a process ended with, waited for.
  static std::string EndOf(Process& process) {
    const SystemClock clock;
    const absl::Time give_up = clock.Now() + absl::Seconds(10);
    while (clock.Now() < give_up) {
      if (const auto ended = process.Ended()) return *ended;
      std::this_thread::yield();
    }
    return "still runs";
  }
  const TemporaryDirectory directory_;
};

TEST_F(ProcessTest, ItsOutputGoesToTheLogAndItsEndIsTold) {
  Process process(Shell("echo out; echo err >&2; exit 3"));
  ASSERT_TRUE(process.Start().ok());
  EXPECT_EQ(EndOf(process), "exit status 3");
  const auto log = ReadFile(directory_.File("log"));
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(*log, "out\nerr\n");
}

TEST_F(ProcessTest, AProgramThatIsNotThereIsTold) {
  Process process({"nothing", {"/no/such/program"}, directory_.File("log")});
  const absl::Status status = process.Start();
  EXPECT_TRUE(HasReason(status, reason::kConfigurationInvalid)) << status;
  EXPECT_FALSE(process.running());
}

TEST_F(ProcessTest, OneThatIgnoresTermIsKilled) {
  Process process(Shell("trap '' TERM; echo ready; while :; do sleep 1; done"));
  ASSERT_TRUE(process.Start().ok());
  const SystemClock clock;
  const absl::Time give_up = clock.Now() + absl::Seconds(10);
  while (clock.Now() < give_up) {
    const auto log = ReadFile(directory_.File("log"));
    if (log.ok() && !log->empty()) break;
    std::this_thread::yield();
  }
  const pid_t pid = process.pid();
  process.Stop(absl::Milliseconds(200));
  EXPECT_FALSE(process.running());
  EXPECT_NE(kill(pid, 0), 0);
}

TEST_F(ProcessTest, ItIsAskedToStopOnce) {
  Process process(
      Shell("trap 'echo term' TERM; echo ready; for i in 1 2 3 4 5 6; do sleep 0.1; done"));
  ASSERT_TRUE(process.Start().ok());
  const SystemClock clock;
  const absl::Time give_up = clock.Now() + absl::Seconds(10);
  while (clock.Now() < give_up) {
    const auto log = ReadFile(directory_.File("log"));
    if (log.ok() && !log->empty()) break;
    std::this_thread::yield();
  }
  process.Signal(SIGTERM);
  process.Stop(absl::Seconds(5));
  const auto log = ReadFile(directory_.File("log"));
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(*log, "ready\nterm\n") << "a second SIGTERM would cut a drain short";
}

TEST_F(ProcessTest, ItCanBeStartedAgain) {
  Process process(Shell("exit 0"));
  ASSERT_TRUE(process.Start().ok());
  EXPECT_EQ(EndOf(process), "exit status 0");
  ASSERT_TRUE(process.Start().ok());
  EXPECT_EQ(EndOf(process), "exit status 0");
}

}  // namespace
}  // namespace handrail::tools
