#include "services/matching/matching_process.h"

#include <atomic>
#include <utility>

#include "common/base/status.h"
#include "common/storage/database_metrics.h"
#include "common/storage/invariant_monitor.h"
#include "services/matching/adapters/crypto_vault.h"
#include "services/matching/adapters/flow_solver.h"
#include "services/matching/adapters/redis_queue.h"
#include "services/matching/adapters/sealed_handles.h"
#include "services/matching/care_metrics.h"
#include "services/matching/domain/batch_desk.h"
#include "services/matching/domain/candidate_desk.h"
#include "services/matching/domain/care_desk.h"
#include "services/matching/domain/chosen_offers.h"
#include "services/matching/domain/help_desk.h"
#include "services/matching/domain/matcher.h"
#include "services/matching/domain/operator_desk.h"
#include "services/matching/domain/outbox.h"
#include "services/matching/domain/pool_drains.h"
#include "services/matching/domain/reconciler.h"
#include "services/matching/domain/sweeper.h"
#include "services/matching/handlers/batch_handler.h"
#include "services/matching/handlers/candidate_handler.h"
#include "services/matching/handlers/care_handler.h"
#include "services/matching/handlers/handlers.h"
#include "services/matching/handlers/help_handler.h"
#include "services/matching/handlers/operator_care_handler.h"
#include "services/matching/handlers/operator_handler.h"
#include "services/matching/help_metrics.h"
#include "services/matching/matching_metrics.h"
#include "services/matching/matching_parts.h"
#include "services/matching/stores/batch_store_sql.h"
#include "services/matching/stores/care_sql.h"
#include "services/matching/stores/choice_ledger_sql.h"
#include "services/matching/stores/help_sql.h"
#include "services/matching/stores/invariants.h"
#include "services/matching/stores/ledger_sql.h"
#include "services/matching/stores/operator_ledger_sql.h"

namespace handrail::matching {
namespace {

constexpr absl::Duration kLargestClockError = absl::Seconds(1);
constexpr absl::Duration kDrainInterval = absl::Seconds(1);
constexpr int kDeskThreads = 8;

class MatchingProcess final : public rpc::ServiceProcess {
 public:
  MatchingProcess(const MatchingOptions& options, const rpc::MainContext& context,
                  MatchingParts parts);
  ~MatchingProcess() override { Stop(); }

  rpc::ServerServices Services() override;
  absl::Status Start() override;
  void Stop() override;

 private:
  void OnEffects(const Effects& effects);
  absl::Status CheckDatabase();

