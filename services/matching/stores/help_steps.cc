#include "services/matching/stores/help_steps.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::matching {

using storage::Row;
using storage::Rows;
using storage::Transaction;

namespace {

// A contact has no pairing; its conversation goes by the call's id.
Pairing ContactOf(const HelpCallId& id, const MemberId& caller, const MemberId& helper) {
  Pairing contact;
  contact.id = *PairingId::FromBytes(id.Bytes());
  contact.newcomer = caller;
  contact.sponsor = helper;
  return contact;
}

absl::StatusOr<bool> MayBeAsked(LedgerSteps& steps, const HelpOptions& options,
                                const LockedPeople& people, const MemberId& caller,
                                const MemberId& helper, HelpStage stage) {
  const LedgerSteps::MemberRow* row = people.Find(helper);
  if (row == nullptr || helper == caller || !row->MayTakePart() || !row->has_sponsor) return false;
  if (stage == HelpStage::kOnCall) {
    if (row->attested_at < steps.now() - options.attestation_lifetime) return false;
    ASSIGN_OR_RETURN(const Rows duty,
                     steps.tx().Query("SELECT 1 FROM on_call WHERE member = $1 AND until > $2",
                                      {helper, steps.now()}));
    if (duty.empty()) return false;
    // Sponsors and backups are people whom the caller is with, or was; these would be new to them.
    ASSIGN_OR_RETURN(const bool avoided, steps.IsAvoided(caller, helper));
    if (avoided) return false;
  }
  return MayHelp(steps, caller, helper);
}

absl::StatusOr<bool> Ask(LedgerSteps& steps, const HelpCall& call, const MemberId& helper) {
  ASSIGN_OR_RETURN(
      const int64_t asked,
      steps.tx().Execute("INSERT INTO help_asks (help_call, member, asked_as, passed, asked_at) "
                         "VALUES ($1, $2, $3, 0, $4) ON CONFLICT DO NOTHING",
                         {call.id, helper, static_cast<int64_t>(call.stage), steps.now()}));
  if (asked == 0) return false;
  if (call.stage == HelpStage::kOnCall) {
    RETURN_IF_ERROR(steps.tx()
                        .Execute("UPDATE on_call SET last_asked_at = $2 WHERE member = $1",
                                 {helper, steps.now()})
                        .status());
  }
  steps.effects().topics.push_back(HelpTopicOf(helper));
  return true;
}

absl::Status CancelOpenCall(LedgerSteps& steps, const MemberId& caller) {
  ASSIGN_OR_RETURN(const Rows rows,
                   steps.tx().Query("UPDATE help_calls SET state = 3, changed_at = $2, "
                                    "version = version + 1 WHERE member = $1 AND state = 1 "
                                    "RETURNING id",
                                    {caller, steps.now()}));
  for (const Row& row : rows) RETURN_IF_ERROR(WakeHelp(steps, row.Id<HelpCallId>(0)));
  return absl::OkStatus();
}

absl::Status Forget(LedgerSteps& steps, const MemberId& member) {
  constexpr const char* kStatements[] = {
      "DELETE FROM help_asks WHERE help_call IN (SELECT id FROM help_calls WHERE member = $1)",
      "DELETE FROM help_calls WHERE member = $1",
      "UPDATE help_calls SET answered_by = NULL, version = version + 1 WHERE answered_by = $1",
      "DELETE FROM help_asks WHERE member = $1",
      "DELETE FROM help_backups WHERE member = $1",
      "DELETE FROM help_backups WHERE backup = $1",
  };
  for (const char* statement : kStatements) {
    RETURN_IF_ERROR(steps.tx().Execute(statement, {member}).status());
  }
  return absl::OkStatus();
}

}  // namespace

HelpCall ReadHelpCall(const Row& row) {
  HelpCall call;
  call.id = row.Id<HelpCallId>(0);
  call.member = row.Id<MemberId>(1);
  call.state = static_cast<HelpState>(row.Int(2));
  call.stage = static_cast<HelpStage>(row.Int(3));
  call.rounds = static_cast<int>(row.Int(4));
  call.asked = static_cast<int>(row.Int(5));
  call.create_time = row.Time(6);
  call.stage_deadline = row.Time(7);
  if (!row.IsNull(8)) call.answered_by = row.Id<MemberId>(8);
  if (row.Int(9) > 0) call.answer_time = row.Time(9);
  if (!row.IsNull(10)) call.conversation = row.Id<ConversationId>(10);
  if (row.Int(11) > 0) call.contact_end = row.Time(11);
  call.version = row.Int(12);
  return call;
}

