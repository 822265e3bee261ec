#include "tools/handrail/demo/narrator.h"

#include <cstdio>
#include <iostream>

#include "absl/strings/str_format.h"

namespace handrail::tools {

void Narrator::Chapter(absl::string_view title) {
  MutexLock lock(mutex_);
  std::cout << "\n== " << title << "\n" << std::flush;
}

void Narrator::Say(absl::string_view text) {
  MutexLock lock(mutex_);
  std::cout << absl::StrFormat("%6.1fs  ", absl::ToDoubleSeconds(clock_.Now() - start_)) << text
            << "\n"
            << std::flush;
}

void Narrator::SayFirst(absl::string_view kind, int limit, absl::string_view text) {
  {
    MutexLock lock(mutex_);
    if (told_[std::string(kind)]++ >= limit) return;
  }
  Say(text);
}

}  // namespace handrail::tools
