#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_CHOOSE_ENGINE_ENV_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_CHOOSE_ENGINE_ENV_H_

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "services/matching/adapters/engine_test_env.h"
#include "services/matching/adapters/sealed_handles.h"
#include "services/matching/domain/candidate_desk.h"
#include "services/matching/domain/chosen_offers.h"
#include "services/matching/stores/choice_ledger_sql.h"

namespace handrail::matching {

// Let me choose over the real ledger, queue and matcher.
class ChooseEngineEnv : public EngineTestBase {
 protected:
  ChooseEngineEnv() {
    chosen_ = std::make_unique<ChosenOffers>(
        *env_.ledger, choices_, *queue_, chooser_, BuiltInPrograms(), env_.clock, env_.random,
        ChosenOffersOptions(), [this](const Effects& effects) { matcher_->Notify(effects); });
  }

  Ticket AskToChoose(const MemberId& newcomer, bool choosing = true, Importance importance = {}) {
    NewTicket ticket;
    ticket.importance = importance;
    ticket.id = TicketId::Random(env_.random);
    ticket.relationship_type = RelationshipType::kSponsor;
    ticket.pool = pool_;
    ticket.choosing = choosing;
    ticket.member_version = member_version_;
    std::promise<absl::StatusOr<Changed<Ticket>>> promise;
    env_.ledger->OpenTicket(
        env_.As(newcomer), env_.clock.Now(), ticket,
        [&](absl::StatusOr<Changed<Ticket>> result) { promise.set_value(std::move(result)); });
    auto opened = promise.get_future().get();
    EXPECT_TRUE(opened.ok()) << opened.status();
    matcher_->Notify(opened->effects);
    return opened->value;
  }
  Ticket AskToChoose() { return AskToChoose(env_.AddNewcomer()); }

  absl::StatusOr<CandidateDesk::List> List(const Ticket& ticket) {
    return desk_->ListCandidates(env_.As(ticket.newcomer), ticket.id);
  }
  std::vector<std::string> Handles(const Ticket& ticket) {
    const auto list = List(ticket);
    EXPECT_TRUE(list.ok()) << list.status();
    std::vector<std::string> handles;
    if (list.ok()) {
      for (const auto& candidate : list->candidates) handles.push_back(candidate.handle);
    }
    return handles;
  }
  absl::StatusOr<Ticket> Choose(const Ticket& ticket, const std::vector<std::string>& handles,
                                bool then_handrail = false, const std::string& request = "") {
    auto changed =
        desk_->Choose(env_.As(ticket.newcomer, request), ticket.id, handles, then_handrail);
    RETURN_IF_ERROR(changed.status());
    matcher_->Notify(changed->effects);
    return changed->value;
  }
  void TurnDown(const MemberId& newcomer, const MemberId& sponsor) {
    env_.Execute(
        "INSERT INTO pair_exclusions (newcomer, sponsor, until, kind) SELECT m.id, "
        "s.id, 9000000000000000, 2 FROM members m, sponsors s WHERE hex(m.id) = upper('" +
        newcomer.ToString() + "') AND hex(s.id) = upper('" + sponsor.ToString() +
        "') ON CONFLICT DO NOTHING");
  }
  std::unique_ptr<CandidateDesk> NewDesk(SqlChoiceLedger& choices) {
    return std::make_unique<CandidateDesk>(
        *env_.ledger, choices, chooser_, BuiltInPrograms(), handles_, env_.clock, env_.random,
        [this](absl::Time, const PoolKey&) -> absl::StatusOr<std::vector<MemberId>> {
          return sponsors_;
        },
        options_);
  }
  MemberId SponsorOf(const Ticket& ticket, const std::string& handle) {
    return handles_.Read(ticket.newcomer, handle)->sponsor;
  }
  void ExpectHandlesRefused(const Ticket& ticket, const std::vector<std::string>& handles) {
    const absl::Status status = Choose(ticket, handles).status();
    EXPECT_TRUE(HasReason(status, reason::kCandidateHandleInvalid)) << status;
  }
  // Everybody with an open offer.
  std::vector<MemberId> Asked() {
    std::vector<MemberId> asked;
    for (const MemberId& sponsor : sponsors_) {
      if (env_.SeatsOf(sponsor).open_offer_count > 0) asked.push_back(sponsor);
    }
    return asked;
  }
  void AddSponsors(int count) {
    for (int i = 0; i < count; ++i) sponsors_.push_back(Offer(1));
    matcher_->RunRoundForTest();
  }

  SqlChoiceLedger choices_{*env_.database,
                           env_.vault,
                           env_.pools,
                           env_.random,
                           BuiltInPrograms(),
                           LedgerOptions(),
                           MakeSeenHash(env_.ring)};
  SealedHandles handles_{env_.ring, env_.random};
  CandidateOptions options_;
  const std::unique_ptr<CandidateDesk> desk_ = NewDesk(choices_);
  int64_t member_version_ = 1;
  std::unique_ptr<ChosenOffers> chosen_;
  std::vector<MemberId> sponsors_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_CHOOSE_ENGINE_ENV_H_
