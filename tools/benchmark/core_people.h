#ifndef HANDRAIL_TOOLS_BENCHMARK_CORE_PEOPLE_H_
#define HANDRAIL_TOOLS_BENCHMARK_CORE_PEOPLE_H_

#include <cstdint>

#include "absl/time/time.h"
#include "common/base/random.h"
#include "services/matching/domain/traits.h"
#include "services/matching/domain/types.h"

// People of one large online pool, drawn with a seed: what a mixed English-speaking fellowship of
// several zones might look like. Our own assumptions, not a survey.
//
//   gender        58 % men, 38 % women, 4 % non-binary; 85 % leave it to the program (the same), 10
//   %
//                 anybody, 5 % a set of their own
//   languages     78 % English, 14 % Spanish, 4 % French, 2 % German, 2 % others; 15 % a second one
//   zones         seven of ten in North America, two in Europe, one in India or Australia
//   hours         weekday evenings (each with 55 %), weekend days (60 %); one in ten says none
//   contact       app text 90 %, voice 70 %, video 50 %, relayed text 30 %, e-mail 20 %
//   values        every answer left out by 15 to 25 %
//   experience    35 % of newcomers mark one or two communities as important; a sponsor tells of
//                 each with 12 %
//   needs         4 % have an access need, 10 % ask for support of their medication, which 45 % of
//                 sponsors affirm
//   recovery      newcomers 0 to 120 days (10 % do not say), sponsors 200 days to 25 years
namespace handrail::benchmark {

class CorePeople {
 public:
  // `now` is when they are drawn; sponsors confirm for good, as if they did each month.
  CorePeople(Random& random, absl::Time now) : random_(random), now_(now) {}

  // Ids carry `number` (NumberOf) beside random bits.
  matching::MemberTraits Newcomer(uint32_t number);
  matching::MemberTraits Sponsor(uint32_t number);
  TicketId TicketIdOf(uint32_t number);

 private:
  bool Chance(uint64_t percent) { return random_.Below(100) < percent; }
  matching::PersonTraits Person();
  void AddHours(matching::PersonTraits& person);
  matching::MemberTraits Member(uint32_t number);

  Random& random_;
  const absl::Time now_;
};

uint32_t NumberOf(const RawId& id);

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_CORE_PEOPLE_H_
