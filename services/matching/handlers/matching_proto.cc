#include "services/matching/handlers/matching_proto.h"

#include <algorithm>

#include "common/base/status.h"
#include "services/matching/domain/score.h"

namespace handrail::matching {
namespace {

namespace c1 = common::v1;

template <typename E, typename Repeated>
EnumSet<E> SetOf(const Repeated& values) {
  EnumSet<E> set;
  for (const auto value : values) {
    if (value > 0 && value < 32) set.Add(static_cast<E>(value));
  }
  return set;
}

std::optional<absl::CivilDay> DayOf(bool has, const google::type::Date& date) {
  if (!has || date.year() == 0 || date.month() == 0 || date.day() == 0) return std::nullopt;
  return absl::CivilDay(date.year(), date.month(), date.day());
}

PersonTraits FromProto(const c1::PersonTraits& in) {
  PersonTraits person;
  for (const std::string& tag : in.languages()) {
    const Language language = Language::FromTag(tag);
    if (!language.IsZero() && person.languages.size() < kMaxLanguages) {
      person.languages.push_back(language);
    }
  }
  person.time_zone = in.time_zone();
  for (const c1::WeeklyWindow& window : in.availability()) {
    person.availability.push_back({static_cast<uint8_t>(window.iso_weekday()),
                                   static_cast<int16_t>(window.start_minute()),
                                   static_cast<int16_t>(window.length_minutes())});
  }
  person.modalities = SetOf<Modality>(in.modalities());
  person.gender = static_cast<Gender>(in.gender());
  person.gender_preference.rule = static_cast<GenderRule>(in.gender_preference().rule());
  person.gender_preference.genders = SetOf<Gender>(in.gender_preference().genders());
  person.age_band = static_cast<AgeBand>(in.age_band());
  person.communities = SetOf<Community>(in.communities());
  person.life_situations = SetOf<LifeSituation>(in.life_situations());
  person.substances = SetOf<Substance>(in.substances());
  person.spiritual_stance = static_cast<SpiritualStance>(in.spiritual_stance());
  person.goal = static_cast<RecoveryGoal>(in.goal());
  person.medication_stance = static_cast<MedicationStance>(in.medication_stance());
  person.approach = static_cast<Approach>(in.approach());
  person.step_work_style = static_cast<StepWorkStyle>(in.step_work_style());
  person.contact_frequency = static_cast<ContactFrequency>(in.contact_frequency());
  person.place.country = in.place().country();
  person.place.region = in.place().region();
  if (in.place().has_cell()) {
    person.place.cell = CoarseCell{static_cast<int16_t>(in.place().latitude_decidegrees()),
                                   static_cast<int16_t>(in.place().longitude_decidegrees())};
  }
  person.home_group = in.home_group();
  person.adult_attested = in.adult_attested();
  return person;
}

NewcomerTraits FromProto(const c1::NewcomerTraits& in) {
  NewcomerTraits newcomer;
  newcomer.person = FromProto(in.person());
  newcomer.philosophies = SetOf<Philosophy>(in.philosophies());
  newcomer.recovery_date = DayOf(in.has_recovery_date(), in.recovery_date());
  newcomer.access_needs = SetOf<AccessNeed>(in.access_needs());
  newcomer.important_communities = SetOf<Community>(in.important_communities());
  newcomer.requires_medication_support = in.requires_medication_support();
  newcomer.requires_in_person = in.requires_in_person();
  newcomer.max_distance_km = in.max_distance_km();
  return newcomer;
}

SponsorTraits FromProto(const c1::SponsorTraits& in) {
  SponsorTraits sponsor;
  sponsor.person = FromProto(in.person());
  for (const c1::SponsorProgram& row : in.programs()) {
    SponsorProgram program;
    program.philosophy = static_cast<Philosophy>(row.philosophy());
    program.recovery_date = DayOf(row.has_recovery_date(), row.recovery_date());
    program.steps_done = row.steps_done();
    program.has_own_sponsor = row.has_own_sponsor();
    program.attends_actively = row.attends_actively();
    program.trainings = SetOf<Training>(row.trainings());
    program.relationship_types = SetOf<RelationshipType>(row.relationship_types());
    sponsor.programs.push_back(program);
  }
  sponsor.access_offered = SetOf<AccessNeed>(in.access_offered());
  if (in.has_attest_time()) {
    sponsor.attest_time = absl::FromUnixSeconds(in.attest_time().seconds()) +
                          absl::Nanoseconds(in.attest_time().nanos());
  }
  return sponsor;
}

void AddReasons(const Explanation& explanation,
                google::protobuf::RepeatedPtrField<v1::Reason>* out) {
  for (const MatchReason reason : explanation.reasons) {
    v1::Reason* added = out->Add();
    added->set_code(std::string(CodeOf(reason)));
    added->set_text(std::string(TextOf(reason)));
  }
}

}  // namespace

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t seconds = absl::ToUnixSeconds(time);  // rounded down
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

void ToProto(const Ticket& ticket, v1::Ticket* out) {
  out->set_name(ticket.id.Name());
  out->set_relationship_type(static_cast<c1::RelationshipType>(ticket.relationship_type));
  out->set_philosophy(static_cast<c1::Philosophy>(ticket.philosophy));
  out->set_state(static_cast<v1::TicketState>(ticket.state));
  *out->mutable_create_time() = ToTimestamp(ticket.create_time);
  *out->mutable_expire_time() = ToTimestamp(ticket.expire_time);
  out->set_offer_count(ticket.offer_count);
  if (ticket.pairing.has_value()) out->set_pairing(ticket.pairing->Name());
  if (ticket.conversation.has_value()) out->set_conversation(ticket.conversation->Name());
  out->set_version(ticket.version);
}

void AddOffer(const Offer& offer, v1::Ticket* out) {
  AddReasons(offer.explanation, out->mutable_reasons());
  *out->mutable_offer_expire_time() = ToTimestamp(offer.expire_time);
}

void ToProto(const Offer& offer, v1::Offer* out) {
  out->set_name(offer.id.Name());
  out->set_state(static_cast<v1::OfferState>(offer.state));
  out->set_relationship_type(static_cast<c1::RelationshipType>(offer.relationship_type));
  out->set_philosophy(static_cast<c1::Philosophy>(offer.philosophy));
  *out->mutable_create_time() = ToTimestamp(offer.create_time);
  *out->mutable_expire_time() = ToTimestamp(offer.expire_time);
  out->set_score(offer.explanation.score);
  for (int i = 0; i < kFactorCount; ++i) {
    const Explanation::Factor& factor = offer.explanation.factors[static_cast<size_t>(i)];
    v1::ScoreFactor* added = out->add_factors();
    added->set_code(std::string(CodeOf(static_cast<FactorCode>(i))));
    added->set_points(factor.points);
    added->set_max_points(factor.max_points);
  }
  AddReasons(offer.explanation, out->mutable_reasons());
  for (const Language language : offer.explanation.shared_languages) {
    out->add_shared_languages(language.Tag());
  }
  if (offer.pairing.has_value()) out->set_pairing(offer.pairing->Name());
  out->set_version(offer.version);
}

void ToProto(const Pairing& pairing, v1::Pairing* out) {
  out->set_name(pairing.id.Name());
  out->set_newcomer(pairing.newcomer.Name());
  out->set_sponsor(pairing.sponsor.Name());
  out->set_relationship_type(static_cast<c1::RelationshipType>(pairing.relationship_type));
  out->set_philosophy(static_cast<c1::Philosophy>(pairing.philosophy));
  out->set_state(static_cast<v1::PairingState>(pairing.state));
  *out->mutable_create_time() = ToTimestamp(pairing.create_time);
  *out->mutable_trial_end_time() = ToTimestamp(pairing.trial_end_time);
  if (pairing.conversation.has_value()) out->set_conversation(pairing.conversation->Name());
  if (pairing.end_time.has_value()) *out->mutable_end_time() = ToTimestamp(*pairing.end_time);
  out->set_version(pairing.version);
}

void ToProto(const Availability& availability, v1::Availability* out) {
  out->set_sponsor(availability.sponsor.Name());
  out->set_capacity(availability.capacity);
  out->set_accepting(availability.accepting);
  out->set_pairing_count(availability.pairing_count);
  out->set_open_offer_count(availability.open_offer_count);
  out->set_version(availability.version);
}

int RoundWaiting(int64_t ahead) {
  if (ahead <= 0) return 0;
  for (const int step : {5, 10, 25, 50, 100}) {
    if (ahead <= step) return step;
  }
  return static_cast<int>((ahead + 99) / 100 * 100);
}

absl::StatusOr<MemberTraits> FromProto(const c1::MemberSnapshot& snapshot) {
  MemberTraits member;
  ASSIGN_OR_RETURN(member.member, MemberId::FromName(snapshot.member()));
  member.version = snapshot.version();
  member.standing = static_cast<Standing>(snapshot.standing());
  member.consents_to_matching = snapshot.consent().matching();
  member.consents_to_health_data = snapshot.consent().health_data();
  if (snapshot.has_newcomer()) member.newcomer = FromProto(snapshot.newcomer());
  if (snapshot.has_sponsor()) member.sponsor = FromProto(snapshot.sponsor());
  return member;
}

}  // namespace handrail::matching
