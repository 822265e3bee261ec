#include "services/matching/matching_metrics.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <string>

#include "services/matching/stores/ledger_test_env.h"

namespace handrail::matching {
namespace {

class MatchingMetricsTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  // The value of a series, as Prometheus would read it.
  double Shown(const std::string& series) {
    const std::string text = prometheus::TextSerializer().Serialize(registry_.Collect());
    const size_t at = text.find("\n" + series + " ");
    EXPECT_NE(at, std::string::npos) << series << " in\n" << text;
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
  }

  LedgerTestEnv env_{GetParam()};
  prometheus::Registry registry_;
  MatchingMetrics metrics_{*env_.database, env_.clock, registry_};
};

TEST_P(MatchingMetricsTest, NobodyWaits) {
  metrics_.Update({});
  EXPECT_EQ(Shown("handrail_tickets_waiting"), 0);
  EXPECT_EQ(Shown("handrail_ticket_oldest_wait_seconds"), 0);
  EXPECT_EQ(Shown("handrail_outbox_entries{receiver=\"messaging\"}"), 0);
  EXPECT_EQ(Shown("handrail_outbox_age_seconds{receiver=\"messaging\"}"), 0);
  EXPECT_EQ(Shown("handrail_matching_redis_up"), 0);
}

TEST_P(MatchingMetricsTest, TheLongestWaitIsShown) {
  ASSERT_TRUE(env_.Open(env_.As(env_.AddNewcomer())).ok());
  env_.clock.Advance(absl::Hours(2));
  ASSERT_TRUE(env_.Open(env_.As(env_.AddNewcomer())).ok());
  env_.clock.Advance(absl::Hours(1));
  metrics_.Update({});
  EXPECT_EQ(Shown("handrail_tickets_waiting"), 2);
  EXPECT_EQ(Shown("handrail_ticket_oldest_wait_seconds"), 3 * 3600);
}

TEST_P(MatchingMetricsTest, WhoIsPairedWaitsNoMoreAndMessagingIsToBeTold) {
  env_.Pair(env_.AddSponsor(1));
  env_.clock.Advance(absl::Minutes(5));
  metrics_.Update({});
  EXPECT_EQ(Shown("handrail_tickets_waiting"), 0);
  EXPECT_EQ(Shown("handrail_outbox_entries{receiver=\"messaging\"}"), 1);
  EXPECT_EQ(Shown("handrail_outbox_age_seconds{receiver=\"messaging\"}"), 300);
}

TEST_P(MatchingMetricsTest, WhatTheMatcherSaysIsShown) {
  MatcherStats stats;
  stats.sponsors = 7;
  stats.redis_up = true;
  metrics_.Update(stats);
  EXPECT_EQ(Shown("handrail_matching_sponsors_free"), 7);
  EXPECT_EQ(Shown("handrail_matching_redis_up"), 1);
}

INSTANTIATE_TEST_SUITE_P(Backends, MatchingMetricsTest,
                         ::testing::ValuesIn(storage::AllTestBackends()), [](const auto& backend) {
                           return storage::TestBackendName(backend.param);
                         });

}  // namespace
}  // namespace handrail::matching
