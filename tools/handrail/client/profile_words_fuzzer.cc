// The words of a person at a terminal: hours, a date, an enum. What is accepted lies within the
// bounds that the API sets.

#include "absl/strings/ascii.h"
#include "absl/time/civil_time.h"
#include "common/testing/fuzzing.h"
#include "tools/handrail/client/profile_words.h"
#include "tools/handrail/client/words.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  const absl::string_view text = testing::FuzzText(data, size);
  if (const auto hours = tools::ParseHours(text); hours.ok()) {
    FUZZ_CHECK(!hours->empty() && hours->size() <= 7);
    for (const auto& window : *hours) {
      FUZZ_CHECK(window.iso_weekday() >= 1 && window.iso_weekday() <= 7);
      FUZZ_CHECK(window.start_minute() >= 0 && window.start_minute() < 24 * 60);
      FUZZ_CHECK(window.length_minutes() >= 1 && window.length_minutes() <= 24 * 60);
    }
  }
  if (const auto date = tools::ParseDate(text); date.ok()) {
    const absl::CivilDay day(date->year(), date->month(), date->day());
    FUZZ_CHECK(date->year() >= 1 && date->year() <= 9999);
    FUZZ_CHECK(day.month() == date->month() && day.day() == date->day());
    absl::CivilDay parsed;
    FUZZ_CHECK(absl::ParseCivilTime(text, &parsed) && parsed == day);
  }
  if (const auto philosophy = tools::FromWord<common::v1::Philosophy>(text); philosophy.ok()) {
    FUZZ_CHECK(tools::Word(*philosophy) == absl::AsciiStrToLower(text));
    FUZZ_CHECK(*philosophy != common::v1::PHILOSOPHY_UNSPECIFIED);
  }
  return 0;
}
