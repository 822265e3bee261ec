#include "tests/faults/campaign.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/executor.h"
#include "common/base/status.h"
#include "common/testing/seeded_random.h"
#include "tests/faults/injector.h"
#include "tests/faults/player.h"
#include "tests/support/care_audit.h"

namespace handrail::tests {
namespace {

using storage::Database;
using storage::Rows;

absl::StatusOr<int64_t> Count(Database& database, absl::string_view sql) {
  int64_t count = 0;
  RETURN_IF_ERROR(
      database.Read(absl::InfiniteFuture(), [&](storage::Transaction& tx) -> absl::Status {
        ASSIGN_OR_RETURN(const Rows rows, tx.Query(sql, {}));
        count = rows.front().Int(0);
        return absl::OkStatus();
      }));
  return count;
}

class Campaign {
 public:
  explicit Campaign(const CampaignOptions& options)
      : options_(options), chance_(options.seed), players_(static_cast<size_t>(options.threads)) {}

  absl::StatusOr<CampaignReport> Run() {
    const absl::Time started = clock_.Now();
    RETURN_IF_ERROR(Begin());
    RETURN_IF_ERROR(PlayUnderFaults());
    RETURN_IF_ERROR(CheckQueues());
    OnEveryThread([](Player& player) { player.Finish(); });
    RETURN_IF_ERROR(ComeToRest());
    ASSIGN_OR_RETURN(report_.audit, AuditLedgers(history_, *matching_, *messaging_, clock_.Now()));
    report_.looks_while_running = looks_.load();
    report_.lines_while_down = injector_->lines_while_down();
    RETURN_IF_ERROR(CountWhatCame());
    report_.took = clock_.Now() - started;
    return std::move(report_);
  }

 private:
  void Say(const std::string& text) {
    if (options_.print_progress) std::cerr << text << std::endl;
  }

  absl::Status Begin() {
    Cluster::Options cluster;
    cluster.backend = options_.backend;
    cluster.redis = options_.redis;
    cluster.matching_flags = {"--response_deadline", "8s"};
    cluster.service_flags = {"--rate_limit_scale", "0"};
    ASSIGN_OR_RETURN(cluster_, Cluster::Start(cluster));
    ASSIGN_OR_RETURN(matching_, cluster_->OpenLedger("matching"));
    ASSIGN_OR_RETURN(messaging_, cluster_->OpenLedger("messaging"));
    ASSIGN_OR_RETURN(profiles_, cluster_->OpenLedger("profiles"));
    stage_ = std::make_unique<Stage>(Stage{cluster_->services(), clock_, random_, history_});
    ASSIGN_OR_RETURN(auto observer, JoinAsNobody(cluster_->services(), clock_, random_));
    injector_ = std::make_unique<Injector>(*cluster_, std::move(observer), *stage_, chance_);
    return BringPeople();
  }

