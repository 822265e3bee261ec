#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_VOICES_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_VOICES_H_

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>
#include <vector>

#include "common/base/call.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/member_cache.h"
#include "services/matching/domain/texts.h"
#include "services/matching/domain/types.h"

namespace handrail::matching {

// What one caller is told, in their language. `texts` must outlive it.
class Voice {
 public:
  Voice(const Texts& texts, std::vector<Language> languages)
      : texts_(texts), languages_(std::move(languages)) {}

  std::string Say(MatchReason reason) const;
  std::string Say(absl::string_view key) const { return texts_.Say(key, languages_); }

 private:
  const Texts& texts_;
  std::vector<Language> languages_;
};

// The languages of an `accept-language` header (RFC 9110, 12.5.4), those of most weight first; of
// its first 256 bytes. At most kMaxLanguages; empty without such a header.
std::vector<Language> LanguagesOf(absl::string_view accept_language);
std::vector<Language> LanguagesOf(const grpc::CallbackServerContext& context);

// Finds out which language a caller is spoken to in: that of the call's `accept-language`, else of
// the caller's own profile, else English. Thread-safe. Everything must outlive it.
class Voices {
 public:
  Voices(const Texts& texts, MemberCache& members, Ledger& ledger)
      : texts_(texts), members_(members), ledger_(ledger) {}

  // `asked` are the languages of the call itself. A profile that cannot be read now is no fault:
  // the answer is in English then.
  Voice For(const Call& call, std::vector<Language> asked) const;

 private:
  const Texts& texts_;
  MemberCache& members_;
  Ledger& ledger_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_VOICES_H_
