#include "services/profiles/testing/world.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/profiles/stores/schema.h"

namespace handrail::profiles::testing {
namespace {

constexpr absl::Time kNever = absl::InfiniteFuture();

// A test that cannot be set up has nothing to say.
void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "set-up failed: %s\n", status.ToString().c_str());
  std::abort();
}

}  // namespace

crypto::KeyRing TestKeyRing() {
  absl::StatusOr<crypto::KeyRing> ring = crypto::KeyRing::Parse(
      absl::StrCat("first ", std::string(64, '1'), "\nindex ", std::string(64, '2'), "\n"));
  Require(ring.status());
  return *std::move(ring);
}

std::unique_ptr<storage::Database> World::OpenInMemory(const Clock& clock) {
  storage::DatabaseOptions options;
  options.url = "sqlite::memory:";
  options.clock = &clock;
  auto opened = storage::OpenDatabase(options);
  Require(opened.status());
  return *std::move(opened);
}

World::World(const Open& open) : database(open(clock)) {
  Require(database->Migrate(ProfilesMigrations()));
  store = std::make_unique<ProfileStore>(*database, cipher);

  Require(SigningKeys::CreateKey(folder.File("keys"), clock.Now(), random));
  SigningKeyOptions key_options;
  key_options.folder = folder.File("keys");
  auto keys = SigningKeys::Open(key_options, clock);
  Require(keys.status());
  signing_keys = *std::move(keys);
  identity_crypto = std::make_unique<SodiumIdentityCrypto>(ring, *signing_keys, operators, clock,
                                                           random, TokenOptions());

  const auto changed = [this] { ++wakes; };
  IdentityOptions identity_options;
  identity_options.deployment = "test";
  identity = std::make_unique<Identity>(*store, *identity_crypto, clock, random, identity_options,
                                        changed);
  profiles = std::make_unique<Profiles>(*store, clock, changed);
  consent = std::make_unique<Consent>(*store, clock, random, changed);
  SafetyOptions safety_options;
  safety_options.push_timeout = absl::Milliseconds(50);
  safety = std::make_unique<Safety>(
      *store,
      Safety::Receivers{{Receiver::kMatching, &matching}, {Receiver::kMessaging, &messaging}},
      clock, random, safety_options, changed);
  directory = std::make_unique<Directory>(*store);
  to_matching =
      std::make_unique<OutboxSender>(*store, Receiver::kMatching, matching, clock, random);
  to_messaging =
      std::make_unique<OutboxSender>(*store, Receiver::kMessaging, messaging, clock, random);
}

std::shared_ptr<crypto::SigningKey> World::NewKey() {
  return std::make_shared<crypto::SigningKey>(crypto::SigningKey::Generate(random));
}

DeviceProof World::Prove(const crypto::SigningKey& key) {
  const std::string public_key(key.verify_key().bytes());
  const Challenge challenge = identity->CreateChallenge(Anonymous(), public_key);
  return {public_key, challenge.bytes,
          key.Sign(absl::StrCat(challenge.signing_context, challenge.bytes))};
}

Person World::Register() {
  Person person;
  person.key = NewKey();
  const auto signed_in = identity->RegisterDevice(Anonymous(), Prove(*person.key));
  Require(signed_in.status());
  person.member = signed_in->device.member;
  person.device = signed_in->device.id;
  return person;
}

Call World::CallBy(const Person& person, const std::string& request_id,
                   const std::string& content) {
  Call call;
  call.who.kind = Principal::Kind::kMember;
  call.who.member = person.member;
  call.who.device = person.device;
  call.method = "/test/Method";
  call.request_id = request_id;
  call.request_hash = crypto::Sha256(content);
  return call;
}

Call World::Anonymous() { return Call(); }

void World::Deliver() {
  to_matching->Run();
  to_messaging->Run();
}

int64_t World::OutboxCount(Receiver receiver) {
  const auto state = store->GetOutboxState(receiver, kNever);
  Require(state.status());
  return state->entries;
}

}  // namespace handrail::profiles::testing
