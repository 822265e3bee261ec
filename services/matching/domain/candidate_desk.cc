#include "services/matching/domain/candidate_desk.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr int kPairingsLimit = 200;

absl::Status CheckMayChoose(const Ticket& ticket) {
  if (!IsOpen(ticket.state)) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kTicketNotOpen)
        .Message("this request is closed");
  }
  if (!ticket.choosing) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kChoiceNotExpected)
        .Message("this request leaves the choice to Handrail");
  }
  return absl::OkStatus();
}

absl::Status HandleError() {
  return Error(absl::StatusCode::kInvalidArgument, reason::kCandidateHandleInvalid)
      .Message("the list of candidates has to be asked for again")
      .Field("handles", "must be different ones of one list that has not expired");
}

// What stands between one newcomer and sponsors.
class KnownPairs final : public PairHistory {
 public:
  void Add(const MemberId& sponsor, const PairFacts& facts) { facts_[sponsor].Add(facts); }
  PairFacts Between(const MemberId&, const MemberId& sponsor) const override {
    const auto found = facts_.find(sponsor);
    return found == facts_.end() ? PairFacts() : found->second;
  }

 private:
  absl::flat_hash_map<MemberId, PairFacts> facts_;
};

}  // namespace

CandidateDesk::CandidateDesk(Ledger& ledger, ChoiceLedger& choices, const Chooser& chooser,
                             const ProgramPolicies& policies, const CandidateHandles& handles,
                             const Clock& clock, Random& random, SponsorList sponsors,
                             const CandidateOptions& options)
    : ledger_(ledger),
      choices_(choices),
      chooser_(chooser),
      policies_(policies),
      handles_(handles),
      clock_(clock),
      random_(random),
      sponsors_(std::move(sponsors)),
      options_(options) {}

