#include "services/matching/adapters/redis_queue.h"

#include <map>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "services/matching/adapters/lua_scripts.h"

namespace handrail::matching {

using storage::RedisReply;
using storage::RedisScript;

namespace {

const RedisScript& Script(absl::string_view name, const char* source) {
  static auto* const mutex = new Mutex;
  static auto* const scripts = new std::vector<std::pair<std::string, RedisScript*>>;
  MutexLock lock(*mutex);
  for (const auto& [known, script] : *scripts) {
    if (known == name) return *script;
  }
  scripts->emplace_back(std::string(name), new RedisScript(std::string(name), source));
  return *scripts->back().second;
}

// Collects the answers to commands that were sent without waiting. Each is answered exactly once,
// at the latest when its deadline passes.
class Batch {
 public:
  explicit Batch(size_t size) : state_(std::make_shared<State>(size)) {}

  storage::Redis::Done Slot(size_t index) {
    return [state = state_, index](absl::StatusOr<RedisReply> reply) {
      MutexLock lock(state->mutex);
      state->replies[index] = std::move(reply);
      if (--state->missing == 0) state->answered.SignalAll();
    };
  }
  // The first failure, or every answer.
  absl::StatusOr<std::vector<RedisReply>> Wait() {
    std::vector<RedisReply> replies;
    MutexLock lock(state_->mutex);
    while (state_->missing > 0) state_->answered.Wait(state_->mutex);
    replies.reserve(state_->replies.size());
    for (absl::StatusOr<RedisReply>& reply : state_->replies) {
      RETURN_IF_ERROR(reply.status());
      replies.push_back(*std::move(reply));
    }
    return replies;
  }
  // Each answer, or why there is none.
  std::vector<absl::StatusOr<RedisReply>> WaitForAll() {
    MutexLock lock(state_->mutex);
    while (state_->missing > 0) state_->answered.Wait(state_->mutex);
    return std::move(state_->replies);
  }

