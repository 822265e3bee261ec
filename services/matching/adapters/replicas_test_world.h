#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_REPLICAS_TEST_WORLD_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_REPLICAS_TEST_WORLD_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/testing/temporary_redis.h"
#include "services/matching/adapters/replicas_test_env.h"
#include "services/matching/stores/invariants.h"

// Four replicas over one pool in one database and one Redis, and people who ask, answer, cancel and
// change their minds meanwhile. Half of those who ask wait for a sponsor, one offer at a time; the
// others for a temporary contact, with up to three offers side by side, of which the first that is
// accepted rescinds the rest.
namespace handrail::matching {

constexpr size_t kReplicas = 4;

// What was found that must not be, each text once. Thread-safe.
class Findings {
 public:
  void Add(const std::string& text) {
    MutexLock lock(mutex_);
    texts_.insert(text);
  }
  std::set<std::string> Take() const {
    MutexLock lock(mutex_);
    return texts_;
  }

 private:
  mutable Mutex mutex_;
  std::set<std::string> texts_ ABSL_GUARDED_BY(mutex_);
};

// The replicas, and the people who use them. What must not be is written down; the test decides.
class World {
 public:
  static constexpr int kSponsors = 40;

  World(storage::TestBackend backend, const Replica::Options& replica)
      : env_(backend), replica_options_(replica) {
    if (replica.bug == Bug::kAcceptsTwice) {  // the schema does not allow it either
      for (const char* statement :
           {"CREATE TABLE loose AS SELECT * FROM pairings", "DROP TABLE pairings",
            "ALTER TABLE loose RENAME TO pairings"}) {
        env_.Execute(statement);
      }
    }
    replica_options_.redis_url = server_.url();
    storage::RedisOptions link;
    link.url = server_.url();
    link.clock = &env_.clock;
    link_ = *storage::ConnectRedis(link);
    pool_.philosophy = Philosophy::kTwelveStepAa;
    for (int i = 0; i < kSponsors; ++i) sponsors_.push_back(env_.AddSponsor(1 + i % 3));
    for (auto& slot : replicas_) slot = std::make_shared<Replica>(env_, replica_options_);
    time_ = std::make_unique<PeriodicTask>(absl::Milliseconds(2), [this] { MoveTime(); });
  }
  ~World() {
    actors_.clear();
    for (auto& replica : replicas_) replica.reset();  // while time moves: nobody waits for ever
  }

  // People begin to use it. At most so many of them ask.
  void StartPeople(int tickets) {
    tickets_ = tickets;
    for (int i = 0; i < 2; ++i) StartActor(absl::Milliseconds(4), [this] { OpenTicket(); });
    for (int i = 0; i < 2; ++i) StartActor(absl::Milliseconds(2), [this] { AnswerOffers(); });
    StartActor(absl::Milliseconds(5), [this] { AcceptTogether(); });
    StartActor(absl::Milliseconds(3), [this] { EndAPairing(); });
    StartActor(absl::Milliseconds(10), [this] { ChangeCapacity(); });
    StartActor(absl::Milliseconds(20), [this] { LookForViolations(); });
  }
  // As long as real time is: not too many offers time out while we look for a quiet moment.
  void StopPeople() {
    actors_.clear();
    speed_ = 1;
  }
  int acknowledged() const {
    MutexLock lock(mutex_);
    return static_cast<int>(acknowledged_.size());
  }
  // One dies and is replaced; what the others and the people do goes on meanwhile.
  void Kill(size_t number) {
    auto fresh = std::make_shared<Replica>(env_, replica_options_);
    {
      MutexLock lock(mutex_);
      std::swap(replicas_[number], fresh);
    }
    fresh->Die();
    Count(fresh->Stats());
  }
  void LoseRedis() { server_.FlushAll(); }
  // At the end: what the replicas that are still there have done.
  void CountReplicas() {
    for (const auto& replica : replicas_) Count(replica->Stats());
  }

  void LookForViolations() {
    const auto violations = CheckLedger(*env_.database, env_.clock.Now());
    if (!violations.ok()) return findings_.Add(violations.status().ToString());
    for (const Violation& violation : *violations) {
      findings_.Add(absl::StrCat(violation.invariant, ": ", violation.text));
    }
    ++looks_;
  }
  void LookAtTheAges() {
    MutexLock lock(mutex_);
    for (const Ticket& ticket : acknowledged_) {
      if (env_.TicketNow(ticket).create_time != ticket.create_time) {
        findings_.Add("M6: a ticket did not keep its age");
      }
    }
  }

