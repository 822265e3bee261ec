#include "services/matching/stores/ledger_steps.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/stores/help_steps.h"
#include "services/matching/stores/rows.h"

namespace handrail::matching {

using storage::Rows;

namespace {

enum ExclusionKind : int64_t { kTimedOut = 1, kDeclined = 2, kEnded = 3, kSafety = 4 };

constexpr int64_t kOpenOffersOfNewcomerLimit = 256;

constexpr absl::string_view kLockMember =
    "SELECT version, standing, may_match, has_newcomer, has_sponsor, attested_at, wrapped_key "
    "FROM members WHERE id = $1 {for_update}";
constexpr absl::string_view kFindBlock =
    "SELECT 1 FROM blocks WHERE (blocker = $1 AND blocked = $2) "
    "OR (blocker = $2 AND blocked = $1) LIMIT 1";
constexpr absl::string_view kFindAvoided =
    "SELECT 1 FROM avoided WHERE (member = $1 AND other = $2) "
    "OR (member = $2 AND other = $1) LIMIT 1";

std::optional<LedgerSteps::MemberRow> ReadMember(const Rows& rows) {
  if (rows.empty()) return std::nullopt;
  const storage::Row& row = rows.front();
  LedgerSteps::MemberRow member;
  member.version = row.Int(0);
  member.standing = static_cast<Standing>(row.Int(1));
  member.may_match = row.Bool(2);
  member.has_newcomer = row.Bool(3);
  member.has_sponsor = row.Bool(4);
  member.attested_at = TimeOrNever(row.Int(5));
  if (!row.IsNull(6)) member.wrapped_key = std::string(row.Bytes(6));
  return member;
}

template <typename T>
void SortUnique(std::vector<T>& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
}

}  // namespace

absl::Status NotFoundError() {
  return Error(absl::StatusCode::kNotFound, reason::kNotFound).Message("not found");
}

absl::Status TicketAlreadyOpenError(const TicketId& open) {
  return Error(absl::StatusCode::kAlreadyExists, reason::kTicketAlreadyOpen)
      .Message("a request for this kind of relationship is open already")
      .Detail("ticket", open.Name());
}

absl::Status RefusedError(absl::string_view why) {
  return Error(absl::StatusCode::kFailedPrecondition, why)
      .Message("this is not possible in the state it is in now");
}

absl::Status ChangedMeanwhileError() {
  return Error(absl::StatusCode::kAborted, reason::kEtagMismatch)
      .Message("it has changed meanwhile");
}

absl::Status RunAgainError() {
  return Error(absl::StatusCode::kAborted, reason::kDatabaseConflict)
      .Message("it has changed meanwhile");
}

absl::StatusOr<std::optional<LedgerSteps::MemberRow>> LedgerSteps::LockMember(const MemberId& id) {
  ASSIGN_OR_RETURN(const Rows rows, tx_.Query(kLockMember, {id}));
  return ReadMember(rows);
}

absl::StatusOr<LedgerSteps::Two> LedgerSteps::LockTwo(const MemberId& newcomer,
                                                      const MemberId& sponsor) {
  const storage::Args first = {std::min(newcomer, sponsor)};
  const storage::Args second = {std::max(newcomer, sponsor)};
  ASSIGN_OR_RETURN(const std::vector<Rows> rows,
                   tx_.QueryAll({{kLockMember, first}, {kLockMember, second}}));
  const bool newcomer_first = newcomer < sponsor;
  return Two{ReadMember(rows[newcomer_first ? 0 : 1]), ReadMember(rows[newcomer_first ? 1 : 0])};
}

absl::StatusOr<bool> LedgerSteps::IsBlocked(const MemberId& a, const MemberId& b) {
  ASSIGN_OR_RETURN(const Rows rows, tx_.Query(kFindBlock, {a, b}));
  return !rows.empty();
}

absl::StatusOr<bool> LedgerSteps::IsAvoided(const MemberId& a, const MemberId& b) {
  ASSIGN_OR_RETURN(const Rows rows, tx_.Query(kFindAvoided, {a, b}));
  return !rows.empty();
}

absl::StatusOr<bool> LedgerSteps::MayMeet(const MemberId& newcomer, const MemberId& sponsor,
                                          const Two& rows) {
  if (newcomer == sponsor || !rows.newcomer.has_value() || !rows.sponsor.has_value()) return false;
  const MemberRow& asks = *rows.newcomer;
  const MemberRow& gives = *rows.sponsor;
  if (!asks.MayTakePart() || !asks.has_newcomer) return false;
  if (!gives.MayTakePart() || !gives.has_sponsor) return false;
  if (gives.attested_at < now_ - context_.options.attestation_lifetime) return false;
  const storage::Args two = {newcomer, sponsor};
  ASSIGN_OR_RETURN(const std::vector<Rows> apart,
                   tx_.QueryAll({{kFindBlock, two}, {kFindAvoided, two}}));
  return apart[0].empty() && apart[1].empty();
}

absl::Status LedgerSteps::LockSponsors(std::vector<MemberId> ids) {
  if (!context_.locks_rows) return absl::OkStatus();
  SortUnique(ids);
  for (const MemberId& id : ids) {
    RETURN_IF_ERROR(tx_.Later("SELECT version FROM sponsors WHERE id = $1 {for_update}", {id}));
  }
  return absl::OkStatus();
}

absl::Status LedgerSteps::LockTickets(std::vector<TicketId> ids) {
  if (!context_.locks_rows) return absl::OkStatus();
  SortUnique(ids);
  for (const TicketId& id : ids) {
    RETURN_IF_ERROR(tx_.Later("SELECT version FROM tickets WHERE id = $1 {for_update}", {id}));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<int64_t>> LedgerSteps::FindFreeSlot(const MemberId& sponsor,
                                                                 int64_t capacity) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx_.Query("SELECT slot FROM seats WHERE sponsor = $1 ORDER BY slot", {sponsor}));
  if (static_cast<int64_t>(rows.size()) >= capacity) return std::optional<int64_t>();
  int64_t slot = 0;
  for (const storage::Row& row : rows) {
    if (row.Int(0) != slot) break;
    ++slot;
  }
  return std::optional<int64_t>(slot);
}

absl::Status LedgerSteps::TouchSponsor(const MemberId& sponsor) {
  RETURN_IF_ERROR(
      tx_.Later("UPDATE sponsors SET version = version + 1, index_pending = $2 "
                "WHERE id = $1",
                {sponsor, now_}));
  effects_.sponsors.push_back(sponsor);
  return absl::OkStatus();
}

absl::Status LedgerSteps::Exclude(const MemberId& newcomer, const MemberId& sponsor,
                                  absl::Duration how_long, int64_t kind) {
  return tx_.Later(
      "INSERT INTO pair_exclusions (newcomer, sponsor, until, kind) VALUES ($1, $2, $3, $4) "
      "ON CONFLICT (newcomer, sponsor) DO UPDATE SET until = excluded.until, "
      "kind = excluded.kind WHERE pair_exclusions.until < excluded.until",
      {newcomer, sponsor, now_ + how_long, kind});
}

absl::Status LedgerSteps::ExcludeForEver(const MemberId& a, const MemberId& b) {
  return tx_.Later(
      "INSERT INTO pair_exclusions (newcomer, sponsor, until, kind) "
      "VALUES ($1, $2, $3, $4), ($2, $1, $3, $4) "
      "ON CONFLICT (newcomer, sponsor) DO UPDATE SET until = excluded.until, "
      "kind = excluded.kind",
      {a, b, int64_t{INT64_MAX}, int64_t{kSafety}});
}

absl::StatusOr<std::vector<Offer>> LedgerSteps::OpenOffersWhere(absl::string_view condition,
                                                                const storage::Value& argument,
                                                                int64_t limit) {
  ASSIGN_OR_RETURN(const Rows rows, tx_.Query(absl::StrCat("SELECT " HANDRAIL_OFFER_COLUMNS
                                                           " FROM offers WHERE state = 1 AND ",
                                                           condition, " LIMIT $2"),
                                              {argument, limit}));
  std::vector<Offer> offers;
  offers.reserve(rows.size());
  for (const storage::Row& row : rows) {
    ASSIGN_OR_RETURN(Offer offer, ReadOffer(row, context_.pools));
    offers.push_back(std::move(offer));
  }
  return offers;
}

absl::StatusOr<std::vector<Offer>> LedgerSteps::OpenOffersBetween(const MemberId& a,
                                                                  const MemberId& b) {
  std::vector<Offer> offers;
  for (const auto& [newcomer, sponsor] : {std::pair(a, b), std::pair(b, a)}) {
    ASSIGN_OR_RETURN(std::vector<Offer> open,
                     OpenOffersWhere("newcomer = $1", newcomer, kOpenOffersOfNewcomerLimit));
    for (Offer& offer : open) {
      if (offer.sponsor == sponsor) offers.push_back(std::move(offer));
    }
  }
  return offers;
}

absl::Status LedgerSteps::LockFor(const std::vector<Offer>& offers, std::vector<MemberId> sponsors,
                                  std::vector<TicketId> tickets) {
  for (const Offer& offer : offers) {
    sponsors.push_back(offer.sponsor);
    tickets.push_back(offer.ticket);
  }
  RETURN_IF_ERROR(LockSponsors(std::move(sponsors)));
  return LockTickets(std::move(tickets));
}

absl::StatusOr<bool> LedgerSteps::CloseOffer(const Offer& offer, OfferEvent event) {
  const Step<OfferState> step = Apply(OfferState::kOpen, event);
  ASSIGN_OR_RETURN(const int64_t closed,
                   tx_.Execute("UPDATE offers SET state = $2, version = version + 1, "
                               "changed_at = $3 WHERE id = $1 AND state = 1",
                               {offer.id, static_cast<int64_t>(step.next), now_}));
  if (closed == 0) return false;
  RETURN_IF_ERROR(tx_.Later("DELETE FROM seats WHERE holder = $1", {offer.id}));
  RETURN_IF_ERROR(TouchSponsor(offer.sponsor));
  effects_.offers.push_back({offer.id, offer.ticket, offer.newcomer, offer.sponsor});
  const CooldownPolicy& cooldowns = context_.options.cooldowns;
  if (event == OfferEvent::kTimeOut) {
    RETURN_IF_ERROR(Exclude(offer.newcomer, offer.sponsor, cooldowns.after_timeout, kTimedOut));
    RETURN_IF_ERROR(RecordSilence(offer.sponsor));
  } else if (event == OfferEvent::kDecline) {
    RETURN_IF_ERROR(Exclude(offer.newcomer, offer.sponsor, cooldowns.after_decline, kDeclined));
  }
  return true;
}

absl::Status LedgerSteps::CloseAndReturn(const std::vector<Offer>& offers, OfferEvent event) {
  for (const Offer& offer : offers) {
    ASSIGN_OR_RETURN(const bool closed, CloseOffer(offer, event));
    if (closed) RETURN_IF_ERROR(ReturnTicket(offer.ticket));
  }
  return absl::OkStatus();
}

absl::Status LedgerSteps::ReturnTicket(const TicketId& id) {
  // created_at is not touched: the place in the queue is kept (M6).
  ASSIGN_OR_RETURN(const Rows rows,
                   tx_.Query("UPDATE tickets SET state = CASE WHEN EXISTS (SELECT 1 FROM offers o "
                             "WHERE o.ticket = $1 AND o.state = 1) THEN 2 ELSE 1 END, "
                             "version = version + 1, index_pending = $2, "
                             "choosing = " HANDRAIL_STILL_CHOOSING
                             "WHERE id = $1 AND state = 2 RETURNING " HANDRAIL_TICKET_COLUMNS,
                             {id, now_}));
  if (rows.empty()) return absl::OkStatus();
  return NoteTicket(rows.front());
}

absl::Status LedgerSteps::TakeChoice(const TicketId& id, const MemberId& sponsor) {
  ASSIGN_OR_RETURN(const int64_t taken,
                   tx_.Execute("UPDATE ticket_choices SET state = 1 WHERE ticket = $1 "
                               "AND sponsor = $2 AND state = 0 AND NOT EXISTS "
                               "(SELECT 1 FROM ticket_choices b WHERE b.ticket = $1 "
                               "AND b.state = 0 AND b.place < ticket_choices.place)",
                               {id, sponsor}));
  return taken == 1 ? absl::OkStatus() : RefusedError(reason::kTicketNotOpen);
}

absl::Status LedgerSteps::ReturnChoice(const TicketId& id, const MemberId& sponsor) {
  return tx_.Later(
      "UPDATE ticket_choices SET state = 0 WHERE ticket = $1 AND sponsor = $2 "
      "AND EXISTS (SELECT 1 FROM tickets t WHERE t.id = $1 AND t.choosing = 1)",
      {id, sponsor});
}

absl::Status LedgerSteps::RequireNotDrained(const PoolKey& pool) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx_.Query("SELECT 1 FROM pool_drains WHERE pool = $1 AND until > $2",
                             {storage::Blob{context_.pools.Opaque(pool)}, now_}));
  return rows.empty() ? absl::OkStatus() : RefusedError(reason::kPoolDrained);
}

