#include "services/matching/stores/invariants.h"

#include "common/base/status.h"

namespace handrail::matching {

const std::vector<Invariant>& LedgerInvariants() {
  static const auto* const invariants = new std::vector<Invariant>{
      {"M1", "a newcomer has two open tickets for one relationship type",
       "SELECT COUNT(*) FROM (SELECT 1 FROM tickets WHERE state IN (1, 2) "
       "GROUP BY member, relationship_type HAVING COUNT(*) > 1) AS broken WHERE $1 = $1"},
      {"M1", "a ticket is in two open offers, and its program allows one",
       "SELECT COUNT(*) FROM (SELECT 1 FROM offers WHERE state = 1 "
       "GROUP BY ticket HAVING COUNT(*) > 1 AND MAX(exclusive) = 1) AS broken WHERE $1 = $1"},
      {"M1", "a ticket is in more open offers than any program allows",
       "SELECT COUNT(*) FROM (SELECT 1 FROM offers WHERE state = 1 "
       "GROUP BY ticket HAVING COUNT(*) > 3) AS broken WHERE $1 = $1"},
      {"M2", "a sponsor has an open offer and more seats taken than the capacity",
       "SELECT COUNT(*) FROM sponsors s WHERE s.capacity < (SELECT COUNT(*) FROM seats h "
       "WHERE h.sponsor = s.id) AND EXISTS (SELECT 1 FROM seats h WHERE h.sponsor = s.id "
       "AND h.held_by = 1) AND $1 = $1"},
      {"M2", "a sponsor on probation has an open offer and more seats taken than it allows",
       "SELECT COUNT(*) FROM sponsors s WHERE s.seat_limit < (SELECT COUNT(*) FROM seats h "
       "WHERE h.sponsor = s.id) AND EXISTS (SELECT 1 FROM seats h WHERE h.sponsor = s.id "
       "AND h.held_by = 1) AND $1 = $1"},
      {"M2", "a seat is held by an offer that is not open, or by the wrong sponsor's",
       "SELECT COUNT(*) FROM seats h WHERE h.held_by = 1 AND NOT EXISTS (SELECT 1 FROM offers o "
       "WHERE o.id = h.holder AND o.state = 1 AND o.sponsor = h.sponsor) AND $1 = $1"},
      {"M2", "a seat is held by a pairing that has ended, or by the wrong sponsor's",
       "SELECT COUNT(*) FROM seats h WHERE h.held_by = 2 AND NOT EXISTS (SELECT 1 FROM pairings p "
       "WHERE p.id = h.holder AND p.state <> 5 AND p.sponsor = h.sponsor) AND $1 = $1"},
      {"M2", "an open offer holds no seat",
       "SELECT COUNT(*) FROM offers o WHERE o.state = 1 AND NOT EXISTS (SELECT 1 FROM seats h "
       "WHERE h.holder = o.id AND h.held_by = 1 AND h.sponsor = o.sponsor) AND $1 = $1"},
      {"M2", "a pairing that has not ended holds no seat",
       "SELECT COUNT(*) FROM pairings p WHERE p.state <> 5 AND NOT EXISTS (SELECT 1 FROM seats h "
       "WHERE h.holder = p.id AND h.held_by = 2 AND h.sponsor = p.sponsor) AND $1 = $1"},
      {"M3", "an accepted offer has not exactly one pairing",
       "SELECT COUNT(*) FROM offers o WHERE o.state = 2 AND (SELECT COUNT(*) FROM pairings p "
       "WHERE p.offer = o.id AND p.ticket = o.ticket AND p.newcomer = o.newcomer "
       "AND p.sponsor = o.sponsor) <> 1 AND $1 = $1"},
      {"M3", "a pairing comes from an offer that was not accepted, or a ticket that is not paired",
       "SELECT COUNT(*) FROM pairings p WHERE (NOT EXISTS (SELECT 1 FROM offers o "
       "WHERE o.id = p.offer AND o.state = 2) OR NOT EXISTS (SELECT 1 FROM tickets t "
       "WHERE t.id = p.ticket AND t.state = 3 AND t.member = p.newcomer)) AND $1 = $1"},
      {"M3", "a ticket has two pairings",
       "SELECT COUNT(*) FROM (SELECT 1 FROM pairings GROUP BY ticket HAVING COUNT(*) > 1) "
       "AS broken WHERE $1 = $1"},
      {"M3", "a pairing has no conversation, and messaging is not going to be told",
       "SELECT COUNT(*) FROM pairings p WHERE p.state <> 5 AND p.conversation IS NULL AND "
       "NOT EXISTS (SELECT 1 FROM outbox o WHERE o.pairing = p.id AND o.step = 1) AND $1 = $1"},
      {"M3", "two pairings share a conversation",
       "SELECT COUNT(*) FROM (SELECT 1 FROM pairings WHERE conversation IS NOT NULL "
       "GROUP BY conversation HAVING COUNT(*) > 1) AS broken WHERE $1 = $1"},
      {"M4", "a ticket is offered, and no offer is open for it",
       "SELECT COUNT(*) FROM tickets t WHERE t.state = 2 AND NOT EXISTS (SELECT 1 FROM offers o "
       "WHERE o.ticket = t.id AND o.state = 1) AND $1 = $1"},
      {"M4", "an offer is open for a ticket that is not offered",
       "SELECT COUNT(*) FROM offers o WHERE o.state = 1 AND NOT EXISTS (SELECT 1 FROM tickets t "
       "WHERE t.id = o.ticket AND t.state = 2 AND t.member = o.newcomer) AND $1 = $1"},
      {"M4", "a ticket is paired, and there is no pairing",
       "SELECT COUNT(*) FROM tickets t WHERE t.state = 3 AND NOT EXISTS (SELECT 1 FROM pairings p "
       "WHERE p.ticket = t.id) AND $1 = $1"},
      {"M5", "an offer is open between two of whom one blocked the other",
       "SELECT COUNT(*) FROM offers o WHERE o.state = 1 AND EXISTS (SELECT 1 FROM blocks b "
       "WHERE (b.blocker = o.newcomer AND b.blocked = o.sponsor) "
       "OR (b.blocker = o.sponsor AND b.blocked = o.newcomer)) AND $1 = $1"},
      {"M5", "a pairing lasts between two of whom one blocked the other",
       "SELECT COUNT(*) FROM pairings p WHERE p.state <> 5 AND EXISTS (SELECT 1 FROM blocks b "
       "WHERE (b.blocker = p.newcomer AND b.blocked = p.sponsor) "
       "OR (b.blocker = p.sponsor AND b.blocked = p.newcomer)) AND $1 = $1"},
      {"M5", "two whose pairing ended for safety are kept apart one way only",
       "SELECT COUNT(*) FROM pair_exclusions e WHERE e.kind = 4 AND NOT EXISTS (SELECT 1 FROM "
       "pair_exclusions r WHERE r.newcomer = e.sponsor AND r.sponsor = e.newcomer AND "
       "r.kind = 4) AND $1 = $1"},
      {"M5", "an offer is open between two whose pairing ended for safety",
       "SELECT COUNT(*) FROM offers o WHERE o.state = 1 AND EXISTS (SELECT 1 FROM "
       "pair_exclusions e WHERE e.newcomer = o.newcomer AND e.sponsor = o.sponsor AND "
       "e.kind = 4) AND $1 = $1"},
      {"M5", "two of whom one said that it ended for safety are not kept apart",
       "SELECT COUNT(*) FROM safety_words w WHERE NOT EXISTS (SELECT 1 FROM pair_exclusions e "
       "WHERE e.newcomer = w.member AND e.sponsor = w.other AND e.kind = 4) AND $1 = $1"},
      {"M5", "an offer is open for or to a member who may not take part",
       "SELECT COUNT(*) FROM offers o WHERE o.state = 1 AND (NOT EXISTS (SELECT 1 FROM members m "
       "WHERE m.id = o.newcomer AND m.standing = 1 AND m.may_match = 1 AND m.has_newcomer = 1) "
       "OR NOT EXISTS (SELECT 1 FROM members m WHERE m.id = o.sponsor AND m.standing = 1 "
       "AND m.may_match = 1 AND m.has_sponsor = 1)) AND $1 = $1"},
      {"M5", "an offer was made to a sponsor whose attestation had lapsed",
       "SELECT COUNT(*) FROM offers o JOIN members m ON m.id = o.sponsor "
       "WHERE o.state = 1 AND m.attested_at < o.created_at - 2592000000000 AND $1 = $1"},
      {"M5", "an offer was made to the newcomer's own self",
       "SELECT COUNT(*) FROM offers o WHERE o.newcomer = o.sponsor AND $1 = $1"},
      {"M6", "a ticket is younger than an offer that was made for it",
       "SELECT COUNT(*) FROM offers o JOIN tickets t ON t.id = o.ticket "
       "WHERE t.created_at > o.created_at AND $1 = $1"},
      {"M6", "a pair that timed out is kept apart for longer than a short while",
       "SELECT COUNT(*) FROM pair_exclusions e WHERE e.kind = 1 AND e.until > $1 + 259200000000"},
      {"CHOICE", "somebody was asked before another one whom the newcomer put first",
       "SELECT COUNT(*) FROM ticket_choices a JOIN ticket_choices b ON b.ticket = a.ticket AND "
       "b.place > a.place WHERE a.state = 0 AND b.state = 1 AND $1 = $1"},
      {"CARE", "a sponsor who was paused for missed offers takes offers",
       "SELECT COUNT(*) FROM sponsors WHERE pause_reason = 2 AND accepting = 1 AND $1 = $1"},
      {"CARE", "a pairing that goes on, or another person's, led to a rematch",
       "SELECT COUNT(*) FROM rematches r WHERE NOT EXISTS (SELECT 1 FROM pairings p JOIN tickets t "
       "ON t.id = r.ticket AND t.member = p.newcomer WHERE p.id = r.pairing AND p.state = 5) "
       "AND $1 = $1"},
      {"CARE", "a check-in is of a person who is not of the pairing",
       "SELECT COUNT(*) FROM check_ins c WHERE NOT EXISTS (SELECT 1 FROM pairings p "
       "WHERE p.id = c.pairing AND (p.newcomer = c.member OR p.sponsor = c.member)) AND $1 = $1"},
      {"CARE", "a member has more notices than there may be",
       "SELECT COUNT(*) FROM (SELECT 1 FROM notices GROUP BY member HAVING COUNT(*) > 1000) "
       "AS broken WHERE $1 = $1"},
      {"M7", "a boost is out of its bounds",
       "SELECT COUNT(*) FROM tickets t WHERE (t.boost < 0 OR t.boost > 1000000) AND $1 = $1"},
      // Calls for help. Who was erased has no name in them any more.
      {"R1", "a call for help was answered by somebody who was not asked",
       "SELECT COUNT(*) FROM help_calls h WHERE h.answered_by IS NOT NULL AND NOT EXISTS "
       "(SELECT 1 FROM help_asks a WHERE a.help_call = h.id AND a.member = h.answered_by) "
       "AND $1 = $1"},
      {"R1", "a call for help was answered by somebody for whom it was over",
       "SELECT COUNT(*) FROM help_calls h JOIN help_asks a ON a.help_call = h.id AND a.member = "
       "h.answered_by WHERE a.over_version > 0 AND $1 = $1"},
      {"R1", "a contact has no conversation, and messaging is not going to be told",
       "SELECT COUNT(*) FROM help_calls h WHERE h.contact_open = 1 AND h.conversation IS NULL AND "
       "NOT EXISTS (SELECT 1 FROM outbox o WHERE o.pairing = h.id AND o.step = 1) AND $1 = $1"},
      {"R2", "a call for help is open 10 minutes after its stage has passed",
       "SELECT COUNT(*) FROM help_calls h WHERE h.state = 1 AND h.due_at < $1 - 600000000"},
      {"R3", "a call for help was put before somebody of whom one blocked the other",
       "SELECT COUNT(*) FROM help_asks a JOIN help_calls h ON h.id = a.help_call WHERE "
       "((h.state = 1 AND a.over_version = 0) OR (h.contact_open = 1 AND h.answered_by = "
       "a.member)) AND EXISTS (SELECT 1 FROM blocks b WHERE (b.blocker = h.member AND b.blocked = "
       "a.member) OR "
       "(b.blocker = a.member AND b.blocked = h.member)) AND $1 = $1"},
      {"R3", "a call for help was put before somebody whom the caller is kept from for safety",
       "SELECT COUNT(*) FROM help_asks a JOIN help_calls h ON h.id = a.help_call WHERE "
       "((h.state = 1 AND a.over_version = 0) OR (h.contact_open = 1 AND h.answered_by = "
       "a.member)) AND EXISTS (SELECT 1 FROM pair_exclusions e WHERE e.newcomer = h.member AND "
       "e.sponsor = a.member AND "
       "e.kind = 4) AND $1 = $1"},
      {"R3", "an open call for help is of or before a member who may not take part",
       "SELECT COUNT(*) FROM help_calls h WHERE h.state = 1 AND (NOT EXISTS (SELECT 1 FROM "
       "members m WHERE m.id = h.member AND m.standing = 1 AND m.may_match = 1) OR EXISTS (SELECT "
       "1 FROM help_asks a JOIN members m ON m.id = a.member WHERE a.help_call = h.id AND "
       "(m.standing <> 1 OR m.may_match <> 1 OR m.has_sponsor <> 1))) AND $1 = $1"},
  };
  return *invariants;
}

absl::StatusOr<std::vector<Violation>> CheckLedger(storage::Database& database, absl::Time now) {
  std::vector<Violation> violations;
  RETURN_IF_ERROR(
      database.Read(absl::InfiniteFuture(), [&](storage::Transaction& tx) -> absl::Status {
        violations.clear();
        for (const Invariant& invariant : LedgerInvariants()) {
          ASSIGN_OR_RETURN(const storage::Rows rows, tx.Query(invariant.sql, {now}));
          const int64_t count = rows.front().Int(0);
          if (count == 0) continue;
          violations.push_back({std::string(invariant.name), std::string(invariant.text), count});
        }
        return absl::OkStatus();
      }));
  return violations;
}

}  // namespace handrail::matching
