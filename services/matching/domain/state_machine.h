#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_STATE_MACHINE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_STATE_MACHINE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "common/base/reason.h"
#include "services/matching/domain/types.h"

// The three state machines of matching, each a whole table of state × event:
//
//   Ticket   WAITING → OFFERED → PAIRED     OFFERED → WAITING (no offer is open any more)
//            WAITING | OFFERED → CANCELLED  WAITING → EXPIRED
//   Offer    OPEN → ACCEPTED | DECLINED | TIMED_OUT | RESCINDED
//   Pairing  INTRO → TRIAL → ACTIVE ⇄ PAUSED, and ENDED from each of them
//
// A step moves, stays (the event is already true, so repeating it is harmless and the row is not
// written), or is refused with the reason that the caller is told.
namespace handrail::matching {

enum class TicketEvent : uint8_t {
  kOfferMade = 0,  // put before a sponsor; whether one more is allowed is the policy's to say (M1)
  kOfferAccepted = 1,    // a sponsor accepted
  kLastOfferClosed = 2,  // declined, timed out or rescinded, and no other offer is open
  kCancel = 3,           // by the newcomer, or because a consent or the standing changed
  kExpire = 4,           // nobody suitable was free in time
};
inline constexpr int kTicketEventCount = 5;

enum class OfferEvent : uint8_t { kAccept = 0, kDecline = 1, kTimeOut = 2, kRescind = 3 };
inline constexpr int kOfferEventCount = 4;

enum class PairingEvent : uint8_t {
  kOneConfirmed = 0,   // a person confirmed, and the other has not
  kBothConfirmed = 1,  // a person confirmed, and the other had
  kTrialPassed = 2,    // the trial's length has passed
  kPause = 3,
  kResume = 4,
  kEnd = 5,
};
inline constexpr int kPairingEventCount = 6;

enum class StepKind : uint8_t { kUndefined = 0, kMove = 1, kStay = 2, kRefuse = 3 };

template <typename State>
struct Step {
  StepKind kind = StepKind::kUndefined;
  State next{};               // the state afterwards; where it stands when it stays or is refused
  absl::string_view refusal;  // one of handrail::reason when refused, else empty

