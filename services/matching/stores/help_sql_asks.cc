#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/stores/help_sql.h"

// Those who are asked: their answers, their time on call, and whose backups they are.
namespace handrail::matching {

using storage::Row;
using storage::Rows;
using storage::Transaction;

namespace {

// One ask of $1 with the call that it belongs to. Whom they blocked they see nothing of any more. A
// block by the caller, or an end for safety, hides nothing, since that would tell of it: the ask is
// over (over_version), as if the call had been taken back.
#define HANDRAIL_HELP_ASK_QUERY                                                                \
  "SELECT h.id, h.member, CASE WHEN a.over_version > 0 THEN 3 ELSE h.state END, "              \
  "h.created_at, h.answered_by, h.contact_end, "                                               \
  "CASE WHEN a.over_version > 0 THEN a.over_version ELSE h.version END, "                      \
  "COALESCE(h.conversation, p.conversation), a.asked_as, a.passed, a.asked_at "                \
  "FROM help_asks a JOIN help_calls h ON h.id = a.help_call LEFT JOIN pairings p ON p.id = "   \
  "h.pairing WHERE a.member = $1 AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker = $1 " \
  "AND b.blocked = h.member) "

HelpAskState StateOf(HelpState call, bool mine, bool passed) {
  if (mine) return HelpAskState::kAnswered;
  if (passed) return HelpAskState::kPassed;
  switch (call) {
    case HelpState::kOpen: return HelpAskState::kOpen;
    case HelpState::kAnswered: return HelpAskState::kTakenCareOf;
    default: return HelpAskState::kOver;
  }
}

HelpAsk ReadHelpAsk(const Row& row, const MemberId& me) {
  HelpAsk ask;
  ask.call = row.Id<HelpCallId>(0);
  ask.id = ask.call;
  ask.create_time = row.Time(3);
  const bool mine = !row.IsNull(4) && row.Id<MemberId>(4) == me;
  ask.version = row.Int(6);
  ask.asked_as = static_cast<HelpStage>(row.Int(8));
  ask.state = StateOf(static_cast<HelpState>(row.Int(2)), mine, row.Bool(9));
  ask.ask_time = row.Time(10);
  // Whoever is on call learns who called by answering, and not before.
  if (mine || ask.asked_as != HelpStage::kOnCall) ask.member = row.Id<MemberId>(1);
  if (!mine) return ask;
  if (row.Int(5) > 0) ask.contact_end = row.Time(5);
  if (!row.IsNull(7)) ask.conversation = row.Id<ConversationId>(7);
  return ask;
}

absl::Status NeedsSponsor() {
  return Error(absl::StatusCode::kPermissionDenied, reason::kSponsorProfileRequired)
      .Message("this needs a sponsor profile");
}

absl::Status RequireSponsor(Transaction& tx, const MemberId& id) {
  ASSIGN_OR_RETURN(const Rows rows,
                   tx.Query("SELECT has_sponsor FROM members WHERE id = $1", {id}));
  return !rows.empty() && rows.front().Bool(0) ? absl::OkStatus() : NeedsSponsor();
}

// Who helps has a sponsor's side, is in good standing, and has consented.
absl::Status MayTakePartAsHelper(const LedgerSteps::MemberRow* me) {
  if (me == nullptr || !me->has_sponsor) return NeedsSponsor();
  if (me->standing != Standing::kGood) return RefusedError(reason::kMemberSuspended);
  return me->may_match ? absl::OkStatus() : RefusedError(reason::kConsentRequired);
}

// As if the call had been taken back, for this one alone.
absl::Status EndAsk(LedgerSteps& steps, const HelpCallId& id, const MemberId& helper) {
  return steps.tx()
      .Execute(
          "UPDATE help_asks SET over_version = (SELECT h.version + 1 FROM help_calls h WHERE "
          "h.id = $1) WHERE help_call = $1 AND member = $2 AND over_version = 0",
          {id, helper})
      .status();
}

}  // namespace

absl::StatusOr<Page<HelpAsk>> SqlHelpStore::ListAsks(const Call& call, bool include_closed,
                                                     int limit, std::optional<PageStart> after) {
  const MemberId& me = call.who.member;
  const PageStart start = after.value_or(PageStart{absl::FromUnixMicros(INT64_MAX), {}});
  Rows rows;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(RequireSponsor(tx, me));
    ASSIGN_OR_RETURN(
        rows,
        tx.Query(
            HANDRAIL_HELP_ASK_QUERY
            "AND (h.created_at, h.id) < ($2, $3) AND ($4 = 1 OR (h.state = 1 AND "
            "a.over_version = 0 AND a.passed = 0)) ORDER BY h.created_at DESC, h.id DESC LIMIT $5",
            {me, start.create_time, start.id, include_closed, limit + 1}));
    return absl::OkStatus();
  }));
  Page<HelpAsk> page;
  page.more = rows.size() > static_cast<size_t>(limit);
  for (const Row& row : rows) {
    if (page.items.size() == static_cast<size_t>(limit)) break;
    page.items.push_back(ReadHelpAsk(row, me));
  }
  return page;
}