 private:
  struct State {
    explicit State(size_t size) : missing(size), replies(size, RedisReply()) {}
    Mutex mutex;
    CondVar answered;
    size_t missing ABSL_GUARDED_BY(mutex);
    std::vector<absl::StatusOr<RedisReply>> replies ABSL_GUARDED_BY(mutex);
  };
  std::shared_ptr<State> state_;
};

std::string Flag(bool value) { return value ? "1" : "0"; }

absl::Status UnreadableError() {
  return Error(absl::StatusCode::kInternal, reason::kRedisError)
      .Message("an entry of the queue cannot be read");
}

}  // namespace

std::string RedisQueue::Prefix(const PoolKey& pool) const {
  return absl::StrCat("hr:{", absl::BytesToHexString(pools_.Opaque(pool)), "}:");
}

absl::Status RedisQueue::PutTickets(absl::Time deadline, const PoolKey& pool,
                                    absl::Span<const QueueTicket> tickets, Announce announce) {
  if (tickets.empty()) return absl::OkStatus();
  const std::string p = Prefix(pool);
  const RedisScript& script = Script("enqueue", kEnqueueLua);
  Batch batch(tickets.size());
  for (size_t i = 0; i < tickets.size(); ++i) {
    const QueueTicket& ticket = tickets[i];
    const std::string id = ticket.ticket.ToString();
    redis_.EvalAsync(deadline, script,
                     {absl::StrCat(p, "q"), absl::StrCat(p, "t:", id), absl::StrCat(p, "ev")},
                     {id, absl::StrCat(ticket.version), Flag(ticket.waiting),
                      absl::StrCat(ticket.score), Flag(announce == Announce::kYes), stream_length_},
                     batch.Slot(i));
  }
  return batch.Wait().status();
}

absl::Status RedisQueue::PutSponsors(absl::Time deadline, const PoolKey& pool,
                                     absl::Span<const QueueSponsor> sponsors, Announce announce) {
  if (sponsors.empty()) return absl::OkStatus();
  const std::string p = Prefix(pool);
  const RedisScript& script = Script("set_sponsor", kSetSponsorLua);
  Batch batch(sponsors.size());
  for (size_t i = 0; i < sponsors.size(); ++i) {
    const QueueSponsor& sponsor = sponsors[i];
    const std::string id = sponsor.sponsor.ToString();
    redis_.EvalAsync(
        deadline, script,
        {absl::StrCat(p, "avail"), absl::StrCat(p, "s:", id), absl::StrCat(p, "ev")},
        {id, absl::StrCat(sponsor.version), absl::StrCat(sponsor.free_seats),
         absl::StrCat(sponsor.score), Flag(announce == Announce::kYes), stream_length_},
        batch.Slot(i));
  }
  return batch.Wait().status();
}

absl::StatusOr<std::vector<ClaimResult>> RedisQueue::TakeClaims(absl::Time deadline,
                                                                const PoolKey& pool, absl::Time now,
                                                                absl::Span<const Claim> claims) {
  const std::string p = Prefix(pool);
  const RedisScript& script = Script("claim", kClaimLua);
  const std::string until = absl::StrCat(absl::ToUnixMillis(now + kClaimLifetime));
  std::vector<ClaimResult> results;
  if (claims.empty()) return results;
  Batch batch(claims.size());
  for (size_t i = 0; i < claims.size(); ++i) {
    const std::string ticket = claims[i].ticket.ToString();
    const std::string sponsor = claims[i].sponsor.ToString();
    redis_.EvalAsync(deadline, script,
                     {absl::StrCat(p, "q"), absl::StrCat(p, "avail"), absl::StrCat(p, "t:", ticket),
                      absl::StrCat(p, "s:", sponsor), absl::StrCat(p, "claims")},
                     {ticket, sponsor, absl::StrCat(claims[i].ticket_version),
                      absl::StrCat(claims[i].sponsor_version), until},
                     batch.Slot(i));
  }
  ASSIGN_OR_RETURN(const std::vector<RedisReply> replies, batch.Wait());
  for (const RedisReply& reply : replies) {
    results.push_back(static_cast<ClaimResult>(reply.integer));
  }
  return results;
}

absl::Status RedisQueue::Settle(absl::Time deadline, const PoolKey& pool,
                                absl::Span<const Settlement> settlements, Announce announce) {
  if (settlements.empty()) return absl::OkStatus();
  const std::string p = Prefix(pool);
  const RedisScript& script = Script("settle", kSettleLua);
  Batch batch(settlements.size());
  for (size_t i = 0; i < settlements.size(); ++i) {
    const QueueTicket& ticket = settlements[i].ticket;
    const QueueSponsor& sponsor = settlements[i].sponsor;
    const std::string ticket_id = ticket.ticket.ToString();
    const std::string sponsor_id = sponsor.sponsor.ToString();
    redis_.EvalAsync(
        deadline, script,
        {absl::StrCat(p, "q"), absl::StrCat(p, "avail"), absl::StrCat(p, "t:", ticket_id),
         absl::StrCat(p, "s:", sponsor_id), absl::StrCat(p, "claims"), absl::StrCat(p, "ev")},
        {ticket_id, sponsor_id, absl::StrCat(ticket.version), Flag(ticket.waiting),
         absl::StrCat(ticket.score), absl::StrCat(sponsor.version),
         absl::StrCat(sponsor.free_seats), absl::StrCat(sponsor.score),
         Flag(announce == Announce::kYes), stream_length_},
        batch.Slot(i));
  }
  return batch.Wait().status();
}

absl::StatusOr<std::vector<Claim>> RedisQueue::ExpiredClaims(absl::Time deadline,
                                                             const PoolKey& pool, absl::Time now,
                                                             int limit) {
  ASSIGN_OR_RETURN(const RedisReply reply,
                   redis_.Eval(deadline, Script("sweep_claims", kSweepClaimsLua),
                               {absl::StrCat(Prefix(pool), "claims")},
                               {absl::StrCat(absl::ToUnixMillis(now)), absl::StrCat(limit)}));
  std::vector<Claim> claims;
  for (const RedisReply& element : reply.elements) {
    const std::pair<absl::string_view, absl::string_view> ids =
        absl::StrSplit(absl::string_view(element.text), absl::MaxSplits(':', 1));
    const auto ticket = TicketId::Parse(ids.first);
    const auto sponsor = MemberId::Parse(ids.second);
    if (!ticket.ok() || !sponsor.ok()) return UnreadableError();
    claims.push_back({*ticket, 0, *sponsor, 0});
  }
  return claims;
}

absl::StatusOr<bool> RedisQueue::Lease(absl::Time deadline, const PoolKey& pool,
                                       const std::string& owner, absl::Duration hold) {
  ASSIGN_OR_RETURN(
      const RedisReply reply,
      redis_.Eval(deadline, Script("lease", kLeaseLua), {absl::StrCat(Prefix(pool), "lease")},
                  {owner, absl::StrCat(absl::ToInt64Milliseconds(hold))}));
  return reply.integer == 1;
}

absl::StatusOr<std::vector<std::string>> RedisQueue::Replicas(absl::Time deadline, absl::Time now,
                                                              const std::string& replica,
                                                              absl::Duration hold) {
  const int64_t until = hold > absl::ZeroDuration() ? absl::ToUnixMillis(now + hold) : 0;
  ASSIGN_OR_RETURN(
      RedisReply reply,
      redis_.Eval(deadline, Script("replicas", kReplicasLua), {"hr:{replicas}"},
                  {replica, absl::StrCat(absl::ToUnixMillis(now)), absl::StrCat(until)}));
  std::vector<std::string> names;
  names.reserve(reply.elements.size());
  for (RedisReply& element : reply.elements) names.push_back(std::move(element.text));
  return names;
}

template <typename Entry>
absl::Status RedisQueue::RebuildInChunks(
    absl::Time deadline, const RedisScript& script, const std::string& set,
    absl::Span<const Entry> entries,
    absl::FunctionRef<void(const Entry&, std::vector<std::string>& keys,
                           std::vector<std::string>& args)>
        add) {
  if (entries.empty()) return absl::OkStatus();
  Batch batch((entries.size() + kRebuildChunk - 1) / kRebuildChunk);
  for (size_t first = 0; first < entries.size(); first += kRebuildChunk) {
    std::vector<std::string> keys = {set};
    std::vector<std::string> args;
    keys.reserve(kRebuildChunk + 1);
    args.reserve(4 * kRebuildChunk);
    for (const Entry& entry : entries.subspan(first, kRebuildChunk)) add(entry, keys, args);
    redis_.EvalAsync(deadline, script, keys, args, batch.Slot(first / kRebuildChunk));
  }
  return batch.Wait().status();
}

absl::Status RedisQueue::RebuildTickets(absl::Time deadline, const PoolKey& pool,
                                        absl::Span<const QueueTicket> tickets) {
  const std::string p = Prefix(pool);
  return RebuildInChunks<QueueTicket>(deadline, Script("rebuild_tickets", kRebuildTicketsLua),
                                      absl::StrCat(p, "q"), tickets,
                                      [&p](const QueueTicket& ticket, auto& keys, auto& args) {
                                        std::string id = ticket.ticket.ToString();
                                        keys.push_back(absl::StrCat(p, "t:", id));
                                        args.push_back(std::move(id));
                                        args.push_back(absl::StrCat(ticket.version));
                                        args.push_back(absl::StrCat(ticket.score));
                                      });
}

absl::Status RedisQueue::RebuildSponsors(absl::Time deadline, const PoolKey& pool,
                                         absl::Span<const QueueSponsor> sponsors) {
  const std::string p = Prefix(pool);
  return RebuildInChunks<QueueSponsor>(deadline, Script("rebuild_sponsors", kRebuildSponsorsLua),
                                       absl::StrCat(p, "avail"), sponsors,
                                       [&p](const QueueSponsor& sponsor, auto& keys, auto& args) {
                                         std::string id = sponsor.sponsor.ToString();
                                         keys.push_back(absl::StrCat(p, "s:", id));
                                         args.push_back(std::move(id));
                                         args.push_back(absl::StrCat(sponsor.version));
                                         args.push_back(absl::StrCat(sponsor.free_seats));
                                         args.push_back(absl::StrCat(sponsor.score));
                                       });
}

absl::StatusOr<QueueEvents> RedisQueue::ReadEvents(absl::Time deadline, const PoolKey& pool,
                                                   const std::string& cursor, int limit) {
  const std::string key = absl::StrCat(Prefix(pool), "ev");
  QueueEvents events;
  events.cursor = cursor;
  if (cursor.empty()) {
    ASSIGN_OR_RETURN(const RedisReply last,
                     redis_.Command(deadline, {"XREVRANGE", key, "+", "-", "COUNT", "1"}));
    events.cursor = last.elements.empty() ? "0-0" : last.elements[0].elements[0].text;
    return events;
  }
  const std::string from = absl::StrCat("(", cursor);
  const std::string count = absl::StrCat(limit);
  ASSIGN_OR_RETURN(const RedisReply reply,
                   redis_.Command(deadline, {"XRANGE", key, from, "+", "COUNT", count}));
  for (const RedisReply& entry : reply.elements) {
    if (entry.elements.size() != 2 || entry.elements[1].elements.size() != 6) {
      return UnreadableError();
    }
    const std::vector<RedisReply>& fields = entry.elements[1].elements;
    int64_t version = 0;
    if (!absl::SimpleAtoi(fields[5].text, &version)) return UnreadableError();
    if (fields[1].text == "t") {
      ASSIGN_OR_RETURN(const TicketId id, TicketId::Parse(fields[3].text));
      events.tickets.emplace_back(id, version);
    } else {
      ASSIGN_OR_RETURN(const MemberId id, MemberId::Parse(fields[3].text));
      events.sponsors.emplace_back(id, version);
    }
    events.cursor = entry.elements[0].text;
  }
  return events;
}

absl::StatusOr<std::string> RedisQueue::ReadEpoch(absl::Time deadline, const PoolKey& pool) {
  ASSIGN_OR_RETURN(RedisReply reply,
                   redis_.Command(deadline, {"GET", absl::StrCat(Prefix(pool), "epoch")}));
  return reply.IsNil() ? std::string() : std::move(reply.text);
}

absl::StatusOr<bool> RedisQueue::ReplaceEpoch(absl::Time deadline, const PoolKey& pool,
                                              const std::string& expected,
                                              const std::string& next) {
  ASSIGN_OR_RETURN(const RedisReply reply,
                   redis_.Eval(deadline, Script("replace_epoch", kReplaceEpochLua),
                               {absl::StrCat(Prefix(pool), "epoch")}, {expected, next}));
  return reply.integer == 1;
}

absl::StatusOr<std::map<PoolKey, std::string>> RedisQueue::ServerRuns(
    absl::Time deadline, absl::Span<const PoolKey> pools) {
  std::map<PoolKey, std::string> runs;
  if (pools.empty()) return runs;
  // One question to each server, by the key of one of its pools: wherever that key is by now, its
  // slot's owner answers. A map that is not yet up to date is so at the next look.
  std::map<std::string, std::vector<PoolKey>> pools_of;
  for (const PoolKey& pool : pools) {
    const std::string key = absl::StrCat(Prefix(pool), "epoch");
    const std::string owner = redis_.OwnerOf(key);
    pools_of[owner.empty() ? key : owner].push_back(pool);
  }
  const RedisScript& script = Script("server_run", kServerRunLua);
  Batch batch(pools_of.size());
  size_t index = 0;
  for (const auto& [owner, some] : pools_of) {
    redis_.EvalAsync(deadline, script, {absl::StrCat(Prefix(some.front()), "epoch")}, {},
                     batch.Slot(index++));
  }
  std::vector<absl::StatusOr<RedisReply>> replies = batch.WaitForAll();
  index = 0;
  for (const auto& [owner, some] : pools_of) {
    const absl::StatusOr<RedisReply>& reply = replies[index++];
    if (!reply.ok()) continue;
    if (reply->text.empty()) return UnreadableError();
    for (const PoolKey& pool : some) runs[pool] = reply->text;
  }
  if (runs.empty()) return replies.front().status();
  return runs;
}

absl::StatusOr<std::vector<std::string>> RedisQueue::ScanSet(absl::Time deadline,
                                                             const std::string& key,
                                                             const std::string& cursor,
                                                             std::string& next) {
  ASSIGN_OR_RETURN(
      RedisReply reply,
      redis_.Command(deadline, {"ZSCAN", key, cursor.empty() ? "0" : cursor, "COUNT", "500"}));
  if (reply.elements.size() != 2) return UnreadableError();
  next = reply.elements[0].text == "0" ? std::string() : std::move(reply.elements[0].text);
  std::vector<RedisReply>& fields = reply.elements[1].elements;  // each is followed by its score
  std::vector<std::string> members;
  members.reserve(fields.size() / 2);
  for (size_t i = 0; i < fields.size(); i += 2) members.push_back(std::move(fields[i].text));
  return members;
}

absl::StatusOr<Queue::Part> RedisQueue::ScanTickets(absl::Time deadline, const PoolKey& pool,
                                                    const std::string& cursor) {
  Part part;
  ASSIGN_OR_RETURN(const std::vector<std::string> members,
                   ScanSet(deadline, absl::StrCat(Prefix(pool), "q"), cursor, part.cursor));
  for (const std::string& member : members) {
    ASSIGN_OR_RETURN(const TicketId id, TicketId::Parse(member));
    part.tickets.push_back(id);
  }
  return part;
}

absl::StatusOr<Queue::Part> RedisQueue::ScanSponsors(absl::Time deadline, const PoolKey& pool,
                                                     const std::string& cursor) {
  Part part;
  ASSIGN_OR_RETURN(const std::vector<std::string> members,
                   ScanSet(deadline, absl::StrCat(Prefix(pool), "avail"), cursor, part.cursor));
  for (const std::string& member : members) {
    ASSIGN_OR_RETURN(const MemberId id, MemberId::Parse(member));
    part.sponsors.push_back(id);
  }
  return part;
}

absl::StatusOr<Queue::Depth> RedisQueue::ReadDepth(absl::Time deadline, const PoolKey& pool) {
  const std::string p = Prefix(pool);
  Depth depth;
  ASSIGN_OR_RETURN(RedisReply reply, redis_.Command(deadline, {"ZCARD", absl::StrCat(p, "q")}));
  depth.waiting = reply.integer;
  ASSIGN_OR_RETURN(reply, redis_.Command(deadline, {"ZCARD", absl::StrCat(p, "avail")}));
  depth.available = reply.integer;
  ASSIGN_OR_RETURN(reply, redis_.Command(deadline, {"ZCARD", absl::StrCat(p, "claims")}));
  depth.claimed = reply.integer;
  return depth;
}

}  // namespace handrail::matching
