#include "services/messaging/messaging_process.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/executor.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/derived_keys.h"
#include "common/crypto/page_token.h"
#include "common/crypto/secret_key.h"
#include "common/crypto/vault.h"
#include "common/storage/database.h"
#include "common/storage/database_metrics.h"
#include "common/storage/invariant_monitor.h"
#include "services/messaging/adapters/grpc_case_desk.h"
#include "services/messaging/adapters/grpc_member_directory.h"
#include "services/messaging/adapters/hmac_franker.h"
#include "services/messaging/adapters/redis_wake_up_bus.h"
#include "services/messaging/attachment_metrics.h"
#include "services/messaging/domain/attachment_sweeper.h"
#include "services/messaging/domain/attachments.h"
#include "services/messaging/domain/delivery_hub.h"
#include "services/messaging/domain/device_log.h"
#include "services/messaging/domain/groups.h"
#include "services/messaging/domain/invitations.h"
#include "services/messaging/domain/key_packages.h"
#include "services/messaging/domain/messaging.h"
#include "services/messaging/domain/push.h"
#include "services/messaging/domain/pusher.h"
#include "services/messaging/domain/report_sender.h"
#include "services/messaging/domain/reports.h"
#include "services/messaging/domain/retention_job.h"
#include "services/messaging/handlers/attachment_handler.h"
#include "services/messaging/handlers/conversation_sync_handler.h"
#include "services/messaging/handlers/group_handler.h"
#include "services/messaging/handlers/invitation_handler.h"
#include "services/messaging/handlers/key_handler.h"
#include "services/messaging/handlers/messaging_handler.h"
#include "services/messaging/handlers/push_handler.h"
#include "services/messaging/handlers/report_handler.h"
#include "services/messaging/messaging_metrics.h"
#include "services/messaging/push_metrics.h"
#include "services/messaging/report_metrics.h"
#include "services/messaging/stores/device_log.h"
#include "services/messaging/stores/invariants.h"
#include "services/messaging/stores/page_token_key.h"
#include "services/messaging/stores/remains.h"
#include "services/messaging/stores/schema.h"
#include "services/messaging/stores/sql_attachment_store.h"
#include "services/messaging/stores/sql_group_store.h"
#include "services/messaging/stores/sql_invitation_store.h"
#include "services/messaging/stores/sql_key_package_store.h"
#include "services/messaging/stores/sql_message_store.h"
#include "services/messaging/stores/sql_push_store.h"
#include "services/messaging/stores/sql_report_store.h"

