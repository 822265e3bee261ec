#include "services/matching/domain/help.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr auto kNothing = HelpState::kUnspecified;
// By state and event. Only an open call moves.
constexpr std::array<std::array<HelpState, kHelpEventCount>, kHelpStateCount> kTable = {{
    // kAnswer, kCancel, kWithdraw, kNobodyLeft
    {kNothing, kNothing, kNothing, kNothing},  // unspecified
    {HelpState::kAnswered, HelpState::kCancelled, HelpState::kCancelled, HelpState::kUnanswered},
    {kNothing, kNothing, kNothing, kNothing},  // answered
    {kNothing, kNothing, kNothing, kNothing},  // cancelled
    {kNothing, kNothing, kNothing, kNothing},  // unanswered
}};

EnumSet<Philosophy> ProgramsOf(const MemberTraits& member) {
  EnumSet<Philosophy> programs;
  if (member.newcomer.has_value()) programs = member.newcomer->philosophies;
  if (member.sponsor.has_value()) {
    for (const SponsorProgram& program : member.sponsor->programs) programs.Add(program.philosophy);
  }
  return programs;
}

// Whom the person may meet: their own rule, else the strictest default of their programs; a program
// that binds everybody comes on top.
bool Accepts(const PersonTraits& person, EnumSet<Philosophy> programs, Gender other,
             const ProgramPolicies& policies) {
  GenderRule rule = person.gender_preference.rule;
  bool binds = false;
  programs.ForEach([&](Philosophy philosophy) {
    const ProgramPolicy& policy = policies.Of(philosophy);
    binds |= policy.gender_rule == GenderRule::kSameGender;
    if (person.gender_preference.rule == GenderRule::kUnspecified &&
        rule != GenderRule::kSameGender) {
      rule = policy.default_gender_rule;
    }
  });
  const bool same = person.gender != Gender::kUnspecified && person.gender == other;
  if (binds && !same) return false;
  if (rule == GenderRule::kSameGender) return same;
  if (rule == GenderRule::kExplicitSet) return person.gender_preference.genders.Contains(other);
  return true;
}

bool ShareLanguage(const PersonTraits& a, const PersonTraits& b) {
  if (a.languages.empty() || b.languages.empty()) return true;
  return std::any_of(a.languages.begin(), a.languages.end(), [&b](Language language) {
    return std::find(b.languages.begin(), b.languages.end(), language) != b.languages.end();
  });
}

}  // namespace

std::optional<HelpState> Apply(HelpState state, HelpEvent event) {
  const HelpState next = kTable[static_cast<size_t>(state)][static_cast<size_t>(event)];
  if (next == kNothing) return std::nullopt;
  return next;
}

absl::Status HelpOptions::Validate() const {
  std::vector<std::string> faults;
  const auto need = [&faults](bool ok, const char* text) {
    if (!ok) faults.emplace_back(text);
  };
  const auto is_short = [](absl::Duration time) {
    return time >= absl::Seconds(1) && time <= absl::Hours(1);
  };
  need(is_short(sponsors_time) && is_short(backups_time) && is_short(on_call_time),
       "a stage of a call for help lasts between a second and an hour");
  need(open_time >= absl::Seconds(1) && open_time <= absl::Hours(24),
       "a call for help stays open between a second and a day");
  need(on_call_at_once >= 1 && on_call_at_once <= 20, "1 to 20 people on call are asked at once");
  need(on_call_rounds >= 1 && on_call_rounds <= 10, "there are 1 to 10 rounds of people on call");
  need(calls_per_hour >= 1, "a member may make at least one call for help an hour");
  need(contact_length >= absl::Hours(1) && contact_length <= absl::Hours(24 * 14),
       "a contact lasts between an hour and 14 days");
  need(kept >= contact_length, "a call is kept at least as long as its contact lasts");
  if (faults.empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrJoin(faults, "; "));
}

absl::Duration HelpOptions::TimeOf(HelpStage stage) const {
  switch (stage) {
    case HelpStage::kSponsors: return sponsors_time;
    case HelpStage::kBackups: return backups_time;
    default: return on_call_time;
  }
}

std::string HelpTopicOf(const HelpCallId& call) { return "h" + call.ToString(); }
std::string HelpTopicOf(const MemberId& asked) { return "k" + asked.ToString(); }

const PersonTraits* PersonOf(const MemberTraits& member) {
  if (member.newcomer.has_value()) return &member.newcomer->person;
  return member.sponsor.has_value() ? &member.sponsor->person : nullptr;
}

bool SharesProgram(const MemberTraits& caller, const MemberTraits& helper) {
  return ProgramsOf(caller).Intersects(ProgramsOf(helper));
}

bool SuitsOnCall(const MemberTraits& caller, const MemberTraits& helper,
                 const ProgramPolicies& policies) {
  const PersonTraits* asks = PersonOf(caller);
  if (asks == nullptr || !helper.sponsor.has_value()) return false;
  if (caller.member == helper.member) return false;
  if (!caller.MayTakePart() || !helper.MayTakePart()) return false;
  const PersonTraits& gives = helper.sponsor->person;
  if (!asks->adult_attested || !gives.adult_attested) return false;
  if (!Accepts(*asks, ProgramsOf(caller), gives.gender, policies)) return false;
  if (!Accepts(gives, ProgramsOf(helper), asks->gender, policies)) return false;
  if (!ShareLanguage(*asks, gives)) return false;
  if (!caller.newcomer.has_value()) return true;
  if (!helper.sponsor->access_offered.ContainsAll(caller.newcomer->access_needs)) return false;
  return !caller.newcomer->requires_medication_support ||
         gives.medication_stance == MedicationStance::kSupportsMedication;
}

}  // namespace handrail::matching
