#ifndef HANDRAIL_TOOLS_SIMULATOR_PLAY_H_
#define HANDRAIL_TOOLS_SIMULATOR_PLAY_H_

#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/matching/domain/batch_plan.h"
#include "services/matching/domain/pair_table.h"
#include "services/matching/domain/pool_index.h"
#include "tools/simulator/simulation.h"

// One log being played. What happens is in simulation.cc, what a policy makes of it in policies.cc.
namespace handrail::simulator {

enum class EventKind : uint8_t {
  kSeatEnds,      // of sponsor `a`
  kReturns,       // sponsor `a` takes part again
  kAttests,       // sponsor `a`
  kAnswers,       // of the offer of newcomer `a`, number `b`
  kTimesOut,      // the same
  kGivesUp,       // newcomer `a`
  kExpires,       // newcomer `a`
  kAsks,          // newcomer `a`
  kLooks,         // a time after which a resting pair may meet again: newcomer `a`
  kWindowCloses,  // of our policy
  kBatch,
};

struct Event {
  absl::Time time;
  EventKind kind;
  uint32_t a = 0;
  int b = 0;
  uint64_t number = 0;  // in order of their making

  friend bool operator>(const Event& x, const Event& y) {
    return std::tie(x.time, x.kind, x.number) > std::tie(y.time, y.kind, y.number);
  }
};

class Simulation {
 public:
  Simulation(const World& world, const std::vector<std::vector<Eligible>>& eligible,
             const Policy& policy, const Engine& engine);
  Log Run();

 private:
  struct NewcomerState {
    matching::Ticket ticket;
    bool open = false;  // has asked and neither is paired nor has left
    int32_t offered_to = -1;
    size_t offer = 0;  // the last one, in the log
    double offered_score = 0;
  };
  struct SponsorState {
    std::shared_ptr<const matching::MemberTraits> traits;
    matching::Availability seats;
    std::vector<matching::PoolIndex*> pools;
    absl::Time counted_until;
    bool paused = false;
    int missed = 0;
    bool held = false;  // a window collects this sponsor's seats
  };

  void Push(absl::Time time, EventKind kind, uint32_t a = 0, int b = 0) {
    events_.push({time, kind, a, b, pushed_++});
  }
  matching::PoolIndex& PoolOf(const matching::PoolKey& key);
  void Handle(const Event& event);
  void Ask(uint32_t newcomer);
  void Leave(uint32_t newcomer, NewcomerOutcome::End end);
  void Answer(uint32_t newcomer, int number);
  void TimeOut(uint32_t newcomer, int number);
  void Attest(uint32_t sponsor);
  void Pause(uint32_t sponsor);
  void Return(uint32_t sponsor);

  bool IsAway(uint32_t sponsor) const;
  absl::Time BackAt(uint32_t sponsor) const;
  void PutTicket(uint32_t newcomer, matching::TicketState state);
  void PutSeats(uint32_t sponsor);
  void CountLoad(uint32_t sponsor);
  void EndOffer(uint32_t newcomer, absl::Duration cooldown);

  // The policies.
  void LookForSponsor(uint32_t newcomer);
  void LookForTickets(uint32_t sponsor);
  void TakeAnySponsor(uint32_t newcomer);
  std::optional<uint32_t> LongestWaitingFor(uint32_t sponsor);
  bool MayMeet(uint32_t newcomer, const Eligible& with) const;
  void ChooseSponsor(uint32_t newcomer);
  bool ChooseTicket(uint32_t sponsor);
  bool Contended(uint32_t sponsor);
  void CloseWindow();
  void RunBatch();
  void Follow(const matching::BatchPlan& plan);
  void Offer(uint32_t newcomer, uint32_t sponsor);
  bool BreaksARule(uint32_t newcomer, uint32_t sponsor) const;
  double IdleScore(uint32_t newcomer, uint32_t sponsor) const;

  const World& world_;
  const std::vector<std::vector<Eligible>>& eligible_;
  const Policy& policy_;
  const Engine& engine_;
  const matching::Chooser chooser_;
  matching::PairTable pairs_;
  std::map<matching::PoolKey, std::unique_ptr<matching::PoolIndex>> pools_;
  std::vector<NewcomerState> newcomers_;
  std::vector<SponsorState> sponsors_;
  absl::flat_hash_map<TicketId, uint32_t> newcomer_of_;
  absl::flat_hash_map<MemberId, uint32_t> sponsor_of_;
  // For the policies that do not ask the chooser: who could sponsor, and who waits, in order.
  std::vector<std::vector<uint32_t>> eligible_newcomers_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  uint64_t pushed_ = 0;
  absl::Time now_;
  bool window_open_ = false;
  std::vector<uint32_t> held_sponsors_;
  Log log_;
};

}  // namespace handrail::simulator

#endif  // HANDRAIL_TOOLS_SIMULATOR_PLAY_H_
