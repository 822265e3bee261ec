#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_TYPES_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_TYPES_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "services/matching/domain/traits.h"

// Tickets, offers, pairings, seats and pools as plain data. Every one that changes has a version
// that rises by one with each change; whoever holds an older version than one it is told ignores
// its own.
namespace handrail::matching {

// Same numbers as matching.v1.TicketState.
enum class TicketState : uint8_t {
  kUnspecified = 0,
  kWaiting = 1,
  kOffered = 2,
  kPaired = 3,
  kCancelled = 4,
  kExpired = 5,
};

// Same numbers as matching.v1.OfferState.
enum class OfferState : uint8_t {
  kUnspecified = 0,
  kOpen = 1,
  kAccepted = 2,
  kDeclined = 3,
  kTimedOut = 4,
  kRescinded = 5,
};

// Same numbers as matching.v1.PairingState.
enum class PairingState : uint8_t {
  kUnspecified = 0,
  kIntro = 1,
  kTrial = 2,
  kActive = 3,
  kPaused = 4,
  kEnded = 5,
};

// Same numbers as matching.v1.EndReason. Private: never shown to the other person.
enum class EndReason : uint8_t {
  kUnspecified = 0,
  kRelocation = 1,
  kTime = 2,
  kAvailability = 3,
  kFit = 4,
  kGrewApart = 5,
  kStepsCompleted = 6,
  kProgramChange = 7,
  kSponsorReturnToUse = 8,
  kNewcomerReturnToUse = 9,
  kBoundary = 10,
  kAttraction = 11,
  kSafety = 12,
  kNoContact = 13,
  kDeceased = 14,
};

constexpr bool IsOpen(TicketState state) {
  return state == TicketState::kWaiting || state == TicketState::kOffered;
}
constexpr bool IsFinal(TicketState state) {
  return state == TicketState::kPaired || state == TicketState::kCancelled ||
         state == TicketState::kExpired;
}
constexpr bool IsOpen(OfferState state) { return state == OfferState::kOpen; }
// A pairing holds a seat until it ends (M2).
constexpr bool HoldsSeat(PairingState state) {
  return state == PairingState::kIntro || state == PairingState::kTrial ||
         state == PairingState::kActive || state == PairingState::kPaused;
}
// The two are never matched again.
constexpr bool ForbidsRematch(EndReason reason) {
  return reason == EndReason::kSafety || reason == EndReason::kBoundary;
}

// A set of people who may ever meet: one program, and a region for those who meet in person or
// "online" for everybody else. One pool is one Redis hash tag.
struct PoolKey {
  static constexpr absl::string_view kOnline = "online";

  Philosophy philosophy = Philosophy::kUnspecified;
  std::string region{kOnline};  // "online", an ISO 3166-2 region or an ISO 3166-1 country

  // "<number of the program>.<region>", such as "1.online"; at most 14 bytes of [A-Za-z0-9.-].
  std::string ToString() const;
  // Empty when `text` is not of that form.
  static std::optional<PoolKey> FromString(absl::string_view text);

  friend auto operator<=>(const PoolKey&, const PoolKey&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const PoolKey& key) {
    return H::combine(std::move(state), key.philosophy, key.region);
  }
};

// Where a ticket of this newcomer waits: in the pool of the region (else the country) when contact
// can only be in person, else online.
PoolKey PoolForTicket(const NewcomerTraits& newcomer, Philosophy philosophy);
// Every pool a sponsor is to be found in: for each program, online when anything but meeting in
// person is possible, and the region and the country when meeting in person is. At most 3 a
// program.
std::vector<PoolKey> PoolsForSponsor(const SponsorTraits& sponsor);

// The parts of the soft score, in the order of domain.md 3.2.
enum class FactorCode : uint8_t {
  kPathwayFit = 0,
  kAvailability = 1,
  kSharedExperience = 2,
  kLifeStage = 3,
  kEngagement = 4,
  kContactFit = 5,
  kLocality = 6,
  kLoadBalance = 7,
  kSubstance = 8,
};
inline constexpr int kFactorCount = 9;

// How much a factor matters to one newcomer, against what it counts for everybody.
enum class Emphasis : uint8_t {
  kNormal = 0,
  kLess = 1,  // half of it
  kMore = 2,  // twice of it
  kOff = 3,   // nothing
};

// What a newcomer makes of every factor, packed into 18 bits: two each, by FactorCode. The zero
// value is the published weights.
class Importance {
 public:
  constexpr Importance() = default;
  // Bits beyond the last factor are dropped.
  static constexpr Importance FromBits(uint32_t bits) {
    Importance importance;
    importance.bits_ = bits & ((1u << (2 * kFactorCount)) - 1);
    return importance;
  }

  constexpr uint32_t bits() const { return bits_; }
  constexpr bool IsDefault() const { return bits_ == 0; }
  constexpr Emphasis Of(FactorCode factor) const {
    return static_cast<Emphasis>((bits_ >> Shift(factor)) & 3u);
  }
  constexpr void Set(FactorCode factor, Emphasis emphasis) {
    bits_ = (bits_ & ~(3u << Shift(factor))) | (static_cast<uint32_t>(emphasis) << Shift(factor));
  }