  // Redis holds exactly those for whom one more offer may be made, nothing is claimed, and there is
  // no two of whom one could be put before the other.
  bool IsSettled() {
    const absl::Time soon = env_.clock.Now() + absl::Seconds(10);
    RedisQueue queue(*link_, env_.pools);
    std::set<TicketId> queued;
    std::string cursor;
    do {
      const auto part = queue.ScanTickets(soon, pool_, cursor);
      if (!part.ok()) return false;
      queued.insert(part->tickets.begin(), part->tickets.end());
      cursor = part->cursor;
    } while (!cursor.empty());
    const auto waiting =
        env_.ledger->LoadWaiting(absl::InfiniteFuture(), pool_, 10'000, std::nullopt);
    const auto offered =
        env_.ledger->LoadOfferedInParallel(absl::InfiniteFuture(), pool_, 10'000, TicketId());
    const auto depth = queue.ReadDepth(soon, pool_);
    if (!waiting.ok() || !offered.ok() || !depth.ok()) return false;
    std::set<TicketId> expected;
    for (const TicketChange& ticket : *waiting) expected.insert(ticket.ticket);
    for (const TicketChange& ticket : *offered) {
      if (ticket.HasRoomForOffer()) expected.insert(ticket.ticket);
    }
    with_room_ = static_cast<int64_t>(expected.size() - waiting->size());
    const int64_t pairs = CountPossiblePairs();
    unsettled_ = absl::StrCat(waiting->size(), " wait, ", with_room_, " have room, ", queued.size(),
                              " are queued, ", depth->claimed, " claims, ", pairs,
                              " could be put before somebody");
    return queued == expected && depth->claimed == 0 && pairs == 0;
  }
  template <typename Condition>
  bool Await(absl::Duration patience, const Condition& condition) {
    const SystemClock real;
    const absl::Time give_up = real.Now() + patience;
    Mutex mutex;
    CondVar never;
    MutexLock lock(mutex);
    while (!condition()) {
      if (real.Now() > give_up) return false;
      never.WaitFor(mutex, absl::Milliseconds(5));
    }
    return true;
  }

  std::set<std::string> findings() const { return findings_.Take(); }
  const std::string& unsettled() const { return unsettled_; }
  int64_t with_room() const { return with_room_; }
  int64_t CountOf(const std::string& sql) { return env_.Count(sql); }
  int64_t offers() const { return offers_; }
  int64_t refused() const { return refused_; }
  int64_t looks() const { return looks_; }
  int64_t together() const { return together_; }
  int64_t rescinded_together() const { return rescinded_together_; }
  // So often two, or three, sponsors accepted at the same moment, and one of them was the first.
  int64_t won_by_two() const { return won_by_[2]; }
  int64_t won_by_three() const { return won_by_[3]; }

 private:
  void StartActor(absl::Duration interval, std::function<void()> step) {
    actors_.push_back(std::make_unique<PeriodicTask>(interval, std::move(step)));
  }
  void Count(const MatcherStats& stats) {
    offers_ += stats.offers;
    refused_ += stats.offers_refused + stats.claims_refused;
  }

  // Four times as fast as real time, so that claims, leases and offers expire within the test.
  void MoveTime() {
    const absl::Time now = SystemClock().Now();
    env_.clock.Advance(speed_.load() * (now - real_time_));
    real_time_ = now;
  }

  // Asks one replica, and another one when that one has gone, as a client would.
  template <typename Step>
  auto Ask(const Step& step) {
    while (true) {
      const std::shared_ptr<Replica> replica = SomeReplica();
      auto result = step(replica->ledger());
      if (result.ok()) {
        if constexpr (requires { result->effects; }) replica->Notify(result->effects);
      }
      if (result.ok() || result.status().code() != absl::StatusCode::kUnavailable) return result;
    }
  }
  std::shared_ptr<Replica> SomeReplica() {
    MutexLock lock(mutex_);
    return replicas_[env_.random.Below(kReplicas)];
  }
  Call As(const MemberId& member) {
    Call call;
    call.who.kind = Principal::Kind::kMember;
    call.who.member = member;
    call.method = "/replicas";
    call.request_id = absl::StrCat("r", ++requests_);
    call.request_hash = "hash";
    return call;
  }
  const MemberId& SomeSponsor() { return sponsors_[env_.random.Below(sponsors_.size())]; }
  // It went well, or was refused for the one reason for which it may be.
  void Expect(const absl::Status& status, absl::string_view reason) {
    if (!status.ok() && !HasReason(status, reason)) findings_.Add(status.ToString());
  }

  void OpenTicket() {
    if (opened_++ >= tickets_) return;
    const MemberId id = MemberId::Random(env_.random);
    Expect(Ask([&](Ledger& ledger) {
             return ledger.ApplyMember(absl::InfiniteFuture(), env_.clock.Now(), env_.Newcomer(id));
           }).status(),
           "");
    const Call call = As(id);  // the same request, whoever answers
    NewTicket ticket;
    ticket.relationship_type = env_.random.Below(2) == 0 ? RelationshipType::kSponsor
                                                         : RelationshipType::kTemporaryContact;
    ticket.pool = pool_;
    ticket.member_version = 1;
    const auto answer = Ask([&](Ledger& ledger) {
      ticket.id = TicketId::Random(env_.random);
      std::promise<absl::StatusOr<Changed<Ticket>>> opened;
      ledger.OpenTicket(
          call, env_.clock.Now(), ticket,
          [&](absl::StatusOr<Changed<Ticket>> result) { opened.set_value(std::move(result)); });
      return opened.get_future().get();
    });
    Expect(answer.status(), "");
    if (!answer.ok()) return;
    MutexLock lock(mutex_);
    acknowledged_.push_back(answer->value);
  }
  // Takes most offers, declines some, and lets some pass.
  void AnswerOffers() {
    const MemberId sponsor = SomeSponsor();
    const auto offers = Ask(
        [&](Ledger& ledger) { return ledger.ListOffers(As(sponsor), false, 10, std::nullopt); });
    Expect(offers.status(), "");
    if (!offers.ok()) return;
    for (const Offer& offer : offers->items) {
      const uint64_t mood = env_.random.Below(100);
      const Call call = As(sponsor);
      if (mood < 40) {
        Expect(Accept(sponsor, offer.id).status(), reason::kOfferNotOpen);
      } else if (mood < 50) {
        Expect(Ask([&](Ledger& ledger) {
                 return ledger.DeclineOffer(call, env_.clock.Now(), offer.id);
               }).status(),
               reason::kOfferNotOpen);
      }
    }
  }
  absl::StatusOr<Changed<Pairing>> Accept(const MemberId& sponsor, const OfferId& offer) {
    const Call call = As(sponsor);
    return Ask([&](Ledger& ledger) { return ledger.AcceptOffer(call, env_.clock.Now(), offer); });
  }
  // All to whom one ticket is offered accept at the same moment: one of them at most is the first,
  // and when it is answered none of the others has the offer any more.
  void AcceptTogether() {
    std::vector<std::pair<OfferId, MemberId>> rivals;
    const absl::Status read =
        env_.database->Read(absl::InfiniteFuture(), [&](storage::Transaction& tx) -> absl::Status {
          rivals.clear();
          ASSIGN_OR_RETURN(const storage::Rows rows,
                           tx.Query("SELECT id, sponsor FROM offers WHERE state = 1 AND ticket = "
                                    "(SELECT ticket FROM offers WHERE state = 1 GROUP BY ticket "
                                    "HAVING COUNT(*) > 1 ORDER BY COUNT(*) DESC LIMIT 1)",
                                    {}));
          for (const storage::Row& row : rows) {
            rivals.emplace_back(row.Id<OfferId>(0), row.Id<MemberId>(1));
          }
          return absl::OkStatus();
        });
    Expect(read, "");
    if (rivals.size() < 2) return;
    std::vector<absl::Status> answers(rivals.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < rivals.size(); ++i) {
      threads.emplace_back(
          [&, i] { answers[i] = Accept(rivals[i].second, rivals[i].first).status(); });
    }
    for (std::thread& thread : threads) thread.join();
    ++together_;
    int won = 0;
    for (const absl::Status& answer : answers) {
      Expect(answer, reason::kOfferNotOpen);
      won += answer.ok() ? 1 : 0;
    }
    if (won > 1) findings_.Add("two who accepted offers of one ticket were both the first");
    if (won == 0) return;  // somebody else was, or the newcomer took it back
    ++won_by_[std::min<size_t>(rivals.size(), 3)];
    for (size_t i = 0; i < rivals.size(); ++i) {
      if (!answers[i].ok()) LookAtTheLoser(rivals[i].first);
    }
  }
  // The rival of an offer that was accepted: it says how it ended, and holds no seat.
  void LookAtTheLoser(const OfferId& id) {
    int64_t state = 0;
    int64_t seats = 0;
    const absl::Status read =
        env_.database->Read(absl::InfiniteFuture(), [&](storage::Transaction& tx) -> absl::Status {
          ASSIGN_OR_RETURN(const storage::Rows offer,
                           tx.Query("SELECT state FROM offers WHERE id = $1", {id}));
          ASSIGN_OR_RETURN(const storage::Rows held,
                           tx.Query("SELECT COUNT(*) FROM seats WHERE holder = $1", {id}));
          state = offer.empty() ? 0 : offer.front().Int(0);
          seats = held.front().Int(0);
          return absl::OkStatus();
        });
    Expect(read, "");
    if (state < static_cast<int64_t>(OfferState::kDeclined)) {
      findings_.Add("an offer is not over although another one of its ticket was accepted");
    }
    if (seats != 0) findings_.Add("an offer that is over holds a seat");
    if (state == static_cast<int64_t>(OfferState::kRescinded)) ++rescinded_together_;
  }
  void EndAPairing() {
    const MemberId sponsor = SomeSponsor();
    const auto pairings =
        Ask([&](Ledger& ledger) { return ledger.ListPairings(As(sponsor), 10, std::nullopt); });
    Expect(pairings.status(), "");
    if (!pairings.ok()) return;
    for (const Pairing& pairing : pairings->items) {
      if (pairing.state == PairingState::kEnded || env_.random.Below(3) != 0) continue;
      const Call call = As(sponsor);
      Expect(Ask([&](Ledger& ledger) {
               return ledger.EndPairing(call, env_.clock.Now(), pairing.id,
                                        EndReason::kUnspecified);
             }).status(),
             reason::kPairingEnded);
    }
  }
  void ChangeCapacity() {
    const Call call = As(SomeSponsor());
    const int capacity = static_cast<int>(env_.random.Below(4));
    Expect(Ask([&](Ledger& ledger) {
             return ledger.SetAvailability(call, env_.clock.Now(), capacity, true);
           }).status(),
           "");
    CancelATicket();
  }
  void CancelATicket() {
    Ticket ticket;
    {
      MutexLock lock(mutex_);
      if (acknowledged_.empty() || env_.random.Below(4) != 0) return;
      ticket = acknowledged_[env_.random.Below(acknowledged_.size())];
    }
    const Call call = As(ticket.newcomer);
    Expect(Ask([&](Ledger& ledger) {
             return ledger.CancelTicket(call, env_.clock.Now(), ticket.id);
           }).status(),
           reason::kTicketNotOpen);
  }

  // Tickets with room for one more offer, each with every sponsor who has a free seat and from whom
  // nothing keeps it.
  int64_t CountPossiblePairs() {
    return CountOf(absl::StrCat(
        "SELECT COUNT(*) FROM tickets t JOIN sponsors s ON s.accepting = 1 AND CASE WHEN "
        "s.capacity < s.seat_limit THEN s.capacity ELSE s.seat_limit END > "
        "(SELECT COUNT(*) FROM seats h WHERE h.sponsor = s.id) "
        "WHERE (t.state = 1 OR (t.state = 2 AND (SELECT COUNT(*) FROM offers o WHERE o.ticket = "
        "t.id AND o.state = 1 AND o.exclusive = 0) BETWEEN 1 AND 2)) "
        "AND NOT EXISTS (SELECT 1 FROM offers o WHERE o.ticket = t.id AND o.sponsor = s.id AND "
        "o.state = 1) "
        "AND NOT EXISTS (SELECT 1 FROM pairings p WHERE p.newcomer = t.member AND p.sponsor = s.id "
        "AND p.state <> 5) "
        "AND NOT EXISTS (SELECT 1 FROM pair_exclusions e WHERE e.newcomer = t.member AND "
        "e.sponsor = s.id AND e.until > ",
        absl::ToUnixMicros(env_.clock.Now()), ")"));
  }

  LedgerTestEnv env_;
  testing::TemporaryRedis server_;
  std::unique_ptr<storage::Redis> link_;
  Replica::Options replica_options_;
  PoolKey pool_;
  std::vector<MemberId> sponsors_;
  Findings findings_;
  std::string unsettled_;
  int64_t with_room_ = 0;
  std::atomic<int64_t> requests_ = 1'000'000;  // the environment counts from 1
  std::atomic<int> opened_ = 0;
  std::atomic<int> tickets_ = 0;
  int64_t offers_ = 0;
  int64_t refused_ = 0;
  std::atomic<int64_t> looks_ = 0;
  std::atomic<int64_t> together_ = 0;
  std::array<std::atomic<int64_t>, 4> won_by_{};  // by how many raced
  std::atomic<int64_t> rescinded_together_ = 0;
  mutable Mutex mutex_;
  std::array<std::shared_ptr<Replica>, kReplicas> replicas_;
  std::vector<Ticket> acknowledged_ ABSL_GUARDED_BY(mutex_);
  std::atomic<int> speed_ = 4;
  absl::Time real_time_ = SystemClock().Now();
  std::unique_ptr<PeriodicTask> time_;
  std::vector<std::unique_ptr<PeriodicTask>> actors_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_REPLICAS_TEST_WORLD_H_
