#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_PEOPLE_FOR_TEST_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_PEOPLE_FOR_TEST_H_

#include <string>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "services/matching/domain/choice.h"
#include "services/matching/domain/match_record.h"
#include "services/matching/domain/traits.h"
#include "services/matching/domain/types.h"

// People for the tests of matching's domain: a pair that breaks no rule, and random people.
namespace handrail::matching {

inline absl::Time TestNow() {
  return absl::FromCivil(absl::CivilHour(2026, 6, 3, 12), absl::UTCTimeZone());  // a Wednesday
}

template <typename AnId>
AnId NumberedId(int number) {
  return *AnId::Parse(absl::StrFormat("%032x", number));
}

// Free on weekdays from 18:00 to 21:00.
PersonTraits GoodPerson();
// Breaks no rule with GoodSponsor in AA for kSponsor.
MemberTraits GoodNewcomer(int number = 1);
MemberTraits GoodSponsor(int number = 1001);
// Three seats, one taken.
Availability GoodSeats(int number = 1001);
Ticket GoodTicket(int number = 1, absl::Duration waited = absl::Hours(1));

// The records of a pair in AA for kSponsor at TestNow().
struct TestPair {
  MemberTraits newcomer = GoodNewcomer();
  MemberTraits sponsor = GoodSponsor();
  Availability seats = GoodSeats();
  Philosophy philosophy = Philosophy::kTwelveStepAa;
  RelationshipType relationship_type = RelationshipType::kSponsor;

  PersonTraits& newcomer_person() { return newcomer.newcomer->person; }
  PersonTraits& sponsor_person() { return sponsor.sponsor->person; }
  SponsorProgram& program() { return sponsor.sponsor->programs.front(); }
  NewcomerRecord NewcomerOf() const;
  SponsorRecord SponsorOf() const;
};

// Anything a person could have said, and much that they left out. Most pairs of them break some
// rule.
MemberTraits RandomNewcomer(Random& random);
MemberTraits RandomSponsor(Random& random);
// Good people with some traits of random ones: many pairs of them break one rule, or none.
MemberTraits BlendedNewcomer(Random& random);
MemberTraits BlendedSponsor(Random& random);
Availability RandomSeats(const MemberId& sponsor, Random& random);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_PEOPLE_FOR_TEST_H_
