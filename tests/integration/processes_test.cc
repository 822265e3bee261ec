// What an operator does to a deployment: stop a service, start a second one on the same folder.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "common/base/status.h"
#include "tests/support/cluster.h"
#include "tests/support/history.h"
#include "tests/support/ledger_audit.h"
#include "tests/support/people.h"

namespace handrail::tests {
namespace {

using matching::v1::MatchingService;

class ProcessesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Cluster::Options options;
    options.service_flags = {"--rate_limit_scale", "0"};
    auto cluster = Cluster::Start(options);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
  }

  std::unique_ptr<Cluster> cluster_;
  SystemClock clock_;
  SystemRandom random_;
};

TEST_F(ProcessesTest, ASecondOneOnTheSameFolderRefusesAndSaysWhy) {
  tools::UpOptions options = cluster_->up_options();
  options.port += 100;
  const auto second = tools::Supervisor::Create(options);
  ASSERT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              ::testing::AllOf(::testing::HasSubstr("another `handrail up`"),
                               ::testing::HasSubstr(cluster_->data_folder())));
}

// Newcomers ask and cancel while matching is told to end, again and again.
TEST_F(ProcessesTest, WhatWasAcknowledgedBeforeADrainIsThereAfterIt) {
  History history;
  StopSignal stop;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    auto joined = JoinAsNewcomer(cluster_->services(), clock_, random_);
    ASSERT_TRUE(joined.ok()) << joined.status();
    threads.emplace_back([&, person = std::shared_ptr<tools::Person>(*std::move(joined))] {
      const MemberId me = *MemberId::FromName(person->member());
      while (!stop.stopped()) {
        matching::v1::RequestMatchRequest ask;
        ask.set_philosophy(kDefaultProgram);
        ask.set_relationship_type(common::v1::RELATIONSHIP_TYPE_SPONSOR);
        ask.set_request_id(person->NewRequestId());
        const auto ticket = Insist(*person, clock_, cluster_->services().matching(),
                                   &MatchingService::Stub::RequestMatch, ask);
        if (!ticket.ok()) {
          ADD_FAILURE() << ticket.status();
          return;
        }
        history.TicketOpened(me, *TicketId::FromName(ticket->name()));
        matching::v1::CancelTicketRequest cancel;
        cancel.set_name(ticket->name());
        cancel.set_request_id(person->NewRequestId());
        const auto cancelled = Insist(*person, clock_, cluster_->services().matching(),
                                      &MatchingService::Stub::CancelTicket, cancel);
        if (!cancelled.ok()) {
          ADD_FAILURE() << cancelled.status();
          return;
        }
        history.TicketCancelled(*TicketId::FromName(ticket->name()));
      }
    });
  }
  for (int drain = 0; drain < 3; ++drain) {
    stop.Pause(absl::Seconds(1));
    const pid_t before = cluster_->PidOf("matching");
    const int64_t told = history.acknowledged();
    EXPECT_TRUE(cluster_->Signal("matching", SIGTERM));
    const absl::Time give_up = clock_.Now() + absl::Seconds(30);
    // Another process, and calls go on.
    while ((cluster_->PidOf("matching") == before || history.acknowledged() < told + 20) &&
           clock_.Now() < give_up) {
      stop.Pause(absl::Milliseconds(20));
    }
    EXPECT_NE(cluster_->PidOf("matching"), before) << "it did not end";
    EXPECT_GE(history.acknowledged(), told + 20) << "calls do not go on";
  }
  stop.Stop();
  for (std::thread& thread : threads) thread.join();

  const auto matching = cluster_->OpenLedger("matching");
  const auto messaging = cluster_->OpenLedger("messaging");
  ASSERT_TRUE(matching.ok()) << matching.status();
  ASSERT_TRUE(messaging.ok()) << messaging.status();
  const auto audit = AuditLedgers(history, **matching, **messaging, clock_.Now());
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_TRUE(audit->clean()) << audit->ToString();
  EXPECT_GT(audit->acknowledged, 100);
}

}  // namespace
}  // namespace handrail::tests
