#ifndef HANDRAIL_TOOLS_HANDRAIL_DEMO_NARRATOR_H_
#define HANDRAIL_TOOLS_HANDRAIL_DEMO_NARRATOR_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace handrail::tools {

// Tells on standard output what happens, a line each, with the seconds since the start.
// Thread-safe.
class Narrator {
 public:
  explicit Narrator(const Clock& clock) : clock_(clock), start_(clock.Now()) {}

  // What the seconds are counted from.
  absl::Time start() const { return start_; }

  void Chapter(absl::string_view title);
  void Say(absl::string_view text);
  // Counts how often a kind of thing happened and tells only the first `limit` of them.
  void SayFirst(absl::string_view kind, int limit, absl::string_view text);

 private:
  const Clock& clock_;
  const absl::Time start_;
  Mutex mutex_;
  std::map<std::string, int> told_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_DEMO_NARRATOR_H_
