#include "services/matching/stores/rows.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/status.h"
#include "services/matching/stores/codec.h"

namespace handrail::matching {

absl::Time TimeOrNever(int64_t micros) {
  return micros == 0 ? absl::InfinitePast() : absl::FromUnixMicros(micros);
}

int64_t NeverIsZero(absl::Time time) {
  return time == absl::InfinitePast() ? 0 : absl::ToUnixMicros(time);
}

int64_t BoostToColumn(double boost) { return std::llround(boost * 1e6); }

double BoostOfColumn(int64_t millionths) { return static_cast<double>(millionths) / 1e6; }

absl::StatusOr<TicketChange> ReadTicketChange(const storage::Row& row, const PoolNames& pools) {
  TicketChange ticket;
  ticket.ticket = row.Id<TicketId>(0);
  ticket.newcomer = row.Id<MemberId>(1);
  ticket.relationship_type = static_cast<RelationshipType>(row.Int(2));
  ASSIGN_OR_RETURN(ticket.pool, pools.Reveal(row.Bytes(3)));
  ticket.state = static_cast<TicketState>(row.Int(4));
  ticket.create_time = row.Time(5);
  ticket.expire_time = row.Time(6);
  ticket.boost = BoostOfColumn(row.Int(7));
  ticket.version = row.Int(8);
  ticket.offer_count = static_cast<int>(row.Int(9));
  ticket.importance = Importance::FromBits(static_cast<uint32_t>(row.Int(10)));
  ticket.choosing = row.Bool(11);
  ticket.open_offers = static_cast<int>(row.Int(12));
  ticket.chosen_left = static_cast<int>(row.Int(13));
  return ticket;
}

int64_t ShareToColumn(double share) {
  return share < 0 ? -1 : std::llround(std::min(share, 1.0) * 1e6);
}

double ShareOfColumn(int64_t millionths) {
  return millionths < 0 ? -1 : static_cast<double>(millionths) / 1e6;
}

absl::StatusOr<Ticket> ReadTicket(const storage::Row& row, const PoolNames& pools) {
  ASSIGN_OR_RETURN(const TicketChange change, ReadTicketChange(row, pools));
  Ticket ticket = TicketOf(change);
  if (!row.IsNull(14)) ticket.pairing = row.Id<PairingId>(14);
  if (!row.IsNull(15)) ticket.conversation = row.Id<ConversationId>(15);
  return ticket;
}

absl::StatusOr<Offer> ReadOffer(const storage::Row& row, const PoolNames& pools) {
  Offer offer;
  offer.id = row.Id<OfferId>(0);
  offer.ticket = row.Id<TicketId>(1);
  offer.newcomer = row.Id<MemberId>(2);
  offer.sponsor = row.Id<MemberId>(3);
  offer.relationship_type = static_cast<RelationshipType>(row.Int(4));
  ASSIGN_OR_RETURN(const PoolKey pool, pools.Reveal(row.Bytes(5)));
  offer.philosophy = pool.philosophy;
  offer.state = static_cast<OfferState>(row.Int(6));
  offer.create_time = row.Time(7);
  offer.expire_time = row.Time(8);
  offer.version = row.Int(9);
  return offer;
}

absl::StatusOr<Offer> ReadWholeOffer(const storage::Row& row, const PoolNames& pools,
                                     MemberVault& vault) {
  ASSIGN_OR_RETURN(Offer offer, ReadOffer(row, pools));
  if (!row.IsNull(11)) {  // without a key the newcomer is erased, and the explanation with them
    ASSIGN_OR_RETURN(
        const std::string plain,
        vault.Open(offer.newcomer, row.Bytes(11), kExplanationPlace, offer.id, row.Bytes(10)));
    ASSIGN_OR_RETURN(offer.explanation, DecodeExplanation(plain));
  }
  if (!row.IsNull(12)) offer.pairing = row.Id<PairingId>(12);
  return offer;
}

absl::StatusOr<Pairing> ReadPairing(const storage::Row& row, const PoolNames& pools) {
  Pairing pairing;
  pairing.id = row.Id<PairingId>(0);
  pairing.offer = row.Id<OfferId>(1);
  pairing.ticket = row.Id<TicketId>(2);
  pairing.newcomer = row.Id<MemberId>(3);
  pairing.sponsor = row.Id<MemberId>(4);
  pairing.relationship_type = static_cast<RelationshipType>(row.Int(5));
  ASSIGN_OR_RETURN(const PoolKey pool, pools.Reveal(row.Bytes(6)));
  pairing.philosophy = pool.philosophy;
  pairing.state = static_cast<PairingState>(row.Int(7));
  pairing.create_time = row.Time(8);
  pairing.trial_end_time = row.Time(9);
  pairing.newcomer_confirmed = row.Bool(10);
  pairing.sponsor_confirmed = row.Bool(11);
  if (!row.IsNull(12)) pairing.conversation = row.Id<ConversationId>(12);
  if (row.Int(13) != 0) pairing.end_time = row.Time(13);
  pairing.end_reason = static_cast<EndReason>(row.Int(14));
  pairing.version = row.Int(15);
  return pairing;
}

absl::StatusOr<MemberTraits> ReadMember(const storage::Row& row, MemberVault& vault) {
  MemberTraits member;
  member.member = row.Id<MemberId>(0);
  if (!row.IsNull(7) && !row.IsNull(8)) {
    ASSIGN_OR_RETURN(const std::string plain, vault.Open(member.member, row.Bytes(7), kTraitsPlace,
                                                         member.member, row.Bytes(8)));
    RETURN_IF_ERROR(DecodeTraits(plain, member));
  }
  member.version = row.Int(1);
  member.standing = static_cast<Standing>(row.Int(2));
  return member;
}

}  // namespace handrail::matching
