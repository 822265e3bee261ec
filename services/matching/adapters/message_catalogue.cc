#include "services/matching/adapters/message_catalogue.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "handrail/matching/v1/messages.pb.h"
#include "services/matching/adapters/messages_text.h"
#include "services/matching/adapters/text_config.h"

namespace handrail::matching {
namespace {

constexpr size_t kTextLimit = 300;
constexpr size_t kFileLimit = 200;

bool IsKey(absl::string_view key) {
  const auto keys = TextKeys();
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// What is filled in: "{count}", in order of name, as often as it is there.
std::vector<std::string> PlaceholdersOf(absl::string_view text) {
  std::vector<std::string> names;
  while (true) {
    const size_t begin = text.find('{');
    if (begin == absl::string_view::npos) break;
    const size_t end = text.find('}', begin);
    // One that is not closed is a name of its own, so that it matches no good one.
    names.emplace_back(text.substr(begin, end == absl::string_view::npos ? end : end - begin + 1));
    if (end == absl::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<MessageCatalogue> ReadBuiltIn() {
  MessageCatalogue catalogue;
  RETURN_IF_ERROR(catalogue.Add(kEnText, "en.textproto"));
  RETURN_IF_ERROR(catalogue.Add(kEsText, "es.textproto"));
  RETURN_IF_ERROR(catalogue.Add(kFrText, "fr.textproto"));
  return catalogue;
}

}  // namespace

absl::Status MessageCatalogue::Add(absl::string_view text, absl::string_view where) {
  v1::MessageCatalogue file;
  RETURN_IF_ERROR(ParseTextConfig(text, where, file));
  ConfigFaults faults;
  const Language language = Language::FromTag(file.language());
  if (language.IsZero() || language.Tag() != file.language()) {
    faults.push_back("language is not a BCP 47 language without a region, in lower case");
  }
  Messages messages;
  for (const v1::MessageText& message : file.messages()) {
    if (!IsKey(message.key())) faults.push_back(absl::StrCat(message.key(), " is no key"));
    if (message.text().empty() || message.text().size() > kTextLimit) {
      faults.push_back(absl::StrCat(message.key(), " is not 1 to ", kTextLimit, " bytes"));
    }
    if (!messages.emplace(message.key(), message.text()).second) {
      faults.push_back(absl::StrCat(message.key(), " is there twice"));
    }
  }
  for (const absl::string_view key : TextKeys()) {
    if (!messages.contains(key)) faults.push_back(absl::StrCat(key, " is missing"));
  }
  // A language must fill in what English does: a name too many would be shown as it stands.
  const auto english = languages_.find(Language::FromTag("en").code());
  for (const auto& [key, said] : messages) {
    if (english == languages_.end() || !english->second.contains(key)) continue;
    const std::vector<std::string> wanted = PlaceholdersOf(english->second.at(key));
    if (PlaceholdersOf(said) == wanted) continue;
    faults.push_back(absl::StrCat(key, " must have these placeholders: ",
                                  wanted.empty() ? "none" : absl::StrJoin(wanted, " ")));
  }
  if (!faults.empty()) {
    std::sort(faults.begin(), faults.end());
    return InvalidConfig(where, faults);
  }
  languages_[language.code()] = std::move(messages);
  return absl::OkStatus();
}

absl::Status MessageCatalogue::AddFolder(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".textproto") paths.push_back(entry->path().string());
    if (paths.size() > kFileLimit) break;
  }
  if (error || paths.empty()) {
    return Error(absl::StatusCode::kNotFound, reason::kConfigurationInvalid)
        .Message(absl::StrCat(folder, " cannot be read, or has no .textproto"));
  }
  if (paths.size() > kFileLimit) {
    return InvalidConfig(folder, {absl::StrCat("it has more than ", kFileLimit, " files")});
  }
  std::sort(paths.begin(), paths.end());
  ConfigFaults faults;
  for (const std::string& path : paths) {
    const auto text = ReadConfigFile(path);
    const absl::Status status = text.ok() ? Add(*text, path) : text.status();
    if (!status.ok()) faults.emplace_back(status.message());
  }
  return faults.empty() ? absl::OkStatus() : InvalidConfig(folder, faults);
}

std::string MessageCatalogue::Say(absl::string_view key,
                                  absl::Span<const Language> languages) const {
  for (const Language language : languages) {
    const auto found = languages_.find(language.code());
    if (found == languages_.end()) continue;
    if (const auto text = found->second.find(key); text != found->second.end()) {
      return text->second;
    }
  }
  const auto english = languages_.find(Language::FromTag("en").code());
  if (english == languages_.end()) return std::string(key);
  const auto text = english->second.find(key);
  return text == english->second.end() ? std::string(key) : text->second;
}

std::vector<std::string> MessageCatalogue::Languages() const {
  std::vector<std::string> tags;
  for (const auto& [code, messages] : languages_) tags.push_back(Language::FromCode(code).Tag());
  std::sort(tags.begin(), tags.end());
  return tags;
}

const MessageCatalogue& BuiltInMessages() {
  // A test holds that each is whole; a fault would end the process at its start.
  static const MessageCatalogue catalogue = *ReadBuiltIn();
  return catalogue;
}

}  // namespace handrail::matching
