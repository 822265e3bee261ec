#include "tests/support/ledger_audit.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "services/matching/domain/types.h"
#include "services/matching/stores/invariants.h"
#include "services/messaging/stores/invariants.h"
#include "services/messaging/stores/schema.h"
#include "tests/support/audit_findings.h"
#include "tests/support/care_audit.h"

namespace handrail::tests {
namespace {

using matching::PairingState;
using matching::TicketState;
using storage::Database;
using storage::Row;
using storage::Rows;

absl::Status AuditTickets(const History::Content& told, Database& matching, Findings& findings) {
  ASSIGN_OR_RETURN(const Rows rows, Select(matching, "SELECT id, member, state FROM tickets"));
  std::map<TicketId, const Row*> found;
  for (const Row& row : rows) {
    found[row.Id<TicketId>(0)] = &row;
    if (!told.tickets.contains(row.Id<TicketId>(0))) {
      findings.Doubled("a ticket that nobody was told of");
    }
  }
  for (const auto& [id, ticket] : told.tickets) {
    const auto entry = found.find(id);
    if (entry == found.end()) {
      findings.Lost("an acknowledged ticket");
      continue;
    }
    const Row& row = *entry->second;
    if (row.Id<MemberId>(1) != ticket.newcomer) findings.Wrong("a ticket is somebody else's");
    if (ticket.cancelled && row.Int(2) != static_cast<int64_t>(TicketState::kCancelled)) {
      findings.Lost("an acknowledged cancellation");
    }
  }
  return absl::OkStatus();
}

absl::Status AuditPairings(const History::Content& told, Database& matching, Findings& findings) {
  ASSIGN_OR_RETURN(const Rows rows, Select(matching, "SELECT id, sponsor, state FROM pairings"));
  std::map<PairingId, const Row*> found;
  for (const Row& row : rows) {
    found[row.Id<PairingId>(0)] = &row;
    if (!told.pairings.contains(row.Id<PairingId>(0))) {
      findings.Doubled("a pairing that nobody was told of");
    }
  }
  for (const auto& [id, pairing] : told.pairings) {
    const auto entry = found.find(id);
    if (entry == found.end()) {
      findings.Lost("an acknowledged pairing");
      continue;
    }
    const Row& row = *entry->second;
    if (row.Id<MemberId>(1) != pairing.sponsor) findings.Wrong("a pairing is somebody else's");
    if (pairing.ended && row.Int(2) != static_cast<int64_t>(PairingState::kEnded)) {
      findings.Lost("an acknowledged end of a pairing");
    }
  }
  ASSIGN_OR_RETURN(const Rows declined, Select(matching, "SELECT id FROM offers WHERE state = 3"));
  std::set<OfferId> offers;
  for (const Row& row : declined) offers.insert(row.Id<OfferId>(0));
  for (const auto& [id, unused] : told.declined) {
    if (!offers.contains(id)) findings.Lost("an acknowledged decline");
  }
  if (offers.size() > told.declined.size()) {
    findings.Doubled("a decline that nobody asked for");
  }
  return absl::OkStatus();
}

absl::Status AuditBlocks(const History::Content& told, Database& matching, Database& messaging,
                         Findings& findings) {
  ASSIGN_OR_RETURN(const Rows rows, Select(matching, "SELECT blocker, blocked FROM blocks"));
  ASSIGN_OR_RETURN(const Rows sorted,
                   Select(messaging, "SELECT low_member_id, high_member_id FROM blocks"));
  std::set<std::pair<MemberId, MemberId>> in_matching;
  std::set<std::pair<MemberId, MemberId>> in_messaging;
  for (const Row& row : rows) in_matching.emplace(row.Id<MemberId>(0), row.Id<MemberId>(1));
  for (const Row& row : sorted) in_messaging.emplace(row.Id<MemberId>(0), row.Id<MemberId>(1));
  for (const auto& block : told.blocks) {
    if (!in_matching.contains(block)) findings.Lost("an acknowledged block, in matching");
    if (!in_messaging.contains(std::minmax(block.first, block.second))) {
      findings.Lost("an acknowledged block, in messaging");
    }
  }
  return absl::OkStatus();
}

absl::Status AuditMessages(const History::Content& told, Database& messaging, Findings& findings) {
  ASSIGN_OR_RETURN(const Rows rows,
                   Select(messaging,
                          "SELECT c.conversation_id, m.sequence, p.member_id, m.message_id, "
                          "m.payload FROM messages m "
                          "JOIN conversations c ON c.conversation_key = m.conversation_key "
                          "JOIN conversation_members p ON p.conversation_key = m.conversation_key "
                          "AND p.member_key = m.sender_key"));
  std::map<History::MessageKey, const Row*> found;
  for (const Row& row : rows) {
    const History::MessageKey key{row.Id<MemberId>(2), row.Id<MessageId>(3)};
    if (!found.emplace(key, &row).second) findings.Doubled("a message is stored twice");
    if (!told.messages.contains(key)) findings.Doubled("a message that nobody was told of");
  }
  for (const auto& [key, message] : told.messages) {
    const auto entry = found.find(key);
    if (entry == found.end()) {
      findings.Lost("an acknowledged message");
      continue;
    }
    const Row& row = *entry->second;
    if (row.Id<ConversationId>(0) != message.conversation || row.Int(1) != message.sequence) {
      findings.Wrong("a message stands elsewhere than its sender was told");
    }
    if (row.Bytes(4) != message.payload) findings.Wrong("a message holds other bytes");
  }
  ASSIGN_OR_RETURN(const Rows cursors,
                   Select(messaging,
                          "SELECT d.device_id, c.conversation_id, d.acked_sequence "
                          "FROM conversation_devices d "
                          "JOIN conversations c ON c.conversation_key = d.conversation_key"));
  std::map<History::CursorKey, int64_t> acknowledged;
  for (const Row& row : cursors) {
    acknowledged[{row.Id<DeviceId>(0), row.Id<ConversationId>(1)}] = row.Int(2);
  }
  for (const auto& [key, sequence] : told.cursors) {
    const auto entry = acknowledged.find(key);
    if (entry == acknowledged.end() || entry->second < sequence) {
      findings.Lost("what a device said that it has");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::set<MemberId>> ErasedMembers(Database& matching) {
  ASSIGN_OR_RETURN(const Rows rows, Select(matching, "SELECT id FROM members WHERE standing = 3"));
  std::set<MemberId> erased;
  for (const Row& row : rows) erased.insert(row.Id<MemberId>(0));
  return erased;
}

// A row of matching that has a conversation, and who its two are. Whoever answered a call for help
// and was erased has no name in it any more, but is one of the erased.
bool AreMembers(const Row& row, const std::set<MemberId>& members,
                const std::set<MemberId>& erased) {
  if (!row.IsNull(4)) return members == std::set{row.Id<MemberId>(3), row.Id<MemberId>(4)};
  if (members.size() != 2 || !members.contains(row.Id<MemberId>(3))) return false;
  return std::any_of(members.begin(), members.end(), [&](const MemberId& member) {
    return member != row.Id<MemberId>(3) && erased.contains(member);
  });
}

// M3 over both ledgers: every pairing has exactly one conversation, and its two are its members.
absl::Status AuditConversations(Database& matching, Database& messaging, Findings& findings) {
  ASSIGN_OR_RETURN(
      const Rows pairings,
      Select(matching,
             // A contact that came of a call for help has a conversation by the call's id.
             "SELECT id, state, conversation, newcomer, sponsor FROM pairings UNION ALL "
             "SELECT id, CASE WHEN contact_open = 1 THEN 1 ELSE 5 END, conversation, member, "
             "answered_by FROM help_calls WHERE contact_end > 0"));
  ASSIGN_OR_RETURN(const std::set<MemberId> erased, ErasedMembers(matching));
  ASSIGN_OR_RETURN(const Rows rows,
                   Select(messaging,
                          "SELECT c.pairing_id, c.conversation_id, c.state, p.member_id "
                          "FROM conversations c JOIN conversation_members p "
                          "ON p.conversation_key = c.conversation_key"));
  struct Talk {
    std::set<ConversationId> ids;
    int64_t state = 0;
    std::set<MemberId> members;
  };
  std::map<PairingId, Talk> talks;
  for (const Row& row : rows) {
    Talk& talk = talks[row.Id<PairingId>(0)];
    talk.ids.insert(row.Id<ConversationId>(1));
    talk.state = row.Int(2);
    talk.members.insert(row.Id<MemberId>(3));
  }
  for (const Row& row : pairings) {
    const auto entry = talks.find(row.Id<PairingId>(0));
    const bool ended = row.Int(1) == static_cast<int64_t>(PairingState::kEnded);
    if (entry == talks.end()) {
      findings.Lost("M3: the conversation of a pairing");
      continue;
    }
    const Talk& talk = entry->second;
    if (talk.ids.size() != 1) findings.Doubled("M3: a pairing has two conversations");
    if (row.IsNull(2)) {
      findings.Lost("M3: matching was not told of the conversation of a pairing");
    } else if (!talk.ids.contains(row.Id<ConversationId>(2))) {
      findings.Wrong("M3: matching and messaging name different conversations");
    }
    if (!AreMembers(row, talk.members, erased)) {
      findings.Wrong("C5: a conversation has other members than its pairing");
    }
    if (ended != (talk.state == 2)) {
      findings.Wrong(ended ? "M3: a pairing has ended and its conversation is open"
                           : "M3: a pairing lasts and its conversation is closed");
    }
    talks.erase(entry);
  }
  for (const auto& [id, talk] : talks) {
    // An erased member's calls for help are forgotten; what came of them is closed, and stays.
    const bool forgotten =
        std::any_of(talk.members.begin(), talk.members.end(),
                    [&erased](const MemberId& member) { return erased.contains(member); });
    if (!forgotten) findings.Doubled("M3: a conversation that no pairing has");
    if (forgotten && talk.state != 2) {
      findings.Wrong("M3: a member was erased and their conversation is open");
    }
  }
  return absl::OkStatus();
}

// M2 as clients can tell it: what was surely held at once by one sponsor.
void AuditCapacity(const History::Content& told, Findings& findings) {
  std::map<MemberId, std::vector<std::pair<absl::Time, int>>> changes;
  for (const auto& [id, pairing] : told.pairings) {
    if (pairing.held_from >= pairing.held_until) continue;
    changes[pairing.sponsor].emplace_back(pairing.held_from, +1);
    changes[pairing.sponsor].emplace_back(pairing.held_until, -1);
  }
  for (auto& [sponsor, list] : changes) {
    const auto capacity = told.capacities.find(sponsor);
    if (capacity == told.capacities.end()) continue;
    std::sort(list.begin(), list.end());  // at one instant an end comes first
    int held = 0;
    for (const auto& [time, change] : list) {
      held += change;
      if (held > capacity->second) {
        findings.Doubled("M2: a sponsor held more seats than there are");
        break;
      }
    }
  }
}

}  // namespace

std::string AuditReport::ToString() const {
  return absl::StrCat(acknowledged, " acknowledged, ", lost, " lost, ", doubled, " doubled",
                      findings.empty() ? "" : ": ", absl::StrJoin(findings, "; "));
}

absl::StatusOr<std::vector<std::string>> CheckWhileRunning(Database& matching, Database& messaging,
                                                           absl::Time now) {
  std::vector<std::string> found;
  ASSIGN_OR_RETURN(const auto violations, matching::CheckLedger(matching, now));
  for (const auto& violation : violations) {
    found.push_back(
        absl::StrCat(violation.invariant, ": ", violation.text, " (", violation.count, ")"));
  }
  ASSIGN_OR_RETURN(const auto broken, messaging::CheckMessages(messaging, absl::InfiniteFuture()));
  found.insert(found.end(), broken.begin(), broken.end());
  return found;
}

absl::StatusOr<int64_t> CountOutbox(Database& matching) {
  ASSIGN_OR_RETURN(const Rows rows, Select(matching, "SELECT COUNT(*) FROM outbox"));
  return rows.front().Int(0);
}

absl::StatusOr<AuditReport> AuditLedgers(const History& history, Database& matching,
                                         Database& messaging, absl::Time now) {
  const History::Content told = history.Take();
  AuditReport report;
  report.acknowledged = told.acknowledged;
  ASSIGN_OR_RETURN(report.findings, CheckWhileRunning(matching, messaging, now));
  ASSIGN_OR_RETURN(const int64_t waiting, CountOutbox(matching));
  if (waiting != 0) report.findings.push_back(absl::StrCat(waiting, " rows wait in the outbox"));
  {
    Findings findings(report);
    for (const std::string& text : told.contradictions) findings.Wrong(text);
    RETURN_IF_ERROR(AuditTickets(told, matching, findings));
    RETURN_IF_ERROR(AuditPairings(told, matching, findings));
    RETURN_IF_ERROR(AuditBlocks(told, matching, messaging, findings));
    RETURN_IF_ERROR(AuditMessages(told, messaging, findings));
    RETURN_IF_ERROR(AuditConversations(matching, messaging, findings));
    AuditCapacity(told, findings);
    RETURN_IF_ERROR(AuditCare(told, matching, now, findings));
    RETURN_IF_ERROR(AuditHelp(told, matching, findings));
  }
  return report;
}

}  // namespace handrail::tests
