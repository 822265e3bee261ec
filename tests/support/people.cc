#include "tests/support/people.h"

#include "absl/strings/match.h"
#include "tests/support/stop_signal.h"

namespace handrail::tests {
namespace {

using matching::v1::MatchingService;
using profiles::v1::ProfileService;
using tools::Person;
using tools::Services;

common::v1::PersonTraits Traits() {
  common::v1::PersonTraits person;
  person.set_adult_attested(true);
  person.add_languages("en");
  person.set_time_zone("UTC");
  for (int day = 1; day <= 7; ++day) {
    common::v1::WeeklyWindow* window = person.add_availability();
    window->set_iso_weekday(day);
    window->set_start_minute(17 * 60);
    window->set_length_minutes(240);
  }
  person.add_modalities(common::v1::MODALITY_APP_TEXT);
  person.set_gender(common::v1::GENDER_WOMAN);
  return person;
}

absl::Status Describe(Person& person, Clock& clock, const profiles::v1::Profile& profile,
                      const char* side) {
  profiles::v1::UpdateProfileRequest update;
  *update.mutable_profile() = profile;
  update.mutable_update_mask()->add_paths(side);
  update.set_request_id(person.NewRequestId());
  RETURN_IF_ERROR(Insist(person, clock, person.services().profile(),
                         &ProfileService::Stub::UpdateProfile, update)
                      .status());
  for (const auto purpose :
       {profiles::v1::CONSENT_PURPOSE_MATCHING, profiles::v1::CONSENT_PURPOSE_HEALTH_DATA}) {
    profiles::v1::GrantConsentRequest consent;
    consent.set_purpose(purpose);
    consent.set_notice_version("test-1");
    consent.set_notice_language("en");
    consent.set_request_id(person.NewRequestId());
    RETURN_IF_ERROR(Insist(person, clock, person.services().profile(),
                           &ProfileService::Stub::GrantConsent, consent)
                        .status());
  }
  return absl::OkStatus();
}

// matching hears of a person through profiles' outbox, some time after profiles has answered.
// Whether it has can be asked without changing anything: a relationship that the program does not
// have is refused only after profile and consents are found good.
absl::Status WaitUntilHeardOf(Person& person, Clock& clock) {
  matching::v1::RequestMatchRequest ask;
  ask.set_philosophy(common::v1::PHILOSOPHY_TWELVE_STEP_AA);
  ask.set_relationship_type(common::v1::RELATIONSHIP_TYPE_PEER_COMPANION);
  const absl::Time give_up = clock.Now() + absl::Seconds(30);
  while (true) {
    ask.set_request_id(person.NewRequestId());
    const auto asked = Insist(person, clock, person.services().matching(),
                              &MatchingService::Stub::RequestMatch, ask);
    const bool not_heard = HasReason(asked.status(), reason::kConsentRequired);
    if (!not_heard || clock.Now() > give_up) return absl::OkStatus();
    StopSignal().Pause(absl::Milliseconds(20));
  }
}

}  // namespace

bool IsUnanswered(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kAborted: return true;
    case absl::StatusCode::kInternal: return absl::StrContains(status.message(), "RST_STREAM");
    default: return false;
  }
}

absl::StatusOr<std::unique_ptr<Person>> JoinAsNobody(Services& services, Clock& clock,
                                                     Random& random) {
  return Person::Register(services, clock, random);
}

absl::StatusOr<std::unique_ptr<Person>> JoinAsNewcomer(Services& services, Clock& clock,
                                                       Random& random,
                                                       common::v1::Philosophy program) {
  ASSIGN_OR_RETURN(auto person, Person::Register(services, clock, random));
  profiles::v1::Profile profile;
  *profile.mutable_newcomer()->mutable_person() = Traits();
  profile.mutable_newcomer()->add_philosophies(program);
  RETURN_IF_ERROR(Describe(*person, clock, profile, "newcomer"));
  RETURN_IF_ERROR(WaitUntilHeardOf(*person, clock));
  return person;
}

absl::StatusOr<std::unique_ptr<Person>> JoinAsSponsor(Services& services, Clock& clock,
                                                      Random& random, int capacity,
                                                      common::v1::Philosophy program_of) {
  ASSIGN_OR_RETURN(auto person, Person::Register(services, clock, random));
  profiles::v1::Profile profile;
  *profile.mutable_sponsor()->mutable_person() = Traits();
  common::v1::SponsorProgram* program = profile.mutable_sponsor()->add_programs();
  program->set_philosophy(program_of);
  program->mutable_recovery_date()->set_year(2015);
  program->mutable_recovery_date()->set_month(1);
  program->mutable_recovery_date()->set_day(1);
  program->set_steps_done(12);
  program->set_has_own_sponsor(true);
  program->set_attends_actively(true);
  program->add_relationship_types(common::v1::RELATIONSHIP_TYPE_SPONSOR);
  program->add_relationship_types(common::v1::RELATIONSHIP_TYPE_TEMPORARY_CONTACT);
  RETURN_IF_ERROR(Describe(*person, clock, profile, "sponsor"));
  profiles::v1::AttestAvailabilityRequest attest;
  attest.set_request_id(person->NewRequestId());
  RETURN_IF_ERROR(
      Insist(*person, clock, services.profile(), &ProfileService::Stub::AttestAvailability, attest)
          .status());
  matching::v1::SetAvailabilityRequest seats;
  seats.set_capacity(capacity);
  seats.set_accepting(true);
  seats.set_request_id(person->NewRequestId());
  // matching hears of the new sponsor through profiles' outbox.
  const absl::Time give_up = clock.Now() + absl::Seconds(30);
  while (true) {
    const auto set =
        Insist(*person, clock, services.matching(), &MatchingService::Stub::SetAvailability, seats);
    if (set.ok()) return person;
    const bool not_heard = HasReason(set.status(), reason::kSponsorProfileRequired) ||
                           HasReason(set.status(), reason::kConsentRequired);
    if (!not_heard || clock.Now() > give_up) return set.status();
    StopSignal().Pause(absl::Milliseconds(20));
  }
}

}  // namespace handrail::tests
