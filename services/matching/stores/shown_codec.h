#ifndef HANDRAIL_SERVICES_MATCHING_STORES_SHOWN_CODEC_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_SHOWN_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/matching/domain/choice_ledger.h"

namespace handrail::matching {

// A list of candidates as it was shown, in bytes. They are kept for two days at most: a change of
// form is a new number in front, and what has another number is DATA_LOSS / DATA_CORRUPT like all
// that is not ours.
std::string EncodeShown(const ShownList& list);
absl::StatusOr<ShownList> DecodeShown(absl::string_view bytes);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_SHOWN_CODEC_H_
