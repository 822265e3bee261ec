#include "services/matching/stores/care_sql.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/request_log.h"
#include "services/matching/stores/codec.h"
#include "services/matching/stores/packed.h"
#include "services/matching/stores/rows.h"

// What people ask and answer: notices, check-ins, rematch.
namespace handrail::matching {

using storage::Blob;
using storage::Rows;
using storage::Transaction;

namespace {

constexpr absl::string_view kAnswerPlace = "check_ins.answer";

#define HANDRAIL_NOTICE_COLUMNS \
  "n.id, n.member, n.kind, n.subject, n.step, n.created_at, n.due_at, n.read_at"

// A subject is an id of whatever collection its kind says.
struct SubjectTag {
  [[maybe_unused]] static constexpr absl::string_view kCollection = "subjects";
};

Notice ReadNotice(const storage::Row& row) {
  Notice notice;
  notice.id = row.Id<NoticeId>(0);
  notice.member = row.Id<MemberId>(1);
  notice.kind = static_cast<NoticeKind>(row.Int(2));
  notice.subject = row.Id<Id<SubjectTag>>(3);
  notice.step = row.Int(4);
  notice.create_time = row.Time(5);
  notice.due_time = TimeOrNever(row.Int(6));
  notice.read_time = TimeOrNever(row.Int(7));
  return notice;
}

// Every answer of one day has the same length, so that the row says nothing about it.
std::string PlainAnswer(int day, CheckInAnswer answer) {
  return {static_cast<char>(day), static_cast<char>(answer)};
}

}  // namespace

SqlCareStore::SqlCareStore(storage::Database& database, MemberVault& vault, const PoolNames& pools,
                           Random& random, const ProgramPolicies& policies,
                           const LedgerOptions& options)
    : database_(database),
      context_{vault, pools, random, policies, options, database.BackendName() != "sqlite"},
      runner_(database_, context_) {}

absl::StatusOr<Page<Notice>> SqlCareStore::ListNotices(const Call& call, absl::Time now,
                                                       bool include_read, int limit,
                                                       std::optional<PageStart> after) {
  const PageStart start = after.value_or(PageStart{absl::FromUnixMicros(INT64_MAX), {}});
  // 1 is a reminder of an offer; 8, 9 and 11 speak of a ticket that waits.
  ASSIGN_OR_RETURN(
      const Rows rows,
      runner_.ReadRows(
          call.deadline,
          "SELECT " HANDRAIL_NOTICE_COLUMNS
          " FROM notices n WHERE n.member = $1 AND (n.created_at, n.id) < ($2, $3) "
          "AND n.useless_at > $4 AND (n.read_at = 0 OR $5 = 1) "
          "AND (n.kind <> 1 OR EXISTS (SELECT 1 FROM offers o WHERE o.id = n.subject "
          "AND o.state = 1)) AND (n.kind NOT IN (8, 9, 11) OR EXISTS (SELECT 1 FROM tickets t "
          "WHERE t.id = n.subject AND t.state IN (1, 2))) "
          "ORDER BY n.created_at DESC, n.id DESC LIMIT $6",
          {call.who.member, start.create_time, start.id, now, include_read, limit + 1}));
  Page<Notice> page;
  page.more = rows.size() > static_cast<size_t>(limit);
  for (const storage::Row& row : rows) {
    if (page.items.size() == static_cast<size_t>(limit)) break;
    page.items.push_back(ReadNotice(row));
  }
  return page;
}

absl::StatusOr<Changed<Notice>> SqlCareStore::MarkNoticeRead(const Call& call, absl::Time now,
                                                             const NoticeId& id) {
  ASSIGN_OR_RETURN(
      StepRunner::Answered answered,
      runner_.RunOnce(call, now, [&](Steps& steps) -> absl::StatusOr<std::string> {
        ASSIGN_OR_RETURN(const Rows rows,
                         steps.tx().Query("UPDATE notices AS n SET read_at = CASE WHEN "
                                          "n.read_at = 0 THEN $3 ELSE n.read_at END "
                                          "WHERE n.id = $1 AND n.member = $2 RETURNING "
                                          "id, member, kind, subject, step, created_at, due_at, "
                                          "read_at",
                                          {id, call.who.member, now}));
        if (rows.empty()) return NotFoundError();
        const Notice notice = ReadNotice(rows.front());
        steps.effects().notices.push_back({notice.member, notice.kind, false});
        return absl::StrCat(
            notice.subject.Bytes(),
            PackNumbers({static_cast<int64_t>(notice.kind), notice.step,
                         absl::ToUnixMicros(notice.create_time), NeverIsZero(notice.due_time),
                         absl::ToUnixMicros(notice.read_time)}));
      }));
  absl::string_view bytes = answered.answer;
  Changed<Notice> changed;
  ASSIGN_OR_RETURN(changed.value.subject, Id<SubjectTag>::FromBytes(bytes.substr(0, 16)));
  bytes.remove_prefix(RawId::kBytes);
  ASSIGN_OR_RETURN(const std::vector<int64_t> numbers, UnpackNumbers(bytes, 5));
  changed.value.id = id;
  changed.value.member = call.who.member;
  changed.value.kind = static_cast<NoticeKind>(numbers[0]);
  changed.value.step = numbers[1];
  changed.value.create_time = absl::FromUnixMicros(numbers[2]);
  changed.value.due_time = TimeOrNever(numbers[3]);
  changed.value.read_time = absl::FromUnixMicros(numbers[4]);
  changed.effects = std::move(answered.effects);
  return changed;
}

absl::StatusOr<std::vector<CheckIn>> SqlCareStore::ListCheckIns(const Call& call,
                                                                const PairingId& pairing) {
  Rows mine;
  Rows rows;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(mine, tx.Query("SELECT m.wrapped_key FROM pairings p LEFT JOIN members m "
                                    "ON m.id = $2 WHERE p.id = $1 AND "
                                    "(p.newcomer = $2 OR p.sponsor = $2)",
                                    {pairing, call.who.member}));
    if (mine.empty()) return NotFoundError();
    ASSIGN_OR_RETURN(rows, tx.Query("SELECT day, due_at, answer FROM check_ins WHERE pairing = $1 "
                                    "AND member = $2 ORDER BY day",
                                    {pairing, call.who.member}));
    return absl::OkStatus();
  }));
  std::vector<CheckIn> check_ins;
  check_ins.reserve(rows.size());
  for (const storage::Row& row : rows) {
    CheckIn check_in;
    check_in.pairing = pairing;
    check_in.day = static_cast<int>(row.Int(0));
    check_in.due_time = row.Time(1);
    if (!row.IsNull(2) && !mine.front().IsNull(0)) {
      ASSIGN_OR_RETURN(const std::string plain,
                       context_.vault.Open(call.who.member, mine.front().Bytes(0), kAnswerPlace,
                                           pairing, row.Bytes(2)));
      if (plain.size() != 2 || plain[0] != static_cast<char>(check_in.day)) {
        return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
            .Message("a stored answer cannot be read");
      }
      check_in.answer = static_cast<CheckInAnswer>(plain[1]);
    }
    check_ins.push_back(check_in);
  }
  return check_ins;
}

