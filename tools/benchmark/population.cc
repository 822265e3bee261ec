#include "tools/benchmark/population.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"
#include "common/base/status.h"

namespace handrail::benchmark {
namespace {

using profiles::v1::ProfileService;

constexpr int kThreads = 24;
constexpr int kConnections = 4;

google::type::Date DaysBefore(absl::CivilDay today, int days) {
  const absl::CivilDay day = today - days;
  google::type::Date date;
  date.set_year(static_cast<int>(day.year()));
  date.set_month(day.month());
  date.set_day(day.day());
  return date;
}

// Everybody suits everybody in their program: what is measured is the machinery, not who finds
// whom.
common::v1::PersonTraits Traits(size_t number) {
  common::v1::PersonTraits person;
  person.set_adult_attested(true);
  person.add_languages("en");
  if (number % 3 == 0) person.add_languages("es");
  person.set_time_zone("America/New_York");
  for (int day = 1; day <= 7; ++day) {
    common::v1::WeeklyWindow* window = person.add_availability();
    window->set_iso_weekday(day);
    window->set_start_minute(18 * 60);
    window->set_length_minutes(180);
  }
  person.add_modalities(common::v1::MODALITY_APP_TEXT);
  person.set_gender(number % 2 == 0 ? common::v1::GENDER_WOMAN : common::v1::GENDER_MAN);
  person.mutable_gender_preference()->set_rule(common::v1::GENDER_RULE_ANY);
  person.set_age_band(static_cast<common::v1::AgeBand>(1 + number % 6));
  person.set_goal(common::v1::RECOVERY_GOAL_ABSTINENCE);
  person.set_contact_frequency(static_cast<common::v1::ContactFrequency>(1 + number % 4));
  return person;
}

profiles::v1::Profile Newcomer(size_t number, absl::CivilDay today) {
  profiles::v1::Profile profile;
  common::v1::NewcomerTraits* traits = profile.mutable_newcomer();
  *traits->mutable_person() = Traits(number);
  traits->add_philosophies(kPairedPrograms[number % kPairedProgramCount]);
  traits->add_philosophies(kWaitingProgram);
  *traits->mutable_recovery_date() = DaysBefore(today, 30);
  return profile;
}

profiles::v1::Profile Sponsor(size_t number, absl::CivilDay today) {
  profiles::v1::Profile profile;
  common::v1::SponsorTraits* traits = profile.mutable_sponsor();
  *traits->mutable_person() = Traits(number);
  common::v1::SponsorProgram* program = traits->add_programs();
  program->set_philosophy(kPairedPrograms[number % kPairedProgramCount]);
  *program->mutable_recovery_date() = DaysBefore(today, 3000);
  program->set_steps_done(12);
  program->set_has_own_sponsor(true);
  program->set_attends_actively(true);
  program->add_trainings(common::v1::TRAINING_BOUNDARIES);
  program->add_relationship_types(common::v1::RELATIONSHIP_TYPE_SPONSOR);
  return profile;
}

}  // namespace

matching::v1::RequestMatchRequest PairedRequest(int64_t newcomer, std::string request_id) {
  matching::v1::RequestMatchRequest request;
  request.set_philosophy(kPairedPrograms[newcomer % kPairedProgramCount]);
  request.set_relationship_type(common::v1::RELATIONSHIP_TYPE_SPONSOR);
  request.set_request_id(std::move(request_id));
  return request;
}

matching::v1::RequestMatchRequest WaitingRequest(std::string request_id) {
  matching::v1::RequestMatchRequest request;
  request.set_philosophy(kWaitingProgram);
  request.set_relationship_type(common::v1::RELATIONSHIP_TYPE_PEER_COMPANION);
  request.set_request_id(std::move(request_id));
  return request;
}

absl::Status Population::InParallel(size_t count, const std::function<absl::Status(size_t)>& work) {
  std::atomic<size_t> next{0};
  Mutex mutex;
  absl::Status first_error;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (size_t number = next++; number < count; number = next++) {
        const absl::Status status = work(number);
        if (status.ok()) continue;
        MutexLock lock(mutex);
        if (first_error.ok()) first_error = status;
        next = count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return first_error;
}

absl::StatusOr<std::unique_ptr<Population>> Population::Create(const tools::Endpoints& endpoints,
                                                               int newcomers, int sponsors) {
  auto population = std::unique_ptr<Population>(new Population);
  for (int i = 0; i < kConnections; ++i) {
    ASSIGN_OR_RETURN(auto services, tools::Services::Create(endpoints));
    population->services_.push_back(std::move(services));
  }
  population->newcomers_.resize(static_cast<size_t>(newcomers));
  population->sponsors_.resize(static_cast<size_t>(sponsors));
  Population* self = population.get();
  RETURN_IF_ERROR(InParallel(self->sponsors_.size(), [self](size_t i) {
    return self->Join(self->sponsors_[i], /*sponsor=*/true, i);
  }));
  RETURN_IF_ERROR(InParallel(self->newcomers_.size(), [self](size_t i) {
    return self->Join(self->newcomers_[i], /*sponsor=*/false, i);
  }));
  return population;
}

absl::Status Population::Join(Member& member, bool sponsor, size_t number) {
  tools::Services& services = *services_[number % services_.size()];
  ASSIGN_OR_RETURN(member.person, tools::Person::Register(services, clock_, random_));
  tools::Person& person = *member.person;
  member.name = person.member();
  const absl::CivilDay today = absl::ToCivilDay(clock_.Now(), absl::UTCTimeZone());
  profiles::v1::UpdateProfileRequest update;
  *update.mutable_profile() = sponsor ? Sponsor(number, today) : Newcomer(number, today);
  update.mutable_update_mask()->add_paths(sponsor ? "sponsor" : "newcomer");
  update.set_request_id(person.NewRequestId());
  RETURN_IF_ERROR(
      person.Call(services.profile(), &ProfileService::Stub::UpdateProfile, update).status());
  for (const auto purpose :
       {profiles::v1::CONSENT_PURPOSE_MATCHING, profiles::v1::CONSENT_PURPOSE_HEALTH_DATA}) {
    profiles::v1::GrantConsentRequest consent;
    consent.set_purpose(purpose);
    consent.set_notice_version("bench-1");
    consent.set_notice_language("en");
    consent.set_request_id(person.NewRequestId());
    RETURN_IF_ERROR(
        person.Call(services.profile(), &ProfileService::Stub::GrantConsent, consent).status());
  }
  if (sponsor) {
    profiles::v1::AttestAvailabilityRequest attest;
    attest.set_request_id(person.NewRequestId());
    RETURN_IF_ERROR(
        person.Call(services.profile(), &ProfileService::Stub::AttestAvailability, attest)
            .status());
  }
  ASSIGN_OR_RETURN(const std::string token, person.TokenGoodFor(absl::Minutes(5)));
  member.authorization = absl::StrCat("Bearer ", token);
  return absl::OkStatus();
}

absl::Status Population::RenewTokens() {
  for (std::vector<Member>* members : {&sponsors_, &newcomers_}) {
    RETURN_IF_ERROR(InParallel(members->size(), [members](size_t i) -> absl::Status {
      Member& member = (*members)[i];
      ASSIGN_OR_RETURN(const std::string token, member.person->TokenGoodFor(absl::Minutes(5)));
      member.authorization = absl::StrCat("Bearer ", token);
      return absl::OkStatus();
    }));
  }
  return absl::OkStatus();
}

absl::Status Population::SetCapacity(size_t first, size_t last, int capacity) {
  return InParallel(last - first, [&](size_t i) {
    tools::Person& person = *sponsors_[first + i].person;
    matching::v1::SetAvailabilityRequest request;
    request.set_capacity(capacity);
    request.set_accepting(capacity > 0);
    request.set_request_id(person.NewRequestId());
    return person
        .Call(person.services().matching(), &matching::v1::MatchingService::Stub::SetAvailability,
              request)
        .status();
  });
}

std::string Population::NewId() { return MessageId::Random(random_).ToString(); }

}  // namespace handrail::benchmark
