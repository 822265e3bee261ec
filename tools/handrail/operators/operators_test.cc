#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tools/handrail/operators/batch_view.h"
#include "tools/handrail/operators/metrics_text.h"
#include "tools/handrail/operators/tables.h"
#include "tools/handrail/operators/top_view.h"

namespace handrail::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'780'000'000);

void SetAgo(absl::Duration ago, google::protobuf::Timestamp* time) {
  time->set_seconds(absl::ToUnixSeconds(kNow - ago));
}

matching::v1::Pool APool(const std::string& digits, int64_t under_1h, int64_t over_72h) {
  matching::v1::Pool pool;
  pool.set_name(absl::StrCat("pools/", digits));
  pool.set_philosophy(common::v1::PHILOSOPHY_TWELVE_STEP_AA);
  pool.set_region("online");
  pool.mutable_waiting()->set_under_1h(under_1h);
  pool.mutable_waiting()->set_over_72h(over_72h);
  SetAgo(absl::Hours(over_72h > 0 ? 80 : 0) + absl::Minutes(5), pool.mutable_oldest_create_time());
  pool.set_open_offers(3);
  pool.set_available_sponsors(2);
  pool.set_queued_tickets(under_1h + over_72h);
  return pool;
}

TEST(MetricsTextTest, SumsAndPicksByLabel) {
  const Metrics metrics = Metrics::Parse(
      "# HELP calls Calls.\n# TYPE calls counter\n"
      "calls{method=\"/A/B\",code=\"OK\"} 5\n"
      "calls{method=\"/A/C\",code=\"OK\"} 2.5 1700000000\n"
      "calls{method=\"/A/C\",code=\"NOT_FOUND\"} 1\n"
      "plain 7\n");
  EXPECT_EQ(metrics.Sum("calls"), 8.5);
  EXPECT_EQ(metrics.Sum("calls", {"code=\"OK\""}), 7.5);
  EXPECT_EQ(metrics.Sum("calls", {"/C\"", "code=\"OK\""}), 2.5);
  EXPECT_EQ(metrics.Sum("calls", {}, {"code=\"OK\""}), 1);
  EXPECT_EQ(metrics.Max("calls"), 5);
  EXPECT_EQ(metrics.Sum("plain"), 7);
  EXPECT_TRUE(metrics.Has("plain"));
  EXPECT_FALSE(metrics.Has("other"));
}

TEST(MetricsTextTest, WhatIsNoMetricIsLeftOut) {
  for (const char* text : {"", "\n\n", "{", "}", "a{", "a}b{c 1", "a", "a ", "a x", "a NaN",
                           "a +Inf", "a{b=\"c\"}", "a{b=\"c\"}x", "\xff\xfe 1{"}) {
    EXPECT_EQ(Metrics::Parse(text).Sum("a"), 0) << text;
  }
  EXPECT_EQ(Metrics::Parse("a{b=\"x } y\"} 3").Sum("a"), 3);
}

TEST(TablesTest, ColumnsAreAsWideAsTheirWidestCell) {
  EXPECT_EQ(Table({{"name", "n"}, {"a", "12"}, {"longer", "<5"}}),
            "name    n\n"
            "a       12\n"
            "longer  <5\n");
  EXPECT_EQ(Table({{"n", "count"}, {"x", "7"}}), "n  count\nx      7\n");
  EXPECT_EQ(Table({}), "");
}

TEST(TablesTest, AgesAreRoundedDown) {
  EXPECT_EQ(AgeWord(absl::Seconds(-3)), "0 s");
  EXPECT_EQ(AgeWord(absl::Seconds(119)), "119 s");
  EXPECT_EQ(AgeWord(absl::Minutes(119)), "119 min");
  EXPECT_EQ(AgeWord(absl::Hours(71.9)), "71 h");
  EXPECT_EQ(AgeWord(absl::Hours(80)), "3 d");
}

TEST(TablesTest, WhatTheQueuesDoNotSayIsAQuestionMark) {
  matching::v1::Pool pool = APool("1", 2, 0);
  EXPECT_THAT(PoolTable({pool}, kNow), Not(HasSubstr("?")));
  pool.set_queued_tickets(-1);
  EXPECT_THAT(PoolTable({pool}, kNow), HasSubstr("?"));
  pool.mutable_drain_end_time()->set_seconds(0);
  EXPECT_THAT(PoolTable({pool}, kNow), HasSubstr("drained until 1970-01-01 00:00:00"));
}

