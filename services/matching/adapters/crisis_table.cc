#include "services/matching/adapters/crisis_table.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "services/matching/adapters/crisis_text.h"
#include "services/matching/domain/traits.h"

namespace handrail::matching {
namespace {

constexpr std::streamsize kFileLimit = 1 << 20;
constexpr int kMostRows = 2000;
constexpr char kEverywhere[] = "ZZ";

using Faults = std::vector<std::string>;
using Key = std::pair<std::string, std::string>;  // country and name

class Complaints final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    faults_.push_back(absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message));
  }
  const Faults& faults() const { return faults_; }

 private:
  Faults faults_;
};

absl::Status Invalid(absl::string_view where, const Faults& faults) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
      .Message(absl::StrCat(where, ": ", absl::StrJoin(faults, "; ")));
}

bool IsCountry(absl::string_view text) {
  return text.size() == 2 && absl::ascii_isupper(static_cast<unsigned char>(text[0])) &&
         absl::ascii_isupper(static_cast<unsigned char>(text[1]));
}

bool IsNumber(absl::string_view text) {
  int digits = 0;
  for (const char c : text) {
    if (absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      ++digits;
    } else if (c != ' ' && c != '-' && c != '+') {
      return false;
    }
  }
  return digits >= 2 && digits <= 15;
}

bool IsPage(absl::string_view text) {
  return absl::StartsWith(text, "https://") && text.size() > 11 && !absl::StrContains(text, ' ');
}

// Gathers what is wrong with one row.
class RowCheck {
 public:
  RowCheck(const v1::CrisisRow& row, absl::CivilDay today, Faults& faults)
      : row_(row), today_(today), faults_(faults) {}

  void Run() {
    Need(IsCountry(row_.country()), "its country is not two capital letters");
    Need(!row_.name().empty() && row_.name().size() <= 100, "its name is not 1 to 100 bytes");
    if (row_.withdrawn()) return;
    Need(row_.kind() != v1::CRISIS_LINE_KIND_UNSPECIFIED && v1::CrisisLineKind_IsValid(row_.kind()),
         "it has no known kind");
    Need(row_.contacts_size() >= 1 && row_.contacts_size() <= 8, "it has not 1 to 8 contacts");
    for (const v1::CrisisContact& contact : row_.contacts()) CheckContact(contact);
    Need(row_.hours().size() <= 100, "its hours are longer than 100 bytes");
    Need(row_.languages_size() <= 16, "it has more than 16 languages");
    for (const std::string& language : row_.languages()) {
      Need(!Language::FromTag(language).IsZero(), "it has a language that is none");
    }
    CheckNotes();
    Need(row_.source().size() <= 500, "its source is longer than 500 bytes");
    if (row_.has_verified_on()) CheckDate();
  }

 private:
  void Need(bool ok, absl::string_view fault) {
    if (!ok) faults_.push_back(absl::StrCat(row_.country(), " \"", row_.name(), "\": ", fault));
  }
  void CheckContact(const v1::CrisisContact& contact) {
    switch (contact.kind()) {
      case v1::CRISIS_CONTACT_KIND_CALL:
      case v1::CRISIS_CONTACT_KIND_TEXT:
        Need(IsNumber(contact.value()), "a number has other signs than digits, spaces, + and -");
        break;
      case v1::CRISIS_CONTACT_KIND_CHAT:
      case v1::CRISIS_CONTACT_KIND_WEB:
        Need(IsPage(contact.value()), "a page is no https address");
        break;
      default: Need(false, "a contact has no known kind");
    }
    Need(contact.value().size() <= 200 && contact.detail().size() <= 200,
         "a contact is longer than 200 bytes");
  }
  void CheckNotes() {
    Need(row_.notes_size() <= 8, "it has more than 8 notes");
    std::set<std::string> seen;
    for (const v1::LocalText& note : row_.notes()) {
      Need(!Language::FromTag(note.language()).IsZero() && seen.insert(note.language()).second,
           "a note has no language of its own");
      Need(!note.text().empty() && note.text().size() <= 500, "a note is not 1 to 500 bytes");
    }
    Need(row_.notes_size() == 0 || row_.notes(0).language() == "en",
         "its first note is not in English");
  }
  void CheckDate() {
    const auto& date = row_.verified_on();
    const absl::CivilDay day(date.year(), date.month(), date.day());
    const bool whole = day.year() == date.year() && day.month() == date.month() &&
                       day.day() == date.day() && date.year() >= 2000;
    Need(whole, "verified_on is no day");
    Need(!whole || day <= today_, "verified_on lies in the future");
    Need(!row_.source().empty(), "it is dated and names no source");
  }

