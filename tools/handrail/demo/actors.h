#ifndef HANDRAIL_TOOLS_HANDRAIL_DEMO_ACTORS_H_
#define HANDRAIL_TOOLS_HANDRAIL_DEMO_ACTORS_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "tools/handrail/client/person.h"
#include "tools/handrail/demo/narrator.h"
#include "tools/handrail/demo/population.h"

namespace handrail::tools {

// What the actors see together, counted. Everything in it was acknowledged by a service.
struct Tally {
  std::atomic<int> offers{0};
  std::atomic<int> accepted{0};
  std::atomic<int> declined{0};
  std::atomic<int> timed_out{0};
  std::atomic<int> full{0};
};

// A sponsor who watches offers on a stream of their own and answers them after their habit.
class SponsorActor {
 public:
  // Registers, writes the profile, consents, attests. UNAVAILABLE and the like pass through.
  static absl::StatusOr<std::unique_ptr<SponsorActor>> Join(Services& services, Clock& clock,
                                                            Random& random, SponsorPlan plan,
                                                            Narrator& narrator, Tally& tally);
  ~SponsorActor();

  // Sets the seats and begins to answer offers on a thread.
  absl::Status Open();
  void Stop();

  Person& person() { return *person_; }
  const SponsorPlan& plan() const { return plan_; }
  // Pairings that were acknowledged to this sponsor, by name.
  std::vector<std::string> Pairings() const;

 private:
  SponsorActor(SponsorPlan plan, Narrator& narrator, Tally& tally)
      : plan_(std::move(plan)), narrator_(narrator), tally_(tally) {}
  void Loop();
  void OnOffer(const matching::v1::Offer& offer);
  void Accept(const matching::v1::Offer& offer);
  void Decline(const matching::v1::Offer& offer);

  const SponsorPlan plan_;
  Narrator& narrator_;
  Tally& tally_;
  std::unique_ptr<Person> person_;
  mutable Mutex mutex_;
  std::map<std::string, matching::v1::OfferState> seen_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> pairings_ ABSL_GUARDED_BY(mutex_);
  grpc::ClientContext* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool declined_once_ = false;  // of the loop's thread
  std::thread thread_;
};

// A newcomer who asked and waits.
class NewcomerActor {
 public:
  static absl::StatusOr<std::unique_ptr<NewcomerActor>> Join(Services& services, Clock& clock,
                                                             Random& random, NewcomerPlan plan);
  absl::Status Ask();
  // Asks the service where the ticket stands.
  absl::Status Look();

  Person& person() { return *person_; }
  const NewcomerPlan& plan() const { return plan_; }
  const matching::v1::Ticket& ticket() const { return ticket_; }
  bool asked() const { return !ticket_.name().empty(); }
  bool waits() const;

 private:
  explicit NewcomerActor(NewcomerPlan plan) : plan_(std::move(plan)) {}

  const NewcomerPlan plan_;
  std::unique_ptr<Person> person_;
  matching::v1::Ticket ticket_;
};

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_DEMO_ACTORS_H_
