#include "tests/crash/main_flow.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/support/ledger_audit.h"

namespace handrail::tests {
namespace {

constexpr absl::Time kNoDeadline = absl::InfiniteFuture();
constexpr int kPatience = 30;

absl::Status StatusOf(const absl::Status& status) { return status; }
template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// The people of the flow and their apps: they repeat a call whose outcome they do not know under
// the same request id, and they write down what they were told.
class Flow {
 public:
  explicit Flow(World& world)
      : world_(world),
        newcomer_(MemberId::Random(world.env().random)),
        sponsor_(MemberId::Random(world.env().random)),
        phone_(DeviceId::Random(world.env().random)),
        tablet_(DeviceId::Random(world.env().random)) {}

  absl::Status Play() {
    RETURN_IF_ERROR(Introduce());
    RETURN_IF_ERROR(AskTwice());
    RETURN_IF_ERROR(Pair());
    RETURN_IF_ERROR(Talk());
    return Part();
  }

 private:
  // Until the answer is anything but "not now".
  template <typename Call>
  auto Insist(Call call) -> decltype(call()) {
    auto result = call();
    for (int i = 0; i < kPatience && absl::IsUnavailable(StatusOf(result)); ++i) {
      world_.RestartTheDead();
      world_.clock().Advance(absl::Milliseconds(200));
      result = call();
    }
    return result;
  }

  // The same again: the answer must be the same.
  template <typename CallType, typename Same>
  void Repeat(CallType call, Same same, absl::string_view what) {
    const auto again = Insist(call);
    if (!again.ok() || !same(*again)) {
      world_.history().Contradiction(absl::StrCat("repeated, ", what, " has another answer"));
    }
  }

  // Time passes and the services do what they do by themselves, until `done` or too long.
  template <typename Done>
  absl::Status WaitUntil(Done done, absl::string_view what) {
    for (int i = 0; i < kPatience; ++i) {
      if (!world_.RunBackground().ok()) world_.RestartTheDead();
      const auto now = Insist(done);
      if (!now.ok()) return now.status();
      if (*now) return absl::OkStatus();
      world_.clock().Advance(absl::Seconds(5));
    }
    return absl::DataLossError(absl::StrCat("waited in vain for ", what));
  }

  absl::Status Introduce() {
    const auto& env = world_.env();
    for (const auto& member : {env.Newcomer(newcomer_), env.Sponsor(sponsor_)}) {
      RETURN_IF_ERROR(Insist([&] {
                        return world_.ledger().ApplyMember(kNoDeadline, world_.clock().Now(),
                                                           member);
                      }).status());
    }
    for (const auto& [member, device] : {std::pair(newcomer_, phone_), {sponsor_, tablet_}}) {
      const messaging::MemberSnapshot snapshot{member, 1, messaging::Standing::kGood, {device}};
      RETURN_IF_ERROR(Insist([&] {
                        return world_.messages().ApplyMembers(kNoDeadline, world_.clock().Now(),
                                                              {&snapshot, 1});
                      }).status());
    }
    const Call call = world_.env().As(sponsor_, "seats");
    RETURN_IF_ERROR(Insist([&] {
                      return world_.ledger().SetAvailability(call, world_.clock().Now(), 1, true);
                    }).status());
    world_.history().CapacitySet(sponsor_, 1);
    return absl::OkStatus();
  }

  // Two devices of one newcomer ask at the same moment, not knowing of each other.
  absl::Status AskTwice() {
    const auto ask = [this](const char* id) {
      return [this, id] { return world_.OpenTicket(world_.env().As(newcomer_, id)); };
    };
    ASSIGN_OR_RETURN(const matching::Ticket ticket, Insist(ask("ask-phone")));
    ticket_ = ticket.id;
    world_.history().TicketOpened(newcomer_, ticket_);
    const auto second = Insist(ask("ask-tablet"));
    if (second.ok()) {
      world_.history().TicketOpened(newcomer_, second->id);
    } else if (!HasReason(second.status(), reason::kTicketAlreadyOpen)) {
      return second.status();
    }
    Repeat(
        ask("ask-phone"), [&](const auto& again) { return again.id == ticket_; }, "the request");
    return LookAtLedgers();
  }

  // What must hold in every committed state holds now.
  absl::Status LookAtLedgers() {
    ASSIGN_OR_RETURN(
        const auto broken,
        CheckWhileRunning(world_.matching_disk(), world_.messaging_disk(), world_.clock().Now()));
    for (const std::string& text : broken) world_.history().Contradiction(text);
    return absl::OkStatus();
  }