absl::StatusOr<HelpAsk> SqlHelpStore::ReadAsk(const Call& call, const HelpCallId& id) {
  ASSIGN_OR_RETURN(const Rows rows,
                   ReadRows(call.deadline, HANDRAIL_HELP_ASK_QUERY "AND a.help_call = $2",
                            {call.who.member, id}));
  if (rows.empty()) return NotFoundError();
  return ReadHelpAsk(rows.front(), call.who.member);
}

absl::Status SqlHelpStore::TakeCall(Steps& steps, const HelpCall& call, const MemberId& helper) {
  ASSIGN_OR_RETURN(const Rows pairings,
                   steps.tx().Query("SELECT id FROM pairings WHERE state <> 5 AND "
                                    "((newcomer = $1 AND sponsor = $2) OR "
                                    "(newcomer = $2 AND sponsor = $1)) "
                                    "ORDER BY created_at, id LIMIT 1",
                                    {call.member, helper}));
  const bool paired = !pairings.empty();
  storage::Value pairing = storage::Null{};
  if (paired) pairing = pairings.front().Id<PairingId>(0);
  const int64_t contact_end =
      paired ? 0 : absl::ToUnixMicros(steps.now() + options_.contact_length);
  ASSIGN_OR_RETURN(
      const int64_t taken,
      steps.tx().Execute("UPDATE help_calls SET state = 2, changed_at = $2, "
                         "answered_by = $3, answered_at = $2, pairing = $4, "
                         "contact_end = $5, contact_open = $6, version = version + 1 "
                         "WHERE id = $1 AND state = 1",
                         {call.id, steps.now(), helper, pairing, contact_end, !paired}));
  if (taken == 0) return absl::OkStatus();  // somebody was first, or it was taken back
  RETURN_IF_ERROR(steps.tx()
                      .Execute("UPDATE help_asks SET passed = 0 WHERE help_call = $1 AND "
                               "member = $2",
                               {call.id, helper})
                      .status());
  RETURN_IF_ERROR(WakeHelp(steps, call.id));
  if (paired) return absl::OkStatus();
  Pairing contact;  // its conversation goes by the call's id
  contact.id = *PairingId::FromBytes(call.id.Bytes());
  contact.newcomer = call.member;
  contact.sponsor = helper;
  return steps.PutOutbox(contact, OutboxEntry::Step::kOpen);
}

absl::Status SqlHelpStore::AnswerStep(Steps& steps, const MemberId& helper, const HelpCallId& id) {
  ASSIGN_OR_RETURN(const Rows asked,
                   steps.tx().Query(HANDRAIL_HELP_ASK_QUERY "AND a.help_call = $2", {helper, id}));
  if (asked.empty()) return NotFoundError();
  HelpCall call;
  call.id = id;
  call.member = asked.front().Id<MemberId>(1);
  ASSIGN_OR_RETURN(const LockedPeople people,
                   LockedPeople::Lock(steps, call.member, HelpPlan{{helper}, {}, {}}));
  RETURN_IF_ERROR(MayTakePartAsHelper(people.Find(helper)));
  const Steps::MemberRow* caller = people.Find(call.member);
  if (caller == nullptr || !caller->MayTakePart()) return NotFoundError();
  // A block that was committed while the rows were being locked is seen here.
  ASSIGN_OR_RETURN(const Rows still,
                   steps.tx().Query(HANDRAIL_HELP_ASK_QUERY "AND a.help_call = $2", {helper, id}));
  if (still.empty()) return NotFoundError();
  if (static_cast<HelpState>(still.front().Int(2)) != HelpState::kOpen) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool may, MayHelp(steps, call.member, helper));
  if (!may) return NotFoundError();
  if (static_cast<HelpStage>(still.front().Int(8)) == HelpStage::kOnCall) {
    // Whoever is on call does not know who calls. Two of whom one avoids the other are not brought
    // together, and that is not told: the call is over for this one.
    ASSIGN_OR_RETURN(const bool avoided, steps.IsAvoided(call.member, helper));
    if (avoided) return EndAsk(steps, id, helper);
  }
  return TakeCall(steps, call, helper);
}

