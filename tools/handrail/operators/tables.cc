#include "tools/handrail/operators/tables.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "tools/handrail/client/words.h"

namespace handrail::tools {
namespace {

using matching::v1::Count;
using matching::v1::OpenOffer;
using matching::v1::OpenTicket;
using matching::v1::OperatorAction;
using matching::v1::Pool;
using matching::v1::RuleExplanation;
using matching::v1::SponsorSeats;
using matching::v1::TicketExplanation;

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string Moment(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", TimeOf(time), absl::UTCTimeZone());
}

// -1 stands for "not known".
std::string Known(int64_t number) { return number < 0 ? "?" : absl::StrCat(number); }

bool IsNumber(const std::string& cell) {
  return !cell.empty() && (absl::ascii_isdigit(static_cast<unsigned char>(cell[0])) ||
                           cell[0] == '-' || cell[0] == '<' || cell[0] == '?');
}

bool IsZero(const Count& count) { return count.value() == 0 && !count.under_five(); }

}  // namespace

std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - row[i].size(), ' ');
      absl::StrAppend(&line, i == 0 ? "" : "  ", IsNumber(row[i]) ? gap : "", row[i],
                      IsNumber(row[i]) ? "" : gap);
    }
    absl::StripTrailingAsciiWhitespace(&line);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

std::string PoolWord(const Pool& pool) {
  return absl::StrCat(Word(pool.philosophy()), " ", pool.region());
}

std::string CountWord(const Count& count) {
  if (count.under_five()) return "<5";
  return absl::StrCat(count.value(), count.value() == 0 ? "" : "+");
}

std::string AgeWord(absl::Duration age) {
  age = std::max(age, absl::ZeroDuration());
  if (age < absl::Minutes(2)) return absl::StrCat(absl::ToInt64Seconds(age), " s");
  if (age < absl::Hours(2)) return absl::StrCat(absl::ToInt64Minutes(age), " min");
  if (age < absl::Hours(72)) return absl::StrCat(absl::ToInt64Hours(age), " h");
  return absl::StrCat(absl::ToInt64Hours(age) / 24, " d");
}

int64_t WaitingIn(const Pool& pool) {
  const auto& waiting = pool.waiting();
  return waiting.under_1h() + waiting.under_24h() + waiting.under_48h() + waiting.under_72h() +
         waiting.over_72h();
}

std::string PoolTable(const std::vector<Pool>& pools, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {{"pool", "waiting", "<1h", "<24h", "<48h", "<72h",
                                                 "72h+", "oldest", "offers", "free sponsors",
                                                 "queued", "", "name"}};
  for (const Pool& pool : pools) {
    const auto& waiting = pool.waiting();
    rows.push_back(
        {PoolWord(pool), absl::StrCat(WaitingIn(pool)), absl::StrCat(waiting.under_1h()),
         absl::StrCat(waiting.under_24h()), absl::StrCat(waiting.under_48h()),
         absl::StrCat(waiting.under_72h()), absl::StrCat(waiting.over_72h()),
         pool.has_oldest_create_time() ? AgeWord(now - TimeOf(pool.oldest_create_time())) : "-",
         absl::StrCat(pool.open_offers()), Known(pool.available_sponsors()),
         Known(pool.queued_tickets()),
         pool.has_drain_end_time() ? absl::StrCat("drained until ", Moment(pool.drain_end_time()))
                                   : "",
         pool.name()});
  }
  return Table(rows);
}

std::string TicketTable(const std::vector<OpenTicket>& tickets, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {
      {"ticket", "state", "asked for", "waits", "expires in", "offers so far", "boost"}};
  for (const OpenTicket& ticket : tickets) {
    rows.push_back({ticket.name(), Word(ticket.state()), Word(ticket.relationship_type()),
                    AgeWord(now - TimeOf(ticket.create_time())),
                    AgeWord(TimeOf(ticket.expire_time()) - now), absl::StrCat(ticket.offer_count()),
                    absl::StrCat(ticket.boost_percent())});
  }
  return Table(rows);
}

