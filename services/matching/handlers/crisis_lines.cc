#include "services/matching/handlers/crisis_lines.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "services/matching/domain/help_texts.h"

namespace handrail::matching {
namespace {

constexpr char kEverywhere[] = "ZZ";

v1::CrisisVerification VerificationOf(const v1::CrisisRow& row) {
  if (row.source().empty()) return v1::CRISIS_VERIFICATION_NONE;
  return row.has_verified_on() ? v1::CRISIS_VERIFICATION_DATED : v1::CRISIS_VERIFICATION_SOURCE;
}

void FillLine(const v1::CrisisRow& row, absl::string_view language, v1::CrisisLine* line) {
  line->set_country(row.country());
  line->set_kind(row.kind());
  line->set_name(row.name());
  *line->mutable_contacts() = row.contacts();
  line->set_hours(row.hours());
  *line->mutable_languages() = row.languages();
  line->set_source(row.source());
  if (row.has_verified_on()) *line->mutable_verified_on() = row.verified_on();
  line->set_verification(VerificationOf(row));
  if (row.notes_size() == 0) return;
  line->set_note(row.notes(0).text());
  for (const v1::LocalText& note : row.notes()) {
    if (HelpLanguageOf(note.language()) == language) line->set_note(note.text());
  }
}

}  // namespace

std::string KnownCountry(const v1::CrisisTable& table, absl::string_view text) {
  std::string country = absl::AsciiStrToUpper(absl::StripAsciiWhitespace(text));
  if (country == "UK") country = "GB";
  const bool known = country != kEverywhere && std::any_of(table.rows().begin(), table.rows().end(),
                                                           [&country](const v1::CrisisRow& row) {
                                                             return row.country() == country;
                                                           });
  return known ? country : "";
}

void FillCrisisHelp(const v1::CrisisTable& table, absl::string_view country,
                    absl::string_view language, v1::CrisisHelp* help) {
  const std::string known = KnownCountry(table, country);
  const absl::string_view spoken = HelpLanguageOf(language);
  help->set_country(known);
  help->set_language(std::string(spoken));
  help->set_text(
      std::string(TextOf(known.empty() ? HelpText::kLinesEverywhere : HelpText::kLines, spoken)));
  bool has_emergency = false;
  for (const v1::CrisisRow& row : table.rows()) {
    if (row.country() != known || known.empty()) continue;
    has_emergency |= row.kind() == v1::CRISIS_LINE_KIND_EMERGENCY;
    FillLine(row, spoken, help->add_lines());
  }
  for (const v1::CrisisRow& row : table.rows()) {
    if (row.country() != kEverywhere) continue;
    // Two emergency numbers at once would only make a person hesitate.
    if (has_emergency && row.kind() == v1::CRISIS_LINE_KIND_EMERGENCY) continue;
    FillLine(row, spoken, help->add_lines());
  }
}

}  // namespace handrail::matching
