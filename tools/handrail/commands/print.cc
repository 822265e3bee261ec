#include "tools/handrail/commands/print.h"

#include <iomanip>
#include <iostream>

#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "tools/handrail/client/words.h"

namespace handrail::tools {

std::string TimeWord(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

void PrintTicket(const matching::v1::Ticket& ticket) {
  std::cout << ticket.name() << "  " << Word(ticket.state()) << "  "
            << Word(ticket.relationship_type()) << " in " << Word(ticket.philosophy()) << ", asked "
            << TimeWord(ticket.create_time()) << "\n";
  switch (ticket.state()) {
    case matching::v1::TICKET_STATE_WAITING:
      if (ticket.waiting_ahead() > 0) {
        std::cout << "  up to " << ticket.waiting_ahead() << " people asked before\n";
      }
      std::cout << "  waits for someone suitable until " << TimeWord(ticket.expire_time()) << "\n";
      break;
    case matching::v1::TICKET_STATE_OFFERED:
      std::cout << "  put before a sponsor, who has until " << TimeWord(ticket.offer_expire_time())
                << "\n";
      for (const auto& reason : ticket.reasons()) std::cout << "  - " << reason.text() << "\n";
      break;
    case matching::v1::TICKET_STATE_PAIRED:
      std::cout << "  " << ticket.pairing() << "  " << ticket.conversation() << "\n";
      break;
    case matching::v1::TICKET_STATE_EXPIRED:
      std::cout << "  nobody suitable was free in time; you can ask again at once\n";
      break;
    default: break;
  }
}

void PrintOffer(const matching::v1::Offer& offer) {
  std::cout << offer.name() << "  " << Word(offer.state()) << "  "
            << Word(offer.relationship_type()) << " in " << Word(offer.philosophy())
            << ", answer until " << TimeWord(offer.expire_time()) << "\n"
            << "  fit " << std::fixed << std::setprecision(0) << offer.score() << " of 100";
  if (offer.shared_languages_size() > 0) {
    std::cout << "; you share " << absl::StrJoin(offer.shared_languages(), ", ");
  }
  std::cout << "\n";
  for (const auto& reason : offer.reasons()) std::cout << "  - " << reason.text() << "\n";
}

void PrintPairing(const matching::v1::Pairing& pairing, const std::string& self) {
  const bool is_sponsor = pairing.sponsor() == self;
  std::cout << pairing.name() << "  " << Word(pairing.state()) << "  "
            << Word(pairing.relationship_type()) << " in " << Word(pairing.philosophy())
            << ", since " << TimeWord(pairing.create_time()) << "\n"
            << "  with " << (is_sponsor ? "newcomer " : "sponsor ")
            << (is_sponsor ? pairing.newcomer() : pairing.sponsor()) << "\n"
            << "  "
            << (pairing.conversation().empty() ? std::string("the conversation is being opened")
                                               : pairing.conversation())
            << "\n";
}

}  // namespace handrail::tools
