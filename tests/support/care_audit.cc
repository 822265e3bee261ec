#include "tests/support/care_audit.h"

#include <map>
#include <set>
#include <utility>

#include "services/matching/domain/types.h"

namespace handrail::tests {
namespace {

using matching::HelpCallId;
using matching::HelpState;
using matching::PairingState;
using storage::Database;
using storage::Row;
using storage::Rows;

absl::Status AuditAges(const History::Content& told, Database& matching, Findings& findings) {
  ASSIGN_OR_RETURN(const Rows rows, Select(matching, "SELECT id, created_at FROM tickets"));
  for (const Row& row : rows) {
    const auto known = told.tickets.find(row.Id<TicketId>(0));
    if (known == told.tickets.end() || !known->second.create_time.has_value()) continue;
    if (*known->second.create_time != row.Time(1)) {
      findings.Wrong("M6: a ticket has another age than its newcomer was told");
    }
  }
  return absl::OkStatus();
}

absl::Status AuditRematches(const History::Content& told, Database& matching, Findings& findings) {
  ASSIGN_OR_RETURN(const Rows rows, Select(matching, "SELECT pairing, ticket FROM rematches"));
  std::map<PairingId, TicketId> found;
  for (const Row& row : rows) {
    found[row.Id<PairingId>(0)] = row.Id<TicketId>(1);
    if (!told.rematches.contains(row.Id<PairingId>(0))) {
      findings.Doubled("a rematch that nobody was told of");
    }
  }
  for (const auto& [pairing, ticket] : told.rematches) {
    const auto entry = found.find(pairing);
    if (entry == found.end()) {
      findings.Lost("an acknowledged rematch");
    } else if (entry->second != ticket) {
      findings.Wrong("a rematch led to another ticket");
    }
  }
  return absl::OkStatus();
}

absl::Status AuditPauses(const History::Content& told, Database& matching, Findings& findings) {
  ASSIGN_OR_RETURN(const Rows rows,
                   Select(matching,
                          "SELECT id, state, newcomer, newcomer_confirmed, sponsor, "
                          "sponsor_confirmed FROM pairings"));
  for (const Row& row : rows) {
    const auto entry = told.pairings.find(row.Id<PairingId>(0));
    if (entry == told.pairings.end()) continue;
    for (const MemberId& member : entry->second.confirmed) {
      const size_t place = member == row.Id<MemberId>(2) ? 3 : 5;
      if (!row.Bool(place)) findings.Lost("an acknowledged confirmation of contact");
    }
    const auto state = static_cast<PairingState>(row.Int(1));
    if (state == PairingState::kEnded || !entry->second.paused.has_value()) continue;
    if (*entry->second.paused != (state == PairingState::kPaused)) {
      findings.Lost(*entry->second.paused ? "an acknowledged pause of a pairing"
                                          : "an acknowledged resumption of a pairing");
    }
  }
  return absl::OkStatus();
}

absl::Status AuditCheckIns(const History::Content& told, Database& matching, Findings& findings) {
  ASSIGN_OR_RETURN(const Rows rows,
                   Select(matching, "SELECT pairing, member FROM check_ins WHERE answered_at > 0"));
  std::set<std::pair<PairingId, MemberId>> found;
  for (const Row& row : rows) {
    found.emplace(row.Id<PairingId>(0), row.Id<MemberId>(1));
    if (!told.check_ins.contains({row.Id<PairingId>(0), row.Id<MemberId>(1)})) {
      findings.Doubled("an answer to a check-in that nobody gave");
    }
  }
  for (const auto& answered : told.check_ins) {
    if (!found.contains(answered)) findings.Lost("an acknowledged answer to a check-in");
  }
  return absl::OkStatus();
}

absl::Status AuditSponsors(const History::Content& told, Database& matching, absl::Time now,
                           Findings& findings) {
  ASSIGN_OR_RETURN(const Rows rows,
                   Select(matching,
                          "SELECT s.id, s.capacity, s.accepting, m.attested_at FROM sponsors s "
                          "JOIN members m ON m.id = s.id"));
  std::map<MemberId, const Row*> found;
  for (const Row& row : rows) found[row.Id<MemberId>(0)] = &row;
  for (const auto& [sponsor, wish] : told.availabilities) {
    const auto entry = found.find(sponsor);
    if (entry == found.end()) {
      findings.Lost("the seats of a sponsor");
      continue;
    }
    if (wish.changing) continue;
    if (entry->second->Int(1) != wish.capacity) findings.Lost("an acknowledged capacity");
    const bool accepting = entry->second->Bool(2);
    if (wish.accepting && !accepting) findings.Lost("an acknowledged end of a pause");
    if (!wish.accepting && accepting && now + absl::Seconds(5) < wish.resume) {
      findings.Lost("an acknowledged pause of a sponsor");
    }
    if (!wish.accepting && !accepting && now > wish.resume + kResumePatience) {
      findings.Wrong("a pause did not end by itself");
    }
  }
  for (const auto& [sponsor, not_before] : told.attested) {
    const auto entry = found.find(sponsor);
    if (entry == found.end() || entry->second->Time(3) < not_before) {
      findings.Lost("an acknowledged attestation");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AuditCare(const History::Content& told, Database& matching, absl::Time now,
                       Findings& findings) {
  RETURN_IF_ERROR(AuditAges(told, matching, findings));
  RETURN_IF_ERROR(AuditRematches(told, matching, findings));
  RETURN_IF_ERROR(AuditPauses(told, matching, findings));
  RETURN_IF_ERROR(AuditCheckIns(told, matching, findings));
  return AuditSponsors(told, matching, now, findings);
}

absl::Status AuditHelp(const History::Content& told, Database& matching, Findings& findings) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      Select(matching, "SELECT id, member, state, answered_by, contact_open FROM help_calls"));
  std::map<HelpCallId, const Row*> found;
  for (const Row& row : rows) {
    const auto entry = told.help_calls.find(row.Id<HelpCallId>(0));
    found[row.Id<HelpCallId>(0)] = &row;
    if (entry == told.help_calls.end() || entry->second.caller.IsZero()) {
      findings.Doubled("a call for help that its caller was not told of");
    }
  }
  ASSIGN_OR_RETURN(const Rows erased,
                   Select(matching, "SELECT id FROM members WHERE standing = 3"));
  std::set<MemberId> gone;
  for (const Row& row : erased) gone.insert(row.Id<MemberId>(0));
  for (const auto& [id, call] : told.help_calls) {
    if (gone.contains(call.caller)) continue;  // theirs are forgotten
    const auto entry = found.find(id);
    if (entry == found.end()) {
      findings.Lost("an acknowledged call for help");
      continue;
    }
    const Row& row = *entry->second;
    if (row.Id<MemberId>(1) != call.caller) findings.Wrong("a call for help is somebody else's");
    const auto state = static_cast<HelpState>(row.Int(2));
    const std::optional<MemberId> by =
        row.IsNull(3) ? std::nullopt : std::optional<MemberId>(row.Id<MemberId>(3));
    if (call.answered_by.has_value() && !gone.contains(*call.answered_by) &&
        (state != HelpState::kAnswered || by != call.answered_by)) {
      findings.Lost("an acknowledged answer to a call for help");
    }
    if (by.has_value() && !call.answered_by.has_value()) {
      findings.Doubled("an answer to a call for help that nobody gave");
    }
    for (const MemberId& late : call.too_late) {
      if (state != HelpState::kAnswered || by == late) {
        findings.Wrong("somebody was sent away from a call for help that nobody else had answered");
      }
    }
    const bool over = state == HelpState::kCancelled || state == HelpState::kUnanswered ||
                      (state == HelpState::kAnswered && !row.Bool(4));
    if (call.cancelled && !over) findings.Lost("that a call for help was taken back");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> CheckChoices(
    const std::map<TicketId, History::Choice>& chosen, Database& matching) {
  std::set<std::string> found;
  ASSIGN_OR_RETURN(const Rows rows,
                   Select(matching,
                          "SELECT t.id, (SELECT COUNT(*) FROM ticket_choices c WHERE c.ticket = "
                          "t.id) FROM tickets t WHERE t.state IN (1, 2) AND t.choosing = 1"));
  for (const Row& row : rows) {
    const auto choice = chosen.find(row.Id<TicketId>(0));
    if (choice == chosen.end() || choice->second.changing) continue;
    if (row.Int(1) != choice->second.count) found.insert("lost: an acknowledged choice");
  }
  // While the choice goes on. Once it has ended, Handrail may ask somebody who had to be passed
  // over in it, and that is later than those who came after them.
  ASSIGN_OR_RETURN(
      const Rows order,
      Select(matching,
             "SELECT COUNT(*) FROM offers a JOIN ticket_choices x ON x.ticket = a.ticket AND "
             "x.sponsor = a.sponsor JOIN offers b ON b.ticket = a.ticket JOIN ticket_choices y ON "
             "y.ticket = b.ticket AND y.sponsor = b.sponsor JOIN tickets t ON t.id = a.ticket "
             "WHERE t.choosing = 1 AND a.created_at < b.created_at AND x.place > y.place"));
  ASSIGN_OR_RETURN(
      const Rows passed,
      Select(matching,
             "SELECT COUNT(*) FROM ticket_choices x JOIN ticket_choices y ON y.ticket = x.ticket "
             "AND y.place > x.place WHERE x.state = 0 AND y.state = 1"));
  if (order.front().Int(0) + passed.front().Int(0) > 0) {
    found.insert("a newcomer's order was not followed");
  }
  ASSIGN_OR_RETURN(
      const Rows others,
      Select(matching,
             "SELECT COUNT(*) FROM offers o JOIN tickets t ON t.id = o.ticket WHERE "
             "t.state IN (1, 2) AND t.choosing = 1 AND t.then_handrail = 0 AND NOT EXISTS "
             "(SELECT 1 FROM ticket_choices c WHERE c.ticket = t.id AND c.sponsor = o.sponsor)"));
  if (others.front().Int(0) > 0)
    found.insert("somebody was asked whom the newcomer did not choose");
  return std::vector<std::string>(found.begin(), found.end());
}

}  // namespace handrail::tests
