#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/crypto/vault.h"
#include "common/storage/redis.h"
#include "common/testing/redis_backends.h"
#include "common/testing/simulated_clock.h"
#include "common/testing/temporary_redis.h"
#include "common/testing/temporary_redis_cluster.h"
#include "services/matching/adapters/crypto_vault.h"
#include "services/matching/adapters/redis_queue.h"

// Each sentence of domain/queue.h and of the scripts, on every kind of real Redis.
namespace handrail::matching {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

using ::handrail::testing::RedisBackend;
using ::handrail::testing::RedisBackendKind;

constexpr char kKeyRing[] =
    "index 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
    "k1 ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n";

// One Redis of each kind serves all tests.
RedisBackend& BackendOf(RedisBackendKind kind) {
  static auto* const backends = new std::map<RedisBackendKind, std::unique_ptr<RedisBackend>>;
  std::unique_ptr<RedisBackend>& backend = (*backends)[kind];
  if (backend == nullptr) backend = RedisBackend::Make(kind);
  return *backend;
}

class QueueTest : public ::testing::TestWithParam<RedisBackendKind> {
 protected:
  QueueTest() : server_(&BackendOf(GetParam())) {
    server_->FlushAll();
    storage::RedisOptions options;
    options.url = server_->url();
    redis_ = *storage::ConnectRedis(options);
    queue_ = std::make_unique<RedisQueue>(*redis_, pools_);
    pool_.philosophy = Philosophy::kTwelveStepAa;
  }

  QueueTicket Waiting(int64_t version = 1, int64_t score = 1000) {
    return {TicketId::Random(random_), version, true, score};
  }
  QueueSponsor Free(int seats, int64_t version = 1) {
    return {MemberId::Random(random_), version, seats, 5};
  }
  void Put(const QueueTicket& ticket) {
    ASSERT_TRUE(queue_->PutTickets(Soon(), pool_, {&ticket, 1}, Announce::kNo).ok());
  }
  void Put(const QueueSponsor& sponsor) {
    ASSERT_TRUE(queue_->PutSponsors(Soon(), pool_, {&sponsor, 1}, Announce::kNo).ok());
  }
  ClaimResult Take(const QueueTicket& ticket, const QueueSponsor& sponsor) {
    const Claim claim{ticket.ticket, ticket.version, sponsor.sponsor, sponsor.version};
    const auto results = queue_->TakeClaims(Soon(), pool_, clock_.Now(), {&claim, 1});
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front() : ClaimResult::kNoTicket;
  }
  void Settle(const QueueTicket& ticket, const QueueSponsor& sponsor) {
    const Settlement settlement{ticket, sponsor};
    ASSERT_TRUE(queue_->Settle(Soon(), pool_, {&settlement, 1}, Announce::kNo).ok());
  }
  std::string Depth() {
    const auto depth = queue_->ReadDepth(Soon(), pool_);
    EXPECT_TRUE(depth.ok()) << depth.status();
    return std::to_string(depth->waiting) + "/" + std::to_string(depth->available) + "/" +
           std::to_string(depth->claimed);
  }
  std::string RunOf(RedisQueue& queue) {
    const auto runs = queue.ServerRuns(Soon(), {&pool_, 1});
    EXPECT_TRUE(runs.ok()) << runs.status();
    return runs.ok() ? runs->at(pool_) : std::string();
  }
  absl::Time Soon() const { return SystemClock().Now() + absl::Seconds(10); }

