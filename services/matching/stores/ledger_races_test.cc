#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "services/matching/stores/ledger_test_env.h"

// Two steps for the same rows at the same moment, many times over, through the real ledger: accept
// against expiry, accept against cancelling, a block against an offer, a change of capacity against
// offers. After each race its own promise is checked, and at the end every invariant. Every order
// must have been seen: a race that always ends the same way was none.
//
// The suite runs some hundreds of each. The long form, 100,000 of each, is disabled by name:
// --gtest_also_run_disabled_tests --gtest_filter='*Long*'.
namespace handrail::matching {
namespace {

using storage::Rows;
using storage::TestBackend;
using storage::Transaction;

constexpr absl::Time kNever = absl::InfiniteFuture();
// So many races are prepared, run and judged together, on so many threads a side.
constexpr int kBatch = 64;
constexpr int kThreads = 8;

class LedgerRaces {
 public:
  explicit LedgerRaces(TestBackend backend) : env_(backend), now_(env_.clock.Now()) {}

  // One race: who is part of it, the two steps, and what is said of the end. Each function is
  // called once a race, `first` and `second` at the same time.
  struct Race {
    std::function<void(size_t)> prepare;
    std::function<void(size_t)> first;
    std::function<void(size_t)> second;
    std::function<void(size_t)> judge;
  };

  void Run(const Race& race, int count) {
    for (int done = 0; done < count; done += kBatch) {
      OnThreads(race.prepare);
      std::barrier start(2 * kThreads);
      std::vector<std::thread> threads;
      for (int side = 0; side < 2; ++side) {
        for (size_t k = 0; k < kThreads; ++k) {
          threads.emplace_back([&, side, k] {
            start.arrive_and_wait();
            for (size_t i = k; i < kBatch; i += kThreads) (side == 0 ? race.first : race.second)(i);
          });
        }
      }
      for (std::thread& thread : threads) thread.join();
      OnThreads(race.judge);
      races_ += kBatch;
      if (::testing::Test::HasFailure()) return;  // one is enough to look at
    }
  }

  // Every invariant, and every one of these outcomes at least once in a hundred thousand races or
  // in some hundred.
  void Finish(const std::string& name, const std::vector<std::string>& expected) {
    env_.ExpectWhole();
    MutexLock lock(mutex_);
    std::string line = absl::StrCat(name, ": ", races_, " races");
    for (const auto& [outcome, count] : outcomes_) {
      absl::StrAppend(&line, ", ", count, " ", outcome);
    }
    std::printf("%s\n", line.c_str());
    for (const std::string& outcome : expected) EXPECT_GT(outcomes_[outcome], 0) << outcome;
    EXPECT_EQ(outcomes_.size(), expected.size());
  }
  void Saw(const std::string& outcome) {
    MutexLock lock(mutex_);
    ++outcomes_[outcome];
  }

  // ---- What races are made of; from any thread ----

