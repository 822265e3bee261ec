#ifndef HANDRAIL_TOOLS_HANDRAIL_OPERATORS_TABLES_H_
#define HANDRAIL_TOOLS_HANDRAIL_OPERATORS_TABLES_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "handrail/matching/v1/operator.pb.h"

// What operators read, as lines for a terminal. Pure: what it looks like is tested without a
// service.
namespace handrail::tools {

// Rows of equal length under a heading, columns as wide as their widest cell, two spaces between.
// Cells that begin with a digit or '-' stand to the right.
std::string Table(const std::vector<std::vector<std::string>>& rows);

// "aa online", "na US-CA".
std::string PoolWord(const matching::v1::Pool& pool);
// "0", "<5", "12".
std::string CountWord(const matching::v1::Count& count);
// "45 s", "12 min", "26 h", "4 d": how long ago, rounded down.
std::string AgeWord(absl::Duration age);
int64_t WaitingIn(const matching::v1::Pool& pool);

std::string PoolTable(const std::vector<matching::v1::Pool>& pools, absl::Time now);
std::string TicketTable(const std::vector<matching::v1::OpenTicket>& tickets, absl::Time now);
std::string OfferTable(const std::vector<matching::v1::OpenOffer>& offers, absl::Time now);
std::string SponsorTable(const std::vector<matching::v1::SponsorSeats>& sponsors, absl::Time now);
std::string ActionTable(const std::vector<matching::v1::OperatorAction>& actions);
std::string ExplanationText(const matching::v1::TicketExplanation& explanation, absl::Time now);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_OPERATORS_TABLES_H_
