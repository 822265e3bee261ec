#include "services/matching/domain/people_for_test.h"

#include "services/matching/adapters/program_table.h"

namespace handrail::matching {
namespace {

bool Chance(Random& random, int percent) {
  return random.Below(100) < static_cast<uint64_t>(percent);
}

// A value of 0..max, 0 for "not said" in `silent` of a hundred.
template <typename E>
E Pick(Random& random, int max, int silent) {
  if (Chance(random, silent)) return static_cast<E>(0);
  return static_cast<E>(1 + random.Below(static_cast<uint64_t>(max)));
}

template <typename E>
EnumSet<E> PickSet(Random& random, int max, int percent) {
  EnumSet<E> set;
  for (int value = 1; value <= max; ++value) {
    if (Chance(random, percent)) set.Add(static_cast<E>(value));
  }
  return set;
}

PersonTraits RandomPerson(Random& random) {
  static constexpr const char* kTags[] = {"en", "es", "fr-CA", "de"};
  static constexpr const char* kZones[] = {"America/New_York", "Europe/London", "Asia/Kolkata",
                                           "Australia/Sydney"};
  PersonTraits person;
  for (uint64_t count = random.Below(4); count > 0; --count) {
    person.languages.push_back(Language::FromTag(kTags[random.Below(4)]));
  }
  if (!Chance(random, 10)) person.time_zone = kZones[random.Below(4)];
  for (uint64_t count = random.Below(10); count > 0; --count) {
    person.availability.push_back({static_cast<uint8_t>(1 + random.Below(7)),
                                   static_cast<int16_t>(random.Below(96) * 15),
                                   static_cast<int16_t>((1 + random.Below(24)) * 15)});
  }
  person.modalities = PickSet<Modality>(random, 6, 35);
  person.gender = Pick<Gender>(random, 4, 15);
  person.gender_preference.rule = Pick<GenderRule>(random, 3, 25);
  person.gender_preference.genders = PickSet<Gender>(random, 4, 60);
  person.age_band = Pick<AgeBand>(random, 6, 20);
  person.communities = PickSet<Community>(random, 13, 20);
  person.life_situations = PickSet<LifeSituation>(random, 5, 30);
  person.substances = PickSet<Substance>(random, 11, 20);
  person.spiritual_stance = Pick<SpiritualStance>(random, 4, 20);
  person.goal = Pick<RecoveryGoal>(random, 4, 20);
  person.medication_stance = Pick<MedicationStance>(random, 3, 30);
  person.approach = Pick<Approach>(random, 2, 30);
  person.step_work_style = Pick<StepWorkStyle>(random, 4, 30);
  person.contact_frequency = Pick<ContactFrequency>(random, 4, 30);
  if (!Chance(random, 20)) {
    // About New York, some hundred kilometres to each side.
    person.place.cell = CoarseCell{static_cast<int16_t>(400 + random.Below(15)),
                                   static_cast<int16_t>(-745 + static_cast<int>(random.Below(15)))};
  }
  if (Chance(random, 20)) person.home_group = std::string("group ") + kTags[random.Below(4)];
  person.adult_attested = !Chance(random, 10);
  return person;
}

MemberTraits RandomMember(Random& random) {
  MemberTraits member;
  member.member = MemberId::Random(random);
  member.version = 1;
  member.standing = Chance(random, 90) ? Standing::kGood : Pick<Standing>(random, 3, 30);
  member.consents_to_matching = !Chance(random, 5);
  member.consents_to_health_data = !Chance(random, 5);
  return member;
}

absl::CivilDay RandomDay(Random& random, int max_days) {
  return absl::CivilDay(2026, 6, 3) -
         static_cast<absl::civil_diff_t>(random.Below(static_cast<uint64_t>(max_days)));
}

// Nine of ten are in one of four programs, so that pairs often meet in one.
Philosophy RandomProgram(Random& random) {
  static constexpr Philosophy kCommon[] = {Philosophy::kTwelveStepAa, Philosophy::kSmart,
                                           Philosophy::kCelebrateRecovery,
                                           Philosophy::kRecoveryDharma};
  if (Chance(random, 90)) return kCommon[random.Below(4)];
  return static_cast<Philosophy>(1 + random.Below(kPhilosophyCount - 1));
}

}  // namespace

PersonTraits GoodPerson() {
  PersonTraits person;
  person.languages = {Language::FromTag("en")};
  person.time_zone = "America/New_York";
  for (uint8_t day = 1; day <= 5; ++day) person.availability.push_back({day, 18 * 60, 180});
  person.modalities = {Modality::kAppText, Modality::kVoice};
  person.gender = Gender::kWoman;
  person.place.country = "US";
  person.place.region = "US-NY";
  person.place.cell = CoarseCell{407, -740};
  person.adult_attested = true;
  return person;
}

MemberTraits GoodNewcomer(int number) {
  MemberTraits member;
  member.member = NumberedId<MemberId>(number);
  member.version = 1;
  member.standing = Standing::kGood;
  member.consents_to_matching = true;
  member.consents_to_health_data = true;
  NewcomerTraits traits;
  traits.person = GoodPerson();
  traits.philosophies = {Philosophy::kTwelveStepAa};
  traits.recovery_date = absl::CivilDay(2026, 5, 1);
  member.newcomer = traits;
  return member;
}

MemberTraits GoodSponsor(int number) {
  MemberTraits member = GoodNewcomer(number);
  member.newcomer.reset();
  SponsorTraits traits;
  traits.person = GoodPerson();
  SponsorProgram program;
  program.philosophy = Philosophy::kTwelveStepAa;
  program.recovery_date = absl::CivilDay(2020, 1, 1);
  program.relationship_types = {RelationshipType::kSponsor, RelationshipType::kTemporaryContact};
  traits.programs = {program};
  traits.attest_time = TestNow() - absl::Hours(24);
  member.sponsor = traits;
  return member;
}

Availability GoodSeats(int number) {
  Availability seats;
  seats.sponsor = NumberedId<MemberId>(number);
  seats.capacity = 3;
  seats.accepting = true;
  seats.pairing_count = 1;
  seats.last_offer_time = TestNow() - absl::Hours(100);
  seats.version = 1;
  return seats;
}

Ticket GoodTicket(int number, absl::Duration waited) {
  Ticket ticket;
  ticket.id = NumberedId<TicketId>(number);
  ticket.newcomer = NumberedId<MemberId>(number);
  ticket.relationship_type = RelationshipType::kSponsor;
  ticket.philosophy = Philosophy::kTwelveStepAa;
  ticket.pool = {Philosophy::kTwelveStepAa, std::string(PoolKey::kOnline)};
  ticket.create_time = TestNow() - waited;
  ticket.expire_time = ticket.create_time + kTicketLifetime;
  return ticket;
}

NewcomerRecord TestPair::NewcomerOf() const {
  return MakeNewcomerRecord(newcomer, philosophy, relationship_type, BuiltInPrograms(),
                            UtcWeekStart(TestNow()));
}

SponsorRecord TestPair::SponsorOf() const {
  SponsorRecord record =
      MakeSponsorRecord(sponsor, philosophy, BuiltInPrograms(), UtcWeekStart(TestNow()));
  SetSeats(seats, record);
  return record;
}

MemberTraits RandomNewcomer(Random& random) {
  MemberTraits member = RandomMember(random);
  NewcomerTraits traits;
  traits.person = RandomPerson(random);
  for (int count = 0; count < 3; ++count) traits.philosophies.Add(RandomProgram(random));
  if (!Chance(random, 20)) traits.recovery_date = RandomDay(random, 900);
  if (Chance(random, 30)) traits.access_needs = PickSet<AccessNeed>(random, 8, 20);
  traits.important_communities = PickSet<Community>(random, 13, 15);
  traits.requires_medication_support = Chance(random, 15);
  traits.requires_in_person = Chance(random, 20);
  traits.max_distance_km = static_cast<int>(random.Below(100));
  member.newcomer = traits;
  return member;
}

MemberTraits RandomSponsor(Random& random) {
  MemberTraits member = RandomMember(random);
  SponsorTraits traits;
  traits.person = RandomPerson(random);
  for (int count = 0; count < 2; ++count) {
    SponsorProgram program;
    program.philosophy = RandomProgram(random);
    if (traits.Find(program.philosophy) != nullptr) continue;
    if (!Chance(random, 10)) program.recovery_date = RandomDay(random, 3000);
    program.steps_done = static_cast<int>(random.Below(17));
    program.has_own_sponsor = Chance(random, 80);
    program.attends_actively = Chance(random, 80);
    program.trainings = PickSet<Training>(random, 4, 50);
    program.relationship_types = PickSet<RelationshipType>(random, 8, 80);
    traits.programs.push_back(program);
  }
  traits.access_offered = PickSet<AccessNeed>(random, 8, 70);
  if (!Chance(random, 10)) {
    traits.attest_time = TestNow() - absl::Hours(static_cast<int64_t>(random.Below(24 * 40)));
  }
  member.sponsor = traits;
  return member;
}

Availability RandomSeats(const MemberId& sponsor, Random& random) {
  Availability seats;
  seats.sponsor = sponsor;
  seats.capacity = static_cast<int>(random.Below(6));
  seats.accepting = !Chance(random, 10);
  seats.pairing_count = static_cast<int>(random.Below(3));
  seats.open_offer_count = static_cast<int>(random.Below(2));
  if (!Chance(random, 20)) {
    seats.last_offer_time = TestNow() - absl::Minutes(static_cast<int64_t>(random.Below(100000)));
  }
  seats.version = 1;
  return seats;
}

namespace {

// A good person with some traits of a random one, so that many pairs break one rule, or none.
PersonTraits Blend(const PersonTraits& wild, Random& random) {
  PersonTraits person = GoodPerson();
  const auto take = [&random](auto& to, const auto& from) {
    if (random.Below(100) < 12) to = from;
  };
  take(person.languages, wild.languages);
  take(person.time_zone, wild.time_zone);
  take(person.availability, wild.availability);
  take(person.modalities, wild.modalities);
  take(person.gender, wild.gender);
  take(person.gender_preference, wild.gender_preference);
  take(person.place, wild.place);
  take(person.adult_attested, wild.adult_attested);
  person.medication_stance = wild.medication_stance;
  person.communities = wild.communities;
  person.spiritual_stance = wild.spiritual_stance;
  return person;
}

}  // namespace

MemberTraits BlendedNewcomer(Random& random) {
  MemberTraits member = RandomNewcomer(random);
  NewcomerTraits& traits = *member.newcomer;
  traits.person = Blend(traits.person, random);
  if (random.Below(100) < 95) traits.philosophies.Add(Philosophy::kTwelveStepAa);
  if (random.Below(100) < 60) traits.recovery_date = absl::CivilDay(2026, 5, 1);
  if (random.Below(100) < 70) traits.requires_in_person = false;
  return member;
}

MemberTraits BlendedSponsor(Random& random) {
  MemberTraits member = RandomSponsor(random);
  const SponsorTraits good = *GoodSponsor().sponsor;
  SponsorTraits& traits = *member.sponsor;
  traits.person = Blend(traits.person, random);
  if (random.Below(100) < 60) traits.programs = good.programs;
  if (random.Below(100) < 70) traits.attest_time = good.attest_time;
  return member;
}

}  // namespace handrail::matching
