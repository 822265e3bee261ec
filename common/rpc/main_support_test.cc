#include "common/rpc/main_support.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/rpc/testing/test_host.h"

namespace handrail::rpc {
namespace {

using ::testing::HasSubstr;

// One run of the echo service with its output in files.
class Child {
 public:
  Child(const handrail::testing::TemporaryDirectory& folder, std::vector<std::string> arguments)
      : out_(folder.File("out")), err_(folder.File("err")) {
    // allowed(environment): the build says here where its programs are.
    const std::string bin = std::getenv("HANDRAIL_BIN_DIR");
    arguments.insert(arguments.begin(), bin + "/common_rpc_echo_service");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(open(out_.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), STDOUT_FILENO);
      dup2(open(err_.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), STDERR_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  ~Child() {
    if (!waited_) {
      kill(pid_, SIGKILL);
      Wait();
    }
  }
  void Signal(int signal) const { kill(pid_, signal); }
  // The exit status; 128 and the signal when it was killed.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    waited_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string Output() const { return Read(out_); }
  std::string Errors() const { return Read(err_); }

 private:
  static std::string Read(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  const std::string out_;
  const std::string err_;
  pid_t pid_ = 0;
  bool waited_ = false;
};

TEST(RunMainTest, TellsAllConfigurationFaultsAtOnceAndExitsWith2) {
  handrail::testing::TemporaryDirectory folder;
  Child child(folder, {"--public_address", "0.0.0.0:1", "--log_level", "loud", "--redis_url_file",
                       "/no/such/file"});
  EXPECT_EQ(child.Wait(), 2);
  for (const char* flag :
       {"--public_address", "--log_level", "--redis_url_file", "--database_url is needed"}) {
    EXPECT_THAT(child.Errors(), HasSubstr(flag));
  }
  EXPECT_EQ(child.Output(), "");
  Child unknown(folder, {"--no_such_flag"});
  EXPECT_EQ(unknown.Wait(), 2);
  Child help(folder, {"--help"});
  EXPECT_EQ(help.Wait(), 0);
  EXPECT_THAT(help.Output(), HasSubstr("HANDRAIL_PUBLIC_ADDRESS"));
}

TEST(RunMainTest, SaysWhereItListensServesAndDrains) {
  handrail::testing::TemporaryDirectory folder;
  const std::string address = "unix:" + folder.File("socket");
  Child child(folder, {"--database_url", "none", "--public_address", address, "--drain_serve_on",
                       "0s", "--drain_refuse", "0s", "--profiles_address", ""});
  ASSERT_TRUE(testing::WaitUntil([&] { return child.Output().find('\n') != std::string::npos; }));
  const auto line = nlohmann::json::parse(child.Output());
  EXPECT_EQ(line["service"], "echo");
  EXPECT_EQ(line["public"], address);
  ClientOptions client;
  client.address = address;
  const auto stub = testing::EchoService::NewStub(*MakeChannel(client));
  const auto context = MakeContext(absl::Seconds(10));
  testing::EchoResponse response;
  EXPECT_TRUE(stub->Browse(context.get(), {}, &response).ok());

  Child second(folder, {"--database_url", "none", "--public_address", address});
  EXPECT_EQ(second.Wait(), 2) << "the address is taken";
  child.Signal(SIGTERM);
  EXPECT_EQ(child.Wait(), 0);
}

TEST(RunMainTest, ASecondSignalEndsItAtOnce) {
  handrail::testing::TemporaryDirectory folder;
  Child child(folder, {"--database_url", "none", "--public_address",
                       "unix:" + folder.File("socket"), "--drain_serve_on", "1h"});
  ASSERT_TRUE(testing::WaitUntil([&] { return child.Output().find('\n') != std::string::npos; }));
  child.Signal(SIGTERM);
  ASSERT_TRUE(
      testing::WaitUntil([&] { return child.Errors().find("\"draining\"") != std::string::npos; }));
  child.Signal(SIGINT);
  EXPECT_EQ(child.Wait(), 1);
}

}  // namespace
}  // namespace handrail::rpc
