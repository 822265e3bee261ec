#include "services/matching/domain/care_desk.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"

namespace handrail::matching {
namespace {

constexpr int kAttempts = 4;
constexpr int kPageSize = 500;
constexpr int kWaitingCountLimit = 1000;
constexpr int kTrimRows = 1000;

// What changed in the profile since may be missing now.
absl::Status CheckComplete(const MemberTraits& member, Philosophy philosophy,
                           const ProgramPolicies& policies) {
  Error incomplete(absl::StatusCode::kFailedPrecondition, reason::kProfileIncomplete);
  incomplete.Message("a few things are missing before we can look for somebody");
  if (!member.newcomer.has_value()) {
    return incomplete.Field("newcomer", "must be set");
  }
  const auto missing = MissingForMatching(*member.newcomer, philosophy, policies);
  for (const MissingField& field : missing) {
    incomplete.Field(field.path, field.text);
  }
  return missing.empty() ? absl::OkStatus() : incomplete.ToStatus();
}

}  // namespace

CareDesk::CareDesk(CareStore& care, Ledger& ledger, TicketDesk& tickets, MemberCache& members,
                   const RuleSet& rules, const ProgramPolicies& policies, const Clock& clock,
                   Random& random, const Options& options, HasRoom has_room)
    : care_(care),
      ledger_(ledger),
      tickets_(tickets),
      members_(members),
      rules_(rules),
      policies_(policies),
      clock_(clock),
      random_(random),
      options_(options),
      has_room_(std::move(has_room)) {}

absl::StatusOr<Changed<Ticket>> CareDesk::TryRematch(const Call& call, const Pairing& pairing,
                                                     const MemberTraits& member) {
  RETURN_IF_ERROR(CheckComplete(member, pairing.philosophy, policies_));
  if (!has_room_()) {
    return Error(absl::StatusCode::kResourceExhausted, reason::kPoolFull)
        .Message("as many people wait as we can look after; please try again later")
        .RetryAfter(absl::Minutes(1));
  }
  NewTicket ticket;
  ticket.id = TicketId::Random(random_);
  ticket.relationship_type = pairing.relationship_type;
  ticket.pool = PoolForTicket(*member.newcomer, pairing.philosophy);
  ticket.member_version = member.version;
  return care_.OpenRematch(call, clock_.Now(), pairing.id, ticket);
}

absl::StatusOr<Changed<Ticket>> CareDesk::RequestRematch(const Call& call, const PairingId& id) {
  ASSIGN_OR_RETURN(std::optional<Ticket> answered, care_.FindRematchAnswer(call));
  if (answered.has_value()) return Changed<Ticket>{*std::move(answered), {}};
  ASSIGN_OR_RETURN(const Pairing pairing, ledger_.GetPairing(call, id));
  if (pairing.newcomer != call.who.member || pairing.state != PairingState::kEnded) {
    return Error(absl::StatusCode::kFailedPrecondition, reason::kRematchNotAvailable)
        .Message("this is not possible in the state it is in now");
  }
  absl::StatusOr<Changed<Ticket>> opened;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    ASSIGN_OR_RETURN(const MemberCache::Member member,
                     tickets_.LoadMember(call.deadline, call.who.member));
    opened = TryRematch(call, pairing, *member);
    // The member has changed since our copy was read.
    if (!HasReason(opened.status(), reason::kEtagMismatch)) break;
    members_.Drop(call.who.member);
  }
  return opened;
}

absl::StatusOr<CareDesk::Listed> CareDesk::ReadSponsors(absl::Time deadline,
                                                        Philosophy philosophy) {
  auto listed = std::make_shared<std::vector<ListedSponsor>>();
  const absl::Time week = UtcWeekStart(clock_.Now());
  MemberId after;
  for (int seen = 0; seen < options_.list_limit; seen += kPageSize) {
    ASSIGN_OR_RETURN(const std::vector<SponsorSeats> page,
                     ledger_.ScanSponsors(deadline, kPageSize, after));
    if (page.empty()) break;
    after = page.back().availability.sponsor;
    absl::flat_hash_map<MemberId, MemberCache::Member> known;
    std::vector<MemberId> missing;
    for (const SponsorSeats& seats : page) {
      const MemberId& id = seats.availability.sponsor;
      MemberCache::Member held = members_.Find(id);
      if (held == nullptr || held->version < seats.member_version) {
        missing.push_back(id);
      } else {
        known[id] = std::move(held);
      }
    }
    ASSIGN_OR_RETURN(std::vector<MemberTraits> loaded, ledger_.LoadMembers(deadline, missing));
    for (MemberTraits& member : loaded) {
      const MemberId id = member.member;
      known[id] = members_.Put(std::move(member));
    }
    for (const SponsorSeats& seats : page) {
      const auto member = known.find(seats.availability.sponsor);
      if (member == known.end() || !member->second->sponsor.has_value()) continue;
      if (member->second->sponsor->Find(philosophy) == nullptr) continue;
      ListedSponsor& sponsor = listed->emplace_back();
      sponsor.record = MakeSponsorRecord(*member->second, philosophy, policies_, week);
      SetSeats(seats.availability, sponsor.record);
      for (PoolKey& pool : PoolsForSponsor(*member->second->sponsor)) {
        if (pool.philosophy == philosophy) sponsor.pools.push_back(std::move(pool));
      }
    }
  }
  return Listed(std::move(listed));
}