  absl::Status BringPeople() {
    std::vector<absl::Status> outcomes(players_.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < players_.size(); ++i) {
      threads.emplace_back([this, i, &outcomes] { outcomes[i] = BringPeopleOf(i); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& outcome : outcomes) RETURN_IF_ERROR(outcome);
    Say(absl::StrCat(Name(options_.backend), ": ", options_.newcomers, " newcomers and ",
                     options_.sponsors, " sponsors are there"));
    return absl::OkStatus();
  }

  absl::Status BringPeopleOf(size_t thread) {
    const auto mine = [this, thread](int i) {
      return static_cast<size_t>(i) % players_.size() == thread;
    };
    for (int i = 0; i < options_.sponsors; ++i) {
      if (!mine(i)) continue;
      const int capacity = 1 + i % 4;
      ASSIGN_OR_RETURN(auto person, JoinAsSponsor(cluster_->services(), clock_, random_, capacity));
      history_.CapacitySet(*MemberId::FromName(person->member()), capacity);
      players_[thread].push_back(
          std::make_unique<SponsorPlayer>(*stage_, std::move(person), capacity));
    }
    for (int i = 0; i < options_.newcomers; ++i) {
      if (!mine(i)) continue;
      ASSIGN_OR_RETURN(auto person, JoinAsNewcomer(cluster_->services(), clock_, random_));
      // Of five newcomers one chooses, and one asks for a temporary contact.
      const int kind = (i / options_.threads) % 5;
      const Wish wish = kind == 0   ? Wish::kChoice
                        : kind == 1 ? Wish::kTemporaryContact
                                    : Wish::kSponsor;
      players_[thread].push_back(
          std::make_unique<NewcomerPlayer>(*stage_, std::move(person), wish));
    }
    return absl::OkStatus();
  }

  template <typename Do>
  void OnEveryThread(Do act) {
    std::vector<std::thread> threads;
    for (auto& players : players_) {
      threads.emplace_back([&players, act] {
        for (auto& player : players) act(*player);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  absl::Status PlayUnderFaults() {
    StopSignal stop;
    std::vector<std::thread> threads;
    for (auto& players : players_) {
      threads.emplace_back([&players, &stop] {
        while (!stop.stopped()) {
          for (auto& player : players) {
            if (!stop.stopped()) player->Step();
          }
        }
      });
    }
    absl::Status status;
    {
      PeriodicTask look(absl::Seconds(1), [this] { LookAtLedgers(); });
      PeriodicTask choices(absl::Milliseconds(200), [this] { LookAtChoices(); });
      PeriodicTask age(absl::Seconds(1), [this] { LetDaysPass(); });
      status = InjectFaults();
    }
    stop.Stop();
    for (std::thread& thread : threads) thread.join();
    return status;
  }

  // Faults come spread over the operations, so that each one meets work under way.
  absl::Status InjectFaults() {
    const absl::Time give_up = clock_.Now() + options_.time_limit;
    const int64_t first = history_.acknowledged();
    const int64_t step = std::max<int64_t>(1, options_.operations / std::max(1, options_.faults));
    StopSignal pause;
    while (report_.faults < options_.faults ||
           history_.acknowledged() - first < options_.operations) {
      if (clock_.Now() > give_up) {
        history_.Contradiction("the campaign did not come to its end in time");
        break;
      }
      pause.Pause(absl::Milliseconds(20));
      if (report_.faults >= options_.faults ||
          history_.acknowledged() - first < step * report_.faults) {
        continue;
      }
      ASSIGN_OR_RETURN(const Injector::Outcome outcome, injector_->InjectOne());
      ++report_.faults;
      ++report_.by_kind[outcome.kind];
      if (outcome.recovery > options_.recovery_bound) {
        history_.Contradiction(absl::StrCat("too long until an answer after ", outcome.kind));
      }
      report_.recoveries.push_back(outcome.recovery);
      if (report_.faults % 10 == 0) {
        Say(absl::StrCat(Name(options_.backend), ": ", report_.faults, " faults, ",
                         history_.acknowledged(), " acknowledged"));
      }
    }
    return absl::OkStatus();
  }

  // Of each pairing that is new, so that its first check-in is due. A database that is down just
  // now lets no day pass.
  void LetDaysPass() {
    const absl::Time now = clock_.Now();
    cluster_
        ->ChangeMatching(
            "UPDATE pairings SET created_at = created_at - $2, care_at = $1 "
            "WHERE state <> 5 AND created_at > $3",
            {now, absl::ToInt64Microseconds(absl::Hours(73)), now - absl::Hours(24)})
        .IgnoreError();
  }

  absl::Status CountWhatCame() {
    report_.acknowledged = history_.Take().by_kind;
    ASSIGN_OR_RETURN(report_.acknowledged["offer rescinded beside an accepted one"],
                     Count(*matching_,
                           "SELECT COUNT(*) FROM offers o JOIN pairings p ON p.ticket = o.ticket "
                           "WHERE o.state = 5 AND o.exclusive = 0"));
    return absl::OkStatus();
  }

  // More often than the rest: what was chosen is forgotten when its ticket is over.
  void LookAtChoices() {
    const auto broken = CheckChoices(history_.TakeChoices(), *matching_);
    if (!broken.ok()) return;
    for (const std::string& text : *broken) history_.Contradiction(text);
  }

  // What must hold in every committed state. A database that is down just now says nothing.
  void LookAtLedgers() {
    const auto broken = CheckWhileRunning(*matching_, *messaging_, clock_.Now());
    if (!broken.ok()) return;
    ++looks_;
    for (const std::string& text : *broken) {
      history_.Contradiction(absl::StrCat("while running: ", text));
    }
  }

  // M4: with the queues gone, whoever waits is queued again within seconds, without an operator.
  absl::Status CheckQueues() {
    RETURN_IF_ERROR(cluster_->FlushRedis());
    const absl::Time flushed = clock_.Now();
    const absl::Time give_up = flushed + absl::Seconds(30);
    StopSignal pause;
    int64_t waiting = 0;
    int64_t queued = 0;
    while (clock_.Now() < give_up) {
      ASSIGN_OR_RETURN(waiting, Count(*matching_, "SELECT COUNT(*) FROM tickets WHERE state = 1"));
      // And whoever has room for one more offer beside those that are open.
      ASSIGN_OR_RETURN(const int64_t with_room,
                       Count(*matching_,
                             "SELECT COUNT(*) FROM tickets t WHERE t.state = 2 AND "
                             "(SELECT COUNT(*) FROM offers o WHERE o.ticket = t.id AND "
                             "o.state = 1 AND o.exclusive = 0) BETWEEN 1 AND 2"));
      waiting += with_room;
      ASSIGN_OR_RETURN(queued, cluster_->CountQueued());
      if (waiting == queued) {
        const absl::Duration took = clock_.Now() - flushed;
        if (took > absl::Seconds(10)) {
          history_.Contradiction("M4: the queues were back later than 10 s after Redis");
        }
        Say(absl::StrCat(waiting, " tickets queued again in ", absl::FormatDuration(took), ", ",
                         with_room, " of them with offers open"));
        return absl::OkStatus();
      }
      pause.Pause(absl::Milliseconds(50));
    }
    history_.Contradiction(absl::StrCat("M4: ", waiting, " wait and ", queued, " are queued"));
    return absl::OkStatus();
  }

  absl::Status ComeToRest() {
    const absl::Time give_up = clock_.Now() + absl::Seconds(60);
    StopSignal pause;
    while (clock_.Now() < give_up) {
      ASSIGN_OR_RETURN(const int64_t matching, CountOutbox(*matching_));
      ASSIGN_OR_RETURN(const int64_t profiles, Count(*profiles_, "SELECT COUNT(*) FROM outbox"));
      if (matching + profiles == 0) return absl::OkStatus();
      pause.Pause(absl::Milliseconds(50));
    }
    history_.Contradiction("an outbox was not delivered within a minute");
    return absl::OkStatus();
  }

  const CampaignOptions options_;
  SystemClock clock_;
  SystemRandom random_;           // ids and keys
  testing::SeededRandom chance_;  // which faults
  History history_;
  CampaignReport report_;
  std::atomic<int64_t> looks_{0};
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Database> matching_;
  std::unique_ptr<Database> messaging_;
  std::unique_ptr<Database> profiles_;
  std::unique_ptr<Stage> stage_;
  std::unique_ptr<Injector> injector_;
  std::vector<std::vector<std::unique_ptr<Player>>> players_;
};

}  // namespace

std::string CampaignReport::ToString() const {
  std::vector<absl::Duration> sorted = recoveries;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&sorted](double share) {
    if (sorted.empty()) return 0.0;
    return absl::ToDoubleSeconds(
        sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))]);
  };
  std::string text = absl::StrFormat(
      "%d faults, %s; first OK after a fault: median %.2f s, p90 %.2f s, longest %.2f s; ledgers "
      "looked at %d times while running; %.0f s",
      faults, audit.ToString(), at(0.5), at(0.9), at(1.0), looks_while_running,
      absl::ToDoubleSeconds(took));
  for (const auto& [kind, count] : by_kind) absl::StrAppend(&text, "\n    ", count, " × ", kind);
  absl::StrAppend(&text, "\n  ", lines_while_down, " reached out while every database was down");
  for (const auto& [kind, count] : acknowledged) {
    absl::StrAppend(&text, "\n  ", count, " × ", kind);
  }
  return text;
}

absl::StatusOr<CampaignReport> RunCampaign(const CampaignOptions& options) {
  return Campaign(options).Run();
}

}  // namespace handrail::tests