TEST(ExplanationTest, RulesThatRemoveNobodyAreOneLine) {
  matching::v1::TicketExplanation explanation;
  explanation.mutable_ticket()->set_name("tickets/1");
  explanation.mutable_ticket()->set_state(matching::v1::TICKET_STATE_WAITING);
  SetAgo(absl::Hours(26), explanation.mutable_ticket()->mutable_create_time());
  explanation.mutable_sponsors()->set_value(40);
  explanation.mutable_in_pool()->set_value(10);
  explanation.mutable_passing()->set_under_five(true);
  auto* language = explanation.add_rules();
  language->set_number("H8");
  language->set_code("LANGUAGE");
  language->set_text("they share a language");
  language->mutable_broken()->set_value(5);
  language->mutable_only()->set_under_five(true);
  auto* adult = explanation.add_rules();
  adult->set_number("H1");
  adult->set_code("ADULT");
  explanation.add_findings("More would help.");
  const std::string text = ExplanationText(explanation, kNow);
  EXPECT_THAT(text, HasSubstr("waits for 26 h"));
  EXPECT_THAT(text, HasSubstr("40+ sponsors: 10+ in the pool, <5 pass every rule now"));
  EXPECT_THAT(text, HasSubstr("LANGUAGE"));
  EXPECT_THAT(text, HasSubstr("Removing nobody: H1 ADULT."));
  EXPECT_THAT(text, HasSubstr("  - More would help.\n"));
}

ServiceSample ASample(double accepted, double faults) {
  ServiceSample sample;
  sample.answers = true;
  sample.ready = true;
  sample.metrics = Metrics::Parse(
      absl::StrCat("handrail_rpc_calls_total{method=\"/x/AcceptOffer\",code=\"OK\"} ", accepted,
                   "\nhandrail_rpc_calls_total{method=\"/x/Get\",code=\"UNAVAILABLE\"} ", faults,
                   "\nhandrail_rpc_calls_total{method=\"/x/Get\",code=\"NOT_FOUND\"} 50",
                   "\nhandrail_matching_redis_up 1\nhandrail_outbox_entries 4\n"
                   "handrail_outbox_age_seconds 30\nhandrail_matching_sponsors_free 9\n"));
  return sample;
}

TopSample AMoment(absl::Duration later, double accepted, double faults) {
  TopSample sample;
  sample.time = kNow + later;
  sample.services["matching"] = ASample(accepted, faults);
  sample.services["profiles"] = ASample(0, 0);
  sample.pools = {APool("1", 4, 0), APool("2", 1, 2)};
  sample.pools_time = kNow;
  return sample;
}

TEST(TopTest, RatesAreOfTheTimeBetween) {
  const std::string screen = TopScreen(AMoment(absl::ZeroDuration(), 10, 0),
                                       AMoment(absl::Seconds(2), 13, 4), 100, Paint::kPlain);
  EXPECT_THAT(screen, HasSubstr("pairings/min 90.0"));
  EXPECT_THAT(screen, HasSubstr("3.5"));  // 7 calls in 2 s
  EXPECT_THAT(screen, HasSubstr("2.0"));  // 4 faults in 2 s; NOT_FOUND is none
  EXPECT_THAT(screen, HasSubstr("waiting 7   under 1h 5"));
  EXPECT_THAT(screen, HasSubstr("48h+ 2"));
  EXPECT_THAT(screen, HasSubstr("offers open 6"));
  EXPECT_THAT(screen, HasSubstr("sponsors free 9"));
  EXPECT_THAT(screen, HasSubstr("redis up"));
  EXPECT_THAT(screen, HasSubstr("not in the queues yet 0"));
  EXPECT_THAT(screen, HasSubstr("30 s"));
  EXPECT_THAT(screen, Not(HasSubstr("\033")));
}

TEST(TopTest, AServiceThatIsDownIsShown) {
  TopSample now = AMoment(absl::Seconds(2), 13, 0);
  now.services["matching"] = ServiceSample();
  now.services["profiles"].ready = false;
  now.services["profiles"].trouble = "database: clocks differ";
  now.pools_trouble = "matching is not there";
  const std::string screen =
      TopScreen(AMoment(absl::ZeroDuration(), 10, 0), now, 100, Paint::kAnsi);
  EXPECT_THAT(screen, HasSubstr("\033[31mmatching  DOWN"));
  EXPECT_THAT(screen, HasSubstr("NOT READY"));
  EXPECT_THAT(screen, HasSubstr("clocks differ"));
  EXPECT_THAT(screen, HasSubstr("pools: matching is not there"));
  EXPECT_THAT(screen, HasSubstr("redis ?"));
  EXPECT_THAT(screen, HasSubstr("pairings/min ?"));
}

TEST(TopTest, AServiceThatStartedAnewHasNoRateYet) {
  const std::string screen = TopScreen(AMoment(absl::ZeroDuration(), 10, 0),
                                       AMoment(absl::Seconds(2), 0, 0), 100, Paint::kPlain);
  EXPECT_THAT(screen, HasSubstr("pairings/min ?"));
}