absl::Status LedgerSteps::WithdrawTicket(const TicketId& id) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx_.Query("UPDATE tickets SET state = 4, version = version + 1, "
                             "index_pending = $2 WHERE id = $1 AND state IN (1, 2) "
                             "RETURNING " HANDRAIL_TICKET_COLUMNS,
                             {id, now_}));
  if (rows.empty()) return absl::OkStatus();
  return NoteTicket(rows.front());
}

absl::StatusOr<bool> LedgerSteps::EndPairing(const Pairing& pairing, EndReason reason) {
  ASSIGN_OR_RETURN(const int64_t ended,
                   tx_.Execute("UPDATE pairings SET state = 5, version = version + 1, "
                               "ended_at = $2, end_reason = $3 WHERE id = $1 AND state <> 5",
                               {pairing.id, now_, static_cast<int64_t>(reason)}));
  if (ended == 0) return false;
  RETURN_IF_ERROR(tx_.Later("DELETE FROM seats WHERE holder = $1", {pairing.id}));
  RETURN_IF_ERROR(TouchSponsor(pairing.sponsor));
  RETURN_IF_ERROR(
      Exclude(pairing.newcomer, pairing.sponsor, context_.options.cooldowns.after_end, kEnded));
  RETURN_IF_ERROR(PutOutbox(pairing, OutboxEntry::Step::kClose));
  // Whatever the reason: a word that is missing would tell it.
  NoticeText text;
  text.kind = NoticeKind::kRematchAvailable;
  text.subject = pairing.id;
  text.due = text.useless = now_ + context_.options.care.rematch_window;
  RETURN_IF_ERROR(Notify(pairing.newcomer, text));
  return true;
}

