#ifndef HANDRAIL_SERVICES_MATCHING_STORES_CHOICE_STORE_FIXTURE_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_CHOICE_STORE_FIXTURE_H_

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/matching/adapters/program_table.h"
#include "services/matching/stores/choice_ledger_sql.h"
#include "services/matching/stores/ledger_test_env.h"

namespace handrail::matching {

// Newcomers who choose, on a ledger of every backend.
class ChoiceStoreFixture : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  Ticket Ask(const MemberId& newcomer, bool choosing = true,
             RelationshipType type = RelationshipType::kSponsor, Importance importance = {}) {
    NewTicket ticket;
    ticket.id = TicketId::Random(env_.random);
    ticket.relationship_type = type;
    ticket.pool.philosophy = Philosophy::kTwelveStepAa;
    ticket.choosing = choosing;
    ticket.importance = importance;
    ticket.member_version = 1;
    std::promise<absl::StatusOr<Changed<Ticket>>> promise;
    env_.ledger->OpenTicket(
        env_.As(newcomer), env_.clock.Now(), ticket,
        [&](absl::StatusOr<Changed<Ticket>> result) { promise.set_value(std::move(result)); });
    auto opened = promise.get_future().get();
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened->value;
  }
  absl::StatusOr<Changed<Ticket>> Choose(const Ticket& ticket, std::vector<MemberId> sponsors,
                                         bool then_handrail = false,
                                         const std::string& request = "") {
    return choices_.SetChoice(env_.As(ticket.newcomer, request), env_.clock.Now(), ticket.id,
                              Untold(sponsors), then_handrail);
  }
  static std::vector<Chosen> Untold(const std::vector<MemberId>& sponsors) {
    std::vector<Chosen> chosen;
    for (const MemberId& sponsor : sponsors) chosen.push_back({sponsor, {}});
    return chosen;
  }
  std::optional<MemberId> NextOf(const Ticket& ticket) {
    const auto next = choices_.FindNext(absl::InfiniteFuture(), env_.clock.Now(), ticket.id);
    EXPECT_TRUE(next.ok()) << next.status();
    return next.ok() && next->has_value() ? std::optional<MemberId>((*next)->sponsor)
                                          : std::nullopt;
  }
  absl::StatusOr<Changed<Offer>> OfferTo(const Ticket& ticket, const MemberId& sponsor,
                                         int parallel = 1) {
    Proposal proposal = env_.Propose(ticket, sponsor);
    proposal.parallel_limit = parallel;
    return env_.ledger->MakeOffer(absl::InfiniteFuture(), env_.clock.Now(), proposal);
  }
  void Decline(const MemberId& sponsor, const OfferId& offer) {
    const auto declined = env_.ledger->DeclineOffer(env_.As(sponsor), env_.clock.Now(), offer);
    ASSERT_TRUE(declined.ok()) << declined.status();
  }
  Question About(int64_t version, Importance importance = {}) const {
    return {version, importance, RelationshipType::kSponsor, {Philosophy::kTwelveStepAa}};
  }
  Shown Show(const MemberId& newcomer, const std::vector<MemberId>& candidates, int limit = 5,
             int people = 25) {
    const auto shown = choices_.Show(env_.As(newcomer), env_.clock.Now(), About(1), candidates,
                                     limit, {people, 3});
    EXPECT_TRUE(shown.ok()) << shown.status();
    return shown.value_or(Shown());
  }
  std::vector<MemberId> Sponsors(int count) {
    std::vector<MemberId> sponsors;
    for (int i = 0; i < count; ++i) sponsors.push_back(env_.AddSponsor(1));
    return sponsors;
  }

  LedgerTestEnv env_{GetParam()};
  SqlChoiceLedger choices_{*env_.database,
                           env_.vault,
                           env_.pools,
                           env_.random,
                           BuiltInPrograms(),
                           LedgerOptions(),
                           [](int64_t day, const MemberId& sponsor) {
                             std::string hash(sponsor.Bytes());
                             hash[0] = static_cast<char>(hash[0] ^ static_cast<char>(day));
                             return hash;
                           }};
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_CHOICE_STORE_FIXTURE_H_