  RedisBackend* const server_;
  testing::SimulatedClock clock_;
  SystemRandom random_;
  crypto::KeyRing ring_ = *crypto::KeyRing::Parse(kKeyRing);
  CipherPoolNames pools_{ring_};
  std::unique_ptr<storage::Redis> redis_;
  std::unique_ptr<RedisQueue> queue_;
  PoolKey pool_;
};

INSTANTIATE_TEST_SUITE_P(Redis, QueueTest, ::testing::ValuesIn(testing::AllRedisBackends()),
                         [](const auto& info) { return testing::NameOf(info.param); });

TEST_P(QueueTest, AClaimTakesOneTicketAndOneSeatOrNothing) {
  const QueueTicket a = Waiting();
  const QueueTicket b = Waiting();
  const QueueSponsor sponsor = Free(1);
  Put(a);
  EXPECT_EQ(Take(a, sponsor), ClaimResult::kNoSeat);
  EXPECT_EQ(Depth(), "1/0/0");
  Put(sponsor);
  EXPECT_EQ(Take(b, sponsor), ClaimResult::kNoTicket);
  EXPECT_EQ(Depth(), "1/1/0");
  EXPECT_EQ(Take(a, sponsor), ClaimResult::kClaimed);
  EXPECT_EQ(Depth(), "0/0/1");
  EXPECT_EQ(Take(a, sponsor), ClaimResult::kNoTicket);
  Put(b);
  EXPECT_EQ(Take(b, sponsor), ClaimResult::kNoSeat);
}

TEST_P(QueueTest, SeatsAreClaimedOneByOne) {
  const QueueSponsor sponsor = Free(2);
  Put(sponsor);
  const QueueTicket tickets[] = {Waiting(), Waiting(), Waiting()};
  for (const QueueTicket& ticket : tickets) Put(ticket);
  EXPECT_EQ(Take(tickets[0], sponsor), ClaimResult::kClaimed);
  EXPECT_EQ(Take(tickets[1], sponsor), ClaimResult::kClaimed);
  EXPECT_EQ(Take(tickets[2], sponsor), ClaimResult::kNoSeat);
  EXPECT_EQ(Depth(), "1/0/2");
}

TEST_P(QueueTest, ASettledClaimShowsWhatSqlDecided) {
  QueueTicket ticket = Waiting();
  QueueSponsor sponsor = Free(2);
  Put(ticket);
  Put(sponsor);
  ASSERT_EQ(Take(ticket, sponsor), ClaimResult::kClaimed);
  ticket.version = 2;
  ticket.waiting = false;
  sponsor.version = 2;
  sponsor.free_seats = 1;
  Settle(ticket, sponsor);
  EXPECT_EQ(Depth(), "0/1/0");
  // The cascade: the ticket waits again, in its old place.
  ticket.version = 3;
  ticket.waiting = true;
  Put(ticket);
  EXPECT_EQ(Depth(), "1/1/0");
  EXPECT_EQ(server_->KeyCount(), 4);
}

TEST_P(QueueTest, ARefusalPutsBothBackInTheirPlaces) {
  const QueueTicket ticket = Waiting(1, 777);
  const QueueSponsor sponsor = Free(1);
  Put(ticket);
  Put(sponsor);
  ASSERT_EQ(Take(ticket, sponsor), ClaimResult::kClaimed);
  Settle(ticket, sponsor);
  EXPECT_EQ(Depth(), "1/1/0");
  EXPECT_EQ(Take(ticket, sponsor), ClaimResult::kClaimed);
}

TEST_P(QueueTest, ManyAtOnceAreEachAnsweredForThemselves) {
  constexpr size_t kPairs = 3 * RedisQueue::kChunk - 10;
  std::vector<QueueTicket> tickets;
  std::vector<QueueSponsor> sponsors;
  std::vector<Claim> claims;
  std::vector<ClaimResult> expected;
  for (size_t i = 0; i < kPairs; ++i) {
    tickets.push_back(Waiting(5, static_cast<int64_t>(i)));
    sponsors.push_back(Free(1, 5));
    const bool other_seat = i % 5 == 4;  // one that the claim before has just taken
    Claim claim{tickets[i].ticket, 5, sponsors[other_seat ? i - 1 : i].sponsor, 5};
    expected.push_back(ClaimResult::kClaimed);
    if (i % 5 == 1) claim.ticket = TicketId::Random(random_), expected[i] = ClaimResult::kNoTicket;
    if (i % 5 == 2) claim.ticket_version = 4, expected[i] = ClaimResult::kStaleTicket;
    if (i % 5 == 3) claim.sponsor_version = 6;
    if (other_seat) expected[i] = ClaimResult::kNoSeat;
    claims.push_back(claim);
  }
  ASSERT_TRUE(queue_->PutTickets(Soon(), pool_, tickets, Announce::kYes).ok());
  ASSERT_TRUE(queue_->PutSponsors(Soon(), pool_, sponsors, Announce::kNo).ok());
  EXPECT_EQ(Depth(), absl::StrCat(kPairs, "/", kPairs, "/0"));
  const auto results = queue_->TakeClaims(Soon(), pool_, clock_.Now(), claims);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ(*results, expected);
  const auto claimed = std::count(expected.begin(), expected.end(), ClaimResult::kClaimed);
  EXPECT_EQ(Depth(), absl::StrCat(kPairs - claimed, "/", kPairs - claimed, "/", claimed));
  // Every other one was made; the rest go back where they were.
  std::vector<Settlement> settlements;
  int made = 0;
  for (size_t i = 0; i < kPairs; ++i) {
    if (expected[i] != ClaimResult::kClaimed) continue;
    settlements.push_back({tickets[i], sponsors[i]});
    if (settlements.size() % 2 == 0) continue;
    ++made;
    ++settlements.back().ticket.version;
    settlements.back().ticket.waiting = false;
    ++settlements.back().sponsor.version;
    settlements.back().sponsor.free_seats = 0;
  }
  ASSERT_TRUE(queue_->Settle(Soon(), pool_, settlements, Announce::kNo).ok());
  EXPECT_EQ(Depth(), absl::StrCat(kPairs - made, "/", kPairs - made, "/0"));
}

TEST_P(QueueTest, OlderVersionsAreIgnored) {
  QueueTicket ticket = Waiting(5);
  QueueSponsor sponsor = Free(1, 5);
  Put(ticket);
  Put(sponsor);
  QueueTicket old_ticket = ticket;
  old_ticket.version = 4;
  old_ticket.waiting = false;
  QueueSponsor old_sponsor = sponsor;
  old_sponsor.version = 4;
  old_sponsor.free_seats = 0;
  Put(old_ticket);
  Put(old_sponsor);
  EXPECT_EQ(Depth(), "1/1/0");
  EXPECT_EQ(Take(old_ticket, sponsor), ClaimResult::kStaleTicket);
  EXPECT_EQ(Take(ticket, old_sponsor), ClaimResult::kStaleSponsor);
  Settle(old_ticket, old_sponsor);
  EXPECT_EQ(Depth(), "1/1/0");
}

TEST_P(QueueTest, ASponsorWhomTheLedgerDoesNotKnowComesBackAtAnyVersion) {
  Put(Waiting(1));
  QueueSponsor sponsor = Free(1, 5);
  Put(sponsor);
  sponsor.version = kNotInLedger;
  Put(sponsor);
  EXPECT_EQ(Depth(), "1/0/0");
  sponsor.version = 1;  // the ledger was restored from a copy, and the sponsor came again
  Put(sponsor);
  EXPECT_EQ(Depth(), "1/1/0");
}

TEST_P(QueueTest, WhatIsWrittenAgainIsPutRight) {
  const QueueTicket ticket = Waiting();
  const QueueSponsor sponsor = Free(1);
  Put(ticket);
  Put(sponsor);
  const std::string prefix =
      absl::StrCat("hr:{", absl::BytesToHexString(pools_.Opaque(pool_)), "}:");
  for (absl::string_view set : {"q", "avail"}) {
    ASSERT_TRUE(redis_->Command(Soon(), {"DEL", absl::StrCat(prefix, set)}).ok());
  }
  EXPECT_EQ(Depth(), "0/0/0");
  Put(ticket);
  Put(sponsor);
  EXPECT_EQ(Depth(), "1/1/0");
  QueueTicket gone = ticket;
  gone.waiting = false;
  ++gone.version;
  Put(gone);
  ++gone.version;
  Put(gone);
  EXPECT_EQ(Depth(), "0/1/0");
}

TEST_P(QueueTest, ALateHintDoesNotBringBackWhatIsGone) {
  QueueTicket ticket = Waiting(2);
  ticket.waiting = false;
  Put(ticket);
  ticket.version = 1;
  ticket.waiting = true;
  Put(ticket);
  EXPECT_EQ(Depth(), "0/0/0");
}

TEST_P(QueueTest, AHintDuringAClaimDoesNotLetTheTicketBeClaimedTwice) {
  const QueueTicket ticket = Waiting();
  const QueueSponsor sponsor = Free(3);
  Put(ticket);
  Put(sponsor);
  ASSERT_EQ(Take(ticket, sponsor), ClaimResult::kClaimed);
  Put(ticket);
  Put(sponsor);
  ASSERT_TRUE(queue_->RebuildTickets(Soon(), pool_, {&ticket, 1}).ok());
  ASSERT_TRUE(queue_->RebuildSponsors(Soon(), pool_, {&sponsor, 1}).ok());
  EXPECT_EQ(Take(ticket, sponsor), ClaimResult::kNoTicket);
  EXPECT_EQ(Depth(), "0/1/1");
}

TEST_P(QueueTest, AnExpiredClaimIsListedUntilItIsSettled) {
  const QueueTicket ticket = Waiting();
  const QueueSponsor sponsor = Free(1);
  Put(ticket);
  Put(sponsor);
  ASSERT_EQ(Take(ticket, sponsor), ClaimResult::kClaimed);
  EXPECT_TRUE(queue_->ExpiredClaims(Soon(), pool_, clock_.Now(), 10)->empty());
  clock_.Advance(Queue::kClaimLifetime);
  const auto expired = queue_->ExpiredClaims(Soon(), pool_, clock_.Now(), 10);
  ASSERT_TRUE(expired.ok()) << expired.status();
  ASSERT_EQ(expired->size(), 1u);
  EXPECT_EQ(expired->front().ticket, ticket.ticket);
  EXPECT_EQ(expired->front().sponsor, sponsor.sponsor);
  Settle(ticket, sponsor);
  EXPECT_TRUE(queue_->ExpiredClaims(Soon(), pool_, clock_.Now(), 10)->empty());
  EXPECT_EQ(Depth(), "1/1/0");
}

TEST_P(QueueTest, ALeaseHasOneOwner) {
  const auto lease = [&](const std::string& owner, absl::Duration hold) {
    const auto answer = queue_->Lease(Soon(), pool_, owner, hold);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.value_or(LeaseAnswer());
  };
  EXPECT_EQ(lease("a", absl::Seconds(10)), LeaseAnswer::kTaken);
  EXPECT_EQ(lease("a", absl::Seconds(10)), LeaseAnswer::kKept);
  EXPECT_EQ(lease("b", absl::Seconds(10)), LeaseAnswer::kNotYours);
  EXPECT_EQ(lease("b", absl::ZeroDuration()), LeaseAnswer::kNotYours);
  EXPECT_EQ(lease("a", absl::Seconds(10)), LeaseAnswer::kKept) << "b had nothing to give back";
  EXPECT_EQ(lease("a", absl::ZeroDuration()), LeaseAnswer::kKept);
  EXPECT_EQ(lease("a", absl::ZeroDuration()), LeaseAnswer::kNotYours) << "nobody holds it";
  EXPECT_EQ(lease("b", absl::Seconds(10)), LeaseAnswer::kTaken);
}

TEST_P(QueueTest, ReplicasAreListedUntilTheyGoOrTheirTimeIsOver) {
  const auto say = [this](const std::string& replica, absl::Duration hold) {
    const auto names = queue_->Replicas(Soon(), clock_.Now(), replica, hold);
    EXPECT_TRUE(names.ok()) << names.status();
    return names.value_or(std::vector<std::string>());
  };
  EXPECT_THAT(say("a", absl::Seconds(10)), UnorderedElementsAre("a"));
  EXPECT_THAT(say("b", absl::Seconds(10)), UnorderedElementsAre("a", "b"));
  clock_.Advance(absl::Seconds(6));
  EXPECT_THAT(say("a", absl::Seconds(10)), UnorderedElementsAre("a", "b"));
  // b is silent; a has said it again.
  clock_.Advance(absl::Seconds(4));
  EXPECT_THAT(say("c", absl::Seconds(10)), UnorderedElementsAre("a", "c"));
  EXPECT_THAT(say("c", absl::ZeroDuration()), UnorderedElementsAre("a"));
  EXPECT_THAT(say("gone", absl::ZeroDuration()), UnorderedElementsAre("a"));
}

TEST_P(QueueTest, TheStreamTellsIdsAndVersionsOfWhatWasAnnounced) {
  auto events = queue_->ReadEvents(Soon(), pool_, "", 10);
  ASSERT_TRUE(events.ok()) << events.status();
  const QueueTicket ticket = Waiting(3);
  const QueueSponsor sponsor = Free(1, 4);
  ASSERT_TRUE(queue_->PutTickets(Soon(), pool_, {&ticket, 1}, Announce::kYes).ok());
  ASSERT_TRUE(queue_->PutSponsors(Soon(), pool_, {&sponsor, 1}, Announce::kYes).ok());
  Put(Waiting());
  events = queue_->ReadEvents(Soon(), pool_, events->cursor, 10);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_THAT(events->tickets, ElementsAre(std::pair(ticket.ticket, int64_t{3})));
  EXPECT_THAT(events->sponsors, ElementsAre(std::pair(sponsor.sponsor, int64_t{4})));
  events = queue_->ReadEvents(Soon(), pool_, events->cursor, 10);
  EXPECT_TRUE(events->tickets.empty());
}

TEST_P(QueueTest, ALostRedisIsNoticedAndBuiltAgain) {
  EXPECT_EQ(*queue_->ReadEpoch(Soon(), pool_), "");
  EXPECT_FALSE(*queue_->ReplaceEpoch(Soon(), pool_, "0", "1")) << "there is none";
  EXPECT_TRUE(*queue_->ReplaceEpoch(Soon(), pool_, "", "1"));
  EXPECT_FALSE(*queue_->ReplaceEpoch(Soon(), pool_, "", "2")) << "it is 1 now";
  EXPECT_EQ(*queue_->ReadEpoch(Soon(), pool_), "1");
  const std::string run = RunOf(*queue_);
  EXPECT_FALSE(run.empty());
  server_->FlushAll();
  EXPECT_EQ(*queue_->ReadEpoch(Soon(), pool_), "");
  EXPECT_FALSE(*queue_->ReplaceEpoch(Soon(), pool_, "1", "2")) << "the mark is lost with the rest";
  std::vector<QueueTicket> tickets;
  for (int i = 0; i < 1700; ++i) tickets.push_back(Waiting(1, i));
  ASSERT_TRUE(queue_->RebuildTickets(Soon(), pool_, tickets).ok());
  EXPECT_EQ(Depth(), "1700/0/0") << "in several scripts";
}

TEST_P(QueueTest, EverybodyWhoIsQueuedIsSeenInAScan) {
  std::set<TicketId> tickets;
  std::set<MemberId> sponsors;
  for (int i = 0; i < 1200; ++i) {
    tickets.insert(Waiting(1, i).ticket);
    sponsors.insert(Free(1).sponsor);
  }
  std::vector<QueueTicket> waiting;
  std::vector<QueueSponsor> free;
  for (const TicketId& id : tickets) waiting.push_back({id, 1, true, 1});
  for (const MemberId& id : sponsors) free.push_back({id, 1, 1, 1});
  ASSERT_TRUE(queue_->PutTickets(Soon(), pool_, waiting, Announce::kNo).ok());
  ASSERT_TRUE(queue_->PutSponsors(Soon(), pool_, free, Announce::kNo).ok());
  int parts = 0;
  std::string cursor;
  do {
    const auto part = queue_->ScanTickets(Soon(), pool_, cursor);
    ASSERT_TRUE(part.ok()) << part.status();
    for (const TicketId& id : part->tickets) tickets.erase(id);
    cursor = part->cursor;
    ++parts;
  } while (!cursor.empty());
  EXPECT_GT(parts, 1);
  do {
    const auto part = queue_->ScanSponsors(Soon(), pool_, cursor);
    ASSERT_TRUE(part.ok()) << part.status();
    for (const MemberId& id : part->sponsors) sponsors.erase(id);
    cursor = part->cursor;
  } while (!cursor.empty());
  EXPECT_TRUE(tickets.empty());
  EXPECT_TRUE(sponsors.empty());
}

TEST_P(QueueTest, APoolLivesInOneSlotAndShowsNothing) {
  Put(Waiting());
  Put(Free(1));
  std::vector<std::string> keys;
  for (const std::string& url : server_->DataUrls()) {
    storage::RedisOptions options;
    options.url = url;
    const auto node = storage::ConnectRedis(options);
    const auto reply = (*node)->Command(Soon(), {"KEYS", "*"});
    ASSERT_TRUE(reply.ok()) << reply.status();
    for (const storage::RedisReply& key : reply->elements) keys.push_back(key.text);
  }
  ASSERT_EQ(keys.size(), 4u);
  for (const std::string& key : keys) {
    EXPECT_EQ(key.rfind("hr:{", 0), 0u) << key;
    EXPECT_EQ(key.find(pool_.ToString()), std::string::npos);
    EXPECT_EQ(key.substr(3, 34), keys[0].substr(3, 34));
  }
}

TEST_P(QueueTest, PoolsOfAnySlotAreServedSideBySide) {
  std::vector<PoolKey> pools;
  std::set<std::string> owners;
  for (int i = 0; i < 40; ++i) {
    PoolKey pool = pool_;
    pool.region = "region-" + std::to_string(i);
    const QueueTicket ticket = Waiting();
    const QueueSponsor sponsor = Free(1);
    ASSERT_TRUE(queue_->PutTickets(Soon(), pool, {&ticket, 1}, Announce::kYes).ok());
    ASSERT_TRUE(queue_->PutSponsors(Soon(), pool, {&sponsor, 1}, Announce::kYes).ok());
    const Claim claim{ticket.ticket, 1, sponsor.sponsor, 1};
    const auto taken = queue_->TakeClaims(Soon(), pool, clock_.Now(), {&claim, 1});
    ASSERT_TRUE(taken.ok()) << taken.status();
    EXPECT_EQ(taken->front(), ClaimResult::kClaimed);
    pools.push_back(pool);
  }
  const auto runs = queue_->ServerRuns(Soon(), pools);
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_EQ(runs->size(), pools.size());
  for (const auto& [pool, run] : *runs) owners.insert(run);
  EXPECT_EQ(owners.size(), server_->DataUrls().size());
}

// ---- Servers that die, each test with its own ----

class QueueFaultsTest : public ::testing::Test {
 protected:
  void Connect(const std::string& url) {
    storage::RedisOptions options;
    options.url = url;
    redis_ = *storage::ConnectRedis(options);
    queue_ = std::make_unique<RedisQueue>(*redis_, pools_);
  }
  // Until it is there again.
  std::string RunOf(const PoolKey& pool) {
    const absl::Time deadline = Soon();
    while (SystemClock().Now() < deadline) {
      const auto runs = queue_->ServerRuns(Soon(), {&pool, 1});
      if (runs.ok()) return runs->at(pool);
    }
    ADD_FAILURE() << "no run";
    return "";
  }
  absl::Time Soon() const { return SystemClock().Now() + absl::Seconds(20); }

