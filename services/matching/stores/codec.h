#ifndef HANDRAIL_SERVICES_MATCHING_STORES_CODEC_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/matching/domain/types.h"

// How the ledger stores what has no columns of its own: a version byte, then fields in a fixed
// order, numbers as variable-length integers. A new field goes to the end of its message and raises
// the version; every version ever written can be read. DATA_LOSS / DATA_CORRUPT for bytes that are
// not ours.
namespace handrail::matching {

// The two sides of a member; standing, consents and versions have columns.
std::string EncodeTraits(const MemberTraits& member);
absl::Status DecodeTraits(absl::string_view bytes, MemberTraits& member);

std::string EncodeExplanation(const Explanation& explanation);
absl::StatusOr<Explanation> DecodeExplanation(absl::string_view bytes);

// Answers kept under a request id. `pool` is the opaque name; nothing personal is inside.
std::string EncodeTicketAnswer(const Ticket& ticket, absl::string_view pool);
struct TicketAnswer {
  Ticket ticket;     // without philosophy and pool
  std::string pool;  // 16 bytes
};
absl::StatusOr<TicketAnswer> DecodeTicketAnswer(absl::string_view bytes);

std::string EncodePairingAnswer(const Pairing& pairing, absl::string_view pool);
struct PairingAnswer {
  Pairing pairing;   // without philosophy and the reason of its end
  std::string pool;  // 16 bytes
};
absl::StatusOr<PairingAnswer> DecodePairingAnswer(absl::string_view bytes);

// What can change of an offer; the rest is in its row.
std::string EncodeOfferAnswer(const Offer& offer);
absl::StatusOr<Offer> DecodeOfferAnswer(absl::string_view bytes);

std::string EncodeAvailability(const Availability& availability);
absl::StatusOr<Availability> DecodeAvailability(absl::string_view bytes);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_CODEC_H_