namespace handrail::messaging {
namespace {

// A clock further from the database's than this makes deadlines and retention wrong.
constexpr absl::Duration kClockSkewLimit = absl::Seconds(1);
constexpr absl::Duration kProbeTimeout = absl::Seconds(2);

constexpr absl::string_view kWithoutProfiles =
    "without --profiles_internal_address reports wait and become no case, and members that "
    "profiles "
    "has not told of stay unknown";

// Everything of the process, in the order in which it depends on what stands before it.
struct Parts {
  std::unique_ptr<storage::Database> database;
  std::unique_ptr<RedisWakeUpBus> bus;
  std::unique_ptr<GrpcMemberDirectory> directory;
  std::unique_ptr<GrpcCaseDesk> case_desk;
  std::unique_ptr<crypto::PageTokenCodec> page_tokens;
  std::unique_ptr<crypto::KeyRing> ring;
  std::unique_ptr<HmacFranker> franker;
  std::unique_ptr<SqlMessageStore> store;
  ReplicaId replica;
  std::unique_ptr<PushGateway> gateway;  // null: nobody is told
};

class MessagingProcess final : public rpc::ServiceProcess {
 public:
  MessagingProcess(const rpc::MainContext& context, Parts parts)
      : clock_(context.clock),
        parts_(std::move(parts)),
        database_metrics_(*parts_.database, context.registry),
        metrics_(context.registry),
        invariants_(*parts_.database, clock_, context.registry, MessageInvariants(), {}),
        hub_(*parts_.store, *parts_.bus, clock_, {}),
        messaging_(*parts_.store, *parts_.directory, hub_, clock_, {}),
        key_store_(*parts_.database, KeyPackageLimits()),
        key_packages_(
            key_store_, clock_, KeyPackageLimits(),
            [this](const Call& call) { return messaging_.LearnCaller(call); },
            [this](absl::Span<const WakeUp> wake_ups) { hub_.Spread(wake_ups); }),
        device_log_store_(*parts_.database),
        device_logs_(device_log_store_,
                     [this](const Call& call, const MemberId& member) {
                       return messaging_.LearnMember(call, member);
                     },
                     {}),
        group_store_(*parts_.database, Limits(), GroupLimits()),
        groups_(
            group_store_, clock_, GroupLimits(),
            [this](const Call& call) { return messaging_.LearnCaller(call); },
            [this](absl::Span<const WakeUp> wake_ups) { hub_.Spread(wake_ups); }),
        invitation_store_(*parts_.database, context.random, InvitationLimits()),
        invitations_(
            invitation_store_, clock_,
            [this](const Call& call) { return messaging_.LearnCaller(call); },
            [this](absl::Span<const WakeUp> wake_ups) { hub_.Spread(wake_ups); }),
        attachment_metrics_(context.registry),
        attachment_store_(*parts_.database, AttachmentLimits()),
        attachments_(
            attachment_store_, clock_, AttachmentLimits(),
            [this](const Call& call) { return messaging_.LearnCaller(call); }, attachment_metrics_),
        attachment_sweeper_(attachment_store_, clock_, attachment_metrics_, {}),
        report_store_(*parts_.database, *parts_.ring, context.random, ReportLimits()),
        report_metrics_(context.registry),
        reports_(
            report_store_, *parts_.franker, clock_, context.random, ReportLimits(),
            [this](const Call& call) { return messaging_.LearnCaller(call); },
            [this] { report_task_.Wake(); }),
        report_sender_(report_store_, *parts_.case_desk, clock_, context.random, {}),
        push_metrics_(context.registry),
        push_store_(*parts_.database, PushLimits()),
        push_tokens_(push_store_, PushLimits(),
                     [this](const Call& call) { return messaging_.LearnCaller(call); }),
        remains_(*parts_.database),
        retention_(*parts_.store, key_store_, remains_, clock_, {}),
        openers_(kOpenerThreads, kOpenerQueueLimit),
        handler_(messaging_, context.edge, context.streams, *parts_.page_tokens, clock_, openers_,
                 metrics_),
        key_handler_(key_packages_, device_logs_, context.edge),
        group_handler_(groups_, context.edge, metrics_),
        attachment_handler_(attachments_, context.edge),
        invitation_handler_(invitations_, context.edge),
        push_handler_(
            push_tokens_, context.edge,
            parts_.gateway == nullptr ? PushHandler::Gateway::kNone : PushHandler::Gateway::kThere),
        report_handler_(reports_, context.edge),
        sync_handler_(messaging_, context.edge),
        report_task_(kReportInterval, [this] { SendReports(); }) {
    parts_.store->SetListener(&hub_);
    parts_.bus->SetListener(&hub_);
    if (parts_.gateway == nullptr) return;
    pusher_ = std::make_unique<Pusher>(
        push_store_, *parts_.gateway, clock_, context.random, push_metrics_, parts_.replica,
        [this](const DeviceId& device) { return hub_.HasStream(device); }, Pusher::Options());
    hub_.SetAbsenceListener(pusher_.get());
  }

  rpc::ServerServices Services() override {
    rpc::ServerServices services;
    services.public_services = {rpc::Registered<v1::MessagingService>(&handler_),
                                rpc::Registered<v1::KeyService>(&key_handler_),
                                rpc::Registered<v1::GroupService>(&group_handler_),
                                rpc::Registered<v1::AttachmentService>(&attachment_handler_),
                                rpc::Registered<v1::InvitationService>(&invitation_handler_),
                                rpc::Registered<v1::PushService>(&push_handler_),
                                rpc::Registered<v1::ReportService>(&report_handler_)};
    services.internal_services = {rpc::Registered<v1::ConversationSyncService>(&sync_handler_)};
    services.readiness = {{"database", [this] { return CheckDatabase(); }}};
    services.refresh_metrics = {[this] {
      database_metrics_.Update();
      metrics_.Update(hub_.CurrentStats());
      report_metrics_.Update(report_store_, report_sender_, clock_);
      if (pusher_ != nullptr) push_metrics_.Update(pusher_->CurrentStats());
    }};
    return services;
  }

  absl::Status Start() override {
    hub_.Start();
    retention_.Start();
    attachment_sweeper_.Start();
    started_ = true;
    report_task_.Wake();
    if (pusher_ != nullptr) pusher_->Start();
    invariants_.Start();
    return absl::OkStatus();
  }

  void Stop() override {
    invariants_.Stop();
    report_sender_.Stop();
    report_task_.Stop();
    if (pusher_ != nullptr) pusher_->Stop();
    attachment_sweeper_.Stop();
    retention_.Stop();
    openers_.Stop();
    messaging_.Stop();
    parts_.store->WaitUntilIdle();  // answers still go to streams, the hub and the metrics
    parts_.bus->SetListener(nullptr);
    parts_.store->SetListener(nullptr);
    hub_.SetAbsenceListener(nullptr);
    hub_.Stop();
  }

 private:
  static constexpr int kOpenerThreads = 8;
  static constexpr size_t kOpenerQueueLimit = 4096;
  // How often it is looked for reports that nobody woke the sender for: what a crash or another
  // replica left.
  static constexpr absl::Duration kReportInterval = absl::Milliseconds(500);

  void SendReports() {
    if (started_) report_sender_.Run();
  }