  Call As(const MemberId& member) {
    Call call;
    call.who.kind = Principal::Kind::kMember;
    call.who.member = member;
    call.method = "/race";
    call.request_id = absl::StrCat("r", ++requests_);
    call.request_hash = "hash";
    return call;
  }
  MemberId NewSponsor(int capacity) {
    const MemberId id = MemberId::Random(env_.random);
    EXPECT_TRUE(ledger().ApplyMember(kNever, now_, env_.Sponsor(id)).ok());
    EXPECT_TRUE(ledger().SetAvailability(As(id), now_, capacity, true).ok());
    return id;
  }
  Ticket NewTicket() {
    const MemberId id = MemberId::Random(env_.random);
    EXPECT_TRUE(ledger().ApplyMember(kNever, now_, env_.Newcomer(id)).ok());
    matching::NewTicket ticket;
    ticket.id = TicketId::Random(env_.random);
    ticket.relationship_type = RelationshipType::kSponsor;
    ticket.pool.philosophy = Philosophy::kTwelveStepAa;
    ticket.member_version = 1;
    std::promise<absl::StatusOr<Changed<Ticket>>> opened;
    ledger().OpenTicket(As(id), now_, ticket, [&](absl::StatusOr<Changed<Ticket>> result) {
      opened.set_value(std::move(result));
    });
    const auto result = opened.get_future().get();
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->value : Ticket();
  }
  absl::StatusOr<Changed<Offer>> MakeOffer(const Ticket& ticket, const MemberId& sponsor,
                                           absl::Duration later = absl::ZeroDuration()) {
    Proposal proposal;
    proposal.offer = OfferId::Random(env_.random);
    proposal.ticket = ticket.id;
    proposal.ticket_version = 1;
    proposal.newcomer = ticket.newcomer;
    proposal.newcomer_version = 1;
    proposal.sponsor = sponsor;
    proposal.sponsor_version = 1;
    proposal.expire_time = now_ + absl::Hours(24);
    return ledger().MakeOffer(kNever, now_ + later, proposal);
  }
  // Free for the next race, also after so many missed offers that the sponsor was paused.
  void Release(const MemberId& sponsor) {
    for (const PairingId& pairing :
         IdsOf<PairingId>("SELECT id FROM pairings WHERE sponsor = $1 AND state <> 5", {sponsor})) {
      EXPECT_TRUE(ledger().EndPairing(As(sponsor), now_, pairing, EndReason::kUnspecified).ok());
    }
    const Availability seats = SeatsOf(sponsor);
    if (seats.accepting) return;
    EXPECT_TRUE(ledger().SetAvailability(As(sponsor), now_, seats.capacity, true).ok());
  }
  template <typename Id>
  std::vector<Id> IdsOf(const std::string& sql, const storage::Args& args) {
    std::vector<Id> ids;
    const absl::Status status = env_.database->Read(kNever, [&](Transaction& tx) -> absl::Status {
      ids.clear();
      ASSIGN_OR_RETURN(const Rows rows, tx.Query(sql, args));
      for (const storage::Row& row : rows) ids.push_back(row.Id<Id>(0));
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return ids;
  }
  int64_t Count(const std::string& sql, const storage::Args& args) {
    int64_t count = -1;
    const absl::Status status = env_.database->Read(kNever, [&](Transaction& tx) -> absl::Status {
      ASSIGN_OR_RETURN(const Rows rows, tx.Query(sql, args));
      count = rows.front().Int(0);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return count;
  }
  Ticket Now(const Ticket& ticket) {
    const auto now = ledger().GetTicket(As(ticket.newcomer), ticket.id);
    EXPECT_TRUE(now.ok()) << now.status();
    return now.ok() ? *now : Ticket();
  }
  OfferState StateOf(const OfferId& id) {
    return static_cast<OfferState>(Count("SELECT state FROM offers WHERE id = $1", {id}));
  }
  Availability SeatsOf(const MemberId& sponsor) {
    const auto seats = ledger().GetAvailability(As(sponsor));
    EXPECT_TRUE(seats.ok()) << seats.status();
    return seats.ok() ? *seats : Availability();
  }

  SqlLedger& ledger() { return *env_.ledger; }
  LedgerTestEnv& env() { return env_; }
  absl::Time now() const { return now_; }

 private:
  void OnThreads(const std::function<void(size_t)>& work) {
    std::vector<std::thread> threads;
    for (size_t k = 0; k < kThreads; ++k) {
      threads.emplace_back([&work, k] {
        for (size_t i = k; i < kBatch; i += kThreads) work(i);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  LedgerTestEnv env_;
  const absl::Time now_;
  std::atomic<int64_t> requests_ = 0;
  int64_t races_ = 0;
  Mutex mutex_;
  std::map<std::string, int64_t> outcomes_ ABSL_GUARDED_BY(mutex_);
};

// An open offer, and how its sponsor's answer went.
struct Lane {
  MemberId sponsor;
  Ticket ticket;
  OfferId offer;
  absl::Status accepted;
  absl::Status other;
};
using Lanes = std::vector<Lane>;

void OpenOffer(LedgerRaces& races, Lane& lane) {
  if (lane.sponsor.IsZero()) lane.sponsor = races.NewSponsor(1);
  races.Release(lane.sponsor);
  lane.ticket = races.NewTicket();
  const auto offer = races.MakeOffer(lane.ticket, lane.sponsor);
  ASSERT_TRUE(offer.ok()) << offer.status();
  lane.offer = offer->value.id;
}

void Accept(LedgerRaces& races, Lane& lane) {
  lane.accepted =
      races.ledger().AcceptOffer(races.As(lane.sponsor), races.now(), lane.offer).status();
}

// Accepted, and nothing else.
void ExpectPaired(LedgerRaces& races, const Lane& lane) {
  EXPECT_TRUE(lane.accepted.ok()) << lane.accepted;
  EXPECT_EQ(races.StateOf(lane.offer), OfferState::kAccepted);
  EXPECT_EQ(races.Now(lane.ticket).state, TicketState::kPaired);
  EXPECT_EQ(races.Count("SELECT COUNT(*) FROM pairings WHERE offer = $1", {lane.offer}), 1);
  EXPECT_EQ(races.SeatsOf(lane.sponsor).pairing_count, 1);
}

void AcceptAgainstExpiry(TestBackend backend, int count) {
  LedgerRaces races(backend);
  Lanes lanes(kBatch);
  const absl::Time later = races.now() + absl::Hours(25);
  LedgerRaces::Race race;
  race.prepare = [&](size_t i) { OpenOffer(races, lanes[i]); };
  race.first = [&](size_t i) { Accept(races, lanes[i]); };
  // Each takes one that is due: not always the one of its own lane, and in the end all of them.
  race.second = [&](size_t) { EXPECT_TRUE(races.ledger().TimeOutOffers(kNever, later, 1).ok()); };
  race.judge = [&](size_t i) {
    const Lane& lane = lanes[i];
    if (races.StateOf(lane.offer) == OfferState::kAccepted) {
      races.Saw("accepted");
      return ExpectPaired(races, lane);
    }
    races.Saw("timed out");
    EXPECT_TRUE(HasReason(lane.accepted, reason::kOfferNotOpen)) << lane.accepted;
    EXPECT_EQ(races.StateOf(lane.offer), OfferState::kTimedOut);
    const Ticket now = races.Now(lane.ticket);
    EXPECT_EQ(now.state, TicketState::kWaiting);
    EXPECT_EQ(now.create_time, lane.ticket.create_time) << "it keeps its age";
    EXPECT_EQ(races.SeatsOf(lane.sponsor).TakenSeats(), 0);
  };
  races.Run(race, count);
  races.Finish("accept × expire", {"accepted", "timed out"});
}

void AcceptAgainstCancelling(TestBackend backend, int count) {
  LedgerRaces races(backend);
  Lanes lanes(kBatch);
  LedgerRaces::Race race;
  race.prepare = [&](size_t i) { OpenOffer(races, lanes[i]); };
  race.first = [&](size_t i) { Accept(races, lanes[i]); };
  race.second = [&](size_t i) {
    Lane& lane = lanes[i];
    lane.other = races.ledger()
                     .CancelTicket(races.As(lane.ticket.newcomer), races.now(), lane.ticket.id)
                     .status();
  };
  race.judge = [&](size_t i) {
    const Lane& lane = lanes[i];
    EXPECT_NE(lane.accepted.ok(), lane.other.ok()) << "exactly one of the two wins";
    if (lane.accepted.ok()) {
      races.Saw("accepted");
      EXPECT_TRUE(HasReason(lane.other, reason::kTicketNotOpen)) << lane.other;
      return ExpectPaired(races, lane);
    }
    races.Saw("cancelled");
    EXPECT_TRUE(HasReason(lane.accepted, reason::kOfferNotOpen)) << lane.accepted;
    EXPECT_EQ(races.StateOf(lane.offer), OfferState::kRescinded);
    EXPECT_EQ(races.Now(lane.ticket).state, TicketState::kCancelled);
    EXPECT_EQ(races.SeatsOf(lane.sponsor).TakenSeats(), 0);
  };
  races.Run(race, count);
  races.Finish("accept × cancel", {"accepted", "cancelled"});
}

// From the answer to a block on, nothing is offered and nothing accepted between the two.
void BlockAgainstOffer(TestBackend backend, int count) {
  LedgerRaces races(backend);
  struct Blocked : Lane {
    std::optional<OfferId> made;
    bool paired = false;
  };
  std::vector<Blocked> lanes(kBatch);
  const auto between = [&](const Blocked& lane) {
    return races.Count(
        "SELECT (SELECT COUNT(*) FROM offers WHERE sponsor = $1 AND newcomer = $2 AND state = 1) + "
        "(SELECT COUNT(*) FROM pairings WHERE sponsor = $1 AND newcomer = $2 AND state <> 5)",
        {lane.sponsor, lane.ticket.newcomer});
  };
  LedgerRaces::Race race;
  race.prepare = [&](size_t i) {
    Blocked& lane = lanes[i];
    if (lane.sponsor.IsZero()) lane.sponsor = races.NewSponsor(1);
    lane.ticket = races.NewTicket();
    lane.made.reset();
    lane.paired = false;
  };
  race.first = [&](size_t i) {
    Blocked& lane = lanes[i];
    // In turn from either side.
    const bool by_newcomer = i % 2 == 0;
    lane.other = races.ledger()
                     .ApplyBlock(kNever, races.now(), BlockId::Random(races.env().random),
                                 by_newcomer ? lane.ticket.newcomer : lane.sponsor,
                                 by_newcomer ? lane.sponsor : lane.ticket.newcomer)
                     .status();
    EXPECT_EQ(between(lane), 0) << "after the block's answer";
  };
  race.second = [&](size_t i) {
    Blocked& lane = lanes[i];
    const auto offer = races.MakeOffer(lane.ticket, lane.sponsor);
    if (!offer.ok()) {
      EXPECT_TRUE(HasReason(offer.status(), reason::kRelationshipNotOffered)) << offer.status();
      return;
    }
    lane.made = lane.offer = offer->value.id;
    Accept(races, lane);
    lane.paired = lane.accepted.ok();
  };
  race.judge = [&](size_t i) {
    Blocked& lane = lanes[i];
    EXPECT_TRUE(lane.other.ok()) << lane.other;
    EXPECT_EQ(between(lane), 0);
    EXPECT_EQ(races.SeatsOf(lane.sponsor).TakenSeats(), 0);
    const auto again = races.MakeOffer(lane.ticket, lane.sponsor);
    EXPECT_FALSE(again.ok());
    if (!lane.made) {
      races.Saw("not offered");
      EXPECT_EQ(races.Now(lane.ticket).state, TicketState::kWaiting);
    } else if (lane.paired) {
      races.Saw("paired, then ended");
      EXPECT_EQ(
          races.Count("SELECT COUNT(*) FROM pairings WHERE offer = $1 AND state = 5", {*lane.made}),
          1);
    } else {
      races.Saw("offered, then rescinded");
      EXPECT_EQ(races.StateOf(*lane.made), OfferState::kRescinded);
      EXPECT_EQ(races.Now(lane.ticket).state, TicketState::kWaiting);
      Accept(races, lane);
      EXPECT_TRUE(HasReason(lane.accepted, reason::kOfferNotOpen)) << lane.accepted;
    }
  };
  races.Run(race, count);
  races.Finish("block × offer", {"not offered", "offered, then rescinded", "paired, then ended"});
}

// One pairing, a capacity between 0 and 3, and two offers that are being made.
void CapacityAgainstOffers(TestBackend backend, int count) {
  LedgerRaces races(backend);
  struct Seated {
    MemberId sponsor;
    int capacity = 3;
    std::array<Ticket, 2> tickets;
    std::array<std::optional<OfferId>, 2> made;
  };
  std::vector<Seated> lanes(kBatch);
  const auto set_capacity = [&](const Seated& lane) {
    EXPECT_TRUE(races.ledger()
                    .SetAvailability(races.As(lane.sponsor), races.now(), lane.capacity, true)
                    .ok());
  };
  LedgerRaces::Race race;
  race.prepare = [&](size_t i) {
    Seated& lane = lanes[i];
    if (lane.sponsor.IsZero()) {
      lane.sponsor = races.NewSponsor(1);
      Lane paired;
      paired.sponsor = lane.sponsor;
      OpenOffer(races, paired);
      Accept(races, paired);
      ExpectPaired(races, paired);
    }
    for (const OfferId& open : races.IdsOf<OfferId>(
             "SELECT id FROM offers WHERE sponsor = $1 AND state = 1", {lane.sponsor})) {
      EXPECT_TRUE(races.ledger().RescindOffer(kNever, races.now(), open).ok());
    }
    // From little to much and back, by turns.
    lane.capacity = static_cast<int>(races.env().random.Below(4));
    set_capacity(lane);
    lane.capacity = static_cast<int>(races.env().random.Below(4));
    lane.made = {};
    for (Ticket& ticket : lane.tickets) ticket = races.NewTicket();
  };
  race.first = [&](size_t i) { set_capacity(lanes[i]); };
  race.second = [&](size_t i) {
    Seated& lane = lanes[i];
    for (size_t k = 0; k < 2; ++k) {
      const auto offer = races.MakeOffer(lane.tickets[k], lane.sponsor,
                                         absl::Microseconds(static_cast<int64_t>(k)));
      if (offer.ok()) {
        lane.made[k] = offer->value.id;
      } else {
        EXPECT_TRUE(HasReason(offer.status(), reason::kPoolFull)) << offer.status();
      }
    }
  };
  race.judge = [&](size_t i) {
    const Seated& lane = lanes[i];
    const Availability seats = races.SeatsOf(lane.sponsor);
    EXPECT_EQ(seats.capacity, lane.capacity);
    EXPECT_EQ(seats.pairing_count, 1) << "a pairing is never ended by it";
    EXPECT_TRUE(seats.open_offer_count == 0 || seats.TakenSeats() <= seats.capacity);
    int open = 0;
    bool rescinded = false;
    for (size_t k = 0; k < 2; ++k) {
      if (!lane.made[k]) continue;
      const OfferState state = races.StateOf(*lane.made[k]);
      const TicketState ticket = races.Now(lane.tickets[k]).state;
      if (state == OfferState::kOpen) {
        EXPECT_FALSE(rescinded) << "the newest are rescinded first";
        EXPECT_EQ(ticket, TicketState::kOffered);
        ++open;
      } else {
        EXPECT_EQ(state, OfferState::kRescinded);
        EXPECT_EQ(ticket, TicketState::kWaiting);
        rescinded = true;
      }
    }
    EXPECT_EQ(open, seats.open_offer_count);
    const bool all = lane.made[0] && lane.made[1];
    races.Saw(rescinded ? "rescinded" : all ? "both offered" : open > 0 ? "one offered" : "none");
  };
  races.Run(race, count);
  races.Finish("capacity × offer", {"rescinded", "both offered", "one offered", "none"});
}

using RaceFunction = void (*)(TestBackend, int);
struct NamedRace {
  const char* name;
  RaceFunction run;
};
constexpr NamedRace kRaces[] = {
    {"AcceptExpire", AcceptAgainstExpiry},
    {"AcceptCancel", AcceptAgainstCancelling},
    {"BlockOffer", BlockAgainstOffer},
    {"CapacityOffer", CapacityAgainstOffers},
};

class LedgerRacesTest : public ::testing::TestWithParam<std::tuple<NamedRace, TestBackend>> {};

std::string NameOf(const ::testing::TestParamInfo<LedgerRacesTest::ParamType>& info) {
  return absl::StrCat(std::get<0>(info.param).name,
                      storage::TestBackendName(std::get<1>(info.param)));
}

TEST_P(LedgerRacesTest, EndsInOneOfTheWaysThatItMay) {
  std::get<0>(GetParam()).run(std::get<1>(GetParam()), 1024);
}

TEST_P(LedgerRacesTest, DISABLED_LongEndsInOneOfTheWaysThatItMay) {
  std::get<0>(GetParam()).run(std::get<1>(GetParam()), 100'000);
}

INSTANTIATE_TEST_SUITE_P(Races, LedgerRacesTest,
                         ::testing::Combine(::testing::ValuesIn(kRaces),
                                            ::testing::Values(TestBackend::kSqliteMemory,
                                                              TestBackend::kPostgres)),
                         NameOf);

}  // namespace
}  // namespace handrail::matching