TEST(TopTest, TheScreenIsNeverHigherThanTheTerminal) {
  TopSample now = AMoment(absl::Seconds(1), 0, 0);
  for (int i = 0; i < 60; ++i) now.pools.push_back(APool(absl::StrCat(i), i, 0));
  for (const int height : {6, 12, 24}) {
    const std::vector<std::string> lines = absl::StrSplit(
        TopScreen(AMoment(absl::ZeroDuration(), 0, 0), now, height, Paint::kPlain), '\n');
    EXPECT_LE(lines.size(), static_cast<size_t>(height));
  }
  // The pool in which most wait comes first.
  EXPECT_THAT(TopScreen(now, now, 18, Paint::kPlain), HasSubstr("pools/59"));
}

TEST(TopTest, NothingReadYetIsAScreenToo) {
  TopSample nothing;
  nothing.time = kNow;
  const std::string screen = TopScreen(nothing, nothing, 24, Paint::kPlain);
  EXPECT_THAT(screen, HasSubstr("not read yet"));
  EXPECT_THAT(screen, HasSubstr("waiting ?   offers open ?"));
}

matching::v1::BatchPlan APlan() {
  matching::v1::BatchPlan plan;
  plan.set_plan("1780000000000000-500-00112233445566778899aabbccddeeff");
  plan.set_looked_at(57);
  plan.set_complete(true);
  plan.mutable_tickets()->set_value(25);
  plan.mutable_sponsors()->set_under_five(true);
  plan.mutable_seats()->set_value(5);
  for (const char* ticket : {"tickets/a", "tickets/b"}) {
    matching::v1::BatchPair* pair = plan.add_pairs();
    pair->set_ticket(ticket);
    pair->set_sponsor_number(1);
  }
  plan.mutable_unmatched()->set_value(20);
  plan.set_mean_score(71.6);
  plan.mutable_matched_waits()->mutable_p50()->set_seconds(7200);
  plan.mutable_unmatched_waits()->mutable_p99()->set_seconds(90);
  plan.set_drained(true);
  return plan;
}

TEST(BatchViewTest, ADryRunSaysWhatItFoundAndHowToGoOn) {
  const std::string text = BatchPlanText(APlan(), "aa online", 200);
  EXPECT_THAT(text, HasSubstr("Dry run for aa online: nothing was changed, and nobody was asked."));
  EXPECT_THAT(text, HasSubstr("Looked at 57 waiting tickets. For 25+ there is somebody now; "
                              "sponsors: <5, their free seats: 5+."));
  EXPECT_THAT(text, HasSubstr("Would make 2 offers; 20+ would go on waiting, in their place."));
  EXPECT_THAT(text, HasSubstr("Pairs who would both rather have each other: 0."));
  EXPECT_THAT(text, HasSubstr("Mean score 72 of 100. They have waited: half up to 2 h"));
  EXPECT_THAT(text, HasSubstr("The others: half up to 0 s, 90% up to 0 s, 99% up to 90 s"));
  EXPECT_THAT(text, HasSubstr("tickets/a"));
  EXPECT_THAT(text, HasSubstr("handrail batch run 'aa online' --plan "
                              "1780000000000000-500-00112233445566778899aabbccddeeff\n"));
  EXPECT_THAT(text, Not(HasSubstr("drain pool")));
}

TEST(BatchViewTest, WhatIsLeftOutOrWillNotHoldIsSaid) {
  matching::v1::BatchPlan plan = APlan();
  plan.set_complete(false);
  plan.set_drained(false);
  const std::string text = BatchPlanText(plan, "aa online", 1);
  EXPECT_THAT(text, HasSubstr("57 waiting tickets, the longest waiting; there are more."));
  EXPECT_THAT(text, HasSubstr("… and 1 more; see --limit."));
  EXPECT_THAT(text, Not(HasSubstr("tickets/b")));
  EXPECT_THAT(text, HasSubstr("handrail drain pool 'aa online' --minutes 30"));
  plan.clear_pairs();
  const std::string nothing = BatchPlanText(plan, "aa online", 1);
  EXPECT_THAT(nothing, HasSubstr("There is nothing to run."));
  EXPECT_THAT(nothing, Not(HasSubstr("handrail resume")));
  plan.set_drained(true);
  EXPECT_THAT(BatchPlanText(plan, "aa online", 1), HasSubstr("handrail resume 'aa online'"));
  EXPECT_THAT(nothing, Not(HasSubstr("--plan")));
}

TEST(BatchViewTest, ARunSaysWhoWasPassedOver) {
  matching::v1::BatchRun run;
  run.set_pairs(3);
  run.set_offers(3);
  EXPECT_THAT(BatchRunText(run, "aa online"),
              HasSubstr("Made 3 of 3 offers. The sponsors were told; each decides."));
  EXPECT_THAT(BatchRunText(run, "aa online"), Not(HasSubstr("passed over")));
  run.set_offers(2);
  run.set_passed_over(1);
  EXPECT_THAT(BatchRunText(run, "aa online"), HasSubstr("1 ticket was passed over"));
  EXPECT_THAT(BatchRunText(run, "aa online"), HasSubstr("keeps its place"));
}

}  // namespace
}  // namespace handrail::tools
