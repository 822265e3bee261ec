#ifndef HANDRAIL_SERVICES_MATCHING_STORES_ROWS_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_ROWS_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/storage/value.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/types.h"
#include "services/matching/stores/seal.h"

// Rows of the ledger's tables as domain types. Each reader goes with the list of columns above it.
namespace handrail::matching {

#define HANDRAIL_TICKET_COLUMNS HANDRAIL_TICKET_COLUMNS_OF("tickets.")
// `t` is the table's name or alias, with the dot.
#define HANDRAIL_TICKET_COLUMNS_OF(t)                                                             \
  t "id, " t "member, " t "relationship_type, " t "pool, " t "state, " t "created_at, " t         \
    "expires_at, " t "boost, " t "version, " t "offer_count, " t "importance, " t                 \
    "choosing, "                                                                                  \
    "CASE WHEN " t "state = 2 THEN (SELECT COUNT(*) FROM offers x WHERE x.ticket = " t            \
    "id AND x.state = 1) ELSE 0 END, "                                                            \
    "CASE WHEN " t "choosing = 1 THEN (SELECT COUNT(*) FROM ticket_choices c WHERE c.ticket = " t \
    "id AND c.state = 0) ELSE 0 END"
absl::StatusOr<TicketChange> ReadTicketChange(const storage::Row& row, const PoolNames& pools);

// For an UPDATE of the ticket $1: its choice has ended where nobody is left of it and the newcomer
// lets Handrail go on.
#define HANDRAIL_STILL_CHOOSING                                                                  \
  "CASE WHEN choosing = 1 AND then_handrail = 1 AND NOT EXISTS (SELECT 1 FROM ticket_choices c " \
  "WHERE c.ticket = $1 AND c.state = 0) THEN 0 ELSE choosing END "

// With the pairing and the conversation of a ticket that is paired.
#define HANDRAIL_TICKET_QUERY \
  "SELECT " HANDRAIL_TICKET_COLUMNS_OF("t.") ", p.id, p.conversation "      \
  "FROM tickets t LEFT JOIN pairings p ON p.ticket = t.id "
absl::StatusOr<Ticket> ReadTicket(const storage::Row& row, const PoolNames& pools);

// What an offer's row says without its explanation.
#define HANDRAIL_OFFER_COLUMNS                                                              \
  "id, ticket, newcomer, sponsor, relationship_type, pool, state, created_at, expires_at, " \
  "version"
absl::StatusOr<Offer> ReadOffer(const storage::Row& row, const PoolNames& pools);

// With the explanation and the pairing of an offer that was accepted.
#define HANDRAIL_OFFER_QUERY                                                             \
  "SELECT o.id, o.ticket, o.newcomer, o.sponsor, o.relationship_type, o.pool, o.state, " \
  "o.created_at, o.expires_at, o.version, o.explanation, m.wrapped_key, p.id "           \
  "FROM offers o LEFT JOIN members m ON m.id = o.newcomer LEFT JOIN pairings p ON p.offer = o.id "
absl::StatusOr<Offer> ReadWholeOffer(const storage::Row& row, const PoolNames& pools,
                                     MemberVault& vault);

#define HANDRAIL_PAIRING_COLUMNS                                                           \
  "id, offer, ticket, newcomer, sponsor, relationship_type, pool, state, created_at, "     \
  "trial_end, newcomer_confirmed, sponsor_confirmed, conversation, ended_at, end_reason, " \
  "version"
absl::StatusOr<Pairing> ReadPairing(const storage::Row& row, const PoolNames& pools);

#define HANDRAIL_MEMBER_COLUMNS \
  "id, version, standing, may_match, has_newcomer, has_sponsor, attested_at, wrapped_key, traits"
absl::StatusOr<MemberTraits> ReadMember(const storage::Row& row, MemberVault& vault);

// For the `place` of MemberVault.
inline constexpr absl::string_view kTraitsPlace = "members.traits";
inline constexpr absl::string_view kExplanationPlace = "offers.explanation";

// A time that may be "never", which is 0 in a column.
absl::Time TimeOrNever(int64_t micros);
int64_t NeverIsZero(absl::Time time);
// 0..kMaxBoost in millionths.
int64_t BoostToColumn(double boost);
double BoostOfColumn(int64_t millionths);
// 0..1 in millionths; -1 for every negative number, which means that nothing is known.
int64_t ShareToColumn(double share);
double ShareOfColumn(int64_t millionths);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_ROWS_H_