const std::vector<MemberId>& HelpPlan::Of(HelpStage stage) const {
  switch (stage) {
    case HelpStage::kSponsors: return sponsors;
    case HelpStage::kBackups: return backups;
    default: return on_call;
  }
}

absl::StatusOr<HelpPlan> FindPeople(Transaction& tx, const MemberId& caller,
                                    absl::Span<const MemberId> on_call) {
  HelpPlan plan;
  ASSIGN_OR_RETURN(const Rows sponsors,
                   tx.Query("SELECT sponsor FROM pairings WHERE newcomer = $1 AND state <> 5 "
                            "ORDER BY created_at DESC, id LIMIT $2",
                            {caller, kMaxSponsorsAsked}));
  for (const Row& row : sponsors) plan.sponsors.push_back(row.Id<MemberId>(0));
  ASSIGN_OR_RETURN(const Rows backups,
                   tx.Query("SELECT backup FROM help_backups WHERE member = $1 AND unwilling = 0 "
                            "ORDER BY place LIMIT $2",
                            {caller, kMaxBackups}));
  for (const Row& row : backups) plan.backups.push_back(row.Id<MemberId>(0));
  plan.on_call.assign(on_call.begin(), on_call.end());
  return plan;
}

absl::StatusOr<LockedPeople> LockedPeople::Lock(LedgerSteps& steps, const MemberId& caller,
                                                const HelpPlan& plan) {
  std::set<MemberId> ids = {caller};
  for (const HelpStage stage : {HelpStage::kSponsors, HelpStage::kBackups, HelpStage::kOnCall}) {
    ids.insert(plan.Of(stage).begin(), plan.Of(stage).end());
  }
  LockedPeople people;
  for (const MemberId& id : ids) {
    ASSIGN_OR_RETURN(std::optional<LedgerSteps::MemberRow> row, steps.LockMember(id));
    if (row.has_value()) people.rows_.emplace(id, *std::move(row));
  }
  return people;
}

const LedgerSteps::MemberRow* LockedPeople::Find(const MemberId& id) const {
  const auto found = rows_.find(id);
  return found == rows_.end() ? nullptr : &found->second;
}

absl::StatusOr<bool> MayHelp(LedgerSteps& steps, const MemberId& caller, const MemberId& helper) {
  ASSIGN_OR_RETURN(const bool blocked, steps.IsBlocked(caller, helper));
  if (blocked) return false;
  ASSIGN_OR_RETURN(const Rows unsafe,
                   steps.tx().Query("SELECT 1 FROM pair_exclusions WHERE until = $3 AND "
                                    "((newcomer = $1 AND sponsor = $2) OR "
                                    "(newcomer = $2 AND sponsor = $1)) LIMIT 1",
                                    {caller, helper, int64_t{INT64_MAX}}));
  return unsafe.empty();
}

absl::StatusOr<int> AskNext(LedgerSteps& steps, const HelpOptions& options, const HelpPlan& plan,
                            const LockedPeople& people, HelpCall& call) {
  for (int at = static_cast<int>(call.stage); at <= static_cast<int>(HelpStage::kOnCall); ++at) {
    call.stage = static_cast<HelpStage>(at);
    if (call.stage == HelpStage::kOnCall && call.rounds >= options.on_call_rounds) break;
    int asked = 0;
    for (const MemberId& helper : plan.Of(call.stage)) {
      ASSIGN_OR_RETURN(const bool may,
                       MayBeAsked(steps, options, people, call.member, helper, call.stage));
      if (!may) continue;
      ASSIGN_OR_RETURN(const bool is_new, Ask(steps, call, helper));
      asked += is_new ? 1 : 0;
    }
    if (asked == 0) continue;
    if (call.stage == HelpStage::kOnCall) ++call.rounds;
    call.asked += asked;
    call.stage_deadline = steps.now() + options.TimeOf(call.stage);
    return asked;
  }
  call.stage = HelpStage::kOnCall;
  return 0;
}