  friend constexpr bool operator==(Importance, Importance) = default;

 private:
  static constexpr int Shift(FactorCode factor) { return 2 * static_cast<int>(factor); }

  uint32_t bits_ = 0;
};

// A newcomer's request.
struct Ticket {
  TicketId id;
  MemberId newcomer;
  RelationshipType relationship_type = RelationshipType::kUnspecified;
  Philosophy philosophy = Philosophy::kUnspecified;
  PoolKey pool;
  TicketState state = TicketState::kWaiting;
  absl::Time create_time;  // the place in the queue; never moves (M6)
  absl::Time expire_time;
  int offer_count = 0;
  double boost = 0;  // an operator's, 0..kMaxBoost, in units of pair weight
  Importance importance;
  bool choosing = false;  // put before those only whom the newcomer chose
  int chosen_left = 0;    // of them, how many have not been asked yet
  int open_offers = 0;    // while OFFERED
  std::optional<PairingId> pairing;
  std::optional<ConversationId> conversation;  // empty for the seconds until it exists
  int64_t version = 1;
};

inline constexpr double kMaxBoost = 1.0;
inline constexpr absl::Duration kTicketLifetime = absl::Hours(24 * 30);

// Why two people may suit each other. Stored and sent by its stable code (score.h: CodeOf, TextOf).
enum class MatchReason : uint8_t {
  kNone = 0,
  kPathway = 1,
  kAvailability = 2,
  kResponsive = 3,
  kSharedExperience = 4,
  kLifeStage = 5,
  kEngagement = 6,
  kContact = 7,
  kLocality = 8,
  kHasTime = 9,
  kSubstance = 10,
};
inline constexpr int kMatchReasonCount = 11;  // with kNone

// The explanation that every offer carries.
struct Explanation {
  struct Factor {
    double points = 0;
    double max_points = 0;
    friend bool operator==(const Factor&, const Factor&) = default;
  };

  double score = 0;                            // 0..100, the sum of the points
  std::array<Factor, kFactorCount> factors{};  // by FactorCode
  std::vector<MatchReason> reasons;            // the best first, at most 3
  std::vector<Language> shared_languages;      // in the newcomer's order
  friend bool operator==(const Explanation&, const Explanation&) = default;
};

// A ticket put before one sponsor until a deadline.
struct Offer {
  OfferId id;
  TicketId ticket;
  MemberId newcomer;
  MemberId sponsor;
  RelationshipType relationship_type = RelationshipType::kUnspecified;
  Philosophy philosophy = Philosophy::kUnspecified;
  OfferState state = OfferState::kOpen;
  absl::Time create_time;
  absl::Time expire_time;
  Explanation explanation;
  std::optional<PairingId> pairing;
  int64_t version = 1;
};

// An accepted offer.
struct Pairing {
  PairingId id;
  OfferId offer;
  TicketId ticket;
  MemberId newcomer;
  MemberId sponsor;
  RelationshipType relationship_type = RelationshipType::kUnspecified;
  Philosophy philosophy = Philosophy::kUnspecified;
  PairingState state = PairingState::kIntro;
  absl::Time create_time;
  absl::Time trial_end_time;
  bool newcomer_confirmed = false;
  bool sponsor_confirmed = false;
  std::optional<ConversationId> conversation;  // empty for the seconds until it exists
  std::optional<absl::Time> end_time;
  EndReason end_reason = EndReason::kUnspecified;
  int64_t version = 1;
};

inline constexpr int kMaxCapacity = 10;

// Same numbers as matching.v1.PauseReason.
enum class PauseReason : uint8_t { kUnspecified = 0, kAsked = 1, kMissedOffers = 2 };

// How many people a sponsor can be there for.
struct Availability {
  MemberId sponsor;
  int capacity = 0;  // seats, 0..kMaxCapacity
  bool accepting = false;
  int pairing_count = 0;     // pairings that hold a seat
  int open_offer_count = 0;  // each holds a seat too
  // When the last offer was put before the sponsor; InfinitePast when none was. Longest idle is
  // first.
  absl::Time last_offer_time = absl::InfinitePast();
  int64_t version = 0;
  // While a sponsor is new, fewer seats are used than were set; nothing that is taken ends by it.
  int seat_limit = kMaxCapacity;
  absl::Time probation_end_time = absl::InfinitePast();  // InfinitePast when it is over
  PauseReason pause_reason = PauseReason::kUnspecified;
  absl::Time resume_time = absl::InfiniteFuture();  // of a pause that ends by itself
  // How soon offers tend to be answered, 0..1, smoothed (AfterAnswer); negative when none was yet.
  double responsiveness = -1;

  int TakenSeats() const { return pairing_count + open_offer_count; }
  int EffectiveCapacity() const { return capacity < seat_limit ? capacity : seat_limit; }
  int FreeSeats() const {
    const int free = EffectiveCapacity() - TakenSeats();
    return accepting && free > 0 ? free : 0;
  }
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_TYPES_H_
