#include "tools/benchmark/peers/ejabberd_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace handrail::benchmark {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

EjabberdOptions Options() { return {"/no/packages", "/tmp/folder", 25222, "127.1.2.3", "peer"}; }

TEST(EjabberdConfigTest, ArchivesEverythingInPostgresAndListensOnLoopbackAlone) {
  const std::string yaml = EjabberdYaml(Options());
  EXPECT_THAT(yaml, HasSubstr("    ip: \"127.0.0.1\"\n    port: 25222\n"));
  EXPECT_THAT(yaml, HasSubstr("sql_server: \"127.1.2.3\"\nsql_database: \"peer\"\n"));
  EXPECT_THAT(yaml, HasSubstr("  mod_mam:\n    db_type: sql\n    default: always\n"));
  EXPECT_THAT(yaml, HasSubstr("  mod_stream_mgmt: {}\n"));
  EXPECT_THAT(yaml, HasSubstr("loglevel: error\n"));
  EXPECT_THAT(yaml, Not(HasSubstr("ejabberd_s2s")));
}

TEST(EjabberdConfigTest, RunsWithoutTheSystemsFoldersAndWithoutDistribution) {
  const auto command = EjabberdCommand(Options());
  EXPECT_THAT(command, Contains("ROOTDIR=/no/packages/usr/lib/erlang"));
  EXPECT_THAT(command, Contains("HOME=/tmp/folder"));
  EXPECT_THAT(command, Contains("\"/tmp/folder/spool\""));
  EXPECT_THAT(command, Not(Contains("-sname")));
  EXPECT_THAT(command, Not(Contains("-name")));
}

TEST(EjabberdConfigTest, MakesAsManyAccountsAsAsked) {
  EXPECT_THAT(EjabberdAccounts(64), HasSubstr("generate_series(0, 63)"));
}

}  // namespace
}  // namespace handrail::benchmark