  SystemRandom random_;
  crypto::KeyRing ring_ = *crypto::KeyRing::Parse(kKeyRing);
  CipherPoolNames pools_{ring_};
  std::unique_ptr<storage::Redis> redis_;
  std::unique_ptr<RedisQueue> queue_;
};

TEST_F(QueueFaultsTest, EachRunOfAServerHasAnotherName) {
  testing::TemporaryRedis server;
  Connect(server.url());
  const std::string first = RunOf(PoolKey());
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(RunOf(PoolKey()), first);
  server.Kill();
  server.Start();
  EXPECT_NE(RunOf(PoolKey()), first);
}

TEST_F(QueueFaultsTest, AFailoverRenamesTheRunOfItsShardOnly) {
  testing::TemporaryRedisCluster::Options options;
  options.replicas = 1;
  testing::TemporaryRedisCluster cluster(options);
  Connect(cluster.url());
  std::vector<PoolKey> pools(12);
  for (size_t i = 0; i < pools.size(); ++i) pools[i].region = "region-" + std::to_string(i);
  auto before = queue_->ServerRuns(Soon(), pools);
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_EQ(before->size(), pools.size());
  const std::string dead = before->at(pools[0]);
  const std::string dead_id = dead.substr(0, dead.find(';'));
  for (int i = 0; i < 3; ++i) {
    if (absl::StrContains(cluster.node(i).Ask("INFO server"), dead_id)) cluster.node(i).Kill();
  }
  cluster.WaitUntilWell();
  const auto after = queue_->ServerRuns(Soon(), pools);
  ASSERT_TRUE(after.ok()) << after.status();
  ASSERT_EQ(after->size(), pools.size());
  int renamed = 0;
  for (const PoolKey& pool : pools) {
    EXPECT_EQ(before->at(pool) == dead, after->at(pool) != before->at(pool));
    if (before->at(pool) == dead) ++renamed;
  }
  EXPECT_GE(renamed, 1);
  EXPECT_LT(renamed, 12);
}

TEST_F(QueueFaultsTest, PoolsOfAServerThatIsDownAreLeftOut) {
  testing::TemporaryRedisCluster::Options options;
  options.node_timeout_ms = 30'000;
  testing::TemporaryRedisCluster cluster(options);
  Connect(cluster.url());
  std::vector<PoolKey> pools(12);
  for (size_t i = 0; i < pools.size(); ++i) pools[i].region = "region-" + std::to_string(i);
  ASSERT_EQ(queue_->ServerRuns(Soon(), pools)->size(), pools.size());
  cluster.node(0).Kill();
  const auto runs = queue_->ServerRuns(SystemClock().Now() + absl::Seconds(5), pools);
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_LT(runs->size(), pools.size());
  EXPECT_GE(runs->size(), 1u);
}

TEST_F(QueueFaultsTest, ARedisThatIsDownSaysSo) {
  testing::TemporaryRedis other;
  Connect(other.url());
  RedisQueue& queue = *queue_;
  const PoolKey pool;
  const QueueTicket ticket{TicketId::Random(random_), 1, true, 1000};
  ASSERT_TRUE(queue.PutTickets(Soon(), pool, {&ticket, 1}, Announce::kNo).ok());
  other.Stop();
  absl::Status status;
  do {
    status = queue.PutTickets(Soon(), pool, {&ticket, 1}, Announce::kNo);
  } while (status.ok());
  EXPECT_TRUE(HasReason(status, reason::kRedisUnavailable)) << status;
  other.Start();
  const absl::Time deadline = Soon();
  do {
    status = queue.PutTickets(Soon(), pool, {&ticket, 1}, Announce::kNo);
  } while (!status.ok() && SystemClock().Now() < deadline);
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace handrail::matching