  absl::Status Pair() {
    RETURN_IF_ERROR(WaitUntil(
        [this]() -> absl::StatusOr<bool> {
          ASSIGN_OR_RETURN(const auto page, world_.ledger().ListOffers(world_.env().As(sponsor_),
                                                                       false, 10, std::nullopt));
          if (!page.items.empty()) offer_ = page.items.front().id;
          return !page.items.empty();
        },
        "an offer"));
    const Call call = world_.env().As(sponsor_, "accept");
    const auto accept = [&] {
      return world_.ledger().AcceptOffer(call, world_.clock().Now(), offer_);
    };
    ASSIGN_OR_RETURN(const auto accepted, Insist(accept));
    pairing_ = accepted.value.id;
    world_.history().OfferAccepted(sponsor_, pairing_, world_.clock().Now());
    Repeat(
        accept, [&](const auto& again) { return again.value.id == pairing_; }, "the acceptance");
    RETURN_IF_ERROR(LookAtLedgers());
    return WaitUntil(
        [this]() -> absl::StatusOr<bool> {
          ASSIGN_OR_RETURN(const auto ticket,
                           world_.ledger().GetTicket(world_.env().As(newcomer_), ticket_));
          if (ticket.conversation.has_value()) conversation_ = *ticket.conversation;
          return ticket.state == matching::TicketState::kPaired && ticket.conversation.has_value();
        },
        "a paired ticket with its conversation");
  }

  absl::Status Talk() {
    for (int i = 0; i < 4; ++i) {
      const bool newcomer_speaks = i % 2 == 0;
      const messaging::Append append{
          newcomer_speaks ? newcomer_ : sponsor_, newcomer_speaks ? phone_ : tablet_, conversation_,
          MessageId::Random(world_.env().random), absl::StrCat("message ", i),        kNoDeadline};
      const auto send = [&] { return world_.Send(append); };
      ASSIGN_OR_RETURN(const messaging::Appended stored, Insist(send));
      world_.history().MessageSent(append.member, append.message_id,
                                   {conversation_, stored.sequence, append.payload});
      Repeat(
          send, [&](const auto& again) { return again.sequence == stored.sequence; }, "a send");
    }
    for (const DeviceId& device : {phone_, tablet_}) {
      RETURN_IF_ERROR(Insist([&] { return world_.Acknowledge(device, conversation_, 4); }));
      world_.history().Acknowledged(device, conversation_, 4);
    }
    return LookAtLedgers();
  }

  absl::Status Part() {
    const Call call = world_.env().As(newcomer_, "end");
    const auto end = [&] {
      return world_.ledger().EndPairing(call, world_.clock().Now(), pairing_,
                                        matching::EndReason::kUnspecified);
    };
    world_.history().EndingPairing(pairing_, world_.clock().Now());
    RETURN_IF_ERROR(Insist(end).status());
    world_.history().PairingEnded(pairing_);
    Repeat(
        end, [&](const auto& again) { return again.value.id == pairing_; }, "the end");
    return WaitUntil(
        [this]() -> absl::StatusOr<bool> {
          ASSIGN_OR_RETURN(const int64_t waiting, CountOutbox(world_.matching_disk()));
          return waiting == 0;
        },
        "the outbox to be delivered");
  }

  World& world_;
  const MemberId newcomer_;
  const MemberId sponsor_;
  const DeviceId phone_;
  const DeviceId tablet_;
  TicketId ticket_;
  OfferId offer_;
  PairingId pairing_;
  ConversationId conversation_;
};

}  // namespace

FlowResult PlayMainFlow(Bug bug, int64_t call, FaultPlan::When when, FaultPlan::Then then) {
  World world(bug);
  world.plan().Arm(call, when, then);
  FlowResult result;
  const absl::Status played = Flow(world).Play();
  if (!played.ok()) result.findings.push_back(std::string(played.message()));
  result.fault_fired = world.plan().fired();
  world.plan().Disarm();
  world.RestartTheDead();
  if (world.CountForgotten() != 0) result.findings.push_back("M4: a ticket waits in no queue");
  const auto audit = AuditLedgers(world.history(), world.matching_disk(), world.messaging_disk(),
                                  world.clock().Now());
  if (!audit.ok()) {
    result.findings.push_back(std::string(audit.status().message()));
  } else {
    result.findings.insert(result.findings.end(), audit->findings.begin(), audit->findings.end());
  }
  return result;
}

CampaignResult PlayEveryFault(Bug bug) {
  constexpr int64_t kMostCalls = 2000;  // far more than the flow makes
  CampaignResult campaign;
  for (const auto when : {FaultPlan::When::kBefore, FaultPlan::When::kAfter}) {
    for (const auto then : {FaultPlan::Then::kGoesOn, FaultPlan::Then::kDies}) {
      for (int64_t call = 1; call < kMostCalls; ++call) {
        const FlowResult result = PlayMainFlow(bug, call, when, then);
        ++campaign.runs;
        campaign.broken_runs += result.findings.empty() ? 0 : 1;
        for (const std::string& finding : result.findings) {
          campaign.findings.insert(absl::StrCat(
              finding, bug == Bug::kNone
                           ? absl::StrCat(" [call ", call,
                                          when == FaultPlan::When::kBefore ? ", before" : ", after",
                                          then == FaultPlan::Then::kDies ? ", dies]" : "]")
                           : ""));
        }
        if (!result.fault_fired) break;
        ++campaign.faults;
      }
    }
  }
  return campaign;
}

}  // namespace handrail::tests
