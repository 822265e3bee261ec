// The operator's file of who is staff.

#include <algorithm>

#include "common/testing/fuzzing.h"
#include "services/profiles/adapters/operator_list.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  const absl::string_view text = testing::FuzzText(data, size);
  const auto list = profiles::OperatorList::Parse(text);
  if (!list.ok()) {
    FUZZ_CHECK(list.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  FUZZ_CHECK(list->size() <= 1000);
  FUZZ_CHECK(list->size() <= 1 + static_cast<size_t>(std::count(text.begin(), text.end(), '\n')));
  // Nobody has a role by having no name.
  FUZZ_CHECK(list->RoleOf(profiles::Device()) == crypto::TokenClaims::Role::kMember ||
             text.find("members/00000000000000000000000000000000") != absl::string_view::npos);
  return 0;
}