absl::StatusOr<std::string> SqlCareStore::AnswerCheckInStep(Steps& steps, const Call& call,
                                                            const PairingId& pairing, int day,
                                                            CheckInAnswer answer) {
  const MemberId& me = call.who.member;
  Transaction& tx = steps.tx();
  ASSIGN_OR_RETURN(const std::optional<Steps::MemberRow> row, steps.LockMember(me));
  ASSIGN_OR_RETURN(const Rows pairings,
                   tx.Query("SELECT newcomer, state FROM pairings WHERE id = $1 AND "
                            "(newcomer = $2 OR sponsor = $2)",
                            {pairing, me}));
  if (pairings.empty() || !row.has_value() || row->wrapped_key.empty()) return NotFoundError();
  ASSIGN_OR_RETURN(
      const std::string sealed,
      context_.vault.Seal(me, row->wrapped_key, kAnswerPlace, pairing, PlainAnswer(day, answer)));
  ASSIGN_OR_RETURN(const Rows answered,
                   tx.Query("UPDATE check_ins SET answer = $4, answered_at = $5 WHERE pairing = $1 "
                            "AND member = $2 AND day = $3 RETURNING due_at",
                            {pairing, me, day, Blob{sealed}, steps.now()}));
  if (answered.empty()) return RefusedError(reason::kCheckInNotDue);
  RETURN_IF_ERROR(
      tx.Execute("UPDATE notices SET read_at = $5 WHERE member = $1 AND kind = $2 "
                 "AND subject = $3 AND step <= $4 AND read_at = 0",
                 {me, static_cast<int64_t>(NoticeKind::kCheckInDue), pairing, day, steps.now()})
          .status());
  const bool is_newcomer = pairings.front().Id<MemberId>(0) == me;
  const bool has_ended = pairings.front().Int(1) == static_cast<int64_t>(PairingState::kEnded);
  if (is_newcomer && !has_ended && answer != CheckInAnswer::kGoingWell) {
    Steps::NoticeText text;
    text.kind = NoticeKind::kRematchAvailable;
    text.subject = pairing;
    text.step = day;
    RETURN_IF_ERROR(steps.Notify(me, text));
  }
  return PackNumbers(
      {absl::ToUnixMicros(answered.front().Time(0)), is_newcomer ? 1 : 0, has_ended ? 1 : 0});
}