absl::Status WakeHelp(LedgerSteps& steps, const HelpCallId& id) {
  steps.effects().topics.push_back(HelpTopicOf(id));
  ASSIGN_OR_RETURN(const Rows asked,
                   steps.tx().Query("SELECT member FROM help_asks WHERE help_call = $1", {id}));
  for (const Row& row : asked) {
    steps.effects().topics.push_back(HelpTopicOf(row.Id<MemberId>(0)));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> CloseContacts(LedgerSteps& steps, absl::string_view condition,
                                      const storage::Args& args) {
  ASSIGN_OR_RETURN(const Rows open,
                   steps.tx().Query(absl::StrCat("SELECT h.id, h.member, h.answered_by "
                                                 "FROM help_calls h WHERE h.contact_open = 1 AND ",
                                                 condition),
                                    args));
  int64_t closed = 0;
  for (const Row& row : open) {
    const auto id = row.Id<HelpCallId>(0);
    ASSIGN_OR_RETURN(const int64_t moved,
                     steps.tx().Execute("UPDATE help_calls SET contact_open = 0, contact_end = $2, "
                                        "version = version + 1 WHERE id = $1 AND contact_open = 1",
                                        {id, steps.now()}));
    if (moved == 0) continue;
    ++closed;
    RETURN_IF_ERROR(steps.PutOutbox(ContactOf(id, row.Id<MemberId>(1), row.Id<MemberId>(2)),
                                    OutboxEntry::Step::kClose));
    RETURN_IF_ERROR(WakeHelp(steps, id));
  }
  return closed;
}

absl::Status WithdrawFromHelp(LedgerSteps& steps, const MemberTraits& member) {
  const MemberId& id = member.member;
  if (!member.MayTakePart()) {
    RETURN_IF_ERROR(CancelOpenCall(steps, id));
    RETURN_IF_ERROR(CloseContacts(steps, "h.member = $1", {id}).status());
  }
  if (!member.MayTakePart() || !member.sponsor.has_value()) {
    RETURN_IF_ERROR(CloseContacts(steps, "h.answered_by = $1", {id}).status());
    RETURN_IF_ERROR(steps.tx()
                        .Execute("DELETE FROM help_asks WHERE member = $1 AND help_call IN "
                                 "(SELECT id FROM help_calls WHERE state = 1)",
                                 {id})
                        .status());
    RETURN_IF_ERROR(steps.tx().Execute("DELETE FROM on_call WHERE member = $1", {id}).status());
  }
  return member.standing == Standing::kErased ? Forget(steps, id) : absl::OkStatus();
}

absl::Status KeepApartInHelp(LedgerSteps& steps, const MemberId& by, const MemberId& other) {
  RETURN_IF_ERROR(CloseContacts(steps,
                                "((h.member = $1 AND h.answered_by = $2) OR "
                                "(h.member = $2 AND h.answered_by = $1))",
                                {by, other})
                      .status());
  for (const auto& [caller, helper] : {std::pair(by, other), std::pair(other, by)}) {
    // The ask stays, as that of a call which is taken back does: one that is gone would tell.
    ASSIGN_OR_RETURN(
        const int64_t asks,
        steps.tx().Execute("UPDATE help_asks SET over_version = (SELECT h.version + 1 FROM "
                           "help_calls h WHERE h.id = help_asks.help_call) WHERE member = $2 AND "
                           "over_version = 0 AND help_call IN (SELECT id FROM help_calls WHERE "
                           "member = $1 AND state = 1)",
                           {caller, helper}));
    if (asks > 0) steps.effects().topics.push_back(HelpTopicOf(helper));
  }
  // Only from the list of whoever keeps away: the other one would see somebody vanish.
  return steps.tx()
      .Execute("DELETE FROM help_backups WHERE member = $1 AND backup = $2", {by, other})
      .status();
}

absl::Status HelpConversationOpened(LedgerSteps& steps, const PairingId& key,
                                    const ConversationId& conversation) {
  ASSIGN_OR_RETURN(const Rows rows,
                   steps.tx().Query("UPDATE help_calls SET conversation = $2, "
                                    "version = version + 1 WHERE id = $1 AND conversation IS NULL "
                                    "RETURNING id",
                                    {key, conversation}));
  for (const Row& row : rows) RETURN_IF_ERROR(WakeHelp(steps, row.Id<HelpCallId>(0)));
  return absl::OkStatus();
}

}  // namespace handrail::matching
