#include "services/matching/handlers/traits_proto.h"

#include <google/protobuf/generated_enum_reflection.h>

#include <algorithm>
#include <utility>

#include "common/base/ids.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

// The domain's value of the same number, or "not said" when the list does not have it.
template <typename E, typename P>
E FromProto(P value) {
  const auto* known = google::protobuf::GetEnumDescriptor<P>()->FindValueByNumber(value);
  return known == nullptr ? E::kUnspecified : static_cast<E>(value);
}

template <typename E, typename P>
EnumSet<E> SetFromProto(const google::protobuf::RepeatedField<int>& values) {
  EnumSet<E> set;
  for (const int value : values) set.Add(FromProto<E>(static_cast<P>(value)));
  return set;
}

std::optional<absl::CivilDay> DayFromProto(bool present, const google::type::Date& date) {
  if (!present) return std::nullopt;
  const absl::CivilDay day(date.year(), date.month(), date.day());
  // CivilDay moves the 31st of April to the 1st of May: such a day was never said.
  const bool exists = date.year() > 0 && day.year() == date.year() && day.month() == date.month() &&
                      day.day() == date.day();
  return exists ? std::optional<absl::CivilDay>(day) : std::nullopt;
}

CoarsePlace PlaceFromProto(const common::v1::CoarsePlace& proto) {
  CoarsePlace place;
  place.country = proto.country();
  place.region = proto.region();
  if (proto.has_cell()) {
    place.cell =
        CoarseCell{static_cast<int16_t>(std::clamp(proto.latitude_decidegrees(), -900, 900)),
                   static_cast<int16_t>(std::clamp(proto.longitude_decidegrees(), -1800, 1800))};
  }
  return place;
}

std::vector<WeeklyWindow> WindowsFromProto(const common::v1::PersonTraits& proto) {
  std::vector<WeeklyWindow> windows;
  for (const common::v1::WeeklyWindow& window : proto.availability()) {
    if (window.iso_weekday() < 1 || window.iso_weekday() > 7 || window.start_minute() < 0 ||
        window.start_minute() >= 1440 || window.length_minutes() < 1 ||
        window.length_minutes() > 1440) {
      continue;
    }
    windows.push_back({static_cast<uint8_t>(window.iso_weekday()),
                       static_cast<int16_t>(window.start_minute()),
                       static_cast<int16_t>(window.length_minutes())});
  }
  return windows;
}

PersonTraits PersonFromProto(const common::v1::PersonTraits& proto) {
  PersonTraits person;
  for (const std::string& tag : proto.languages()) {
    const Language language = Language::FromTag(tag);
    if (language.IsZero() || person.languages.size() == size_t{kMaxLanguages}) continue;
    person.languages.push_back(language);
  }
  person.time_zone = proto.time_zone();
  person.availability = WindowsFromProto(proto);
  person.modalities = SetFromProto<Modality, common::v1::Modality>(proto.modalities());
  person.gender = FromProto<Gender>(proto.gender());
  person.gender_preference.rule = FromProto<GenderRule>(proto.gender_preference().rule());
  person.gender_preference.genders =
      SetFromProto<Gender, common::v1::Gender>(proto.gender_preference().genders());
  person.age_band = FromProto<AgeBand>(proto.age_band());
  person.communities = SetFromProto<Community, common::v1::Community>(proto.communities());
  person.life_situations =
      SetFromProto<LifeSituation, common::v1::LifeSituation>(proto.life_situations());
  person.substances = SetFromProto<Substance, common::v1::Substance>(proto.substances());
  person.spiritual_stance = FromProto<SpiritualStance>(proto.spiritual_stance());
  person.goal = FromProto<RecoveryGoal>(proto.goal());
  person.medication_stance = FromProto<MedicationStance>(proto.medication_stance());
  person.approach = FromProto<Approach>(proto.approach());
  person.step_work_style = FromProto<StepWorkStyle>(proto.step_work_style());
  person.contact_frequency = FromProto<ContactFrequency>(proto.contact_frequency());
  person.place = PlaceFromProto(proto.place());
  person.home_group = proto.home_group();
  person.adult_attested = proto.adult_attested();
  return person;
}

NewcomerTraits NewcomerFromProto(const common::v1::NewcomerTraits& proto) {
  NewcomerTraits newcomer;
  newcomer.person = PersonFromProto(proto.person());
  newcomer.philosophies = SetFromProto<Philosophy, common::v1::Philosophy>(proto.philosophies());
  newcomer.recovery_date = DayFromProto(proto.has_recovery_date(), proto.recovery_date());
  newcomer.access_needs = SetFromProto<AccessNeed, common::v1::AccessNeed>(proto.access_needs());
  newcomer.important_communities =
      SetFromProto<Community, common::v1::Community>(proto.important_communities());
  newcomer.requires_medication_support = proto.requires_medication_support();
  newcomer.requires_in_person = proto.requires_in_person();
  newcomer.max_distance_km = std::clamp(proto.max_distance_km(), 0, 500);
  return newcomer;
}

SponsorProgram ProgramFromProto(const common::v1::SponsorProgram& proto) {
  SponsorProgram program;
  program.philosophy = FromProto<Philosophy>(proto.philosophy());
  program.recovery_date = DayFromProto(proto.has_recovery_date(), proto.recovery_date());
  program.steps_done = std::clamp(proto.steps_done(), 0, 16);
  program.has_own_sponsor = proto.has_own_sponsor();
  program.attends_actively = proto.attends_actively();
  program.trainings = SetFromProto<Training, common::v1::Training>(proto.trainings());
  program.relationship_types =
      SetFromProto<RelationshipType, common::v1::RelationshipType>(proto.relationship_types());
  return program;
}

SponsorTraits SponsorFromProto(const common::v1::SponsorTraits& proto) {
  SponsorTraits sponsor;
  sponsor.person = PersonFromProto(proto.person());
  for (const common::v1::SponsorProgram& program : proto.programs()) {
    sponsor.programs.push_back(ProgramFromProto(program));
  }
  sponsor.access_offered = SetFromProto<AccessNeed, common::v1::AccessNeed>(proto.access_offered());
  if (proto.has_attest_time()) {
    sponsor.attest_time = absl::FromUnixSeconds(proto.attest_time().seconds()) +
                          absl::Nanoseconds(proto.attest_time().nanos());
  }
  return sponsor;
}

}  // namespace

absl::StatusOr<MemberTraits> MemberTraitsFromProto(const common::v1::MemberSnapshot& snapshot) {
  MemberTraits member;
  ASSIGN_OR_RETURN(member.member, MemberId::FromName(snapshot.member()));
  member.version = snapshot.version();
  member.standing = FromProto<Standing>(snapshot.standing());
  member.consents_to_matching = snapshot.consent().matching();
  member.consents_to_health_data = snapshot.consent().health_data();
  if (snapshot.has_newcomer()) member.newcomer = NewcomerFromProto(snapshot.newcomer());
  if (snapshot.has_sponsor()) {
    member.sponsor = SponsorFromProto(snapshot.sponsor());
    member.sponsor->candidate_fields =
        SetFromProto<CandidateField, common::v1::CandidateField>(snapshot.candidate_fields());
  }
  for (const common::v1::AvoidedPair& pair : snapshot.avoided()) {
    ASSIGN_OR_RETURN(const MemberId other, MemberId::FromName(pair.member()));
    member.avoided.push_back({other, pair.dual_role()});
  }
  return member;
}

}  // namespace handrail::matching