  constexpr bool moves() const { return kind == StepKind::kMove; }
  constexpr bool refused() const { return kind == StepKind::kRefuse; }
};

namespace internal_state_machine {

inline constexpr size_t kStates = 6;  // of each machine, with kUnspecified

template <typename State>
constexpr Step<State> Move(State next) {
  return {StepKind::kMove, next, {}};
}
template <typename State>
constexpr Step<State> Stay(State state) {
  return {StepKind::kStay, state, {}};
}
template <typename State>
constexpr Step<State> Refuse(State state, absl::string_view why) {
  return {StepKind::kRefuse, state, why};
}

template <typename State, size_t kEvents>
using Table = std::array<std::array<Step<State>, kEvents>, kStates>;

constexpr Table<TicketState, kTicketEventCount> MakeTicketTable() {
  using enum TicketState;
  constexpr absl::string_view no = reason::kTicketNotOpen;
  constexpr auto bug = [](TicketState s) { return Refuse(s, reason::kInternal); };
  return {{
      // kOfferMade, kOfferAccepted, kLastOfferClosed, kCancel, kExpire
      {bug(kUnspecified), bug(kUnspecified), bug(kUnspecified), bug(kUnspecified),
       bug(kUnspecified)},
      {Move(kOffered), Refuse(kWaiting, no), Stay(kWaiting), Move(kCancelled), Move(kExpired)},
      // An open offer outlives the ticket's deadline: the sponsor may still accept. It expires from
      // WAITING when the offer closes.
      {Stay(kOffered), Move(kPaired), Move(kWaiting), Move(kCancelled), Refuse(kOffered, no)},
      {Refuse(kPaired, no), Refuse(kPaired, no), Stay(kPaired), Refuse(kPaired, no),
       Refuse(kPaired, no)},
      {Refuse(kCancelled, no), Refuse(kCancelled, no), Stay(kCancelled), Stay(kCancelled),
       Refuse(kCancelled, no)},
      {Refuse(kExpired, no), Refuse(kExpired, no), Stay(kExpired), Refuse(kExpired, no),
       Stay(kExpired)},
  }};
}

constexpr Table<OfferState, kOfferEventCount> MakeOfferTable() {
  using enum OfferState;
  constexpr auto closed = [](OfferState s) {
    const auto step = Refuse(s, reason::kOfferNotOpen);
    return std::array<Step<OfferState>, kOfferEventCount>{step, step, step, step};
  };
  constexpr auto bug = Refuse(kUnspecified, reason::kInternal);
  return {{
      // kAccept, kDecline, kTimeOut, kRescind
      {bug, bug, bug, bug},
      {Move(kAccepted), Move(kDeclined), Move(kTimedOut), Move(kRescinded)},
      closed(kAccepted),
      closed(kDeclined),
      closed(kTimedOut),
      closed(kRescinded),
  }};
}

constexpr Table<PairingState, kPairingEventCount> MakePairingTable() {
  using enum PairingState;
  constexpr absl::string_view no = reason::kPairingStateInvalid;
  constexpr absl::string_view over = reason::kPairingEnded;
  constexpr auto bug = Refuse(kUnspecified, reason::kInternal);
  return {{
      // kOneConfirmed, kBothConfirmed, kTrialPassed, kPause, kResume, kEnd
      {bug, bug, bug, bug, bug, bug},
      // The trial counts from contact: without a confirmation no time makes an INTRO a trial.
      {Move(kTrial), Refuse(kIntro, no), Refuse(kIntro, no), Refuse(kIntro, no), Refuse(kIntro, no),
       Move(kEnded)},
      {Stay(kTrial), Move(kActive), Move(kActive), Refuse(kTrial, no), Refuse(kTrial, no),
       Move(kEnded)},
      // After a trial that passed by time, a late confirmation is welcome and changes nothing.
      {Stay(kActive), Stay(kActive), Stay(kActive), Move(kPaused), Stay(kActive), Move(kEnded)},
      {Refuse(kPaused, no), Refuse(kPaused, no), Refuse(kPaused, no), Stay(kPaused), Move(kActive),
       Move(kEnded)},
      {Refuse(kEnded, over), Refuse(kEnded, over), Refuse(kEnded, over), Refuse(kEnded, over),
       Refuse(kEnded, over), Stay(kEnded)},
  }};
}

// Every cell is filled in; what stays or is refused stands where it was; every refusal has a
// reason.
template <typename State, size_t kEvents>
constexpr bool IsWhole(const Table<State, kEvents>& table) {
  for (size_t s = 0; s < kStates; ++s) {
    for (const Step<State>& step : table[s]) {
      const bool stands = step.next == static_cast<State>(s);
      if (step.kind == StepKind::kUndefined) return false;
      if (step.kind == StepKind::kMove ? stands : !stands) return false;
      if (step.refused() == step.refusal.empty()) return false;
      if (step.next == State{} && s != 0) return false;
    }
  }
  return true;
}

inline constexpr auto kTicketTable = MakeTicketTable();
inline constexpr auto kOfferTable = MakeOfferTable();
inline constexpr auto kPairingTable = MakePairingTable();
static_assert(IsWhole<TicketState, kTicketEventCount>(kTicketTable));
static_assert(IsWhole<OfferState, kOfferEventCount>(kOfferTable));
static_assert(IsWhole<PairingState, kPairingEventCount>(kPairingTable));

}  // namespace internal_state_machine

constexpr Step<TicketState> Apply(TicketState state, TicketEvent event) {
  return internal_state_machine::kTicketTable[static_cast<size_t>(state)]
                                             [static_cast<size_t>(event)];
}
constexpr Step<OfferState> Apply(OfferState state, OfferEvent event) {
  return internal_state_machine::kOfferTable[static_cast<size_t>(state)]
                                            [static_cast<size_t>(event)];
}
constexpr Step<PairingState> Apply(PairingState state, PairingEvent event) {
  return internal_state_machine::kPairingTable[static_cast<size_t>(state)]
                                              [static_cast<size_t>(event)];
}

// For logs and tests, such as "WAITING" and "OFFER_MADE".
absl::string_view NameOf(TicketState state);
absl::string_view NameOf(OfferState state);
absl::string_view NameOf(PairingState state);
absl::string_view NameOf(TicketEvent event);
absl::string_view NameOf(OfferEvent event);
absl::string_view NameOf(PairingEvent event);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_STATE_MACHINE_H_