absl::StatusOr<Changed<CareStore::AnsweredCheckIn>> SqlCareStore::AnswerCheckIn(
    const Call& call, absl::Time now, const PairingId& pairing, int day, CheckInAnswer answer) {
  ASSIGN_OR_RETURN(StepRunner::Answered answered, runner_.RunOnce(call, now, [&](Steps& steps) {
    return AnswerCheckInStep(steps, call, pairing, day, answer);
  }));
  // What was answered is not in the log; a repeated request says it again.
  ASSIGN_OR_RETURN(const std::vector<int64_t> numbers, UnpackNumbers(answered.answer, 3));
  Changed<AnsweredCheckIn> changed;
  changed.value.check_in = {pairing, day, absl::FromUnixMicros(numbers[0]), answer};
  changed.value.is_newcomer = numbers[1] != 0;
  changed.value.has_ended = numbers[2] != 0;
  changed.effects = std::move(answered.effects);
  return changed;
}

absl::StatusOr<Ticket> SqlCareStore::TicketFromAnswer(absl::string_view answer) const {
  ASSIGN_OR_RETURN(TicketAnswer decoded, DecodeTicketAnswer(answer));
  ASSIGN_OR_RETURN(decoded.ticket.pool, context_.pools.Reveal(decoded.pool));
  decoded.ticket.philosophy = decoded.ticket.pool.philosophy;
  return std::move(decoded.ticket);
}

