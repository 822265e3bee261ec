#include "tools/benchmark/waiting_fixture.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/crypto/vault.h"
#include "common/storage/database.h"
#include "services/matching/adapters/crypto_vault.h"
#include "services/matching/stores/codec.h"
#include "services/matching/stores/rows.h"
#include "services/matching/stores/schema.h"

namespace handrail::benchmark {
namespace {

using storage::Args;
using storage::Blob;

constexpr int kRowsAtOnce = 500;
constexpr int kRowsInOneWrite = 10'000;

matching::MemberTraits Traits(const MemberId& id, int number, matching::Philosophy philosophy) {
  matching::MemberTraits member;
  member.member = id;
  member.version = 1;
  member.standing = matching::Standing::kGood;
  member.consents_to_matching = true;
  member.consents_to_health_data = true;
  matching::NewcomerTraits& newcomer = member.newcomer.emplace();
  newcomer.philosophies = {philosophy};
  matching::PersonTraits& person = newcomer.person;
  person.adult_attested = true;
  person.languages = {matching::Language::FromTag("en")};
  person.time_zone = "America/New_York";
  for (uint8_t day = 1; day <= 7; ++day) person.availability.push_back({day, 18 * 60, 180});
  person.modalities = {matching::Modality::kAppText};
  person.gender = number % 2 == 0 ? matching::Gender::kWoman : matching::Gender::kMan;
  person.gender_preference.rule = matching::GenderRule::kAny;
  person.age_band = static_cast<matching::AgeBand>(1 + number % 6);
  return member;
}

// "($1, $2, …), (…)" for `rows` rows: placeholders where `constants` has an empty word.
std::string Tuples(int rows, const std::vector<std::string>& constants) {
  std::string text;
  int parameter = 0;
  for (int row = 0; row < rows; ++row) {
    absl::StrAppend(&text, row == 0 ? "(" : ", (");
    for (size_t i = 0; i < constants.size(); ++i) {
      absl::StrAppend(&text, i == 0 ? "" : ", ",
                      constants[i].empty() ? absl::StrCat("$", ++parameter) : constants[i]);
    }
    absl::StrAppend(&text, ")");
  }
  return text;
}

class Filler {
 public:
  Filler(const crypto::KeyRing& ring, const matching::PoolKey& pool, absl::Time first)
      : vault_(ring, random_),
        philosophy_(pool.philosophy),
        pool_(matching::CipherPoolNames(ring).Opaque(pool)),
        first_(first) {}

  absl::Status Insert(storage::Transaction& tx, int first, int rows) {
    Args members;
    Args tickets;
    for (int number = first; number < first + rows; ++number) {
      const MemberId id = MemberId::Random(random_);
      ASSIGN_OR_RETURN(const std::string key, vault_.NewKey(id));
      ASSIGN_OR_RETURN(const std::string traits,
                       vault_.Seal(id, key, matching::kTraitsPlace, id,
                                   EncodeTraits(Traits(id, number, philosophy_))));
      members.insert(members.end(), {id, Blob{key}, Blob{traits}});
      const absl::Time asked = first_ + absl::Milliseconds(number);
      tickets.insert(tickets.end(), {TicketId::Random(random_), id, Blob{pool_}, asked,
                                     asked + matching::kTicketLifetime});
    }
    RETURN_IF_ERROR(
        tx.Execute(absl::StrCat("INSERT INTO members (id, version, standing, may_match, "
                                "has_newcomer, has_sponsor, attested_at, wrapped_key, traits) "
                                "VALUES ",
                                Tuples(rows, {"", "1", "1", "1", "1", "0", "0", "", ""})),
                   members)
            .status());
    const std::string sponsor =
        absl::StrCat(static_cast<int>(matching::RelationshipType::kSponsor));
    return tx
        .Execute(absl::StrCat("INSERT INTO tickets (id, member, relationship_type, pool, state, "
                              "created_at, expires_at, boost, version, offer_count, "
                              "index_pending, care_at) VALUES ",
                              // Nothing is due of them: care is not what is measured.
                              Tuples(rows, {"", "", sponsor, "", "1", "", "", "0", "1", "0", "0",
                                            "9223372036854775807"})),
                 tickets)
        .status();
  }

 private:
  SystemRandom random_;
  matching::CryptoVault vault_;
  const matching::Philosophy philosophy_;
  const std::string pool_;
  const absl::Time first_;
};

}  // namespace

absl::Status FillWithWaiting(const std::string& database_url, const std::string& key_ring_file,
                             const matching::PoolKey& pool, int count) {
  SystemRandom random;
  const SystemClock clock;
  RETURN_IF_ERROR(crypto::KeyRing::Generate(key_ring_file, "first", random));
  ASSIGN_OR_RETURN(const crypto::KeyRing ring,
                   crypto::KeyRing::Load(key_ring_file, crypto::KeyFilePolicy::kOwnerOnly));
  storage::DatabaseOptions options;
  options.url = database_url;
  ASSIGN_OR_RETURN(const auto database, storage::OpenDatabase(options));
  RETURN_IF_ERROR(database->Migrate(matching::LedgerMigrations()));
  // They have asked, one a millisecond, until some minutes ago.
  Filler filler(ring, pool, clock.Now() - absl::Minutes(5) - absl::Milliseconds(count));
  for (int done = 0; done < count; done += kRowsInOneWrite) {
    const int end = std::min(done + kRowsInOneWrite, count);
    RETURN_IF_ERROR(database->Write(
        clock.Now() + absl::Seconds(60), [&](storage::Transaction& tx) -> absl::Status {
          for (int first = done; first < end; first += kRowsAtOnce) {
            RETURN_IF_ERROR(filler.Insert(tx, first, std::min(kRowsAtOnce, end - first)));
          }
          return absl::OkStatus();
        }));
  }
  return database->Write(clock.Now() + absl::Seconds(60), [](storage::Transaction& tx) {
    return tx.Execute("ANALYZE", {}).status();
  });
}

}  // namespace handrail::benchmark
