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

template <typename... Values>
void Append(std::vector<std::string>& words, const Values&... values) {
  (words.push_back(absl::StrCat(values)), ...);
}

std::string Flag(bool value) { return value ? "1" : "0"; }

absl::Status UnreadableError() {
  return Error(absl::StatusCode::kInternal, reason::kRedisError)
      .Message("an entry of the queue cannot be read");
}

}  // namespace

std::string RedisQueue::Prefix(const PoolKey& pool) const {
  return absl::StrCat("hr:{", absl::BytesToHexString(pools_.Opaque(pool)), "}:");
}

template <typename Entry>
absl::StatusOr<std::vector<RedisReply>> RedisQueue::EvalInChunks(
    absl::Time deadline, const RedisScript& script, const Words& common,
    absl::Span<const Entry> entries, size_t chunk,
    absl::FunctionRef<void(const Entry&, Words& words)> add) {
  if (entries.empty()) return std::vector<RedisReply>();
  Batch batch((entries.size() + chunk - 1) / chunk);
  for (size_t first = 0; first < entries.size(); first += chunk) {
    Words words = common;
    const absl::Span<const Entry> some = entries.subspan(first, chunk);
    words.keys.reserve(common.keys.size() + 2 * some.size());
    words.args.reserve(common.args.size() + 8 * some.size());
    for (const Entry& entry : some) add(entry, words);
    redis_.EvalAsync(deadline, script, words.keys, words.args, batch.Slot(first / chunk));
  }
  return batch.Wait();
}

absl::Status RedisQueue::PutTickets(absl::Time deadline, const PoolKey& pool,
                                    absl::Span<const QueueTicket> tickets, Announce announce) {
  const std::string p = Prefix(pool);
  const Words common = {{absl::StrCat(p, "q"), absl::StrCat(p, "ev")},
                        {Flag(announce == Announce::kYes), stream_length_}};
  return EvalInChunks<QueueTicket>(
             deadline, Script("enqueue", kEnqueueLua), common, tickets, kChunk,
             [&p](const QueueTicket& ticket, Words& words) {
               const std::string id = ticket.ticket.ToString();
               Append(words.keys, absl::StrCat(p, "t:", id));
               Append(words.args, id, ticket.version, Flag(ticket.waiting), ticket.score);
             })
      .status();
}

absl::Status RedisQueue::PutSponsors(absl::Time deadline, const PoolKey& pool,
                                     absl::Span<const QueueSponsor> sponsors, Announce announce) {
  const std::string p = Prefix(pool);
  const Words common = {{absl::StrCat(p, "avail"), absl::StrCat(p, "ev")},
                        {Flag(announce == Announce::kYes), stream_length_}};
  return EvalInChunks<QueueSponsor>(
             deadline, Script("set_sponsor", kSetSponsorLua), common, sponsors, kChunk,
             [&p](const QueueSponsor& sponsor, Words& words) {
               const std::string id = sponsor.sponsor.ToString();
               Append(words.keys, absl::StrCat(p, "s:", id));
               Append(words.args, id, sponsor.version, sponsor.free_seats, sponsor.score);
             })
      .status();
}

absl::StatusOr<std::vector<ClaimResult>> RedisQueue::TakeClaims(absl::Time deadline,
                                                                const PoolKey& pool, absl::Time now,
                                                                absl::Span<const Claim> claims) {
  const std::string p = Prefix(pool);
  const Words common = {{absl::StrCat(p, "q"), absl::StrCat(p, "avail"), absl::StrCat(p, "claims")},
                        {absl::StrCat(absl::ToUnixMillis(now + kClaimLifetime))}};
  ASSIGN_OR_RETURN(const std::vector<RedisReply> replies,
                   EvalInChunks<Claim>(deadline, Script("claim", kClaimLua), common, claims, kChunk,
                                       [&p](const Claim& claim, Words& words) {
                                         std::string ticket = claim.ticket.ToString();
                                         std::string sponsor = claim.sponsor.ToString();
                                         Append(words.keys, absl::StrCat(p, "t:", ticket),
                                                absl::StrCat(p, "s:", sponsor));
                                         Append(words.args, ticket, sponsor, claim.ticket_version,
                                                claim.sponsor_version);
                                       }));
  std::vector<ClaimResult> results;
  results.reserve(claims.size());
  for (const RedisReply& reply : replies) {
    for (const RedisReply& result : reply.elements) {
      results.push_back(static_cast<ClaimResult>(result.integer));
    }
  }
  if (results.size() != claims.size()) return UnreadableError();
  return results;
}

absl::Status RedisQueue::Settle(absl::Time deadline, const PoolKey& pool,
                                absl::Span<const Settlement> settlements, Announce announce) {
  const std::string p = Prefix(pool);
  const Words common = {{absl::StrCat(p, "q"), absl::StrCat(p, "avail"), absl::StrCat(p, "claims"),
                         absl::StrCat(p, "ev")},
                        {Flag(announce == Announce::kYes), stream_length_}};
  return EvalInChunks<Settlement>(
             deadline, Script("settle", kSettleLua), common, settlements, kChunk,
             [&p](const Settlement& settlement, Words& words) {
               const auto& [ticket, sponsor] = settlement;
               const std::string ticket_id = ticket.ticket.ToString();
               const std::string sponsor_id = sponsor.sponsor.ToString();
               Append(words.keys, absl::StrCat(p, "t:", ticket_id),
                      absl::StrCat(p, "s:", sponsor_id));
               Append(words.args, ticket_id, sponsor_id, ticket.version, Flag(ticket.waiting),
                      ticket.score, sponsor.version, sponsor.free_seats, sponsor.score);
             })
      .status();
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

absl::StatusOr<LeaseAnswer> RedisQueue::Lease(absl::Time deadline, const PoolKey& pool,
                                              const std::string& owner, absl::Duration hold) {
  ASSIGN_OR_RETURN(
      const RedisReply reply,
      redis_.Eval(deadline, Script("lease", kLeaseLua), {absl::StrCat(Prefix(pool), "lease")},
                  {owner, absl::StrCat(absl::ToInt64Milliseconds(hold))}));
  return static_cast<LeaseAnswer>(reply.integer);
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

absl::Status RedisQueue::RebuildTickets(absl::Time deadline, const PoolKey& pool,
                                        absl::Span<const QueueTicket> tickets) {
  const std::string p = Prefix(pool);
  return EvalInChunks<QueueTicket>(deadline, Script("rebuild_tickets", kRebuildTicketsLua),
                                   {{absl::StrCat(p, "q")}, {}}, tickets, kRebuildChunk,
                                   [&p](const QueueTicket& ticket, Words& words) {
                                     const std::string id = ticket.ticket.ToString();
                                     Append(words.keys, absl::StrCat(p, "t:", id));
                                     Append(words.args, id, ticket.version, ticket.score);
                                   })
      .status();
}

absl::Status RedisQueue::RebuildSponsors(absl::Time deadline, const PoolKey& pool,
                                         absl::Span<const QueueSponsor> sponsors) {
  const std::string p = Prefix(pool);
  return EvalInChunks<QueueSponsor>(deadline, Script("rebuild_sponsors", kRebuildSponsorsLua),
                                    {{absl::StrCat(p, "avail")}, {}}, sponsors, kRebuildChunk,
                                    [&p](const QueueSponsor& sponsor, Words& words) {
                                      const std::string id = sponsor.sponsor.ToString();
                                      Append(words.keys, absl::StrCat(p, "s:", id));
                                      Append(words.args, id, sponsor.version, sponsor.free_seats,
                                             sponsor.score);
                                    })
      .status();
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
