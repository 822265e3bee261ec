#include "services/matching/domain/state_machine.h"

namespace handrail::matching {
namespace {

template <size_t kSize>
absl::string_view NameAt(const std::array<absl::string_view, kSize>& names, size_t index) {
  return index < kSize ? names[index] : absl::string_view("UNKNOWN");
}

}  // namespace

absl::string_view NameOf(TicketState state) {
  static constexpr std::array<absl::string_view, 6> kNames = {
      "UNSPECIFIED", "WAITING", "OFFERED", "PAIRED", "CANCELLED", "EXPIRED"};
  return NameAt(kNames, static_cast<size_t>(state));
}

absl::string_view NameOf(OfferState state) {
  static constexpr std::array<absl::string_view, 6> kNames = {
      "UNSPECIFIED", "OPEN", "ACCEPTED", "DECLINED", "TIMED_OUT", "RESCINDED"};
  return NameAt(kNames, static_cast<size_t>(state));
}

absl::string_view NameOf(PairingState state) {
  static constexpr std::array<absl::string_view, 6> kNames = {"UNSPECIFIED", "INTRO",  "TRIAL",
                                                              "ACTIVE",      "PAUSED", "ENDED"};
  return NameAt(kNames, static_cast<size_t>(state));
}

absl::string_view NameOf(TicketEvent event) {
  static constexpr std::array<absl::string_view, kTicketEventCount> kNames = {
      "OFFER_MADE", "OFFER_ACCEPTED", "LAST_OFFER_CLOSED", "CANCEL", "EXPIRE"};
  return NameAt(kNames, static_cast<size_t>(event));
}

absl::string_view NameOf(OfferEvent event) {
  static constexpr std::array<absl::string_view, kOfferEventCount> kNames = {"ACCEPT", "DECLINE",
                                                                             "TIME_OUT", "RESCIND"};
  return NameAt(kNames, static_cast<size_t>(event));
}

absl::string_view NameOf(PairingEvent event) {
  static constexpr std::array<absl::string_view, kPairingEventCount> kNames = {
      "ONE_CONFIRMED", "BOTH_CONFIRMED", "TRIAL_PASSED", "PAUSE", "RESUME", "END"};
  return NameAt(kNames, static_cast<size_t>(event));
}

}  // namespace handrail::matching
