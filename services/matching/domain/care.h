#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_CARE_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_CARE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "services/matching/domain/types.h"

// The care around a request and a pairing: who is told what, and when. Pure functions of times; the
// ledger decides in a transaction, any replica may sweep, and each step is taken once.
namespace handrail::matching {

struct NoticeIdTag {
  static constexpr absl::string_view kCollection = "notices";
};
using NoticeId = Id<NoticeIdTag>;

// Same numbers as matching.v1.NoticeKind.
enum class NoticeKind : uint8_t {
  kUnspecified = 0,
  kOfferReminder = 1,
  kAttestationDue = 2,
  kAttestationLapsed = 3,
  kPausedAfterMissedOffers = 4,
  kPauseOver = 5,
  kProbationOver = 6,
  kCheckInDue = 7,
  kStillLooking = 8,
  kTicketExpiresSoon = 9,
  kTicketExpired = 10,
  kTemporaryContactAvailable = 11,
  kTemporaryContactRequested = 12,
  kRematchAvailable = 13,
};
inline constexpr int kNoticeKindCount = 14;  // with kUnspecified

// What a kind of notice is about, and its name in metrics.
struct NoticeInfo {
  NoticeKind kind;
  absl::string_view code;        // stable, such as "OFFER_REMINDER"
  absl::string_view collection;  // of its subject, such as "offers"
};
const NoticeInfo& InfoOf(NoticeKind kind);

// Something that a member should know. Content-free: the app finds the words.
struct Notice {
  NoticeId id;
  MemberId member;
  NoticeKind kind = NoticeKind::kUnspecified;
  RawId subject;
  int64_t step = 0;  // which of several: the day of a check-in, the hours of a wait; else 0
  absl::Time create_time;
  absl::Time due_time = absl::InfinitePast();   // InfinitePast when it speaks of none
  absl::Time read_time = absl::InfinitePast();  // InfinitePast while unread

  bool IsRead() const { return read_time != absl::InfinitePast(); }
  std::string SubjectName() const;
};

// Same numbers as matching.v1.CheckInAnswer.
enum class CheckInAnswer : uint8_t {
  kUnspecified = 0,
  kGoingWell = 1,
  kNotSure = 2,
  kWouldLikeToEnd = 3,
};

// Both people of a pairing are asked on these days, each for themselves.
inline constexpr std::array<int, 4> kCheckInDays = {3, 14, 30, 90};
constexpr bool IsCheckInDay(int64_t day) {
  for (const int known : kCheckInDays) {
    if (known == day) return true;
  }
  return false;
}

struct CheckIn {
  PairingId pairing;
  int day = 0;
  absl::Time due_time;
  CheckInAnswer answer = CheckInAnswer::kUnspecified;
};

// The times and bounds of care. The hours of a wait are those of domain.md 3.3: 24 h the target, 48
// h the alert, 72 h the breach.
struct CarePolicy {
  // Of an open offer: at half of the time to answer, and so long before its end.
  absl::Duration last_reminder = absl::Hours(2);
  // An offer that is open for less time than this is not reminded of.
  absl::Duration shortest_reminded = absl::Minutes(30);
  // So many offers in a row that passed on unanswered pause a sponsor; 0 switches it off.
  int missed_offers_limit = 3;
  // How long a new sponsor has `probation_seats` seats at most; zero switches it off. The process
  // sets it from its flag.
  absl::Duration probation = absl::ZeroDuration();
  int probation_seats = 1;
  absl::Duration attestation_notice = absl::Hours(24 * 25);
  std::array<absl::Duration, 3> wait_bands = {absl::Hours(24), absl::Hours(48), absl::Hours(72)};
  absl::Duration temporary_contact_after = absl::Hours(24);
  absl::Duration expiry_notice = absl::Hours(72);  // before a ticket expires
  absl::Duration rematch_window = absl::Hours(24 * 30);
  absl::Duration notice_lifetime = absl::Hours(24 * 30);
  int notices_limit = 200;  // of a member

  // INVALID_ARGUMENT / CONFIGURATION_INVALID with every fault.
  absl::Status Validate() const;
};

// Nothing more is due.
inline constexpr absl::Time kNothingDue = absl::InfiniteFuture();

// When the sponsor is reminded next of an offer that was made at `created` and ends at `expires`:
// strictly after `now`, or kNothingDue.
absl::Time NextOfferReminder(const CarePolicy& policy, absl::Time created, absl::Time expires,
                             absl::Time now);

// The check-in that is due at `now` in a pairing made at `created`, if one is, and the time of the
// one after it. Days are 24 hours: what is asked is how it goes, not what the date is.
struct CheckInPlan {
  int due_day = 0;  // 0 when none is
  absl::Time due_time;
  absl::Time next = kNothingDue;
};
CheckInPlan PlanCheckIn(absl::Time created, absl::Time now);

// What is done about a ticket that waits, beside looking. `band` counts the bounds of wait_bands
// that have passed and were told: 0 below 24 h, 1 below 48 h, 2 below 72 h, 3 from there on.
struct TicketCareState {
  absl::Time asked;  // when the wait began
  absl::Time expires;
  int band = 0;
  bool contact_done = false;  // offered or asked for, or there is nothing to offer
  bool expiry_told = false;
};
struct TicketCarePlan {
  int band = 0;
  bool tell_wait = false;  // the band has risen
  bool offer_contact = false;
  bool tell_expiry = false;
  absl::Time next;  // never after `expires`: then the ticket has to go
};
TicketCarePlan PlanTicketCare(const CarePolicy& policy, const TicketCareState& state,
                              absl::Time now);
// The bound that a band begins with, in hours; 0 for band 0.
int BandHours(const CarePolicy& policy, int band);

// What time does to a sponsor who has ever been available.
struct SponsorCareState {
  absl::Time attested = absl::InfinitePast();
  bool accepting = false;
  bool on_probation = false;
  absl::Time probation_end = absl::InfinitePast();
  absl::Time resume = absl::InfiniteFuture();
};
struct SponsorCarePlan {
  bool end_probation = false;
  bool resume = false;
  bool tell_due = false;     // the attestation has to be confirmed soon
  bool tell_lapsed = false;  // it was not
  absl::Time next = kNothingDue;
};
SponsorCarePlan PlanSponsorCare(const CarePolicy& policy, absl::Duration attestation_lifetime,
                                const SponsorCareState& state, absl::Time now);

// The place in the queue of somebody who asks again: that of the ticket before, but not longer ago
// than a ticket can have waited, so that nobody comes back from a pairing of years ahead of all who
// wait.
absl::Time RematchPlace(absl::Time before, absl::Time now, absl::Duration ticket_lifetime);

// Whether a temporary contact helps somebody who waits for this.
constexpr bool IsBridgedByContact(RelationshipType type) {
  return type != RelationshipType::kTemporaryContact && type != RelationshipType::kUnspecified;
}

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_CARE_H_