  Clock& clock_;
  MatchingParts parts_;
  storage::DatabaseMetrics database_metrics_;
  MatchingMetrics metrics_;
  CareMetrics care_metrics_;
  storage::InvariantMonitor invariants_;
  const ProgramPolicies& policies_;
  CryptoVault vault_;
  CipherPoolNames pools_;
  SqlLedger ledger_;
  SqlCareStore care_;
  SqlOperatorLedger operators_;
  SqlHelpStore help_store_;
  RedisQueue queue_;
  MemberCache members_;
  RuleSet rules_;
  Scorer scorer_;
  Chooser chooser_;
  PageTokens pages_;
  WatchHub hub_;
  OutboxSender outbox_;
  PoolDrains drains_;
  FlowSolver solver_;
  Matcher matcher_;
  Sweeper sweeper_;
  Reconciler reconciler_;
  MemberSync sync_;
  TicketDesk desk_;
  CareDesk care_desk_;
  CareSweeper care_sweeper_;
  OperatorDesk operator_desk_;
  HelpDesk help_desk_;
  HelpMetrics help_metrics_;
  SqlChoiceLedger choices_;
  SealedHandles handles_;
  CandidateDesk candidates_;
  ChosenOffers chosen_;
  SqlBatchStore batch_runs_;
  BatchOffers batch_offers_;
  BatchDesk batches_;
  Voices voices_;
  HandlerContext handlers_;
  MatchingHandler matching_handler_;
  CareHandler care_handler_;
  ProgramHandler program_handler_;
  CandidateHandler candidate_handler_;
  OperatorHandler operator_handler_;
  BatchHandler batch_handler_;
  OperatorCareHandler operator_care_handler_;
  HelpHandler help_handler_;
  MemberSyncHandler sync_handler_;
  std::atomic<bool> had_database_ = false;
  bool stopped_ = false;
};

std::vector<storage::InvariantQuery> InvariantQueries() {
  std::vector<storage::InvariantQuery> queries;
  for (const Invariant& invariant : LedgerInvariants()) {
    queries.push_back({std::string(invariant.name), std::string(invariant.text),
                       std::string(invariant.sql),
                       [](absl::Time now) { return storage::Args{now}; }});
  }
  return queries;
}

MatcherOptions MakeMatcherOptions(const MatchingOptions& options, const PoolDrains& drains,
                                  const AssignmentSolver& solver) {
  MatcherOptions matcher;
  matcher.coalesce = options.coalesce;
  matcher.response_deadline = options.response_deadline;
  matcher.window = options.window;
  matcher.solver = &solver;
  matcher.is_drained = [&drains](const PoolKey& pool) { return drains.IsDrained(pool); };
  return matcher;
}

ChosenOffersOptions MakeChosenOptions(const MatchingOptions& options) {
  ChosenOffersOptions chosen;
  chosen.response_deadline = options.response_deadline;
  return chosen;
}

BatchOffersOptions MakeBatchOffersOptions(const MatchingOptions& options) {
  BatchOffersOptions offers;
  offers.response_deadline = options.response_deadline;
  return offers;
}

LedgerOptions MakeLedgerOptions(const MatchingOptions& options) {
  LedgerOptions ledger;
  ledger.care = options.care;
  return ledger;
}

MatchingProcess::MatchingProcess(const MatchingOptions& options, const rpc::MainContext& context,
                                 MatchingParts parts)
    : clock_(context.clock),
      parts_(std::move(parts)),
      database_metrics_(*parts_.database, context.registry),
      metrics_(*parts_.database, context.clock, context.registry),
      care_metrics_(*parts_.database, context.clock, context.registry),
      invariants_(*parts_.database, context.clock, context.registry, InvariantQueries(), {}),
      policies_(parts_.programs.policies),
      vault_(parts_.ring, context.random),
      pools_(parts_.ring),
      ledger_(*parts_.database, vault_, pools_, context.random, policies_,
              MakeLedgerOptions(options)),
      care_(*parts_.database, vault_, pools_, context.random, policies_,
            MakeLedgerOptions(options)),
      operators_(*parts_.database, vault_, pools_, context.random, policies_,
                 MakeLedgerOptions(options), OperatorRecord(RecordMac(parts_.ring))),
      help_store_(*parts_.database, vault_, pools_, context.random, policies_, HelpOptions()),
      queue_(*parts_.redis, pools_),
      members_(static_cast<size_t>(options.member_cache)),
      scorer_(parts_.weights),
      chooser_(rules_, scorer_),
      pages_(PageKey(parts_.ring)),
      hub_(*parts_.channel, WatchHub::Options()),
      outbox_(ledger_, *parts_.conversations, clock_, context.random, OutboxOptions(),
              [this](const Effects& effects) { OnEffects(effects); }),
      drains_(operators_, ledger_, clock_, kDrainInterval,
              [this](const Effects& effects) { matcher_.Notify(effects); }),
      matcher_(ledger_, queue_, members_, chooser_, policies_, clock_, context.random,
               MakeMatcherOptions(options, drains_, solver_),
               [this](const Effects& effects) { hub_.Wake(effects); }),
      sweeper_(
          ledger_, queue_, clock_, SweeperOptions(), [this] { return matcher_.Pools(); },
          [this](const Effects& effects) { OnEffects(effects); }),
      reconciler_(
          ledger_, queue_, members_, clock_, context.random, ReconcilerOptions(),
          [this] { return matcher_.Pools(); },
          [this](const std::vector<PoolKey>& pools) { matcher_.PoolsLost(pools); }),
      sync_(ledger_, members_, policies_, rules_, clock_,
            [this](const Effects& effects) { OnEffects(effects); }),
      desk_(
          ledger_, *parts_.directory, members_, policies_, clock_, context.random, kDeskThreads,
          [this, limit = options.waiting_limit] { return matcher_.Stats().waiting < limit; },
          [this](const Effects& effects) { OnEffects(effects); }),
      care_desk_(
          care_, ledger_, desk_, members_, rules_, policies_, clock_, context.random,
          CareDesk::Options(),
          [this, limit = options.waiting_limit] { return matcher_.Stats().waiting < limit; }),
      care_sweeper_(care_, clock_, CareSweeper::Options(),
                    [this](const Effects& effects) { OnEffects(effects); }),
      operator_desk_(operators_, ledger_, members_, rules_, policies_, clock_,
                     OperatorDesk::Options()),
      help_desk_(
          help_store_, ledger_, policies_, clock_, context.random, HelpDesk::Options(),
          [this](absl::Time deadline, const MemberId& member) {
            return desk_.FetchMember(deadline, member).status();
          },
          [this](const Effects& effects) { OnEffects(effects); }),
      help_metrics_(*parts_.database, context.clock, parts_.crisis, context.registry),
      choices_(*parts_.database, vault_, pools_, context.random, policies_,
               MakeLedgerOptions(options), MakeSeenHash(parts_.ring)),
      handles_(parts_.ring, context.random),
      candidates_(
          ledger_, choices_, chooser_, policies_, handles_, clock_, context.random,
          [this](absl::Time deadline, const PoolKey& pool) {
            return matcher_.SponsorsIn(deadline, pool);
          },
          CandidateOptions()),
      chosen_(ledger_, choices_, queue_, chooser_, policies_, clock_, context.random,
              MakeChosenOptions(options), [this](const Effects& effects) { OnEffects(effects); }),
      batch_runs_(*parts_.database, context.random, OperatorRecord(RecordMac(parts_.ring))),
      batch_offers_(ledger_, batch_runs_, queue_, chooser_, policies_, clock_,
                    MakeBatchOffersOptions(options),
                    [this](const Effects& effects) { OnEffects(effects); }),
      batches_(
          ledger_, operators_, batch_runs_, batch_offers_, chooser_, policies_, clock_,
          context.random, PlanMac(parts_.ring),
          [this](absl::Time deadline, const PoolKey& pool) {
            return matcher_.SponsorsIn(deadline, pool);
          },
          BatchDesk::Options()),
      voices_(parts_.messages, members_, ledger_),
      handlers_{context.edge,
                context.streams,
                ledger_,
                desk_,
                sync_,
                hub_,
                pages_,
                clock_,
                [this](const Effects& effects) { OnEffects(effects); },
                context.revocations,
                voices_},
      matching_handler_(handlers_),
      care_handler_(handlers_, care_, care_desk_),
      program_handler_(context.edge, parts_.programs.rows),
      candidate_handler_(context.edge, candidates_, voices_,
                         [this](const Effects& effects) { OnEffects(effects); }),
      operator_handler_({context.edge, operators_, operator_desk_, drains_, queue_, pages_, clock_,
                         [this] { return matcher_.Pools(); },
                         [this](const Effects& effects) { OnEffects(effects); }}),
      batch_handler_(context.edge, operators_, operator_desk_, batches_),
      operator_care_handler_(context.edge, operators_, operator_desk_, clock_,
                             [this](const Effects& effects) { OnEffects(effects); }),
      help_handler_(HelpContext{context.edge, context.streams, help_store_, help_desk_, ledger_,
                                members_, hub_, pages_, clock_, parts_.crisis,
                                [this](const Effects& effects) { OnEffects(effects); },
                                context.revocations}),
      sync_handler_(handlers_) {}

void MatchingProcess::OnEffects(const Effects& effects) {
  matcher_.Notify(effects);
  chosen_.Notify(effects);
  hub_.Wake(effects);
  care_metrics_.Count(effects);
  if (effects.outbox) outbox_.Wake();
}

absl::Status MatchingProcess::CheckDatabase() {
  const absl::Time now = clock_.Now();
  const auto theirs = parts_.database->Now(now + absl::Seconds(1));
  // Who was ready stays so without a database: whoever reaches out gets the crisis lines from here,
  // and every other call is told to come again. handrail_matching_database_up says it is away.
  if (!theirs.ok()) return had_database_.load() ? absl::OkStatus() : theirs.status();
  const absl::Time after = clock_.Now();
  if (*theirs < now - kLargestClockError || *theirs > after + kLargestClockError) {
    return absl::UnavailableError("clocks differ");
  }
  had_database_.store(true);
  return absl::OkStatus();
}

rpc::ServerServices MatchingProcess::Services() {
  rpc::ServerServices services;
  services.public_services = {rpc::Registered<v1::MatchingService>(&matching_handler_),
                              rpc::Registered<v1::CareService>(&care_handler_),
                              rpc::Registered<v1::HelpService>(&help_handler_),
                              rpc::Registered<v1::ProgramService>(&program_handler_),
                              rpc::Registered<v1::CandidateService>(&candidate_handler_),
                              rpc::Registered<v1::OperatorService>(&operator_handler_),
                              rpc::Registered<v1::BatchService>(&batch_handler_),
                              rpc::Registered<v1::OperatorCareService>(&operator_care_handler_)};
  services.internal_services = {rpc::Registered<v1::MemberSyncService>(&sync_handler_)};
  services.readiness.push_back({"database", [this] { return CheckDatabase(); }});
  services.refresh_metrics.push_back([this] {
    database_metrics_.Update();
    metrics_.Update(matcher_.Stats());
    care_metrics_.Update();
    help_metrics_.Update(help_desk_);
  });
  return services;
}

absl::Status MatchingProcess::Start() {
  parts_.channel->Listen([this](const std::string& topic) { hub_.WakeLocal(topic); },
                         [this] { hub_.WakeAll(); });
  reconciler_.Start();
  // Before the first round, so that a drained pool stays so over a restart.
  drains_.Refresh().IgnoreError();
  drains_.Start();
  matcher_.Start();
  sweeper_.AddTrim("choices", [this](absl::Time deadline, absl::Time now, int limit) {
    return choices_.Trim(deadline, now, limit);
  });
  sweeper_.AddTrim("operator_record", [this](absl::Time deadline, absl::Time now, int limit) {
    return operators_.TrimActions(deadline, now - kOperatorRecordKept, limit);
  });
  sweeper_.AddTrim("batch_runs", [this](absl::Time deadline, absl::Time now, int limit) {
    return batch_runs_.TrimRuns(deadline, now, limit);
  });
  sweeper_.Start();
  care_sweeper_.Start();
  outbox_.Start();
  help_desk_.Start();
  chosen_.Start();
  invariants_.Start();
  return absl::OkStatus();
}

void MatchingProcess::Stop() {
  if (std::exchange(stopped_, true)) return;
  invariants_.Stop();
  help_desk_.Stop();
  desk_.Stop();
  chosen_.Stop();
  sweeper_.Stop();
  care_sweeper_.Stop();
  reconciler_.Stop();
  drains_.Stop();
  matcher_.Stop();
  outbox_.Stop();
  hub_.Stop();
  parts_.channel->Stop();
}

}  // namespace

absl::StatusOr<std::unique_ptr<rpc::ServiceProcess>> MakeMatchingProcess(
    const MatchingOptions& options, const rpc::MainContext& context) {
  ASSIGN_OR_RETURN(MatchingParts parts, OpenMatchingParts(options, context));
  return std::make_unique<MatchingProcess>(options, context, std::move(parts));
}

}  // namespace handrail::matching
