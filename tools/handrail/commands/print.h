#ifndef HANDRAIL_TOOLS_HANDRAIL_COMMANDS_PRINT_H_
#define HANDRAIL_TOOLS_HANDRAIL_COMMANDS_PRINT_H_

#include "handrail/matching/v1/matching.pb.h"

namespace handrail::tools {

// A few lines on standard output, for a person.
void PrintTicket(const matching::v1::Ticket& ticket);
void PrintOffer(const matching::v1::Offer& offer);
void PrintPairing(const matching::v1::Pairing& pairing, const std::string& self);

// "2026-03-01 12:00 UTC".
std::string TimeWord(const google::protobuf::Timestamp& time);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_COMMANDS_PRINT_H_