// Of a pool with more people than one list looks at, the same ones all day for one ticket: asking
// again does not show others.
absl::StatusOr<std::vector<MemberId>> CandidateDesk::Draw(const Call& call,
                                                          const Ticket& ticket) const {
  ASSIGN_OR_RETURN(std::vector<MemberId> ids, sponsors_(call.deadline, ticket.pool));
  if (ids.size() > options_.scope_limit) {
    const uint64_t seed = StableHash(ticket.id.Bytes(), static_cast<uint64_t>(DayOf(clock_.Now())));
    std::vector<std::pair<uint64_t, MemberId>> order;
    order.reserve(ids.size());
    for (const MemberId& id : ids) order.emplace_back(StableHash(id.Bytes(), seed), id);
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(options_.scope_limit);
    std::nth_element(order.begin(), end, order.end());
    ids.clear();
    for (auto one = order.begin(); one != end; ++one) ids.push_back(one->second);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

absl::StatusOr<CandidateDesk::Scope> CandidateDesk::FindScope(const Call& call,
                                                              const Ticket& ticket,
                                                              const TicketRecord& record) {
  const absl::Time now = clock_.Now();
  ASSIGN_OR_RETURN(const std::vector<MemberId> ids, Draw(call, ticket));
  Scope scope;
  if (ids.empty()) return scope;
  ASSIGN_OR_RETURN(std::vector<MemberTraits> members, ledger_.LoadMembers(call.deadline, ids));
  ASSIGN_OR_RETURN(const std::vector<SponsorSeats> seats, ledger_.LoadSponsors(call.deadline, ids));
  ASSIGN_OR_RETURN(const std::vector<Ledger::PairRecord> facts,
                   ledger_.LoadPairFacts(call.deadline, now, {ticket.newcomer}));
  ASSIGN_OR_RETURN(const Page<Pairing> pairings,
                   ledger_.ListPairings(call, kPairingsLimit, std::nullopt));
  KnownPairs pairs;
  for (const Ledger::PairRecord& pair : facts) {
    if (pair.newcomer == ticket.newcomer) pairs.Add(pair.sponsor, pair.facts);
  }
  absl::flat_hash_set<MemberId> together = {ticket.newcomer};
  for (const Pairing& pairing : pairings.items) {
    if (HoldsSeat(pairing.state)) together.insert(pairing.sponsor);
  }
  absl::flat_hash_map<MemberId, const SponsorSeats*> seats_of;
  for (const SponsorSeats& one : seats) seats_of[one.availability.sponsor] = &one;

  const RuleSet without_seats = chooser_.rules().Without(Rule::kCapacity);
  const absl::Time week = UtcWeekStart(now);
  std::sort(members.begin(), members.end(),
            [](const MemberTraits& a, const MemberTraits& b) { return a.member < b.member; });
  for (MemberTraits& member : members) {
    const auto found = seats_of.find(member.member);
    if (!member.sponsor.has_value() || found == seats_of.end()) continue;
    if (together.contains(member.member)) continue;
    SponsorRecord sponsor = MakeSponsorRecord(member, ticket.philosophy, policies_, week);
    SetSeats(found->second->availability, sponsor);
    if (without_seats.FirstBroken(record.newcomer, sponsor, pairs, now)) continue;
    scope.free.push_back(!chooser_.rules().FirstBroken(record.newcomer, sponsor, pairs, now) &&
                         found->second->may_be_offered);
    scope.records.push_back(sponsor);
    scope.members.push_back(std::move(member));
  }
  return scope;
}

// In the order of what is told; of equals one that has nothing to do with the rest of their score.
ShownList CandidateDesk::Describe(const Call& call, const Ticket& ticket,
                                  const MemberTraits& newcomer, const TicketRecord& record,
                                  const Scope& scope, absl::Span<const MemberId> people) const {
  const absl::Time now = clock_.Now();
  ShownList list;
  list.suitable_count = static_cast<int>(scope.members.size() / 10 * 10);
  if (people.empty()) return list;
  std::vector<PersonInScope> in_scope;
  absl::flat_hash_map<MemberId, size_t> places;
  for (size_t i = 0; i < scope.members.size(); ++i) {
    in_scope.push_back(
        {&scope.members[i], chooser_.scorer().Explain(record.newcomer, scope.records[i], now)});
    places[scope.members[i].member] = i;
  }
  const CandidateViews views(*newcomer.newcomer, ticket.philosophy, in_scope, options_.k, now);
  for (const MemberId& sponsor : people) {
    list.people.push_back({sponsor, views.Of(places.at(sponsor))});
  }
  const uint64_t seed = StableHash(call.who.member.Bytes(), static_cast<uint64_t>(DayOf(now)));
  std::sort(list.people.begin(), list.people.end(),
            [seed](const ShownPerson& a, const ShownPerson& b) {
              if (a.view.score != b.view.score) return a.view.score > b.view.score;
              const auto key = [seed](const ShownPerson& person) {
                return std::pair(StableHash(person.sponsor.Bytes(), seed), person.sponsor);
              };
              return key(a) < key(b);
            });
  return list;
}

absl::StatusOr<Shown> CandidateDesk::Answer(const Call& call, const Ticket& ticket,
                                            const MemberTraits& newcomer,
                                            const Question& question) {
  const absl::Time now = clock_.Now();
  ASSIGN_OR_RETURN(Shown shown, choices_.FindShown(call, now, question, options_.budget));
  if (shown.answer.has_value()) return shown;
  const TicketRecord record = MakeTicketRecord(ticket, newcomer, policies_, UtcWeekStart(now));
  ASSIGN_OR_RETURN(const Scope scope, FindScope(call, ticket, record));
  std::vector<SponsorRecord> free;
  for (size_t i = 0; i < scope.members.size(); ++i) {
    if (scope.free[i]) free.push_back(scope.records[i]);
  }
  std::vector<MemberId> ranked;
  // Where fewer than k would do, that there is anybody tells of somebody.
  if (scope.members.size() >= options_.k) {
    // What stands between the two was looked at already.
    const Choice best =
        chooser_.BestSponsorsFor(record, free, KnownPairs(), now, Chooser::kMaxCandidates);
    for (const matching::Candidate& candidate : best.candidates) {
      ranked.push_back(candidate.sponsor->member);
    }
  }
  // A question counts, whatever its answer.
  ASSIGN_OR_RETURN(shown, choices_.Show(call, now, question, ranked, kMaxChosen, options_.budget));
  if (shown.answer.has_value()) return shown;
  if (shown.people.empty() && !ranked.empty()) {
    return Error(absl::StatusCode::kResourceExhausted, reason::kCandidatesSpent)
        .Message("as many people were shown as can be shown in a day")
        .RetryAfter(NextDay(now) - now);
  }
  ShownList list = Describe(call, ticket, newcomer, record, scope, shown.people);
  if (!list.people.empty()) {
    ASSIGN_OR_RETURN(list, choices_.KeepShown(call, now, question, list));
  }
  shown.answer = std::move(list);
  return shown;
}

absl::Status CandidateDesk::DropWithdrawn(absl::Time deadline, std::vector<ShownPerson>& people) {
  std::vector<MemberId> ids;
  ids.reserve(people.size());
  for (const ShownPerson& person : people) ids.push_back(person.sponsor);
  ASSIGN_OR_RETURN(const std::vector<MemberTraits> members, ledger_.LoadMembers(deadline, ids));
  absl::flat_hash_set<MemberId> here;
  for (const MemberTraits& member : members) {
    if (member.MayTakePart() && member.sponsor.has_value()) here.insert(member.member);
  }
  std::erase_if(people,
                [&here](const ShownPerson& person) { return !here.contains(person.sponsor); });
  return absl::OkStatus();
}

absl::StatusOr<CandidateDesk::List> CandidateDesk::ListCandidates(const Call& call,
                                                                  const TicketId& id) {
  ASSIGN_OR_RETURN(const Ticket ticket, ledger_.GetTicket(call, id));
  RETURN_IF_ERROR(CheckMayChoose(ticket));
  ASSIGN_OR_RETURN(const std::optional<MemberTraits> newcomer,
                   ledger_.LoadMember(call.deadline, ticket.newcomer));
  List list;
  const absl::Time now = clock_.Now();
  list.expire_time = absl::FromUnixSeconds(absl::ToUnixSeconds(now + options_.handle_lifetime));
  // Whoever may not take part has their tickets withdrawn; that is on its way.
  if (!newcomer.has_value() || !newcomer->newcomer.has_value() || !newcomer->MayTakePart()) {
    return list;
  }
  const Question question{newcomer->version, ticket.importance, ticket.relationship_type,
                          ticket.pool};
  ASSIGN_OR_RETURN(Shown shown, Answer(call, ticket, *newcomer, question));
  RETURN_IF_ERROR(DropWithdrawn(call.deadline, shown.answer->people));
  list.suitable_count = shown.answer->suitable_count;
  list.remaining_today = shown.people_left;
  list.questions_remaining_today = shown.questions_left;
  const uint64_t list_id = random_.Next64();
  for (ShownPerson& person : shown.answer->people) {
    EnumSet<MatchReason> told;
    for (const MatchReason reason : person.view.reasons) told.Add(reason);
    list.candidates.push_back(
        {handles_.Make(call.who.member, {id, person.sponsor, list_id, list.expire_time, told}),
         std::move(person.view)});
  }
  return list;
}

absl::StatusOr<std::vector<Chosen>> CandidateDesk::ReadHandles(
    const Call& call, const TicketId& id, absl::Span<const std::string> handles) const {
  std::vector<Chosen> chosen;
  std::optional<uint64_t> list;
  for (const std::string& text : handles) {
    const auto handle = handles_.Read(call.who.member, text);
    // Handles of different lists are refused together, so that nobody can find out whether two of
    // them name the same person.
    if (!handle.has_value() || handle->ticket != id || handle->expire_time <= clock_.Now() ||
        (list.has_value() && *list != handle->list) ||
        std::any_of(chosen.begin(), chosen.end(), [&handle](const Chosen& before) {
          return before.sponsor == handle->sponsor;
        })) {
      return HandleError();
    }
    list = handle->list;
    chosen.push_back({handle->sponsor, handle->told});
  }
  return chosen;
}

absl::StatusOr<Changed<Ticket>> CandidateDesk::Choose(const Call& call, const TicketId& id,
                                                      absl::Span<const std::string> handles,
                                                      bool then_handrail) {
  if (handles.size() > size_t{kMaxChosen} || (handles.empty() && !then_handrail)) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
        .Message("choose somebody, or let Handrail go on")
        .Field("handles", absl::StrCat("must have 1 to ", kMaxChosen));
  }
  const auto chosen = ReadHandles(call, id, handles);
  if (!chosen.ok()) {
    // Handles expire, but an answer that was given stands.
    ASSIGN_OR_RETURN(std::optional<Ticket> answer, choices_.FindSetChoiceAnswer(call));
    if (answer.has_value()) return Changed<Ticket>{*std::move(answer), {}};
    return chosen.status();
  }
  return choices_.SetChoice(call, clock_.Now(), id, *chosen, then_handrail);
}

}  // namespace handrail::matching