absl::StatusOr<Changed<HelpAsk>> SqlHelpStore::Answer(const Call& call, absl::Time now,
                                                      const HelpCallId& id) {
  const auto step = [&](Steps& steps) -> absl::StatusOr<std::optional<std::string>> {
    RETURN_IF_ERROR(AnswerStep(steps, call.who.member, id));
    return std::optional<std::string>("answered");
  };
  ASSIGN_OR_RETURN(Answered answered, RunOnce(call, now, step));
  ASSIGN_OR_RETURN(HelpAsk ask, ReadAsk(call, id));
  return Changed<HelpAsk>{std::move(ask), std::move(answered.effects)};
}

absl::Status SqlHelpStore::PassStep(Steps& steps, const MemberId& helper, const HelpCallId& id,
                                    Again again) {
  ASSIGN_OR_RETURN(const Rows asked,
                   steps.tx().Query(HANDRAIL_HELP_ASK_QUERY "AND a.help_call = $2", {helper, id}));
  if (asked.empty()) return NotFoundError();
  RETURN_IF_ERROR(steps.tx()
                      .Execute("UPDATE help_asks SET passed = 1 WHERE help_call = $1 AND "
                               "member = $2 AND NOT EXISTS (SELECT 1 FROM help_calls h WHERE "
                               "h.id = $1 AND h.answered_by = $2)",
                               {id, helper})
                      .status());
  if (again == Again::kNo) {
    RETURN_IF_ERROR(steps.tx()
                        .Execute("UPDATE help_backups SET unwilling = 1 WHERE member = $1 AND "
                                 "backup = $2",
                                 {asked.front().Id<MemberId>(1), helper})
                        .status());
  }
  steps.effects().topics.push_back(HelpTopicOf(helper));
  return CloseContacts(steps, "h.id = $1 AND h.answered_by = $2", {id, helper}).status();
}

absl::StatusOr<Changed<HelpAsk>> SqlHelpStore::Pass(const Call& call, absl::Time now,
                                                    const HelpCallId& id, Again again) {
  const auto step = [&](Steps& steps) -> absl::StatusOr<std::optional<std::string>> {
    RETURN_IF_ERROR(PassStep(steps, call.who.member, id, again));
    return std::optional<std::string>("passed");
  };
  ASSIGN_OR_RETURN(Answered answered, RunOnce(call, now, step));
  ASSIGN_OR_RETURN(HelpAsk ask, ReadAsk(call, id));
  return Changed<HelpAsk>{std::move(ask), std::move(answered.effects)};
}

absl::StatusOr<OnCall> SqlHelpStore::GetOnCall(const Call& call, absl::Time now) {
  OnCall duty;
  duty.sponsor = call.who.member;
  RETURN_IF_ERROR(database_.Read(call.deadline, [&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(RequireSponsor(tx, call.who.member));
    ASSIGN_OR_RETURN(const Rows rows,
                     tx.Query("SELECT until FROM on_call WHERE member = $1 AND until > $2",
                              {call.who.member, now}));
    duty.end_time.reset();
    if (!rows.empty()) duty.end_time = rows.front().Time(0);
    return absl::OkStatus();
  }));
  return duty;
}

absl::StatusOr<OnCall> SqlHelpStore::SetOnCall(const Call& call, absl::Time now,
                                               absl::Duration length) {
  const MemberId& me = call.who.member;
  const auto step = [&](Steps& steps) -> absl::StatusOr<std::optional<std::string>> {
    ASSIGN_OR_RETURN(const std::optional<Steps::MemberRow> row, steps.LockMember(me));
    RETURN_IF_ERROR(RequireSponsor(steps.tx(), me));
    if (length <= absl::ZeroDuration()) {
      RETURN_IF_ERROR(
          steps.tx().Execute("UPDATE on_call SET until = 0 WHERE member = $1", {me}).status());
      return std::optional<std::string>("0");
    }
    RETURN_IF_ERROR(MayTakePartAsHelper(row.has_value() ? &*row : nullptr));
    const absl::Time until = steps.now() + std::min(length, kMaxOnCall);
    RETURN_IF_ERROR(steps.tx()
                        .Execute("INSERT INTO on_call (member, until, last_asked_at) "
                                 "VALUES ($1, $2, 0) ON CONFLICT (member) DO UPDATE SET "
                                 "until = excluded.until",
                                 {me, until})
                        .status());
    return std::optional<std::string>(absl::StrCat(absl::ToUnixMicros(until)));
  };
  ASSIGN_OR_RETURN(const Answered answered, RunOnce(call, now, step));
  OnCall duty;
  duty.sponsor = me;
  int64_t until = 0;
  if (absl::SimpleAtoi(answered.answer, &until) && until > 0) {
    duty.end_time = absl::FromUnixMicros(until);
  }
  return duty;
}

