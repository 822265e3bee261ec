#include "services/profiles/profiles_process.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>

#include <atomic>
#include <map>
#include <utility>

#include "common/base/executor.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/key_set.h"
#include "common/storage/database_metrics.h"
#include "services/profiles/adapters/grpc_receivers.h"
#include "services/profiles/adapters/identity_crypto.h"
#include "services/profiles/adapters/operator_list.h"
#include "services/profiles/adapters/signing_keys.h"
#include "services/profiles/domain/cases.h"
#include "services/profiles/domain/outbox_sender.h"
#include "services/profiles/handlers/avoid_handler.h"
#include "services/profiles/handlers/case_sync_handler.h"
#include "services/profiles/handlers/handlers.h"
#include "services/profiles/stores/profile_store.h"
#include "services/profiles/stores/schema.h"

namespace handrail::profiles {
namespace {

// How often each sender looks for work that nobody woke it for: what a crash or another replica
// left.
constexpr absl::Duration kOutboxInterval = absl::Milliseconds(500);
constexpr absl::Duration kUpkeepInterval = absl::Seconds(10);
constexpr absl::Duration kUpkeepTimeout = absl::Seconds(5);
constexpr int64_t kTrimLimit = 5000;
constexpr int kRevocationsPage = 1000;
// Tokens outlive a revocation by their life and an hour of grace.
constexpr absl::Duration kRevocationsLookBack = absl::Hours(3);
constexpr absl::Duration kLargestClockError = absl::Seconds(1);

// What is opened before anything is built on it.
struct Parts {
  crypto::KeyRing ring;
  OperatorList operators;
  std::unique_ptr<SigningKeys> signing_keys;
  std::unique_ptr<storage::Database> database;
  std::unique_ptr<MemberReceiver> matching;
  std::unique_ptr<MemberReceiver> messaging;
};

struct OutboxMetrics {
  prometheus::Gauge& entries;
  prometheus::Gauge& age_seconds;
  prometheus::Gauge& delivered;
  prometheus::Gauge& failures;
  prometheus::Family<prometheus::Gauge>& refused;
  std::string receiver;
};

OutboxMetrics MakeOutboxMetrics(prometheus::Registry& registry, const std::string& receiver) {
  const auto gauge = [&](const char* name, const char* help) -> prometheus::Gauge& {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(
        {{"receiver", receiver}});
  };
  return {gauge("handrail_outbox_entries", "Changes that a receiver has not confirmed yet."),
          gauge("handrail_outbox_age_seconds", "Age of the oldest of them."),
          gauge("handrail_outbox_delivered", "Entries delivered since the start."),
          gauge("handrail_outbox_failures", "Failed deliveries since the start."),
          prometheus::BuildGauge()
              .Name("handrail_outbox_refused")
              .Help("Refusals of one entry since the start.")
              .Register(registry),
          receiver};
}

class ProfilesProcess final : public rpc::ServiceProcess {
 public:
  ProfilesProcess(const ProfilesOptions& options, const rpc::MainContext& context, Parts parts);
  ~ProfilesProcess() override { Stop(); }

  rpc::ServerServices Services() override;
  absl::Status Start() override;
  void Stop() override;

 private:
  void Wake();
  void RunSender(OutboxSender& sender);
  // Keys, revocations of other replicas, expired rows, metrics.
  void DoUpkeep();
  absl::Status RefreshKeys();
  absl::Status ReadRevocations();
  absl::Status UpdateMetrics(Receiver receiver, const OutboxSender& sender, OutboxMetrics& metrics);
  absl::Time Deadline() const { return clock_.Now() + kUpkeepTimeout; }

  const ProfilesOptions options_;
  Clock& clock_;
  Random& random_;
  rpc::KeySource& keys_;
  rpc::RevocationSet& revocations_;
  Parts parts_;
  storage::DatabaseMetrics database_metrics_;
  MemberCipher cipher_;
  ProfileStore store_;
  SodiumIdentityCrypto identity_crypto_;
  PageTokens pages_;

  Identity identity_;
  Profiles profiles_;
  Consent consent_;
  Safety safety_;
  AvoidList avoid_list_;
  Cases cases_;
  Directory directory_;
  OutboxSender to_matching_;
  OutboxSender to_messaging_;

  IdentityHandler identity_handler_;
  ProfileHandler profile_handler_;
  SafetyHandler safety_handler_;
  AvoidHandler avoid_handler_;
  CaseSyncHandler case_sync_handler_;
  DirectoryHandler directory_handler_;

