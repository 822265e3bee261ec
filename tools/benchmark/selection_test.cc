#include "tools/benchmark/selection.h"

#include <gtest/gtest.h>

namespace handrail::benchmark {
namespace {

TEST(SelectionTest, NothingNamedMeansEverything) {
  const Selection all({});
  for (const char* run : kRuns) EXPECT_TRUE(all.Wants(run)) << run;
  EXPECT_TRUE(all.Wants("core_choice_1k"));
  EXPECT_TRUE(all.WantsServices());
  EXPECT_TRUE(all.WantsBeside({"rebuild_1m"}));
}

TEST(SelectionTest, AMeasurementComesWithWhatItIsComparedWith) {
  const Selection send({"send_stream"});
  EXPECT_TRUE(send.Wants("send_stream"));
  EXPECT_TRUE(send.Wants("stream_echo"));
  EXPECT_FALSE(send.Wants("send_stream_frames"));
  EXPECT_FALSE(send.Wants("unary_echo"));
  const Selection pairs({"send_pairs32"});
  EXPECT_TRUE(pairs.Wants("peer_ejabberd_pairs32"));
  EXPECT_FALSE(Selection({"peer_ejabberd_pairs32"}).Wants("send_pairs32"));
}

TEST(SelectionTest, AFigureMeansTheMeasurementThatGivesIt) {
  EXPECT_TRUE(Selection({"delivery_p99"}).Wants("delivery"));
  EXPECT_TRUE(Selection({"send_pairs32_p99"}).Wants("send_pairs32"));
  EXPECT_TRUE(Selection({"cpu_per_send_stream_frames"}).Wants("send_stream_frames"));
  EXPECT_FALSE(Selection({"cpu_per_send_stream_frames"}).Wants("send_stream"));
  EXPECT_TRUE(Selection({"fsyncs_per_send"}).Wants("send_stream"));
  EXPECT_TRUE(Selection({"first_match_after_loss"}).Wants("rebuild_1m"));
  EXPECT_FALSE(Selection({"first_match_after_loss"}).WantsBeside({"rebuild_1m"}));
}

TEST(SelectionTest, MessagingIsOneWord) {
  const Selection messaging({"messaging"});
  for (const char* run : {"send_unary", "send_pairs32", "peer_ejabberd_pairs32", "catch_up_5000",
                          "send_stream_1m_rows", "unary_echo", "stream_echo"}) {
    EXPECT_TRUE(messaging.Wants(run)) << run;
  }
  for (const char* run : {"request_match", "pairing_lifecycle", "memory", "rebuild_1m"}) {
    EXPECT_FALSE(messaging.Wants(run)) << run;
  }
}

TEST(SelectionTest, TheChoiceByItselfNeedsNoServices) {
  EXPECT_FALSE(Selection({"core_choice_1k"}).WantsServices());
}

}  // namespace
}  // namespace handrail::benchmark
