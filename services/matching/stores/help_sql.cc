#include "services/matching/stores/help_sql.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/request_log.h"

// Calls for help, and what moves them.
namespace handrail::matching {

using storage::Rows;
using storage::Transaction;

namespace {

// Under a request id lies the outcome as one digit, then the call's id.
std::string EncodeReached(ReachOutcome outcome, const HelpCallId& id) {
  return absl::StrCat(static_cast<int>(outcome), id.Name());
}

absl::Status DecodeReached(absl::string_view answer, ReachOutcome& outcome, HelpCallId& id) {
  if (answer.empty() || answer[0] < '1' || answer[0] > '2') {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt).Message("an answer of ours");
  }
  outcome = static_cast<ReachOutcome>(answer[0] - '0');
  ASSIGN_OR_RETURN(id, HelpCallId::FromName(answer.substr(1)));
  return absl::OkStatus();
}

// NOT_FOUND when it is not the caller's.
absl::StatusOr<HelpCall> ReadCall(Transaction& tx, const MemberId& caller, const HelpCallId& id) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      tx.Query(HANDRAIL_HELP_CALL_QUERY "WHERE h.id = $1 AND h.member = $2", {id, caller}));
  if (rows.empty()) return NotFoundError();
  return ReadHelpCall(rows.front());
}

ReachOutcome OutcomeOf(const HelpCall& call) {
  return call.asked > 0 ? ReachOutcome::kAsking : ReachOutcome::kNobody;
}

}  // namespace

SqlHelpStore::SqlHelpStore(storage::Database& database, MemberVault& vault, const PoolNames& pools,
                           Random& random, const ProgramPolicies& policies,
                           const HelpOptions& options)
    : database_(database),
      context_{vault, pools, random, policies, LedgerOptions(), database.BackendName() != "sqlite"},
      options_(options) {}

absl::StatusOr<Effects> SqlHelpStore::Run(absl::Time deadline, absl::Time now,
                                          absl::FunctionRef<absl::Status(Steps&)> step) {
  Effects effects;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) {
    effects = Effects();
    Steps steps(tx, context_, now, effects);
    return step(steps);
  }));
  return effects;
}

absl::StatusOr<SqlHelpStore::Answered> SqlHelpStore::RunOnce(
    const Call& call, absl::Time now,
    absl::FunctionRef<absl::StatusOr<std::optional<std::string>>(Steps&)> step) {
  return RunOnce(call, now, step,
                 [](Transaction&, const std::string&) { return absl::OkStatus(); });
}

absl::StatusOr<SqlHelpStore::Answered> SqlHelpStore::RunOnce(
    const Call& call, absl::Time now,
    absl::FunctionRef<absl::StatusOr<std::optional<std::string>>(Steps&)> step,
    absl::FunctionRef<absl::Status(Transaction&, const std::string&)> read) {
  Answered answered;
  RETURN_IF_ERROR(database_.Write(call.deadline, [&](Transaction& tx) -> absl::Status {
    answered = Answered();
    ASSIGN_OR_RETURN(std::optional<std::string> replay, storage::FindAnswer(tx, call));
    if (replay.has_value()) {
      answered.answer = *std::move(replay);
      return read(tx, answered.answer);
    }
    Steps steps(tx, context_, now, answered.effects);
    ASSIGN_OR_RETURN(std::optional<std::string> answer, step(steps));
    if (!answer.has_value()) return absl::OkStatus();
    answered.answer = *std::move(answer);
    RETURN_IF_ERROR(storage::RecordAnswer(tx, call, now, answered.answer));
    return read(tx, answered.answer);
  }));
  return answered;
}

absl::StatusOr<Rows> SqlHelpStore::ReadRows(absl::Time deadline, absl::string_view sql,
                                            const storage::Args& args) {
  Rows rows;
  RETURN_IF_ERROR(database_.Read(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(rows, tx.Query(sql, args));
    return absl::OkStatus();
  }));
  return rows;
}