  const v1::CrisisRow& row_;
  const absl::CivilDay today_;
  Faults& faults_;
};

void Sort(v1::CrisisTable& table) {
  std::sort(table.mutable_rows()->begin(), table.mutable_rows()->end(),
            [](const v1::CrisisRow& a, const v1::CrisisRow& b) {
              return std::make_tuple(a.country(), static_cast<int>(a.kind()), a.name()) <
                     std::make_tuple(b.country(), static_cast<int>(b.kind()), b.name());
            });
}

}  // namespace

absl::StatusOr<v1::CrisisTable> ParseCrisisTable(absl::string_view text, absl::string_view where,
                                                 absl::CivilDay today) {
  v1::CrisisTable table;
  Complaints complaints;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&complaints);
  if (!parser.ParseFromString(std::string(text), &table)) {
    return Invalid(where, complaints.faults());
  }
  Faults faults;
  if (table.rows_size() > kMostRows) {
    return Invalid(where, {absl::StrCat("it has more than ", kMostRows, " rows")});
  }
  std::set<Key> seen;
  for (const v1::CrisisRow& row : table.rows()) {
    RowCheck(row, today, faults).Run();
    if (!seen.emplace(row.country(), row.name()).second) {
      faults.push_back(absl::StrCat(row.country(), " \"", row.name(), "\" is there twice"));
    }
  }
  if (!faults.empty()) return Invalid(where, faults);
  Sort(table);
  return table;
}

absl::StatusOr<v1::CrisisTable> OverrideCrisisTable(const v1::CrisisTable& base,
                                                    const v1::CrisisTable& rows,
                                                    absl::string_view where) {
  std::map<Key, v1::CrisisRow> merged;
  for (const v1::CrisisRow& row : base.rows()) merged[{row.country(), row.name()}] = row;
  Faults faults;
  for (const v1::CrisisRow& row : rows.rows()) {
    const Key key(row.country(), row.name());
    if (!row.withdrawn()) {
      merged[key] = row;
    } else if (merged.erase(key) == 0) {
      faults.push_back(absl::StrCat(row.country(), " \"", row.name(),
                                    "\" is withdrawn, and there is no such row"));
    }
  }
  v1::CrisisTable table;
  bool everywhere = false;
  for (auto& [key, row] : merged) {
    everywhere |= key.first == kEverywhere;
    *table.add_rows() = std::move(row);
  }
  if (!everywhere) faults.emplace_back("no row is left for everywhere (country ZZ)");
  if (!faults.empty()) return Invalid(where, faults);
  Sort(table);
  return table;
}

absl::StatusOr<v1::CrisisTable> LoadCrisisTable(const std::string& path, absl::CivilDay today) {
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(kFileLimit) + 1, '\0');
  file.read(text.data(), kFileLimit + 1);
  if (file.bad() || (!file.eof() && file.fail()) || !file.is_open()) {
    return Error(absl::StatusCode::kNotFound, reason::kConfigurationInvalid)
        .Message(absl::StrCat(path, " cannot be read"));
  }
  if (file.gcount() > kFileLimit) return Invalid(path, {"it is longer than 1 MiB"});
  text.resize(static_cast<size_t>(file.gcount()));
  ASSIGN_OR_RETURN(const v1::CrisisTable rows, ParseCrisisTable(text, path, today));
  return OverrideCrisisTable(BuiltInCrisisTable(), rows, path);
}

const v1::CrisisTable& BuiltInCrisisTable() {
  // Never destroyed: it may be used until the process ends. A test holds that the rows are valid.
  static const v1::CrisisTable* const table = new v1::CrisisTable(
      *ParseCrisisTable(kCrisisLinesText, "crisis_lines.textproto", absl::CivilDay::max()));
  return *table;
}

CrisisTableAge AgeOf(const v1::CrisisTable& table, absl::CivilDay today) {
  CrisisTableAge age;
  age.rows = table.rows_size();
  for (const v1::CrisisRow& row : table.rows()) {
    if (!row.has_verified_on()) {
      ++age.undated;
      continue;
    }
    const auto& date = row.verified_on();
    const int days =
        static_cast<int>(today - absl::CivilDay(date.year(), date.month(), date.day()));
    if (days > kCrisisRowDays) ++age.stale;
    age.oldest_days = std::max(age.oldest_days, days);
  }
  return age;
}

}  // namespace handrail::matching