absl::Status LedgerSteps::SayUnsafe(const Pairing& pairing, const MemberId& by, EndReason reason) {
  const MemberId& other = by == pairing.newcomer ? pairing.sponsor : pairing.newcomer;
  RETURN_IF_ERROR(
      tx_.Later("INSERT INTO safety_words (pairing, member, other, reason, said_at) "
                "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                {pairing.id, by, other, static_cast<int64_t>(reason), now_}));
  // Where a case is made from it. The version stays: the other one would see it rise.
  RETURN_IF_ERROR(
      tx_.Later("UPDATE pairings SET end_reason = $2 WHERE id = $1 AND state = 5 AND "
                "end_reason NOT IN ($3, $4)",
                {pairing.id, static_cast<int64_t>(reason), static_cast<int64_t>(EndReason::kSafety),
                 static_cast<int64_t>(EndReason::kBoundary)}));
  RETURN_IF_ERROR(ExcludeForEver(pairing.newcomer, pairing.sponsor));
  return KeepApartInHelp(*this, by, other);
}

absl::Status LedgerSteps::PutOutbox(const Pairing& pairing, OutboxEntry::Step step) {
  effects_.outbox = true;
  return tx_.Later(
      "INSERT INTO outbox (id, pairing, step, newcomer, sponsor, created_at, due_at, "
      "attempts) VALUES ($1, $2, $3, $4, $5, $6, $6, 0) ON CONFLICT DO NOTHING",
      {OutboxId::TimeOrdered(now_, context_.random), pairing.id, static_cast<int64_t>(step),
       pairing.newcomer, pairing.sponsor, now_});
}

absl::Status LedgerSteps::NoteTicket(const storage::Row& row) {
  ASSIGN_OR_RETURN(TicketChange change, ReadTicketChange(row, context_.pools));
  change.parallel_limit = context_.policies.Of(change.relationship_type).parallel_offers;
  effects_.tickets.push_back(std::move(change));
  return absl::OkStatus();
}

}  // namespace handrail::matching
