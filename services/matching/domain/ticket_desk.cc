#include "services/matching/domain/ticket_desk.h"

#include <utility>

#include "common/base/status.h"
#include "services/matching/domain/rules.h"

namespace handrail::matching {
namespace {

constexpr size_t kWaitingLimit = 4096;
constexpr int kAttempts = 4;

}  // namespace

TicketDesk::TicketDesk(Ledger& ledger, MemberDirectory& directory, MemberCache& members,
                       const ProgramPolicies& policies, const Clock& clock, Random& random,
                       int threads, HasRoom has_room, Sink sink)
    : ledger_(ledger),
      directory_(directory),
      members_(members),
      policies_(policies),
      clock_(clock),
      random_(random),
      has_room_(std::move(has_room)),
      sink_(std::move(sink)),
      workers_(threads, kWaitingLimit) {}

absl::Status TicketDesk::Check(const Request& request, const MemberTraits& member) const {
  if (member.standing != Standing::kGood) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kMemberSuspended)
        .Message("this account cannot take part at the moment");
  }
  if (!member.consents_to_matching || !member.consents_to_health_data) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kConsentRequired)
        .Message("matching needs your consent first");
  }
  if (!member.newcomer.has_value()) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kProfileIncomplete)
        .Message("tell us a little about yourself first")
        .Field("newcomer", "must be set");
  }
  if (!policies_.Allows(request.wish.philosophy, request.wish.relationship_type)) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kRelationshipNotOffered)
        .Message("this program does not have this kind of relationship");
  }
  Error incomplete(absl::StatusCode::kFailedPrecondition, reason::kProfileIncomplete);
  incomplete.Message("a few things are missing before we can look for somebody");
  bool whole = true;
  for (const MissingField& field :
       MissingForMatching(*member.newcomer, request.wish.philosophy, policies_)) {
    whole = false;
    incomplete.Field(field.path, field.text);
  }
  return whole ? absl::OkStatus() : incomplete.ToStatus();
}

void TicketDesk::RequestMatch(const Call& call, const Wish& wish, Done done) {
  auto request = std::make_shared<Request>(Request{call, wish, std::move(done), 0});
  const MemberCache::Member member = members_.Find(call.who.member);
  if (member != nullptr && has_room_() && Check(*request, *member).ok()) {
    Open(request, *member);
  } else {
    HandOver(request);
  }
}

void TicketDesk::HandOver(const std::shared_ptr<Request>& request) {
  const bool taken = workers_.TryRun([this, request] { RunSlowly(request); });
  if (taken) return;
  request->done(Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
                    .Message("too many requests are waiting")
                    .RetryAfter(absl::Milliseconds(200)));
}

void TicketDesk::RunSlowly(const std::shared_ptr<Request>& request) {
  auto member = LoadMember(request->call.deadline, request->call.who.member);
  absl::Status status = member.status();
  if (status.ok()) status = Check(*request, **member);
  if (member.ok() && !status.ok() && !HasReason(status, reason::kRelationshipNotOffered)) {
    auto newer = FetchMember(request->call.deadline, request->call.who.member);
    if (newer.ok()) {
      member = std::move(newer);
      status = Check(*request, **member);
    }
  }
  if (status.ok() && !has_room_()) {
    status = Error(absl::StatusCode::kResourceExhausted, reason::kPoolFull)
                 .Message("as many people wait as we can look after; please try again later")
                 .RetryAfter(absl::Minutes(1));
  }
  if (!status.ok()) {
    request->done(FirstAnswerOr(request->call, status));
    return;
  }
  Open(request, **member);
}

absl::StatusOr<Ticket> TicketDesk::FirstAnswerOr(const Call& call, const absl::Status& refusal) {
  ASSIGN_OR_RETURN(const std::optional<Ticket> answer, ledger_.FindOpenTicketAnswer(call));
  if (answer.has_value()) return *answer;
  return refusal;
}

void TicketDesk::Open(const std::shared_ptr<Request>& request, const MemberTraits& member) {
  NewTicket ticket;
  ticket.id = TicketId::Random(random_);
  ticket.relationship_type = request->wish.relationship_type;
  ticket.pool = PoolForTicket(*member.newcomer, request->wish.philosophy);
  ticket.choosing = request->wish.choosing;
  ticket.importance = request->wish.importance;
  ticket.temporary_contact_while_waiting = request->wish.temporary_contact_while_waiting;
  ticket.member_version = member.version;
  ++request->attempts;
  const Call& call = request->call;
  ledger_.OpenTicket(
      call, clock_.Now(), ticket, [this, request](absl::StatusOr<Changed<Ticket>> opened) {
        if (opened.ok()) {
          sink_(opened->effects);
          request->done(std::move(opened->value));
          return;
        }
        // The member has changed since our copy was read.
        if (HasReason(opened.status(), reason::kEtagMismatch) && request->attempts < kAttempts) {
          members_.Drop(request->call.who.member);
          HandOver(request);
          return;
        }
        request->done(opened.status());
      });
}

absl::StatusOr<MemberCache::Member> TicketDesk::LoadMember(absl::Time deadline,
                                                           const MemberId& id) {
  ASSIGN_OR_RETURN(std::optional<MemberTraits> held, ledger_.LoadMember(deadline, id));
  if (held.has_value()) return members_.Put(*std::move(held));
  return FetchMember(deadline, id);
}

absl::StatusOr<MemberCache::Member> TicketDesk::FetchMember(absl::Time deadline,
                                                            const MemberId& id) {
  const auto entry = directory_.Fetch(deadline, id);
  if (entry.status().code() == absl::StatusCode::kNotFound) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kProfileIncomplete)
        .Message("tell us a little about yourself first");
  }
  RETURN_IF_ERROR(entry.status());
  for (const MemberDirectory::Block& block : entry->blocks) {
    ASSIGN_OR_RETURN(const Effects effects, ledger_.ApplyBlock(deadline, clock_.Now(), block.id,
                                                               block.blocker, block.blocked));
    sink_(effects);
  }
  ASSIGN_OR_RETURN(const Effects effects,
                   ledger_.ApplyMember(deadline, clock_.Now(), entry->member));
  sink_(effects);
  // The ledger keeps the newest; what was fetched may have been overtaken.
  ASSIGN_OR_RETURN(std::optional<MemberTraits> newest, ledger_.LoadMember(deadline, id));
  return members_.Put(newest.has_value() ? *std::move(newest) : entry->member);
}

}  // namespace handrail::matching