absl::StatusOr<CareDesk::Listed> CareDesk::SponsorsOf(absl::Time deadline, Philosophy philosophy) {
  {
    MutexLock lock(mutex_);
    List& list = lists_[philosophy];
    const bool fresh = list.at + options_.list_age > clock_.Now();
    if (list.sponsors != nullptr && (fresh || list.under_way)) return list.sponsors;
    list.under_way = true;
  }
  auto read = ReadSponsors(deadline, philosophy);
  MutexLock lock(mutex_);
  List& list = lists_[philosophy];
  list.under_way = false;
  if (read.ok()) {
    list.sponsors = *read;
    list.at = clock_.Now();
  }
  return read;
}

absl::StatusOr<QueueStatus> CareDesk::GetQueueStatus(const Call& call, const TicketId& id) {
  ASSIGN_OR_RETURN(const Ticket ticket, ledger_.GetTicket(call, id));
  QueueStatus status;
  status.state = ticket.state;
  if (ticket.state != TicketState::kWaiting) return status;
  const absl::Time now = clock_.Now();
  ASSIGN_OR_RETURN(status.waiting_ahead,
                   ledger_.CountWaitingBefore(call.deadline, ticket.pool, ticket.create_time,
                                              kWaitingCountLimit));
  ASSIGN_OR_RETURN(std::vector<absl::Duration> waits,
                   care_.RecentWaits(call.deadline, ticket.pool, ticket.relationship_type,
                                     now - options_.wait_window, options_.wait_limit));
  status.wait = EstimateWait(std::move(waits));
  ASSIGN_OR_RETURN(const std::optional<MemberTraits> member,
                   ledger_.LoadMember(call.deadline, call.who.member));
  if (!member.has_value() || !member->newcomer.has_value()) return status;
  ASSIGN_OR_RETURN(const Listed sponsors, SponsorsOf(call.deadline, ticket.philosophy));
  PairFactsOf facts;
  ASSIGN_OR_RETURN(const std::vector<Ledger::PairRecord> records,
                   ledger_.LoadPairFacts(call.deadline, now, {&call.who.member, 1}));
  for (const Ledger::PairRecord& record : records) facts[record.sponsor].Add(record.facts);
  status.outlook = LookAhead(rules_, policies_, *member, ticket.philosophy,
                             ticket.relationship_type, *sponsors, facts, now);
  return status;
}

CareSweeper::CareSweeper(CareStore& store, const Clock& clock, const Options& options, Sink sink)
    : store_(store), clock_(clock), options_(options), sink_(std::move(sink)) {}

void CareSweeper::Start() {
  task_ = std::make_unique<PeriodicTask>(options_.interval, [this] { Sweep(); });
}

void CareSweeper::Stop() {
  if (task_ != nullptr) task_->Stop();
}

void CareSweeper::Run(absl::string_view what, Part part) {
  for (int batch = 0; batch < options_.batches; ++batch) {
    const absl::Time now = clock_.Now();
    const auto swept = (store_.*part)(now + options_.timeout, now, options_.limit);
    if (!swept.ok()) {
      Log(Severity::kWarning, "sweep_failed",
          {{LogField::kComponent, what}, {LogField::kReason, ReasonOf(swept.status())}});
      return;
    }
    if (!swept->effects.empty()) sink_(swept->effects);
    if (swept->rows < options_.limit) return;
  }
}

void CareSweeper::Sweep() {
  Run("care_offers", &CareStore::RemindOffers);
  Run("care_tickets", &CareStore::CareForTickets);
  Run("care_pairings", &CareStore::CareForPairings);
  Run("care_sponsors", &CareStore::CareForSponsors);
  if (sweeps_++ % options_.trim_every != 0) return;
  const absl::Time now = clock_.Now();
  const auto trimmed = store_.TrimNotices(now + options_.timeout, now, kTrimRows);
  if (trimmed.ok()) return;
  Log(Severity::kWarning, "sweep_failed",
      {{LogField::kComponent, "care_trim"}, {LogField::kReason, ReasonOf(trimmed.status())}});
}

}  // namespace handrail::matching