absl::StatusOr<ReachOutcome> SqlHelpStore::ReachStep(Steps& steps, const MemberId& caller,
                                                     const HelpCallId& id,
                                                     absl::Span<const MemberId> on_call,
                                                     HelpCall& open) {
  ASSIGN_OR_RETURN(const HelpPlan plan, FindPeople(steps.tx(), caller, on_call));
  ASSIGN_OR_RETURN(const LockedPeople people, LockedPeople::Lock(steps, caller, plan));
  const Steps::MemberRow* me = people.Find(caller);
  if (me == nullptr) return NotFoundError();
  if (me->standing != Standing::kGood) return ReachOutcome::kSuspended;
  if (!me->may_match) return ReachOutcome::kConsentRequired;
  ASSIGN_OR_RETURN(
      const Rows mine,
      steps.tx().Query(HANDRAIL_HELP_CALL_QUERY "WHERE h.member = $1 AND h.state = 1", {caller}));
  if (!mine.empty()) {
    open = ReadHelpCall(mine.front());
    return OutcomeOf(open);
  }
  ASSIGN_OR_RETURN(const Rows recent,
                   steps.tx().Query("SELECT COUNT(*) FROM help_calls WHERE member = $1 "
                                    "AND created_at > $2",
                                    {caller, steps.now() - absl::Hours(1)}));
  if (recent.front().Int(0) >= options_.calls_per_hour) return ReachOutcome::kLimited;

  open.id = id;
  open.member = caller;
  open.create_time = steps.now();
  open.stage_deadline = steps.now() + std::min(options_.on_call_time, options_.open_time);
  RETURN_IF_ERROR(AskNext(steps, options_, plan, people, open).status());
  RETURN_IF_ERROR(
      steps.tx()
          .Execute("INSERT INTO help_calls (id, member, state, stage, rounds, asked, created_at, "
                   "due_at, changed_at, answered_by, answered_at, pairing, conversation, "
                   "contact_end, contact_open, version) "
                   "VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $6, $8, 0, $8, $8, 0, 0, 1)",
                   {id, caller, static_cast<int64_t>(open.stage), open.rounds, open.asked,
                    steps.now(), open.stage_deadline, storage::Null{}})
          .status());
  return OutcomeOf(open);
}

absl::StatusOr<Changed<Reached>> SqlHelpStore::Reach(const Call& call, absl::Time now,
                                                     const HelpCallId& id,
                                                     absl::Span<const MemberId> on_call) {
  Changed<Reached> reached;
  ReachOutcome& outcome = reached.value.outcome;
  const auto step = [&](Steps& steps) -> absl::StatusOr<std::optional<std::string>> {
    reached.value = Reached();  // of an attempt before
    HelpCall open;
    ASSIGN_OR_RETURN(outcome, ReachStep(steps, call.who.member, id, on_call, open));
    const bool has_call = outcome == ReachOutcome::kAsking || outcome == ReachOutcome::kNobody;
    if (!has_call) return std::optional<std::string>();
    return std::optional<std::string>(EncodeReached(outcome, open.id));
  };
  // Before the commit: who hears that nothing was done must not have had people asked.
  const auto read = [&](Transaction& tx, const std::string& answer) -> absl::Status {
    HelpCallId opened;
    RETURN_IF_ERROR(DecodeReached(answer, outcome, opened));
    ASSIGN_OR_RETURN(reached.value.call, ReadCall(tx, call.who.member, opened));
    return absl::OkStatus();
  };
  ASSIGN_OR_RETURN(Answered answered, RunOnce(call, now, step, read));
  reached.effects = std::move(answered.effects);
  return reached;
}

absl::StatusOr<std::vector<HelpCall>> SqlHelpStore::DueCalls(absl::Time deadline, absl::Time now,
                                                             int limit) {
  ASSIGN_OR_RETURN(const Rows rows,
                   ReadRows(deadline,
                            HANDRAIL_HELP_CALL_QUERY
                            "WHERE h.state = 1 AND h.due_at <= $1 ORDER BY h.due_at, h.id LIMIT $2",
                            {now, limit}));
  std::vector<HelpCall> calls;
  calls.reserve(rows.size());
  for (const storage::Row& row : rows) calls.push_back(ReadHelpCall(row));
  return calls;
}

absl::Status SqlHelpStore::AdvanceStep(Steps& steps, HelpCall call,
                                       absl::Span<const MemberId> on_call) {
  ASSIGN_OR_RETURN(const HelpPlan plan, FindPeople(steps.tx(), call.member, on_call));
  ASSIGN_OR_RETURN(const LockedPeople people, LockedPeople::Lock(steps, call.member, plan));
  // The call's row before its asks: a replica that was second asks nobody.
  ASSIGN_OR_RETURN(const int64_t mine,
                   steps.tx().Execute("UPDATE help_calls SET version = version + 1 WHERE id = $1 "
                                      "AND version = $2 AND state = 1 AND due_at <= $3",
                                      {call.id, call.version, steps.now()}));
  if (mine == 0) return absl::OkStatus();
  if (call.stage != HelpStage::kOnCall) {
    call.stage = static_cast<HelpStage>(static_cast<int>(call.stage) + 1);
  }
  ASSIGN_OR_RETURN(const int asked, AskNext(steps, options_, plan, people, call));
  const absl::Time end = call.create_time + options_.open_time;
  HelpState state = HelpState::kOpen;
  if (asked == 0 && steps.now() >= end) {
    state = *Apply(HelpState::kOpen, HelpEvent::kNobodyLeft);
  } else if (asked == 0) {
    // Who was asked may be slow, and somebody may go on call.
    call.stage_deadline = std::min(steps.now() + options_.on_call_time, end);
  }
  RETURN_IF_ERROR(
      steps.tx()
          .Execute("UPDATE help_calls SET state = $2, stage = $3, rounds = $4, "
                   "asked = $5, due_at = $6, changed_at = $7 WHERE id = $1",
                   {call.id, static_cast<int64_t>(state), static_cast<int64_t>(call.stage),
                    call.rounds, call.asked, call.stage_deadline, steps.now()})
          .status());
  return WakeHelp(steps, call.id);
}

