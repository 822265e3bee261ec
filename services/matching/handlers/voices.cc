#include "services/matching/handlers/voices.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/matching/domain/score.h"

namespace handrail::matching {

namespace {

// Of "q=0.5"; 1 where none is given, 0 for what is none.
double WeightOf(absl::string_view parameters) {
  parameters = absl::StripAsciiWhitespace(parameters);
  if (!absl::ConsumePrefix(&parameters, "q=")) return 1;
  double weight = 0;
  if (!absl::SimpleAtod(parameters, &weight) || !(weight > 0 && weight <= 1)) return 0;
  return weight;
}

}  // namespace

std::string Voice::Say(MatchReason reason) const {
  return Say(absl::StrCat("reason.", CodeOf(reason)));
}

std::vector<Language> LanguagesOf(absl::string_view accept_language) {
  std::vector<std::pair<double, Language>> ranges;
  for (const absl::string_view range : absl::StrSplit(accept_language.substr(0, 256), ',')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(range, absl::MaxSplits(';', 1));
    const Language language = Language::FromTag(absl::StripAsciiWhitespace(parts.first));
    const double weight = WeightOf(parts.second);
    if (!language.IsZero() && weight > 0) ranges.emplace_back(weight, language);
  }
  std::stable_sort(ranges.begin(), ranges.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (ranges.size() > size_t{kMaxLanguages}) ranges.resize(size_t{kMaxLanguages});
  std::vector<Language> languages;
  for (const auto& [weight, language] : ranges) languages.push_back(language);
  return languages;
}

std::vector<Language> LanguagesOf(const grpc::CallbackServerContext& context) {
  const auto header = context.client_metadata().find("accept-language");
  if (header == context.client_metadata().end()) return {};
  return LanguagesOf(absl::string_view(header->second.data(), header->second.size()));
}

Voice Voices::For(const Call& call, std::vector<Language> asked) const {
  MemberCache::Member member = members_.Find(call.who.member);
  if (member == nullptr) {
    auto held = ledger_.LoadMember(call.deadline, call.who.member);
    if (held.ok() && held->has_value()) member = members_.Put(**std::move(held));
  }
  if (member != nullptr) {
    const auto add = [&asked](const PersonTraits& person) {
      asked.insert(asked.end(), person.languages.begin(), person.languages.end());
    };
    if (member->newcomer.has_value()) add(member->newcomer->person);
    if (member->sponsor.has_value()) add(member->sponsor->person);
  }
  return Voice(texts_, std::move(asked));
}

}  // namespace handrail::matching
