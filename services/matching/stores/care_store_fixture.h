#ifndef HANDRAIL_SERVICES_MATCHING_STORES_CARE_STORE_FIXTURE_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_CARE_STORE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "common/base/status.h"
#include "services/matching/stores/ledger_test_env.h"

// What the tests of care share: a ledger with probation, time moved by hand, and sweeps.
namespace handrail::matching {

inline constexpr absl::Time kNever = absl::InfiniteFuture();
inline constexpr absl::Duration kDay = absl::Hours(24);

inline LedgerOptions WithProbation() {
  LedgerOptions options;
  options.care.probation = 90 * kDay;
  return options;
}

class CareStoreTest : public ::testing::TestWithParam<storage::TestBackend> {
 protected:
  // Every part of one sweep; the effects together.
  Effects Sweep() {
    Effects all;
    const absl::Time now = env.clock.Now();
    for (const auto& swept :
         {env.care->RemindOffers(kNever, now, 100), env.care->CareForTickets(kNever, now, 100),
          env.care->CareForPairings(kNever, now, 100),
          env.care->CareForSponsors(kNever, now, 100)}) {
      EXPECT_TRUE(swept.ok()) << swept.status();
      if (swept.ok()) all.Append(swept->effects);
    }
    env.ExpectWhole();
    return all;
  }
  std::vector<Notice> Notices(const MemberId& member, bool include_read = false) {
    const auto page =
        env.care->ListNotices(env.As(member), env.clock.Now(), include_read, 300, std::nullopt);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? page->items : std::vector<Notice>();
  }
  std::vector<NoticeKind> Kinds(const MemberId& member) {
    std::vector<NoticeKind> kinds;
    for (const Notice& notice : Notices(member)) kinds.push_back(notice.kind);
    return kinds;
  }
  std::vector<int64_t> Steps(const MemberId& member, NoticeKind kind) {
    std::vector<int64_t> steps;
    for (const Notice& notice : Notices(member, true)) {
      if (notice.kind == kind) steps.push_back(notice.step);
    }
    return steps;
  }
  // A ticket that was put before this sponsor and passed on unanswered.
  void Miss(const MemberId& sponsor) {
    const auto ticket = env.Open(env.As(env.AddNewcomer()));
    const auto offer = env.MakeOffer(ticket->value, sponsor);
    ASSERT_TRUE(offer.ok()) << offer.status();
    env.clock.Advance(absl::Hours(24));
    ASSERT_TRUE(env.ledger->TimeOutOffers(kNever, env.clock.Now(), 10).ok());
  }
  void Attest(const MemberId& sponsor, int64_t version) {
    ASSERT_TRUE(
        env.ledger->ApplyMember(kNever, env.clock.Now(), env.Sponsor(sponsor, version)).ok());
  }
  absl::StatusOr<Changed<Ticket>> Rematch(const Call& call, const Pairing& pairing) {
    NewTicket ticket;
    ticket.id = TicketId::Random(env.random);
    ticket.relationship_type = pairing.relationship_type;
    ticket.pool.philosophy = pairing.philosophy;
    ticket.member_version = 1;
    return env.care->OpenRematch(call, env.clock.Now(), pairing.id, ticket);
  }
  void End(const Pairing& pairing, EndReason reason = EndReason::kUnspecified) {
    ASSERT_TRUE(
        env.ledger->EndPairing(env.As(pairing.newcomer), env.clock.Now(), pairing.id, reason).ok());
  }

  LedgerTestEnv env{GetParam(), WithProbation()};
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_CARE_STORE_FIXTURE_H_
