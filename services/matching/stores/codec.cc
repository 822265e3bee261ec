#include "services/matching/stores/codec.h"

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/status.h"

namespace handrail::matching {
namespace {

// 2 added what a newcomer weighs and chooses, and what a sponsor shows to candidates.
constexpr uint8_t kVersion = 2;

class Writer {
 public:
  Writer() { bytes_.push_back(static_cast<char>(kVersion)); }

  void Unsigned(uint64_t value) {
    while (value >= 0x80) {
      bytes_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    bytes_.push_back(static_cast<char>(value));
  }
  // Zigzag: small numbers of either sign stay short.
  void Signed(int64_t value) {
    Unsigned((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
  }
  void Bool(bool value) { Unsigned(value ? 1 : 0); }
  void Text(absl::string_view text) {
    Unsigned(text.size());
    bytes_.append(text.data(), text.size());
  }
  void Time(absl::Time time) { Signed(absl::ToUnixMicros(time)); }  // InfinitePast is INT64_MIN
  void Hundredths(double value) { Signed(std::llround(value * 100)); }
  template <typename E>
  void Enum(E value) {
    Unsigned(static_cast<uint64_t>(value));
  }
  template <typename E>
  void Set(EnumSet<E> set) {
    Unsigned(set.bits());
  }
  void Day(const std::optional<absl::CivilDay>& day) {
    Bool(day.has_value());
    if (day.has_value()) Signed(*day - absl::CivilDay(1970, 1, 1));
  }
  void Id(const RawId& id) { bytes_.append(id.Bytes().data(), id.Bytes().size()); }

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what Writer wrote. After the first fault everything reads as zero and ok() is false.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : rest_(bytes) {
    if (rest_.empty() || rest_[0] < 1 || rest_[0] > kVersion) {
      Fail();
    } else {
      version_ = rest_[0];
      rest_.remove_prefix(1);
    }
  }

  // Which version of the format these bytes are in.
  int version() const { return version_; }

  uint64_t Unsigned() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    Fail();
    return 0;
  }
  int64_t Signed() {
    const uint64_t value = Unsigned();
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
  }
  bool Bool() { return Unsigned() != 0; }
  std::string Text() {
    const uint64_t size = Unsigned();
    if (size > rest_.size()) {
      Fail();
      return {};
    }
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  absl::Time Time() {
    const int64_t micros = Signed();
    if (micros == INT64_MIN) return absl::InfinitePast();
    return micros == INT64_MAX ? absl::InfiniteFuture() : absl::FromUnixMicros(micros);
  }
  double Hundredths() { return static_cast<double>(Signed()) / 100; }
  int Int() { return static_cast<int>(Signed()); }
  // How many elements follow: never more than bytes are left, so a fault cannot allocate much.
  size_t Count() {
    const uint64_t count = Unsigned();
    if (count > rest_.size()) {
      Fail();
      return 0;
    }
    return count;
  }
  template <typename E>
  E Enum() {
    return static_cast<E>(Unsigned());
  }
  template <typename E>
  EnumSet<E> Set() {
    return EnumSet<E>::FromBits(static_cast<uint32_t>(Unsigned()));
  }
  std::optional<absl::CivilDay> Day() {
    if (!Bool()) return std::nullopt;
    return absl::CivilDay(1970, 1, 1) + Signed();
  }
  std::string IdBytes() {
    if (rest_.size() < RawId::kBytes) {
      Fail();
      return std::string(RawId::kBytes, '\0');
    }
    std::string bytes(rest_.substr(0, RawId::kBytes));
    rest_.remove_prefix(RawId::kBytes);
    return bytes;
  }
  template <typename IdType>
  IdType Id() {
    return *IdType::FromBytes(IdBytes());
  }

  bool HasMore() const { return ok_ && !rest_.empty(); }
  absl::Status Finish() const {
    if (ok_ && rest_.empty()) return absl::OkStatus();
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("a stored value cannot be read");
  }

 private:
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

  absl::string_view rest_;
  int version_ = kVersion;
  bool ok_ = true;
};

void WritePerson(const PersonTraits& person, Writer& out) {
  out.Unsigned(person.languages.size());
  for (const Language language : person.languages) out.Unsigned(language.code());
  out.Text(person.time_zone);
  out.Unsigned(person.availability.size());
  for (const WeeklyWindow& window : person.availability) {
    out.Unsigned(window.iso_weekday);
    out.Signed(window.start_minute);
    out.Signed(window.length_minutes);
  }
  out.Set(person.modalities);
  out.Enum(person.gender);
  out.Enum(person.gender_preference.rule);
  out.Set(person.gender_preference.genders);
  out.Enum(person.age_band);
  out.Set(person.communities);
  out.Set(person.life_situations);
  out.Set(person.substances);
  out.Enum(person.spiritual_stance);
  out.Enum(person.goal);
  out.Enum(person.medication_stance);
  out.Enum(person.approach);
  out.Enum(person.step_work_style);
  out.Enum(person.contact_frequency);
  out.Text(person.place.country);
  out.Text(person.place.region);
  out.Bool(person.place.cell.has_value());
  if (person.place.cell.has_value()) {
    out.Signed(person.place.cell->latitude_decidegrees);
    out.Signed(person.place.cell->longitude_decidegrees);
  }
  out.Text(person.home_group);
  out.Bool(person.adult_attested);
}

PersonTraits ReadPerson(Reader& in) {
  PersonTraits person;
  for (size_t n = in.Count(); n > 0; --n) {
    person.languages.push_back(Language::FromCode(static_cast<uint16_t>(in.Unsigned())));
  }
  person.time_zone = in.Text();
  for (size_t n = in.Count(); n > 0; --n) {
    WeeklyWindow window;
    window.iso_weekday = static_cast<uint8_t>(in.Unsigned());
    window.start_minute = static_cast<int16_t>(in.Signed());
    window.length_minutes = static_cast<int16_t>(in.Signed());
    person.availability.push_back(window);
  }
  person.modalities = in.Set<Modality>();
  person.gender = in.Enum<Gender>();
  person.gender_preference.rule = in.Enum<GenderRule>();
  person.gender_preference.genders = in.Set<Gender>();
  person.age_band = in.Enum<AgeBand>();
  person.communities = in.Set<Community>();
  person.life_situations = in.Set<LifeSituation>();
  person.substances = in.Set<Substance>();
  person.spiritual_stance = in.Enum<SpiritualStance>();
  person.goal = in.Enum<RecoveryGoal>();
  person.medication_stance = in.Enum<MedicationStance>();
  person.approach = in.Enum<Approach>();
  person.step_work_style = in.Enum<StepWorkStyle>();
  person.contact_frequency = in.Enum<ContactFrequency>();
  person.place.country = in.Text();
  person.place.region = in.Text();
  if (in.Bool()) {
    CoarseCell cell;
    cell.latitude_decidegrees = static_cast<int16_t>(in.Signed());
    cell.longitude_decidegrees = static_cast<int16_t>(in.Signed());
    person.place.cell = cell;
  }
  person.home_group = in.Text();
  person.adult_attested = in.Bool();
  return person;
}

void WriteNewcomer(const NewcomerTraits& newcomer, Writer& out) {
  WritePerson(newcomer.person, out);
  out.Set(newcomer.philosophies);
  out.Day(newcomer.recovery_date);
  out.Set(newcomer.access_needs);
  out.Set(newcomer.important_communities);
  out.Bool(newcomer.requires_medication_support);
  out.Bool(newcomer.requires_in_person);
  out.Signed(newcomer.max_distance_km);
}

NewcomerTraits ReadNewcomer(Reader& in) {
  NewcomerTraits newcomer;
  newcomer.person = ReadPerson(in);
  newcomer.philosophies = in.Set<Philosophy>();
  newcomer.recovery_date = in.Day();
  newcomer.access_needs = in.Set<AccessNeed>();
  newcomer.important_communities = in.Set<Community>();
  newcomer.requires_medication_support = in.Bool();
  newcomer.requires_in_person = in.Bool();
  newcomer.max_distance_km = in.Int();
  return newcomer;
}

void WriteSponsor(const SponsorTraits& sponsor, Writer& out) {
  WritePerson(sponsor.person, out);
  out.Unsigned(sponsor.programs.size());
  for (const SponsorProgram& program : sponsor.programs) {
    out.Enum(program.philosophy);
    out.Day(program.recovery_date);
    out.Signed(program.steps_done);
    out.Bool(program.has_own_sponsor);
    out.Bool(program.attends_actively);
    out.Set(program.trainings);
    out.Set(program.relationship_types);
  }
  out.Set(sponsor.access_offered);
  out.Time(sponsor.attest_time);
  out.Set(sponsor.candidate_fields);
}

SponsorTraits ReadSponsor(Reader& in) {
  SponsorTraits sponsor;
  sponsor.person = ReadPerson(in);
  for (size_t n = in.Count(); n > 0; --n) {
    SponsorProgram program;
    program.philosophy = in.Enum<Philosophy>();
    program.recovery_date = in.Day();
    program.steps_done = in.Int();
    program.has_own_sponsor = in.Bool();
    program.attends_actively = in.Bool();
    program.trainings = in.Set<Training>();
    program.relationship_types = in.Set<RelationshipType>();
    sponsor.programs.push_back(program);
  }
  sponsor.access_offered = in.Set<AccessNeed>();
  sponsor.attest_time = in.Time();
  if (in.version() >= 2) sponsor.candidate_fields = in.Set<CandidateField>();
  return sponsor;
}

}  // namespace

std::string EncodeTraits(const MemberTraits& member) {
  Writer out;
  out.Bool(member.newcomer.has_value());
  if (member.newcomer.has_value()) WriteNewcomer(*member.newcomer, out);
  out.Bool(member.sponsor.has_value());
  if (member.sponsor.has_value()) WriteSponsor(*member.sponsor, out);
  // How the two consents were given; together they have a column.
  out.Bool(member.consents_to_matching);
  out.Bool(member.consents_to_health_data);
  return out.Take();
}

absl::Status DecodeTraits(absl::string_view bytes, MemberTraits& member) {
  Reader in(bytes);
  if (in.Bool()) member.newcomer = ReadNewcomer(in);
  if (in.Bool()) member.sponsor = ReadSponsor(in);
  member.consents_to_matching = in.Bool();
  member.consents_to_health_data = in.Bool();
  return in.Finish();
}

std::string EncodeExplanation(const Explanation& explanation) {
  Writer out;
  out.Hundredths(explanation.score);
  for (const Explanation::Factor& factor : explanation.factors) {
    out.Hundredths(factor.points);
    out.Hundredths(factor.max_points);
  }
  out.Unsigned(explanation.reasons.size());
  for (const MatchReason reason : explanation.reasons) out.Enum(reason);
  out.Unsigned(explanation.shared_languages.size());
  for (const Language language : explanation.shared_languages) out.Unsigned(language.code());
  return out.Take();
}

absl::StatusOr<Explanation> DecodeExplanation(absl::string_view bytes) {
  Reader in(bytes);
  Explanation explanation;
  explanation.score = in.Hundredths();
  for (Explanation::Factor& factor : explanation.factors) {
    factor.points = in.Hundredths();
    factor.max_points = in.Hundredths();
  }
  for (size_t n = in.Count(); n > 0; --n) explanation.reasons.push_back(in.Enum<MatchReason>());
  for (size_t n = in.Count(); n > 0; --n) {
    explanation.shared_languages.push_back(
        Language::FromCode(static_cast<uint16_t>(in.Unsigned())));
  }
  RETURN_IF_ERROR(in.Finish());
  return explanation;
}

std::string EncodeTicketAnswer(const Ticket& ticket, absl::string_view pool) {
  Writer out;
  out.Id(ticket.id);
  out.Id(ticket.newcomer);
  out.Enum(ticket.relationship_type);
  out.Enum(ticket.state);
  out.Time(ticket.create_time);
  out.Time(ticket.expire_time);
  out.Signed(ticket.offer_count);
  out.Signed(ticket.version);
  out.Bool(ticket.pairing.has_value());
  if (ticket.pairing.has_value()) out.Id(*ticket.pairing);
  out.Text(pool);
  out.Unsigned(ticket.importance.bits());
  out.Bool(ticket.choosing);
  out.Signed(ticket.chosen_left);
  return out.Take();
}

absl::StatusOr<TicketAnswer> DecodeTicketAnswer(absl::string_view bytes) {
  Reader in(bytes);
  TicketAnswer answer;
  Ticket& ticket = answer.ticket;
  ticket.id = in.Id<TicketId>();
  ticket.newcomer = in.Id<MemberId>();
  ticket.relationship_type = in.Enum<RelationshipType>();
  ticket.state = in.Enum<TicketState>();
  ticket.create_time = in.Time();
  ticket.expire_time = in.Time();
  ticket.offer_count = in.Int();
  ticket.version = in.Signed();
  if (in.Bool()) ticket.pairing = in.Id<PairingId>();
  answer.pool = in.Text();
  if (in.version() >= 2) {
    ticket.importance = Importance::FromBits(static_cast<uint32_t>(in.Unsigned()));
    ticket.choosing = in.Bool();
    ticket.chosen_left = in.Int();
  }
  RETURN_IF_ERROR(in.Finish());
  return answer;
}

std::string EncodePairingAnswer(const Pairing& pairing, absl::string_view pool) {
  Writer out;
  out.Id(pairing.id);
  out.Id(pairing.offer);
  out.Id(pairing.ticket);
  out.Id(pairing.newcomer);
  out.Id(pairing.sponsor);
  out.Enum(pairing.relationship_type);
  out.Enum(pairing.state);
  out.Time(pairing.create_time);
  out.Time(pairing.trial_end_time);
  out.Bool(pairing.newcomer_confirmed);
  out.Bool(pairing.sponsor_confirmed);
  out.Bool(pairing.conversation.has_value());
  if (pairing.conversation.has_value()) out.Id(*pairing.conversation);
  out.Bool(pairing.end_time.has_value());
  if (pairing.end_time.has_value()) out.Time(*pairing.end_time);
  out.Signed(pairing.version);
  out.Text(pool);
  return out.Take();
}

absl::StatusOr<PairingAnswer> DecodePairingAnswer(absl::string_view bytes) {
  Reader in(bytes);
  PairingAnswer answer;
  Pairing& pairing = answer.pairing;
  pairing.id = in.Id<PairingId>();
  pairing.offer = in.Id<OfferId>();
  pairing.ticket = in.Id<TicketId>();
  pairing.newcomer = in.Id<MemberId>();
  pairing.sponsor = in.Id<MemberId>();
  pairing.relationship_type = in.Enum<RelationshipType>();
  pairing.state = in.Enum<PairingState>();
  pairing.create_time = in.Time();
  pairing.trial_end_time = in.Time();
  pairing.newcomer_confirmed = in.Bool();
  pairing.sponsor_confirmed = in.Bool();
  if (in.Bool()) pairing.conversation = in.Id<ConversationId>();
  if (in.Bool()) pairing.end_time = in.Time();
  pairing.version = in.Signed();
  answer.pool = in.Text();
  RETURN_IF_ERROR(in.Finish());
  return answer;
}

std::string EncodeOfferAnswer(const Offer& offer) {
  Writer out;
  out.Id(offer.id);
  out.Enum(offer.state);
  out.Signed(offer.version);
  return out.Take();
}

absl::StatusOr<Offer> DecodeOfferAnswer(absl::string_view bytes) {
  Reader in(bytes);
  Offer offer;
  offer.id = in.Id<OfferId>();
  offer.state = in.Enum<OfferState>();
  offer.version = in.Signed();
  RETURN_IF_ERROR(in.Finish());
  return offer;
}

std::string EncodeAvailability(const Availability& availability) {
  Writer out;
  out.Id(availability.sponsor);
  out.Signed(availability.capacity);
  out.Bool(availability.accepting);
  out.Signed(availability.pairing_count);
  out.Signed(availability.open_offer_count);
  out.Time(availability.last_offer_time);
  out.Signed(availability.version);
  out.Signed(availability.seat_limit);
  out.Time(availability.probation_end_time);
  out.Enum(availability.pause_reason);
  out.Time(availability.resume_time);
  return out.Take();
}

absl::StatusOr<Availability> DecodeAvailability(absl::string_view bytes) {
  Reader in(bytes);
  Availability availability;
  availability.sponsor = in.Id<MemberId>();
  availability.capacity = in.Int();
  availability.accepting = in.Bool();
  availability.pairing_count = in.Int();
  availability.open_offer_count = in.Int();
  availability.last_offer_time = in.Time();
  availability.version = in.Signed();
  if (in.HasMore()) {  // not written before there was care
    availability.seat_limit = in.Int();
    availability.probation_end_time = in.Time();
    availability.pause_reason = in.Enum<PauseReason>();
    availability.resume_time = in.Time();
  }
  RETURN_IF_ERROR(in.Finish());
  return availability;
}

}  // namespace handrail::matching
