#ifndef HANDRAIL_SERVICES_MATCHING_STORES_LEDGER_TEST_ENV_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_LEDGER_TEST_ENV_H_

#include <memory>
#include <string>

#include "common/base/random.h"
#include "common/crypto/vault.h"
#include "common/storage/database_test_backends.h"
#include "common/testing/simulated_clock.h"
#include "services/matching/adapters/crypto_vault.h"
#include "services/matching/stores/care_sql.h"
#include "services/matching/stores/ledger_sql.h"

namespace handrail::matching {

// A ledger on a fresh database, with people to put into it.
class LedgerTestEnv {
 public:
  explicit LedgerTestEnv(storage::TestBackend backend, const LedgerOptions& options = {});

  // A call of this member under a request id of its own, or under the given one.
  Call As(const MemberId& member, const std::string& request_id = "");

  MemberTraits Newcomer(const MemberId& id, int64_t version = 1) const;
  MemberTraits Sponsor(const MemberId& id, int64_t version = 1) const;
  MemberId AddNewcomer();
  // With seats, accepting.
  MemberId AddSponsor(int capacity);

  absl::StatusOr<Changed<Ticket>> Open(const Call& call,
                                       RelationshipType type = RelationshipType::kSponsor,
                                       int64_t member_version = 1);
  // The ticket put before the sponsor as the ledger has it now.
  Proposal Propose(const Ticket& ticket, const MemberId& sponsor);
  absl::StatusOr<Changed<Offer>> MakeOffer(const Ticket& ticket, const MemberId& sponsor);
  // A pairing of a new newcomer and this sponsor.
  Pairing Pair(const MemberId& sponsor);
  Ticket TicketNow(const Ticket& ticket);
  Availability SeatsOf(const MemberId& sponsor);
  int64_t Count(const std::string& sql);
  void Execute(const std::string& sql);
  // Fails the test when an invariant is broken.
  void ExpectWhole();

  testing::SimulatedClock clock;
  SystemRandom random;
  storage::TestDatabase test_database;
  std::unique_ptr<storage::Database> database;
  crypto::KeyRing ring;
  CryptoVault vault{ring, random};
  CipherPoolNames pools{ring};
  std::unique_ptr<SqlLedger> ledger;
  std::unique_ptr<SqlCareStore> care;

 private:
  int64_t next_request_ = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_LEDGER_TEST_ENV_H_
