#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "services/matching/stores/choice_ledger_sql.h"
#include "services/matching/stores/shown_codec.h"

// What newcomers asked and whom they were shown.
namespace handrail::matching {

using storage::Blob;
using storage::Rows;
using storage::Transaction;

namespace {

constexpr absl::string_view kAnswerPlace = "candidate_questions.answer";

absl::Status QuestionsSpentError(absl::Time now) {
  return Error(absl::StatusCode::kResourceExhausted, reason::kCandidatesSpent)
      .Message(
          "as many different questions were answered as can be in a day: what was asked today can "
          "be asked again, and Handrail can choose")
      .RetryAfter(NextDay(now) - now);
}

absl::StatusOr<int> CountOn(Transaction& tx, absl::string_view sql, const MemberId& caller,
                            int64_t day) {
  ASSIGN_OR_RETURN(const Rows rows, tx.Query(sql, {caller, day}));
  return static_cast<int>(rows.front().Int(0));
}

constexpr absl::string_view kCountAsked =
    "SELECT COUNT(*) FROM candidate_questions WHERE member = $1 AND day = $2";
constexpr absl::string_view kCountSeen =
    "SELECT COUNT(*) FROM candidates_seen WHERE member = $1 AND day = $2";

}  // namespace

absl::StatusOr<std::optional<SqlChoiceLedger::Asked>> SqlChoiceLedger::FindAsked(
    Transaction& tx, const MemberId& caller, int64_t day, const Question& question) const {
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query("SELECT q.id, q.answer, m.wrapped_key FROM candidate_questions q "
               "JOIN members m ON m.id = q.member WHERE q.member = $1 AND q.day = $2 "
               "AND q.member_version = $3 AND q.importance = $4 AND q.relationship_type = $5 "
               "AND q.pool = $6",
               {caller, day, question.member_version, int64_t{question.importance.bits()},
                static_cast<int64_t>(question.relationship_type),
                Blob{context_.pools.Opaque(question.pool)}}));
  if (rows.empty()) return std::optional<Asked>();
  const storage::Row& row = rows.front();
  Asked asked;
  asked.id = row.Id<QuestionId>(0);
  if (!row.IsNull(1)) asked.sealed = std::string(row.Bytes(1));
  if (!row.IsNull(2)) asked.wrapped_key = std::string(row.Bytes(2));
  return std::optional<Asked>(std::move(asked));
}

absl::StatusOr<ShownList> SqlChoiceLedger::OpenAnswer(const MemberId& caller,
                                                      const Asked& asked) const {
  ASSIGN_OR_RETURN(
      const std::string plain,
      context_.vault.Open(caller, asked.wrapped_key, kAnswerPlace, asked.id, asked.sealed));
  return DecodeShown(plain);
}

absl::StatusOr<Shown> SqlChoiceLedger::FindShown(const Call& call, absl::Time now,
                                                 const Question& question,
                                                 const ShowBudget& budget) {
  const int64_t day = DayOf(now);
  Shown shown;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    shown = Shown();
    ASSIGN_OR_RETURN(const int asked, CountOn(tx, kCountAsked, call.who.member, day));
    ASSIGN_OR_RETURN(const int seen, CountOn(tx, kCountSeen, call.who.member, day));
    shown.questions_left = std::max(0, budget.questions - asked);
    shown.people_left = std::max(0, budget.people - seen);
    ASSIGN_OR_RETURN(const std::optional<Asked> row, FindAsked(tx, call.who.member, day, question));
    if (!row.has_value()) {
      return shown.questions_left == 0 ? QuestionsSpentError(now) : absl::OkStatus();
    }
    if (row->sealed.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(shown.answer, OpenAnswer(call.who.member, *row));
    return absl::OkStatus();
  }));
  return shown;
}

absl::StatusOr<Shown> SqlChoiceLedger::Show(const Call& call, absl::Time now,
                                            const Question& question,
                                            absl::Span<const MemberId> candidates, int limit,
                                            const ShowBudget& budget) {
  const int64_t day = DayOf(now);
  Shown shown;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    shown = Shown();
    Effects effects;
    LedgerSteps steps(tx, context_, now, effects);
    // The member's row stands for all that the member asked and was shown.
    ASSIGN_OR_RETURN(const auto member, steps.LockMember(call.who.member));
    if (!member.has_value()) return NotFoundError();
    ASSIGN_OR_RETURN(int asked, CountOn(tx, kCountAsked, call.who.member, day));
    ASSIGN_OR_RETURN(const std::optional<Asked> before,
                     FindAsked(tx, call.who.member, day, question));
    if (!before.has_value()) {
      if (asked >= budget.questions) return QuestionsSpentError(now);
      RETURN_IF_ERROR(
          tx.Execute("INSERT INTO candidate_questions (id, member, day, member_version, "
                     "importance, relationship_type, pool, answer) "
                     "VALUES ($1, $2, $3, $4, $5, $6, $7, NULL)",
                     {QuestionId::Random(context_.random), call.who.member, day,
                      question.member_version, int64_t{question.importance.bits()},
                      static_cast<int64_t>(question.relationship_type),
                      Blob{context_.pools.Opaque(question.pool)}})
              .status());
      ++asked;
    } else if (!before->sealed.empty()) {
      ASSIGN_OR_RETURN(shown.answer, OpenAnswer(call.who.member, *before));
    }
    shown.questions_left = std::max(0, budget.questions - asked);
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT seen FROM candidates_seen WHERE member = $1 AND day = $2",
                              {call.who.member, day}));
    absl::flat_hash_set<std::string> seen;
    for (const storage::Row& row : rows) seen.insert(std::string(row.Bytes(0)));
    for (const MemberId& candidate : candidates) {
      if (shown.answer.has_value() || shown.people.size() == static_cast<size_t>(limit)) break;
      std::string hash = hash_(day, candidate);
      if (!seen.contains(hash)) {
        if (seen.size() >= static_cast<size_t>(budget.people)) continue;
        RETURN_IF_ERROR(tx.Execute("INSERT INTO candidates_seen (member, day, seen) "
                                   "VALUES ($1, $2, $3)",
                                   {call.who.member, day, Blob{hash}})
                            .status());
        seen.insert(std::move(hash));
      }
      shown.people.push_back(candidate);
    }
    shown.people_left = std::max(0, budget.people - static_cast<int>(seen.size()));
    return absl::OkStatus();
  }));
  return shown;
}

absl::StatusOr<ShownList> SqlChoiceLedger::KeepShown(const Call& call, absl::Time now,
                                                     const Question& question,
                                                     const ShownList& list) {
  ShownList stands;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    Effects effects;
    LedgerSteps steps(tx, context_, now, effects);
    ASSIGN_OR_RETURN(const auto member, steps.LockMember(call.who.member));
    if (!member.has_value() || member->wrapped_key.empty()) return NotFoundError();
    ASSIGN_OR_RETURN(const std::optional<Asked> asked,
                     FindAsked(tx, call.who.member, DayOf(now), question));
    if (!asked.has_value()) return NotFoundError();
    if (!asked->sealed.empty()) {
      ASSIGN_OR_RETURN(stands, OpenAnswer(call.who.member, *asked));
      return absl::OkStatus();
    }
    stands = list;
    ASSIGN_OR_RETURN(const std::string sealed,
                     context_.vault.Seal(call.who.member, member->wrapped_key, kAnswerPlace,
                                         asked->id, EncodeShown(list)));
    return tx
        .Execute("UPDATE candidate_questions SET answer = $2 WHERE id = $1",
                 {asked->id, Blob{sealed}})
        .status();
  }));
  return stands;
}

}  // namespace handrail::matching
