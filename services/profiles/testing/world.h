#ifndef HANDRAIL_SERVICES_PROFILES_TESTING_WORLD_H_
#define HANDRAIL_SERVICES_PROFILES_TESTING_WORLD_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "common/base/call.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/hash.h"
#include "common/storage/database.h"
#include "common/testing/seeded_random.h"
#include "common/testing/simulated_clock.h"
#include "common/testing/temporary_directory.h"
#include "services/profiles/adapters/identity_crypto.h"
#include "services/profiles/domain/consent.h"
#include "services/profiles/domain/directory.h"
#include "services/profiles/domain/identity.h"
#include "services/profiles/domain/outbox_sender.h"
#include "services/profiles/domain/profile.h"
#include "services/profiles/domain/safety.h"
#include "services/profiles/stores/profile_store.h"
#include "services/profiles/testing/fake_receiver.h"

namespace handrail::profiles::testing {

crypto::KeyRing TestKeyRing();

// Someone with one device.
struct Person {
  std::shared_ptr<crypto::SigningKey> key;
  MemberId member;
  DeviceId device;
};

// The whole domain over the real store on SQLite in memory (or on `database`), with a clock that
// moves by hand, real cryptography, and fake receivers.
class World {
 public:
  // The database compares deadlines with this world's clock.
  using Open = std::function<std::unique_ptr<storage::Database>(const Clock&)>;

  explicit World(const Open& open = OpenInMemory);
  static std::unique_ptr<storage::Database> OpenInMemory(const Clock& clock);

  std::shared_ptr<crypto::SigningKey> NewKey();
  // Proof for a fresh challenge.
  DeviceProof Prove(const crypto::SigningKey& key);
  Person Register();
  // A call of this person. The same `request_id` and `content` are the same request.
  Call CallBy(const Person& person, const std::string& request_id = "",
              const std::string& content = "");
  static Call Anonymous();
  // Sends what is in both outboxes.
  void Deliver();
  int64_t OutboxCount(Receiver receiver);

  ::handrail::testing::SimulatedClock clock;
  ::handrail::testing::SeededRandom random{7};
  ::handrail::testing::TemporaryDirectory folder;
  crypto::KeyRing ring = TestKeyRing();
  OperatorList operators;
  std::unique_ptr<storage::Database> database;
  MemberCipher cipher{ring, random};
  std::unique_ptr<ProfileStore> store;
  std::unique_ptr<SigningKeys> signing_keys;
  std::unique_ptr<SodiumIdentityCrypto> identity_crypto;
  FakeReceiver matching;
  FakeReceiver messaging;
  std::atomic<int> wakes{0};  // how often the domain asked for delivery

  std::unique_ptr<Identity> identity;
  std::unique_ptr<Profiles> profiles;
  std::unique_ptr<Consent> consent;
  std::unique_ptr<Safety> safety;
  std::unique_ptr<Directory> directory;
  std::unique_ptr<OutboxSender> to_matching;
  std::unique_ptr<OutboxSender> to_messaging;
};

}  // namespace handrail::profiles::testing

#endif  // HANDRAIL_SERVICES_PROFILES_TESTING_WORLD_H_