  absl::Status CheckDatabase() {
    ASSIGN_OR_RETURN(const absl::Time theirs, parts_.database->Now(clock_.Now() + kProbeTimeout));
    if (absl::AbsDuration(theirs - clock_.Now()) <= kClockSkewLimit) return absl::OkStatus();
    return UnavailableError(reason::kDatabaseUnavailable, "our clock is not the database's");
  }

  const Clock& clock_;
  Parts parts_;
  storage::DatabaseMetrics database_metrics_;
  MessagingMetrics metrics_;
  storage::InvariantMonitor invariants_;
  DeliveryHub hub_;
  Messaging messaging_;
  SqlKeyPackageStore key_store_;
  KeyPackages key_packages_;
  SqlDeviceLogStore device_log_store_;
  DeviceLogs device_logs_;
  SqlGroupStore group_store_;
  Groups groups_;
  SqlInvitationStore invitation_store_;
  Invitations invitations_;
  AttachmentMetrics attachment_metrics_;
  SqlAttachmentStore attachment_store_;
  Attachments attachments_;
  AttachmentSweeper attachment_sweeper_;
  SqlReportStore report_store_;
  ReportMetrics report_metrics_;
  Reports reports_;
  ReportSender report_sender_;
  PushMetrics push_metrics_;
  SqlPushStore push_store_;
  PushTokens push_tokens_;
  std::unique_ptr<Pusher> pusher_;  // null: nobody is told
  SqlRemainsStore remains_;
  RetentionJob retention_;
  Executor openers_;
  MessagingHandler handler_;
  KeyHandler key_handler_;
  GroupHandler group_handler_;
  AttachmentHandler attachment_handler_;
  InvitationHandler invitation_handler_;
  PushHandler push_handler_;
  ReportHandler report_handler_;
  ConversationSyncHandler sync_handler_;
  std::atomic<bool> started_ = false;
  PeriodicTask report_task_;  // last: it uses what is above
};

std::string DatabaseUrl(const rpc::CommonOptions& options) {
  if (!options.database_url.empty()) return options.database_url;
  return absl::StrCat("sqlite://", options.data_folder, "/messaging.db");
}

absl::Status OpenKeys(const MessagingOptions& options, const rpc::MainContext& context,
                      Parts& parts) {
  RETURN_IF_ERROR(CreateMissingKeyRing(options, *parts.database, context.clock, context.random));
  ASSIGN_OR_RETURN(crypto::KeyRing ring,
                   crypto::KeyRing::Load(options.key_ring_file, PolicyOf(options)));
  parts.ring = std::make_unique<crypto::KeyRing>(std::move(ring));
  ASSIGN_OR_RETURN(auto stamp_keys, crypto::LoadDerivedKeys(options.key_ring_file, kStampPurpose,
                                                            PolicyOf(options)));
  parts.franker = std::make_unique<HmacFranker>(std::move(stamp_keys));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<rpc::ServiceProcess>> BuildMessaging(
    const MessagingOptions& options, const rpc::MainContext& context) {
  Parts parts;
  storage::DatabaseOptions database_options;
  database_options.url = DatabaseUrl(context.options);
  database_options.clock = &context.clock;
  ASSIGN_OR_RETURN(parts.database, storage::OpenDatabase(database_options));
  RETURN_IF_ERROR(parts.database->Migrate(Migrations()));
  RETURN_IF_ERROR(OpenKeys(options, context, parts));
  SqlMessageStore::Options store_options;
  store_options.franker = parts.franker.get();
  if (options.push.enabled()) {
    ASSIGN_OR_RETURN(parts.gateway, MakePushGateway(options.push, context.clock));
    store_options.replica = parts.replica = ReplicaId::Random(context.random);
  }
  ASSIGN_OR_RETURN(parts.store, SqlMessageStore::Create(*parts.database, context.clock,
                                                        context.random, store_options));
  ASSIGN_OR_RETURN(crypto::SecretKey key,
                   LoadOrCreatePageTokenKey(*parts.database, context.clock, context.random));
  parts.page_tokens = std::make_unique<crypto::PageTokenCodec>(std::move(key));
  ASSIGN_OR_RETURN(
      parts.bus, RedisWakeUpBus::Create(context.options.redis_url, context.clock, context.random));
  std::shared_ptr<grpc::Channel> profiles;
  if (!context.options.profiles_internal_address.empty()) {
    ASSIGN_OR_RETURN(profiles, context.InternalChannel(context.options.profiles_internal_address));
  }
  if (profiles == nullptr) {
    Log(Severity::kWarning, "profiles_not_configured",
        {{LogField::kComponent, "messaging"}, {LogField::kDetail, kWithoutProfiles}});
  }
  parts.directory = std::make_unique<GrpcMemberDirectory>(profiles, context.clock);
  parts.case_desk = std::make_unique<GrpcCaseDesk>(std::move(profiles), context.clock);
  return std::unique_ptr<rpc::ServiceProcess>(
      std::make_unique<MessagingProcess>(context, std::move(parts)));
}

}  // namespace handrail::messaging
