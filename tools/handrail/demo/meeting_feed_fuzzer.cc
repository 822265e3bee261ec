// Meeting directories as the wild web publishes them: rows are read or left out, and people can be
// drawn from whatever was read. The first byte says in which of the two formats the rest is.

#include "common/testing/fuzzing.h"
#include "common/testing/seeded_random.h"
#include "tools/handrail/demo/population.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  if (size == 0) return 0;
  const absl::string_view text = testing::FuzzText(data + 1, size - 1);
  tools::Directory directory;
  if (data[0] % 2 == 0) {
    tools::AddMeetingGuideFeed(text, "America/New_York", directory);
  } else {
    tools::AddBmltFeed(text, directory);
  }
  for (const tools::Meeting& meeting : directory.meetings) {
    FUZZ_CHECK(meeting.iso_weekday >= 1 && meeting.iso_weekday <= 7);
    FUZZ_CHECK(meeting.start_minute >= 0 && meeting.start_minute < 24 * 60);
    FUZZ_CHECK(!meeting.time_zone.empty() && !meeting.language.empty());
  }
  if (directory.meetings.empty()) return 0;
  testing::SeededRandom random(1);
  const tools::Population people =
      tools::DrawPopulation(directory, random, absl::CivilDay(2026, 3, 1), 2, 1);
  FUZZ_CHECK(people.newcomers.size() == 2 && people.sponsors.size() == 1);
  return 0;
}