std::string OfferTable(const std::vector<OpenOffer>& offers, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {{"offer", "ticket", "made", "time left"}};
  for (const OpenOffer& offer : offers) {
    rows.push_back({offer.name(), offer.ticket(),
                    absl::StrCat(AgeWord(now - TimeOf(offer.create_time())), " ago"),
                    AgeWord(TimeOf(offer.expire_time()) - now)});
  }
  return Table(rows);
}

std::string SponsorTable(const std::vector<SponsorSeats>& sponsors, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {
      {"sponsor", "seats", "paired", "offered", "new offers", "confirmed", ""}};
  for (const SponsorSeats& sponsor : sponsors) {
    rows.push_back({sponsor.member(), absl::StrCat(sponsor.capacity()),
                    absl::StrCat(sponsor.pairing_count()), absl::StrCat(sponsor.open_offer_count()),
                    sponsor.accepting() ? "welcome" : "not now",
                    sponsor.has_attest_time()
                        ? absl::StrCat(AgeWord(now - TimeOf(sponsor.attest_time())), " ago")
                        : "never",
                    sponsor.may_be_offered() ? "" : "standing or consent forbids offers"});
  }
  return Table(rows);
}

std::string ActionTable(const std::vector<OperatorAction>& actions) {
  std::vector<std::vector<std::string>> rows = {
      {"#", "time (UTC)", "operator", "did", "to", "outcome", "detail"}};
  for (const OperatorAction& action : actions) {
    rows.push_back({absl::StrCat(action.sequence()), Moment(action.create_time()),
                    action.operator_(), action.method(), action.subject(), action.outcome(),
                    action.detail()});
  }
  return Table(rows);
}

std::string ExplanationText(const TicketExplanation& explanation, absl::Time now) {
  const OpenTicket& ticket = explanation.ticket();
  std::string text = absl::StrCat(
      ticket.name(), "  ", Word(ticket.state()), "  ", Word(ticket.relationship_type()),
      ", waits for ", AgeWord(now - TimeOf(ticket.create_time())), ", ", ticket.offer_count(),
      " offers so far, boost ", ticket.boost_percent(), "\n", explanation.waiting_ahead(),
      " wait ahead in its pool. Looked at ", CountWord(explanation.sponsors()),
      " sponsors: ", CountWord(explanation.in_pool()), " in the pool, ",
      CountWord(explanation.passing()), " pass every rule now.\n\n");
  std::vector<std::vector<std::string>> rows = {
      {"rule", "", "first", "any", "only", "it asks that"}};
  std::string quiet;
  for (const RuleExplanation& rule : explanation.rules()) {
    if (IsZero(rule.broken())) {
      absl::StrAppend(&quiet, quiet.empty() ? "" : ", ", rule.number(), " ", rule.code());
      continue;
    }
    rows.push_back({rule.number(), rule.code(), CountWord(rule.removed()), CountWord(rule.broken()),
                    CountWord(rule.only()), rule.text()});
  }
  if (rows.size() > 1) {
    absl::StrAppend(&text, Table(rows),
                    "first: removed by this rule before any other; any: this rule among others;\n"
                    "only: nothing else stands in the way.\n");
  }
  if (!IsZero(explanation.full()) || !IsZero(explanation.not_accepting())) {
    absl::StrAppend(&text, "Of those held back by CAPACITY alone, ", CountWord(explanation.full()),
                    " have all seats taken, ", CountWord(explanation.not_accepting()),
                    " take no new offers now.\n");
  }
  if (!quiet.empty()) absl::StrAppend(&text, "Removing nobody: ", quiet, ".\n");
  absl::StrAppend(&text, "\nWhat it comes to:\n");
  for (const std::string& finding : explanation.findings()) {
    absl::StrAppend(&text, "  - ", finding, "\n");
  }
  return text;
}

}  // namespace handrail::tools
