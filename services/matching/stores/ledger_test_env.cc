#include "services/matching/stores/ledger_test_env.h"

#include <gtest/gtest.h>

#include <future>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/stores/invariants.h"
#include "services/matching/stores/schema.h"

namespace handrail::matching {
namespace {

crypto::KeyRing TestRing() {
  auto ring = crypto::KeyRing::Parse(
      "index 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
      "k1 ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n");
  EXPECT_TRUE(ring.ok()) << ring.status();
  return *std::move(ring);
}

PersonTraits Person() {
  PersonTraits person;
  person.languages = {Language::FromTag("en")};
  person.time_zone = "UTC";
  person.availability = {{1, 9 * 60, 480}, {3, 9 * 60, 480}};
  person.modalities = {Modality::kAppText};
  person.gender = Gender::kWoman;
  person.adult_attested = true;
  return person;
}

}  // namespace

LedgerTestEnv::LedgerTestEnv(storage::TestBackend backend, const LedgerOptions& options)
    : test_database(backend), ring(TestRing()) {
  test_database.options.clock = &clock;  // deadlines move by hand too
  database = test_database.Open();
  EXPECT_TRUE(database->Migrate(LedgerMigrations()).ok());
  ledger = std::make_unique<SqlLedger>(*database, vault, pools, random, BuiltInPrograms(), options);
  care =
      std::make_unique<SqlCareStore>(*database, vault, pools, random, BuiltInPrograms(), options);
}

Call LedgerTestEnv::As(const MemberId& member, const std::string& request_id) {
  Call call;
  call.who.kind = Principal::Kind::kMember;
  call.who.member = member;
  call.method = "/test";
  call.request_id = request_id.empty() ? absl::StrCat("r", ++next_request_) : request_id;
  call.request_hash = "hash";
  return call;
}

MemberTraits LedgerTestEnv::Newcomer(const MemberId& id, int64_t version) const {
  MemberTraits member;
  member.member = id;
  member.version = version;
  member.standing = Standing::kGood;
  member.consents_to_matching = true;
  member.consents_to_health_data = true;
  member.newcomer.emplace();
  member.newcomer->person = Person();
  member.newcomer->philosophies = {Philosophy::kTwelveStepAa};
  return member;
}

MemberTraits LedgerTestEnv::Sponsor(const MemberId& id, int64_t version) const {
  MemberTraits member;
  member.member = id;
  member.version = version;
  member.standing = Standing::kGood;
  member.consents_to_matching = true;
  member.consents_to_health_data = true;
  member.sponsor.emplace();
  member.sponsor->person = Person();
  SponsorProgram program;
  program.philosophy = Philosophy::kTwelveStepAa;
  program.recovery_date = absl::CivilDay(2015, 1, 1);
  program.steps_done = 12;
  program.has_own_sponsor = true;
  program.attends_actively = true;
  program.relationship_types = {RelationshipType::kSponsor, RelationshipType::kTemporaryContact};
  member.sponsor->programs = {program};
  member.sponsor->attest_time = clock.Now();
  return member;
}

MemberId LedgerTestEnv::AddNewcomer() {
  const MemberId id = MemberId::Random(random);
  EXPECT_TRUE(ledger->ApplyMember(absl::InfiniteFuture(), clock.Now(), Newcomer(id)).ok());
  return id;
}

MemberId LedgerTestEnv::AddSponsor(int capacity) {
  const MemberId id = MemberId::Random(random);
  EXPECT_TRUE(ledger->ApplyMember(absl::InfiniteFuture(), clock.Now(), Sponsor(id)).ok());
  EXPECT_TRUE(ledger->SetAvailability(As(id), clock.Now(), capacity, true).ok());
  return id;
}

absl::StatusOr<Changed<Ticket>> LedgerTestEnv::Open(const Call& call, RelationshipType type,
                                                    int64_t member_version) {
  NewTicket ticket;
  ticket.id = TicketId::Random(random);
  ticket.relationship_type = type;
  ticket.pool.philosophy = Philosophy::kTwelveStepAa;
  ticket.member_version = member_version;
  std::promise<absl::StatusOr<Changed<Ticket>>> promise;
  ledger->OpenTicket(call, clock.Now(), ticket, [&](absl::StatusOr<Changed<Ticket>> result) {
    promise.set_value(std::move(result));
  });
  return promise.get_future().get();
}

Proposal LedgerTestEnv::Propose(const Ticket& ticket, const MemberId& sponsor) {
  Proposal proposal;
  proposal.offer = OfferId::Random(random);
  proposal.ticket = ticket.id;
  proposal.ticket_version = TicketNow(ticket).version;
  proposal.newcomer = ticket.newcomer;
  proposal.sponsor = sponsor;
  const auto newcomer = ledger->LoadMember(absl::InfiniteFuture(), ticket.newcomer);
  const auto gives = ledger->LoadMember(absl::InfiniteFuture(), sponsor);
  if (newcomer.ok() && newcomer->has_value()) proposal.newcomer_version = (*newcomer)->version;
  if (gives.ok() && gives->has_value()) proposal.sponsor_version = (*gives)->version;
  proposal.expire_time = clock.Now() + absl::Hours(24);
  proposal.explanation.score = 71.25;
  proposal.explanation.reasons = {MatchReason::kAvailability, MatchReason::kPathway};
  proposal.explanation.shared_languages = {Language::FromTag("en")};
  return proposal;
}

absl::StatusOr<Changed<Offer>> LedgerTestEnv::MakeOffer(const Ticket& ticket,
                                                        const MemberId& sponsor) {
  return ledger->MakeOffer(absl::InfiniteFuture(), clock.Now(), Propose(ticket, sponsor));
}

Pairing LedgerTestEnv::Pair(const MemberId& sponsor) {
  const MemberId newcomer = AddNewcomer();
  const auto ticket = Open(As(newcomer));
  EXPECT_TRUE(ticket.ok()) << ticket.status();
  const auto offer = MakeOffer(ticket->value, sponsor);
  EXPECT_TRUE(offer.ok()) << offer.status();
  const auto pairing = ledger->AcceptOffer(As(sponsor), clock.Now(), offer->value.id);
  EXPECT_TRUE(pairing.ok()) << pairing.status();
  return pairing->value;
}

Ticket LedgerTestEnv::TicketNow(const Ticket& ticket) {
  const auto now = ledger->GetTicket(As(ticket.newcomer), ticket.id);
  EXPECT_TRUE(now.ok()) << now.status();
  return now.ok() ? *now : Ticket();
}

Availability LedgerTestEnv::SeatsOf(const MemberId& sponsor) {
  const auto seats = ledger->GetAvailability(As(sponsor));
  EXPECT_TRUE(seats.ok()) << seats.status();
  return seats.ok() ? *seats : Availability();
}

int64_t LedgerTestEnv::Count(const std::string& sql) {
  int64_t count = -1;
  const absl::Status status =
      database->Read(absl::InfiniteFuture(), [&](storage::Transaction& tx) -> absl::Status {
        ASSIGN_OR_RETURN(const storage::Rows rows, tx.Query(sql, {}));
        count = rows.front().Int(0);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  return count;
}

void LedgerTestEnv::Execute(const std::string& sql) {
  const absl::Status status = database->Write(
      absl::InfiniteFuture(),
      [&](storage::Transaction& tx) -> absl::Status { return tx.Execute(sql, {}).status(); });
  EXPECT_TRUE(status.ok()) << sql << ": " << status;
}

void LedgerTestEnv::ExpectWhole() {
  const auto violations = CheckLedger(*database, clock.Now());
  ASSERT_TRUE(violations.ok()) << violations.status();
  for (const Violation& violation : *violations) {
    ADD_FAILURE() << violation.invariant << ": " << violation.text << " (" << violation.count
                  << ")";
  }
}

}  // namespace handrail::matching