  OutboxMetrics matching_metrics_;
  OutboxMetrics messaging_metrics_;
  std::atomic<bool> started_ = false;
  // Last: they use everything above.
  PeriodicTask matching_task_;
  PeriodicTask messaging_task_;
  PeriodicTask upkeep_task_;
};

IdentityOptions MakeIdentityOptions(const ProfilesOptions& options) {
  IdentityOptions identity;
  identity.deployment = options.deployment;
  return identity;
}

TokenOptions MakeTokenOptions(const rpc::MainContext& context) {
  TokenOptions tokens;
  tokens.audience = context.options.audience;
  return tokens;
}

ProfilesProcess::ProfilesProcess(const ProfilesOptions& options, const rpc::MainContext& context,
                                 Parts parts)
    : options_(options),
      clock_(context.clock),
      random_(context.random),
      keys_(context.keys),
      revocations_(context.revocations),
      parts_(std::move(parts)),
      database_metrics_(*parts_.database, context.registry),
      cipher_(parts_.ring, random_),
      store_(*parts_.database, cipher_),
      identity_crypto_(parts_.ring, *parts_.signing_keys, parts_.operators, clock_, random_,
                       MakeTokenOptions(context)),
      pages_(DeriveKey(parts_.ring, "profiles/page-tokens")),
      identity_(store_, identity_crypto_, clock_, random_, MakeIdentityOptions(options),
                [this] { Wake(); }),
      profiles_(store_, clock_, [this] { Wake(); }),
      consent_(store_, clock_, random_, [this] { Wake(); }),
      safety_(store_,
              {{Receiver::kMatching, parts_.matching.get()},
               {Receiver::kMessaging, parts_.messaging.get()}},
              clock_, random_, SafetyOptions(), [this] { Wake(); }),
      avoid_list_(store_, clock_, [this] { Wake(); }),
      cases_(store_, clock_),
      directory_(store_),
      to_matching_(store_, Receiver::kMatching, *parts_.matching, clock_, random_),
      to_messaging_(store_, Receiver::kMessaging, *parts_.messaging, clock_, random_),
      identity_handler_(context.edge, identity_, *parts_.signing_keys, pages_,
                        [this](const Device& device) {
                          revocations_.Add(device.id, device.revoke_time.value_or(clock_.Now()));
                        }),
      profile_handler_(context.edge, profiles_, consent_, pages_),
      safety_handler_(context.edge, safety_, pages_),
      avoid_handler_(context.edge, avoid_list_, pages_),
      case_sync_handler_(context.edge, cases_),
      directory_handler_(context.edge, directory_, pages_),
      matching_metrics_(MakeOutboxMetrics(context.registry, "matching")),
      messaging_metrics_(MakeOutboxMetrics(context.registry, "messaging")),
      matching_task_(kOutboxInterval, [this] { RunSender(to_matching_); }),
      messaging_task_(kOutboxInterval, [this] { RunSender(to_messaging_); }),
      upkeep_task_(kUpkeepInterval, [this] { DoUpkeep(); }) {}

rpc::ServerServices ProfilesProcess::Services() {
  rpc::ServerServices services;
  services.public_services = {
      rpc::Registered<v1::IdentityService>(&identity_handler_),
      rpc::Registered<v1::ProfileService>(&profile_handler_),
      rpc::Registered<v1::SafetyService>(&safety_handler_),
      rpc::Registered<v1::AvoidService>(&avoid_handler_),
  };
  services.internal_services = {rpc::Registered<v1::DirectoryService>(&directory_handler_),
                                rpc::Registered<v1::CaseSyncService>(&case_sync_handler_)};
  services.readiness.push_back(
      {"database", [this]() -> absl::Status {
         // The clocks decide together: a challenge of one replica is
         // judged by another.
         const absl::Time now = clock_.Now();
         ASSIGN_OR_RETURN(const absl::Time theirs, parts_.database->Now(now + absl::Seconds(1)));
         const absl::Time after = clock_.Now();
         if (theirs < now - kLargestClockError || theirs > after + kLargestClockError) {
           return absl::UnavailableError("clocks differ");
         }
         return absl::OkStatus();
       }});
  services.refresh_metrics.push_back([this] { database_metrics_.Update(); });
  return services;
}

absl::Status ProfilesProcess::Start() {
  started_ = true;
  Wake();
  upkeep_task_.Wake();
  return absl::OkStatus();
}

void ProfilesProcess::Stop() {
  to_matching_.Stop();
  to_messaging_.Stop();
  matching_task_.Stop();
  messaging_task_.Stop();
  upkeep_task_.Stop();
}

void ProfilesProcess::Wake() {
  matching_task_.Wake();
  messaging_task_.Wake();
}

void ProfilesProcess::RunSender(OutboxSender& sender) {
  if (started_) sender.Run();
}

void ProfilesProcess::DoUpkeep() {
  if (!started_) return;
  const auto report = [](const char* what, const absl::Status& status) {
    if (status.ok()) return;
    Log(Severity::kWarning, "upkeep_failed",
        {{LogField::kComponent, what}, {LogField::kReason, ReasonOf(status)}});
  };
  report("signing keys", RefreshKeys());
  report("revocations", ReadRevocations());
  report("trimming", store_.Trim(clock_.Now(), kTrimLimit, Deadline()).status());
  report("metrics", UpdateMetrics(Receiver::kMatching, to_matching_, matching_metrics_));
  report("metrics", UpdateMetrics(Receiver::kMessaging, to_messaging_, messaging_metrics_));
}

absl::Status ProfilesProcess::RefreshKeys() {
  if (options_.rotate_signing_keys_after > absl::ZeroDuration()) {
    RETURN_IF_ERROR(
        parts_.signing_keys->RotateIfOlderThan(options_.rotate_signing_keys_after, random_));
  } else {
    RETURN_IF_ERROR(parts_.signing_keys->Refresh());
  }
  return keys_.Update(crypto::EncodeKeySet(parts_.signing_keys->Published()));
}

absl::Status ProfilesProcess::ReadRevocations() {
  Call call;
  call.deadline = Deadline();
  PageRequest page{std::nullopt, kRevocationsPage};
  do {
    ASSIGN_OR_RETURN(const Page<Revocation> revoked,
                     directory_.ListRevocations(call, clock_.Now() - kRevocationsLookBack, page));
    for (const Revocation& revocation : revoked.items) {
      revocations_.Add(revocation.device, revocation.revoke_time);
    }
    page.after = revoked.next;
  } while (page.after.has_value());
  return absl::OkStatus();
}

absl::Status ProfilesProcess::UpdateMetrics(Receiver receiver, const OutboxSender& sender,
                                            OutboxMetrics& metrics) {
  metrics.delivered.Set(static_cast<double>(sender.loop().delivered()));
  metrics.failures.Set(static_cast<double>(sender.loop().failures()));
  for (const auto& [code, count] : sender.loop().Refusals()) {
    metrics.refused.Add({{"receiver", metrics.receiver}, {"code", absl::StatusCodeToString(code)}})
        .Set(static_cast<double>(count));
  }
  ASSIGN_OR_RETURN(const OutboxState state, store_.GetOutboxState(receiver, Deadline()));
  metrics.entries.Set(static_cast<double>(state.entries));
  metrics.age_seconds.Set(
      state.oldest.has_value() ? absl::ToDoubleSeconds(clock_.Now() - *state.oldest) : 0);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<storage::Database>> OpenAndMigrate(const rpc::MainContext& context) {
  storage::DatabaseOptions options;
  options.url = DatabaseUrl(context.options);
  options.clock = &context.clock;
  ASSIGN_OR_RETURN(auto database, storage::OpenDatabase(options));
  RETURN_IF_ERROR(database->Migrate(ProfilesMigrations()));
  return database;
}

absl::StatusOr<Parts> OpenParts(const ProfilesOptions& options, const rpc::MainContext& context) {
  ASSIGN_OR_RETURN(auto database, OpenAndMigrate(context));
  RETURN_IF_ERROR(CreateMissingKeys(options, *database, context.clock, context.random));
  const auto policy = options.group_readable_keys ? crypto::KeyFilePolicy::kGroupMayRead
                                                  : crypto::KeyFilePolicy::kOwnerOnly;
  ASSIGN_OR_RETURN(crypto::KeyRing ring, crypto::KeyRing::Load(options.key_ring_file, policy));
  ASSIGN_OR_RETURN(OperatorList operators, OperatorList::Load(options.operators_file));
  SigningKeyOptions key_options;
  key_options.folder = options.signing_keys_folder;
  key_options.issuer = context.options.issuer;
  key_options.file_policy = policy;
  ASSIGN_OR_RETURN(auto signing_keys, SigningKeys::Open(key_options, context.clock));
  ASSIGN_OR_RETURN(auto to_matching,
                   context.InternalChannel(context.options.matching_internal_address));
  ASSIGN_OR_RETURN(auto to_messaging,
                   context.InternalChannel(context.options.messaging_internal_address));
  return Parts{std::move(ring),
               std::move(operators),
               std::move(signing_keys),
               std::move(database),
               MakeMatchingReceiver(std::move(to_matching), context.clock),
               MakeMessagingReceiver(std::move(to_messaging), context.clock)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<rpc::ServiceProcess>> MakeProfilesProcess(
    const ProfilesOptions& options, const rpc::MainContext& context) {
  ASSIGN_OR_RETURN(Parts parts, OpenParts(options, context));
  RETURN_IF_ERROR(context.keys.Update(crypto::EncodeKeySet(parts.signing_keys->Published())));
  return std::make_unique<ProfilesProcess>(options, context, std::move(parts));
}

}  // namespace handrail::profiles
