#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "services/matching/domain/program_policy.h"
#include "services/matching/domain/traits.h"

// Calls for help: one goes to the caller's sponsors, then to the backups, then to members who are
// on call; the first answer wins. No text and no reason is part of one.
namespace handrail::matching {

struct HelpCallTag {
  static constexpr absl::string_view kCollection = "helpCalls";
};
using HelpCallId = Id<HelpCallTag>;

// Same numbers as matching.v1.HelpCallState.
enum class HelpState : uint8_t {
  kUnspecified = 0,
  kOpen = 1,
  kAnswered = 2,
  kCancelled = 3,
  kUnanswered = 4,
};
inline constexpr int kHelpStateCount = 5;  // with kUnspecified

// Same numbers as matching.v1.HelpStage. Who was asked in an earlier stage stays asked.
enum class HelpStage : uint8_t { kUnspecified = 0, kSponsors = 1, kBackups = 2, kOnCall = 3 };

enum class HelpEvent : uint8_t {
  kAnswer,      // by somebody who was asked
  kCancel,      // by the caller
  kWithdraw,    // the caller may no longer ask: erased, suspended, a consent withdrawn
  kNobodyLeft,  // all stages have passed
};
inline constexpr int kHelpEventCount = 4;

// The state after `event`, or nothing when the event changes nothing in this state: a call is
// answered once, and what is final stays.
std::optional<HelpState> Apply(HelpState state, HelpEvent event);

// Same numbers as matching.v1.ReachOutcome.
enum class ReachOutcome : uint8_t {
  kUnspecified = 0,
  kAsking = 1,
  kNobody = 2,
  kUnavailable = 3,
  kLimited = 4,
  kConsentRequired = 5,
  kSuspended = 6,
};

// Same numbers as matching.v1.HelpAskState.
enum class HelpAskState : uint8_t {
  kUnspecified = 0,
  kOpen = 1,
  kAnswered = 2,
  kTakenCareOf = 3,
  kPassed = 4,
  kOver = 5,
};

struct HelpOptions {
  absl::Duration sponsors_time = absl::Minutes(5);
  absl::Duration backups_time = absl::Minutes(5);
  // Of each round of those who are on call.
  absl::Duration on_call_time = absl::Minutes(5);
  int on_call_at_once = 5;
  int on_call_rounds = 3;
  // A call stays open so long at least: who was asked may be slow, and somebody may go on call.
  absl::Duration open_time = absl::Minutes(30);
  int calls_per_hour = 6;  // of one member; the crisis lines are never limited
  absl::Duration contact_length = absl::Hours(48);
  absl::Duration attestation_lifetime = absl::Hours(24 * 30);
  absl::Duration kept = absl::Hours(24 * 30);  // after a call is over

  // INVALID_ARGUMENT / CONFIGURATION_INVALID with every fault.
  absl::Status Validate() const;
  // How long the people of this stage have before others are asked too.
  absl::Duration TimeOf(HelpStage stage) const;
};

inline constexpr int kMaxBackups = 5;
inline constexpr int kMaxSponsorsAsked = 8;
inline constexpr absl::Duration kMaxOnCall = absl::Hours(24);

struct HelpCall {
  HelpCallId id;
  MemberId member;
  HelpState state = HelpState::kOpen;
  HelpStage stage = HelpStage::kSponsors;
  int rounds = 0;  // of members on call
  int asked = 0;
  absl::Time create_time;
  absl::Time stage_deadline;            // while open
  std::optional<MemberId> answered_by;  // empty when that person was erased
  std::optional<absl::Time> answer_time;
  std::optional<ConversationId> conversation;  // empty for the seconds until it exists
  // Of a conversation that was opened for this call: when it closes, or closed.
  std::optional<absl::Time> contact_end;
  int64_t version = 1;
};

// A call as somebody sees it who was asked.
struct HelpAsk {
  HelpCallId call;
  RawId id;  // the call's, for pages
  absl::Time create_time;
  absl::Time ask_time;
  HelpAskState state = HelpAskState::kOpen;
  HelpStage asked_as = HelpStage::kSponsors;
  std::optional<MemberId> member;  // empty for one on call who has not answered it
  std::optional<ConversationId> conversation;
  std::optional<absl::Time> contact_end;
  int64_t version = 1;
};

struct OnCall {
  MemberId sponsor;
  std::optional<absl::Time> end_time;  // empty while not on call
};

// What watches of help are woken by (WatchHub).
std::string HelpTopicOf(const HelpCallId& call);
std::string HelpTopicOf(const MemberId& asked);

// Whether `helper`, who is on call, suits the caller as far as the two alone decide: both are
// adults and may take part, the gender policies of both, a shared language, the access that the
// caller needs, and support of medication where it is asked for (domain.md 3.1: H1, H2, H3, H7, H8,
// H13, H17). What was not said is neutral, except for a gender that somebody's policy asks for.
bool SuitsOnCall(const MemberTraits& caller, const MemberTraits& helper,
                 const ProgramPolicies& policies);
// Whether the two have a program in common: those are asked first.
bool SharesProgram(const MemberTraits& caller, const MemberTraits& helper);

// The person behind a member: as a newcomer, else as a sponsor; null when neither is known.
const PersonTraits* PersonOf(const MemberTraits& member);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_HELP_H_