absl::StatusOr<Effects> SqlHelpStore::Advance(absl::Time deadline, absl::Time now,
                                              const HelpCall& call,
                                              absl::Span<const MemberId> on_call) {
  return Run(deadline, now, [&](Steps& steps) { return AdvanceStep(steps, call, on_call); });
}

absl::StatusOr<Effects> SqlHelpStore::EndContacts(absl::Time deadline, absl::Time now, int limit) {
  return Run(deadline, now, [&](Steps& steps) -> absl::Status {
    return CloseContacts(steps, "h.contact_end <= $1 ORDER BY h.contact_end LIMIT $2", {now, limit})
        .status();
  });
}

absl::StatusOr<int64_t> SqlHelpStore::Forget(absl::Time deadline, absl::Time before, int limit) {
  int64_t forgotten = 0;
  RETURN_IF_ERROR(database_.Write(deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(const Rows old,
                     tx.Query("SELECT id FROM help_calls WHERE state > 1 AND contact_open = 0 AND "
                              "changed_at < $1 ORDER BY changed_at LIMIT $2",
                              {before, limit}));
    for (const storage::Row& row : old) {
      const auto id = row.Id<HelpCallId>(0);
      RETURN_IF_ERROR(tx.Execute("DELETE FROM help_asks WHERE help_call = $1", {id}).status());
      RETURN_IF_ERROR(tx.Execute("DELETE FROM help_calls WHERE id = $1", {id}).status());
    }
    forgotten = static_cast<int64_t>(old.size());
    return absl::OkStatus();
  }));
  return forgotten;
}

absl::StatusOr<std::vector<MemberId>> SqlHelpStore::FindOnCall(absl::Time deadline, absl::Time now,
                                                               const MemberId& caller,
                                                               const HelpCallId& id, int skip,
                                                               int limit) {
  ASSIGN_OR_RETURN(
      const Rows rows,
      ReadRows(deadline,
               "SELECT o.member FROM on_call o JOIN members m ON m.id = o.member WHERE "
               "o.until > $1 AND o.member <> $2 AND m.standing = 1 AND m.may_match = 1 AND "
               "m.has_sponsor = 1 AND m.attested_at >= $3 AND NOT EXISTS (SELECT 1 FROM "
               "help_asks a WHERE a.help_call = $4 AND a.member = o.member) AND NOT EXISTS "
               "(SELECT 1 FROM blocks b WHERE (b.blocker = $2 AND b.blocked = o.member) OR "
               "(b.blocker = o.member AND b.blocked = $2)) AND NOT EXISTS (SELECT 1 FROM avoided "
               "v WHERE (v.member = $2 AND v.other = o.member) OR (v.member = o.member AND "
               "v.other = $2)) "
               "ORDER BY o.last_asked_at, o.member LIMIT $5 OFFSET $6",
               {now, caller, now - options_.attestation_lifetime, id, limit, skip}));
  std::vector<MemberId> members;
  members.reserve(rows.size());
  for (const storage::Row& row : rows) members.push_back(row.Id<MemberId>(0));
  return members;
}

absl::StatusOr<HelpCall> SqlHelpStore::GetCall(const Call& call, const HelpCallId& id) {
  std::optional<HelpCall> found;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    ASSIGN_OR_RETURN(found, ReadCall(tx, call.who.member, id));
    return absl::OkStatus();
  }));
  return *std::move(found);
}

absl::StatusOr<Changed<HelpCall>> SqlHelpStore::Cancel(const Call& call, absl::Time now,
                                                       const HelpCallId& id) {
  const auto step = [&](Steps& steps) -> absl::StatusOr<std::optional<std::string>> {
    ASSIGN_OR_RETURN(const Rows rows,
                     steps.tx().Query("SELECT 1 FROM help_calls WHERE id = $1 AND member = $2",
                                      {id, call.who.member}));
    if (rows.empty()) return NotFoundError();
    ASSIGN_OR_RETURN(const int64_t cancelled,
                     steps.tx().Execute("UPDATE help_calls SET state = 3, changed_at = $2, "
                                        "version = version + 1 WHERE id = $1 AND state = 1",
                                        {id, steps.now()}));
    if (cancelled > 0) RETURN_IF_ERROR(WakeHelp(steps, id));
    RETURN_IF_ERROR(CloseContacts(steps, "h.id = $1", {id}).status());
    return std::optional<std::string>("cancelled");
  };
  ASSIGN_OR_RETURN(Answered answered, RunOnce(call, now, step));
  ASSIGN_OR_RETURN(HelpCall cancelled, GetCall(call, id));
  return Changed<HelpCall>{std::move(cancelled), std::move(answered.effects)};
}

}  // namespace handrail::matching