absl::StatusOr<std::string> SqlCareStore::OpenRematchStep(Steps& steps, const Call& call,
                                                          const PairingId& pairing,
                                                          const NewTicket& ticket) {
  const MemberId& me = call.who.member;
  Transaction& tx = steps.tx();
  ASSIGN_OR_RETURN(const std::optional<Steps::MemberRow> row, steps.LockMember(me));
  if (!row.has_value() || row->version != ticket.member_version) return ChangedMeanwhileError();
  ASSIGN_OR_RETURN(const Rows ended,
                   tx.Query("SELECT p.newcomer, p.state, p.ended_at, t.created_at FROM pairings p "
                            "JOIN tickets t ON t.id = p.ticket WHERE p.id = $1 AND "
                            "(p.newcomer = $2 OR p.sponsor = $2)",
                            {pairing, me}));
  if (ended.empty()) return NotFoundError();
  const storage::Row& before = ended.front();
  if (before.Id<MemberId>(0) != me || before.Int(1) != static_cast<int64_t>(PairingState::kEnded) ||
      before.Time(2) + policy().rematch_window <= steps.now()) {
    return RefusedError(reason::kRematchNotAvailable);
  }
  if (row->standing != Standing::kGood) return RefusedError(reason::kMemberSuspended);
  if (!row->may_match) return RefusedError(reason::kConsentRequired);
  if (!row->has_newcomer) return RefusedError(reason::kProfileIncomplete);
  ASSIGN_OR_RETURN(const int64_t first,
                   tx.Execute("INSERT INTO rematches (pairing, ticket, created_at) "
                              "VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                              {pairing, ticket.id, steps.now()}));
  if (first == 0) return RefusedError(reason::kRematchNotAvailable);
  TicketChange change;
  change.ticket = ticket.id;
  change.newcomer = me;
  change.relationship_type = ticket.relationship_type;
  change.pool = ticket.pool;
  change.create_time = RematchPlace(before.Time(3), steps.now(), context_.options.ticket_lifetime);
  ASSIGN_OR_RETURN(const bool inserted, steps.InsertTicket(change));
  if (!inserted) {
    ASSIGN_OR_RETURN(const Rows open,
                     tx.Query("SELECT id FROM tickets WHERE member = $1 AND "
                              "relationship_type = $2 AND state IN (1, 2)",
                              {me, static_cast<int64_t>(ticket.relationship_type)}));
    if (open.empty()) return RunAgainError();  // it was closed a moment ago
    return TicketAlreadyOpenError(open.front().Id<TicketId>(0));
  }
  RETURN_IF_ERROR(
      tx.Execute("UPDATE notices SET read_at = $4 WHERE member = $1 AND kind = $2 "
                 "AND subject = $3 AND read_at = 0",
                 {me, static_cast<int64_t>(NoticeKind::kRematchAvailable), pairing, steps.now()})
          .status());
  return EncodeTicketAnswer(TicketOf(change), context_.pools.Opaque(change.pool));
}

absl::StatusOr<Changed<Ticket>> SqlCareStore::OpenRematch(const Call& call, absl::Time now,
                                                          const PairingId& pairing,
                                                          const NewTicket& ticket) {
  ASSIGN_OR_RETURN(StepRunner::Answered answered, runner_.RunOnce(call, now, [&](Steps& steps) {
    return OpenRematchStep(steps, call, pairing, ticket);
  }));
  Changed<Ticket> changed;
  ASSIGN_OR_RETURN(changed.value, TicketFromAnswer(answered.answer));
  changed.effects = std::move(answered.effects);
  return changed;
}

absl::StatusOr<std::optional<Ticket>> SqlCareStore::FindRematchAnswer(const Call& call) {
  std::optional<std::string> replay;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(replay, storage::FindAnswer(tx, call));
    return absl::OkStatus();
  }));
  if (!replay.has_value()) return std::optional<Ticket>();
  ASSIGN_OR_RETURN(Ticket ticket, TicketFromAnswer(*replay));
  return std::optional<Ticket>(std::move(ticket));
}

absl::StatusOr<std::vector<absl::Duration>> SqlCareStore::RecentWaits(
    absl::Time deadline, const PoolKey& pool, RelationshipType relationship_type, absl::Time since,
    int limit) {
  ASSIGN_OR_RETURN(const Rows rows,
                   runner_.ReadRows(deadline,
                                    "SELECT p.created_at, t.created_at, t.asked_at FROM pairings p "
                                    "JOIN tickets t ON t.id = p.ticket WHERE p.pool = $1 AND "
                                    "p.created_at >= $2 AND p.relationship_type = $3 "
                                    "ORDER BY p.created_at DESC LIMIT $4",
                                    {Blob{context_.pools.Opaque(pool)}, since,
                                     static_cast<int64_t>(relationship_type), limit}));
  std::vector<absl::Duration> waits;
  waits.reserve(rows.size());
  for (const storage::Row& row : rows) {
    const absl::Time asked = row.Int(2) != 0 ? row.Time(2) : row.Time(1);
    waits.push_back(row.Time(0) - asked);
  }
  return waits;
}

}  // namespace handrail::matching