absl::StatusOr<std::vector<MemberId>> SqlHelpStore::GetBackups(const Call& call) {
  ASSIGN_OR_RETURN(const Rows rows, ReadRows(call.deadline,
                                             "SELECT backup FROM help_backups WHERE member = $1 "
                                             "AND unwilling = 0 ORDER BY place",
                                             {call.who.member}));
  std::vector<MemberId> backups;
  backups.reserve(rows.size());
  for (const Row& row : rows) backups.push_back(row.Id<MemberId>(0));
  return backups;
}

absl::StatusOr<bool> SqlHelpStore::MayBeBackup(Steps& steps, const MemberId& member,
                                               const MemberId& backup, const LockedPeople& people) {
  // Whether they may be asked is looked at when they would be: a name that is taken today and was
  // refused tomorrow would tell of what the other one did meanwhile.
  const Steps::MemberRow* row = people.Find(backup);
  if (backup == member || row == nullptr || !row->has_sponsor) return false;
  ASSIGN_OR_RETURN(
      const Rows shunned,
      steps.tx().Query("SELECT 1 FROM blocks WHERE blocker = $1 AND blocked = $2 UNION ALL "
                       "SELECT 1 FROM safety_words WHERE member = $1 AND other = $2 LIMIT 1",
                       {member, backup}));
  if (!shunned.empty()) return false;
  ASSIGN_OR_RETURN(const Rows known,
                   steps.tx().Query("SELECT 1 FROM pairings WHERE (newcomer = $1 AND sponsor = $2) "
                                    "OR (newcomer = $2 AND sponsor = $1) LIMIT 1",
                                    {member, backup}));
  if (known.empty()) return false;
  ASSIGN_OR_RETURN(const Rows unwilling,
                   steps.tx().Query("SELECT 1 FROM help_backups WHERE member = $1 AND "
                                    "backup = $2 AND unwilling = 1",
                                    {member, backup}));
  return unwilling.empty();
}

absl::Status SqlHelpStore::SetBackupsStep(Steps& steps, const MemberId& member,
                                          absl::Span<const MemberId> backups) {
  HelpPlan plan;
  plan.backups.assign(backups.begin(), backups.end());
  ASSIGN_OR_RETURN(const LockedPeople people, LockedPeople::Lock(steps, member, plan));
  ASSIGN_OR_RETURN(const Rows named,
                   steps.tx().Query("DELETE FROM help_backups WHERE member = $1 AND unwilling = 0 "
                                    "RETURNING backup",
                                    {member}));
  std::set<MemberId> kept;
  for (const Row& row : named) kept.insert(row.Id<MemberId>(0));
  int place = 0;
  for (const MemberId& backup : backups) {
    ASSIGN_OR_RETURN(const bool may, MayBeBackup(steps, member, backup, people));
    if (!may && !kept.contains(backup)) {
      return Error(absl::StatusCode::kFailedPrecondition, reason::kBackupNotPossible)
          .Message("somebody on this list cannot be a backup");
    }
    RETURN_IF_ERROR(steps.tx()
                        .Execute("INSERT INTO help_backups (member, backup, place, unwilling) "
                                 "VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING",
                                 {member, backup, place++})
                        .status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MemberId>> SqlHelpStore::SetBackups(const Call& call, absl::Time now,
                                                               absl::Span<const MemberId> backups) {
  const auto step = [&](Steps& steps) -> absl::StatusOr<std::optional<std::string>> {
    RETURN_IF_ERROR(SetBackupsStep(steps, call.who.member, backups));
    return std::optional<std::string>("named");
  };
  RETURN_IF_ERROR(RunOnce(call, now, step).status());
  return GetBackups(call);
}

}  // namespace handrail::matching
